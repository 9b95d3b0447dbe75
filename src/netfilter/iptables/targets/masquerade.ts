import type { NatRange } from "../../nat/range.js";
import { masquerade as masqueradePacket } from "../../nat/targets.js";
import { type TargetExtension, defineTarget } from "../extension.js";
import { formatNatFlags, formatPorts, parsePorts } from "../nat-range.js";
import { flag, option } from "../options.js";

const TO_PORTS = option("to-ports", (text, use) => parsePorts(text, use));
const RANDOM = flag("random");
const RANDOM_FULLY = flag("random-fully");

/** `-j MASQUERADE`: the address of the interface it leaves by becomes the source. */
export const masquerade: TargetExtension = defineTarget<NatRange>({
  name: "MASQUERADE",
  mirrors: "net/netfilter/nf_nat_masquerade.c:nf_nat_masquerade_ipv4()",
  fidelity: "exact",
  examples: ["", "--random-fully", "-p tcp|--to-ports 1024-31000 --random"],
  options: [TO_PORTS, RANDOM, RANDOM_FULLY],
  only: { tables: ["nat"], hooks: ["POSTROUTING"] },
  tracks: true,
  parse: (args) => ({
    ...args.value(TO_PORTS),
    random: args.has(RANDOM),
    randomFully: args.has(RANDOM_FULLY),
  }),
  format: (range) =>
    [
      ...(range.ports === undefined ? [] : [`--to-ports ${formatPorts(range)}`]),
      ...formatNatFlags(range),
    ].join(" "),
  apply: (range, skb, state) => masqueradePacket(skb, state, range),
});
