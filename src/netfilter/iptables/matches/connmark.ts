import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { hex, hexMasked } from "../numbers.js";
import { markMask, not } from "../values.js";

const MARK = option("mark", markMask, { not: true, must: true });

/** `-m connmark --mark value[/mask]`: the mark of the connection; false without one, negated or not. */
export const connmark: MatchExtension = defineMatch<{
  readonly value: number;
  readonly mask: number;
  readonly invert: boolean;
}>({
  name: "connmark",
  mirrors: "net/netfilter/xt_connmark.c:connmark_mt()",
  fidelity: "exact",
  examples: ["--mark 0x1", "! --mark 0x10/0xf0"],
  options: [MARK],
  tracks: true,
  parse(args) {
    const { value, invert } = args.need(MARK);
    return { ...value, invert };
  },
  format: ({ value, mask, invert }) => `${not(invert)}--mark ${hexMasked(value, mask)}`,
  isPure: true,
  matches({ value, mask, invert }, skb) {
    const entry = skb.ct?.entry;
    return entry !== undefined && ((entry.mark & mask) >>> 0 === value) !== invert;
  },
  why: (_, skb) =>
    skb.ct?.entry === undefined
      ? "packet has no connection"
      : `connection has mark ${hex(skb.ct.entry.mark)}`,
});
