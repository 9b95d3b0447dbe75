import { connectionOf } from "../../conntrack/connection.js";
import { hasLabel, setLabel } from "../../conntrack/labels.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { parseNumber } from "../numbers.js";
import { flag, option, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";
import { not } from "../values.js";

interface Connlabel {
  readonly label: number;
  /** As it is printed: its name, or its number. */
  readonly text: string;
  readonly invert: boolean;
  readonly set: boolean;
}

const LABEL = option("label", readLabel, { not: true, must: true });
const SET = flag("set");

/** `-m connlabel`: one of 128 labels of the connection; names need the machine's connlabel.conf. */
export const connlabel: MatchExtension = defineMatch<Connlabel>({
  name: "connlabel",
  mirrors: "net/netfilter/xt_connlabel.c:connlabel_mt()",
  fidelity: "simplified",
  examples: ['--label "7"', '! --label "127" --set'],
  options: [LABEL, SET],
  tracks: true,
  parse(args, { environment }) {
    const { value, invert } = args.need(LABEL);
    const text = environment.labels?.byLabel.get(value) ?? String(value);
    return { label: value, text, invert, set: args.has(SET) };
  },
  format: ({ text, invert, set }) => `${not(invert)}--label "${text}"${set ? " --set" : ""}`,
  refuses: ({ label }) => (label > 127 ? "Numerical result out of range" : undefined),
  matches({ label, invert, set }, skb) {
    const entry = connectionOf(skb);
    if (entry === undefined) return invert;
    if (set) setLabel(entry, label);
    return hasLabel(entry, label) !== invert;
  },
  why({ label }, skb) {
    const entry = connectionOf(skb);
    return entry === undefined
      ? "packet has no connection"
      : `the connection has ${hasLabel(entry, label) ? "" : "not "}label ${label}`;
  },
});

function readLabel(text: string, { context }: OptionUse): number {
  const { labels } = context.environment;
  const number = parseNumber(text, 0, 65_535) ?? labels?.byName.get(text);
  if (number !== undefined) return number;
  if (labels === undefined)
    context.warn("Warning: cannot open /etc/xtables/connlabel.conf: No such file or directory");
  throw refuse(`label '${text}' not found or invalid value`);
}
