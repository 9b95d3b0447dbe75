import type { NatRange } from "../../nat/range.js";
import { setupDnat } from "../../nat/targets.js";
import { type TargetExtension, defineTarget } from "../extension.js";
import { formatNatFlags, formatNatTo, parseNatTo } from "../nat-range.js";
import { flag, option } from "../options.js";

const TO = option("to-destination", parseNatTo, { must: true });
const RANDOM = flag("random");
const PERSISTENT = flag("persistent");

/** `-j DNAT`: another destination for the connection. */
export const dnat: TargetExtension = defineTarget<NatRange>({
  name: "DNAT",
  mirrors: "net/netfilter/xt_nat.c:xt_dnat_target_v2()",
  fidelity: "exact",
  examples: [
    "--to-destination 10.0.0.5",
    "-p tcp|--to-destination 10.0.0.5-10.0.0.9:80-90 --random --persistent",
    "-p tcp|--to-destination :8080",
  ],
  options: [TO, RANDOM, PERSISTENT],
  only: { tables: ["nat"], hooks: ["PREROUTING", "OUTPUT"] },
  tracks: true,
  parse: (args) => ({
    ...args.need(TO).value,
    random: args.has(RANDOM),
    persistent: args.has(PERSISTENT),
  }),
  format: (range) => [`--to-destination ${formatNatTo(range)}`, ...formatNatFlags(range)].join(" "),
  apply: (range, skb, state) => setupDnat(skb, state, range),
});
