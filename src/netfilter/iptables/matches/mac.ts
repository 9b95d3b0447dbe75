import { formatMac, type Mac } from "../../../wire/ip.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { formatTest, mac as readMac, type Negatable } from "../values.js";

const SOURCE = option("mac-source", readMac, { not: true, must: true });

/** `-m mac --mac-source`: the sender on the wire; false for packets without an Ethernet header, negated or not. */
export const mac: MatchExtension = defineMatch<Negatable<Mac>>({
  name: "mac",
  mirrors: "net/netfilter/xt_mac.c:mac_mt()",
  fidelity: "exact",
  examples: ["--mac-source 02:00:00:00:00:01", "! --mac-source 00:0c:29:ab:cd:ef"],
  options: [SOURCE],
  only: { hooks: ["PREROUTING", "INPUT", "FORWARD"] },
  parse: (args) => args.need(SOURCE),
  format: (test) => formatTest("mac-source", test, formatMac).join(" "),
  isPure: true,
  matches: ({ value, invert }, skb, { in: dev }) =>
    dev !== undefined && !dev.isLoopback && (skb.frame.link.source === value) !== invert,
  why: (_, skb, { in: dev }) =>
    dev === undefined || dev.isLoopback
      ? "packet has no Ethernet header"
      : `packet comes from ${formatMac(skb.frame.link.source)}`,
});
