import type { NatRange } from "../../nat/range.js";
import { setupSnat } from "../../nat/targets.js";
import { type TargetExtension, defineTarget } from "../extension.js";
import { formatNatFlags, formatNatTo, parseNatTo } from "../nat-range.js";
import { flag, option } from "../options.js";

const TO = option("to-source", parseNatTo, { must: true });
const RANDOM = flag("random");
const RANDOM_FULLY = flag("random-fully");
const PERSISTENT = flag("persistent");

/** `-j SNAT`: another source for the connection. */
export const snat: TargetExtension = defineTarget<NatRange>({
  name: "SNAT",
  mirrors: "net/netfilter/xt_nat.c:xt_snat_target_v2()",
  fidelity: "exact",
  examples: [
    "--to-source 1.2.3.4",
    "-p tcp|--to-source 1.2.3.4-1.2.3.9:1024-65535 --random --random-fully --persistent",
  ],
  options: [TO, RANDOM, RANDOM_FULLY, PERSISTENT],
  only: { tables: ["nat"], hooks: ["POSTROUTING", "INPUT"] },
  tracks: true,
  parse: (args) => ({
    ...args.need(TO).value,
    random: args.has(RANDOM),
    randomFully: args.has(RANDOM_FULLY),
    persistent: args.has(PERSISTENT),
  }),
  format: (range) => [`--to-source ${formatNatTo(range)}`, ...formatNatFlags(range)].join(" "),
  apply: (range, skb, state) => setupSnat(skb, state, range),
});
