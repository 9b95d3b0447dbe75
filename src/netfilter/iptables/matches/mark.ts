import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { hex, hexMasked } from "../numbers.js";
import { markMask, not } from "../values.js";

const MARK = option("mark", markMask, { not: true, must: true });

/** `-m mark --mark value[/mask]`: compares the packet's mark under a mask. */
export const mark: MatchExtension = defineMatch<{
  readonly value: number;
  readonly mask: number;
  readonly invert: boolean;
}>({
  name: "mark",
  mirrors: "net/netfilter/xt_mark.c:mark_mt()",
  fidelity: "exact",
  examples: ["--mark 0x4000/0x4000", "! --mark 0x1"],
  options: [MARK],
  parse(args) {
    const { value, invert } = args.need(MARK);
    return { ...value, invert };
  },
  format: ({ value, mask, invert }) => `${not(invert)}--mark ${hexMasked(value, mask)}`,
  isPure: true,
  matches: ({ value, mask, invert }, skb) => ((skb.mark & mask) >>> 0 === value) !== invert,
  why: (_, skb) => `packet has mark ${hex(skb.mark)}`,
});
