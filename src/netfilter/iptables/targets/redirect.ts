import type { NatRange } from "../../nat/range.js";
import { redirect as redirectPacket } from "../../nat/targets.js";
import { type TargetExtension, defineTarget } from "../extension.js";
import { formatNatFlags, formatPorts, parsePorts } from "../nat-range.js";
import { flag, option } from "../options.js";

const TO_PORTS = option("to-ports", (text, use) => parsePorts(text, use));
const RANDOM = flag("random");

/** `-j REDIRECT`: to this machine. */
export const redirect: TargetExtension = defineTarget<NatRange>({
  name: "REDIRECT",
  mirrors: "net/netfilter/nf_nat_redirect.c:nf_nat_redirect_ipv4()",
  fidelity: "exact",
  examples: ["", "-p tcp|--to-ports 8080-8090 --random"],
  options: [TO_PORTS, RANDOM],
  only: { tables: ["nat"], hooks: ["PREROUTING", "OUTPUT"] },
  tracks: true,
  parse: (args) => ({ ...args.value(TO_PORTS), random: args.has(RANDOM) }),
  format: (range) =>
    [
      ...(range.ports === undefined ? [] : [`--to-ports ${formatPorts(range)}`]),
      ...formatNatFlags(range),
    ].join(" "),
  apply: (range, skb, state) => redirectPacket(skb, state, range),
});
