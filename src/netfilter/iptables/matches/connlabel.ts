import { type MatchExtension, defineMatch } from "../extension.js";
import { parseNumber } from "../numbers.js";
import { flag, option, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";
import { not } from "../values.js";

interface Connlabel {
  readonly label: number;
  readonly invert: boolean;
  readonly set: boolean;
}

const LABEL = option("label", readLabel, { not: true, must: true });
const SET = flag("set");

/** `-m connlabel`: one of 128 labels of the connection; names need a file that is not there. */
export const connlabel: MatchExtension = defineMatch<Connlabel>({
  name: "connlabel",
  mirrors: "net/netfilter/xt_connlabel.c:connlabel_mt()",
  fidelity: "unmodelled",
  examples: ['--label "7"', '! --label "127" --set'],
  options: [LABEL, SET],
  tracks: true,
  parse(args) {
    const { value, invert } = args.need(LABEL);
    return { label: value, invert, set: args.has(SET) };
  },
  format: ({ label, invert, set }) => `${not(invert)}--label "${label}"${set ? " --set" : ""}`,
  refuses: ({ label }) => (label > 127 ? "Numerical result out of range" : undefined),
});

function readLabel(text: string, { context }: OptionUse): number {
  const number = parseNumber(text, 0, 65_535);
  if (number !== undefined) return number;
  context.warn("Warning: cannot open /etc/xtables/connlabel.conf: No such file or directory");
  throw refuse(`label '${text}' not found or invalid value`);
}
