import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { withTos } from "../rewrite.js";
import { formatTos, readTos, type TosMask } from "../tos-names.js";
import { u8 } from "../values.js";

const NAMES = ["set-tos", "and-tos", "or-tos", "xor-tos"];
const excludes = (name: string): { readonly excludes: readonly string[] } => ({
  excludes: NAMES.filter((other) => other !== name),
});
const SET = option("set-tos", readTos, excludes("set-tos"));
const AND = option("and-tos", u8, excludes("and-tos"));
const OR = option("or-tos", u8, excludes("or-tos"));
const XOR = option("xor-tos", u8, excludes("xor-tos"));

/** `-j TOS`: `(tos & ~mask) ^ value`, so bits of the value outside the mask are flipped. */
export const tos: TargetExtension = defineTarget<TosMask>({
  name: "TOS",
  mirrors: "net/netfilter/xt_DSCP.c:tos_tg()",
  fidelity: "exact",
  examples: ["--set-tos 0x10/0xff", "--set-tos 0x08/0x00"],
  options: [SET, AND, OR, XOR],
  only: { tables: ["mangle"] },
  check(args) {
    if (args.all.length === 0) throw refuse("TOS: An action is required");
  },
  parse(args) {
    const [and, or, xor] = [args.value(AND), args.value(OR), args.value(XOR)];
    if (and !== undefined) return { value: 0, mask: ~and & 0xff };
    if (or !== undefined) return { value: or, mask: or };
    return xor === undefined ? args.need(SET).value : { value: xor, mask: 0 };
  },
  format: (change) => `--set-tos ${formatTos(change)}`,
  apply({ value, mask }, skb) {
    skb.frame = withTos(skb.frame, (old) => (old & ~mask) ^ value);
    return CONTINUE;
  },
});
