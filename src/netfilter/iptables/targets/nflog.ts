import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { option } from "../options.js";
import { cutBytes, string, u16, u32 } from "../values.js";
import { quoteText } from "../words.js";

interface Nflog {
  readonly group: number;
  readonly prefix: string | undefined;
  readonly range: number | undefined;
  readonly size: number | undefined;
  readonly threshold: number;
}

const GROUP = option("nflog-group", u16);
const PREFIX = option("nflog-prefix", string(1, Number.POSITIVE_INFINITY));
const RANGE = option("nflog-range", (text, use) => {
  use.context.warn(
    "warn: --nflog-range has never worked and is no longer supported, please use --nflog-size instead",
  );
  return u32(text, use);
});
const SIZE = option("nflog-size", u32);
const THRESHOLD = option("nflog-threshold", u16);

/** `-j NFLOG`: hands a copy to a program that listens, if one does; the packet goes on. */
export const nflog: TargetExtension = defineTarget<Nflog>({
  name: "NFLOG",
  mirrors: "net/netfilter/xt_NFLOG.c:nflog_tg()",
  fidelity: "exact",
  examples: ["", '--nflog-prefix "my pfx" --nflog-group 5 --nflog-threshold 10', "--nflog-size 64"],
  options: [GROUP, PREFIX, RANGE, SIZE, THRESHOLD],
  parse(args, { variant }) {
    const prefix = args.value(PREFIX);
    return {
      group: args.value(GROUP) ?? 0,
      prefix: prefix === undefined ? undefined : cutBytes(prefix, variant === "nft" ? 127 : 63),
      range: args.value(RANGE),
      size: args.value(SIZE),
      threshold: args.value(THRESHOLD) ?? 0,
    };
  },
  inNft: (params) => ({ ...params, range: undefined }),
  format({ group, prefix, range, size, threshold }) {
    const words: string[] = [];
    if (prefix !== undefined) words.push(`--nflog-prefix ${quoteText(prefix)}`);
    if (group !== 0) words.push(`--nflog-group ${group}`);
    if (size !== undefined) words.push(`--nflog-size ${size}`);
    else if (range !== undefined) words.push(`--nflog-range ${range}`);
    if (threshold !== 0) words.push(`--nflog-threshold ${threshold}`);
    return words.join(" ");
  },
  apply: () => CONTINUE,
  log: ({ prefix = "", group }) => ({ by: "NFLOG", level: undefined, group, prefix, parts: [] }),
});
