import { type MatchExtension, defineMatch } from "../extension.js";
import { dscpClass } from "../tos-names.js";
import { hex } from "../numbers.js";
import { option } from "../options.js";
import { tosOf } from "../packet.js";
import { refuse } from "../refusal.js";
import { formatTest, type Negatable, unsigned } from "../values.js";

const DSCP = option("dscp", unsigned(0, 63), { not: true, excludes: ["dscp-class"] });
const CLASS = option("dscp-class", dscpClass, { not: true, excludes: ["dscp"] });

/** `-m dscp`: the upper six bits of the TOS byte. */
export const dscp: MatchExtension = defineMatch<Negatable<number>>({
  name: "dscp",
  mirrors: "net/netfilter/xt_dscp.c:dscp_mt()",
  fidelity: "exact",
  examples: ["--dscp 0x0a", "! --dscp 0x2e"],
  options: [DSCP, CLASS],
  check(args) {
    if (args.all.length === 0) throw refuse("DSCP match: Parameter --dscp is required");
  },
  parse: (args) => args.get(DSCP) ?? args.need(CLASS),
  format: (test) => formatTest("dscp", test, (value) => hex(value, 2)).join(" "),
  isPure: true,
  matches: ({ value, invert }, skb) => (tosOf(skb) >> 2 === value) !== invert,
  why: (_, skb) => `packet has dscp ${hex(tosOf(skb) >> 2, 2)}`,
});
