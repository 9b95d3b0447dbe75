import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { hex } from "../numbers.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { withTos } from "../rewrite.js";
import { dscpClass } from "../tos-names.js";
import { unsigned } from "../values.js";

const DSCP = option("set-dscp", unsigned(0, 63), { excludes: ["set-dscp-class"] });
const CLASS = option("set-dscp-class", dscpClass, { excludes: ["set-dscp"] });

/** `-j DSCP`: writes the upper six bits of the TOS byte. */
export const dscp: TargetExtension = defineTarget<number>({
  name: "DSCP",
  mirrors: "net/netfilter/xt_DSCP.c:dscp_tg()",
  fidelity: "exact",
  examples: ["--set-dscp 0x0c"],
  options: [DSCP, CLASS],
  only: { tables: ["mangle"] },
  check(args) {
    if (args.all.length === 0) throw refuse("DSCP target: Parameter --set-dscp is required");
  },
  parse: (args) => args.value(DSCP) ?? args.need(CLASS).value,
  format: (value) => `--set-dscp ${hex(value, 2)}`,
  apply(value, skb) {
    skb.frame = withTos(skb.frame, (tos) => (value << 2) | (tos & 3));
    return CONTINUE;
  },
});
