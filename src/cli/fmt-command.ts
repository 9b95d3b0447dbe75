import { UserError } from "../base/errors.js";
import { formatConflist } from "../kube/cni/format.js";
import { formatCorefile } from "../kube/dns/format.js";
import { recognise } from "../kube/recognise.js";
import { formatRulesText } from "../netfilter/iptables/format-rules.js";
import type { FmtOptions } from "./commands/fmt.js";
import { readOne } from "./files.js";
import type { Streams } from "./streams.js";

type FmtKind = NonNullable<FmtOptions["as"]>;

/** One line for each kind of text that `fmt` knows. */
const formatters: Readonly<Record<FmtKind, (text: string, file: string) => string>> = {
  iptables: formatRulesText,
  corefile: formatCorefile,
  conflist: formatConflist,
};

/** `hopwise fmt FILE`: reads the text with its real grammar and prints it as the real tool would. */
export function fmtCommand(path: string, options: FmtOptions, streams: Streams): number {
  const { file, text } = readOne(path);
  const formatted = formatters[options.as ?? kindOf(text, file)](text, file);
  if (options.check !== true) {
    streams.out(formatted);
    return 0;
  }
  if (formatted === text) return 0;
  streams.err(`${file}: would change; hopwise fmt ${file} prints it\n`);
  return 1;
}

function kindOf(text: string, file: string): FmtKind {
  const kind = recognise(text);
  switch (kind) {
    case "iptables-save":
      return "iptables";
    case "corefile":
      return "corefile";
    case "conflist":
      return "conflist";
    default:
      throw new UserError(
        "FMT_KIND",
        `${file}: fmt does not print ${kind === "unknown" ? "this kind of text" : kind}`,
        {
          help: "it knows iptables rules, Corefiles and CNI conflists; --as KIND says which this is",
        },
      );
  }
}
