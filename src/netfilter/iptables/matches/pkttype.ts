import type { PacketType, SkBuff } from "../../../core/skbuff.js";
import { isIpv4Multicast } from "../../../wire/ip.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { formatTest, type Negatable } from "../values.js";

const NAMES: Readonly<Record<string, PacketType>> = {
  unicast: "HOST",
  broadcast: "BROADCAST",
  multicast: "MULTICAST",
};

const TYPE = option("pkt-type", readType, { not: true, must: true });

/** `-m pkttype`: how the receiving device saw the frame. */
export const pkttype: MatchExtension = defineMatch<Negatable<string>>({
  name: "pkttype",
  mirrors: "net/netfilter/xt_pkttype.c:pkttype_mt()",
  fidelity: "exact",
  examples: ["--pkt-type unicast", "! --pkt-type multicast"],
  options: [TYPE],
  parse: (args) => args.need(TYPE),
  format: (test) => formatTest("pkt-type", test, (name) => name).join(" "),
  isPure: true,
  matches: ({ value, invert }, skb) => (typeOf(skb) === NAMES[value]) !== invert,
  why: (_, skb) => `packet is ${typeOf(skb).toLowerCase()}`,
});

/** What comes back to its sender is told by where it went. */
function typeOf({ packetType, frame: { network } }: SkBuff): PacketType {
  if (packetType !== "LOOPBACK") return packetType;
  const isBroadcast = network?.kind === "ipv4" && !isIpv4Multicast(network.destination);
  return isBroadcast ? "BROADCAST" : "MULTICAST";
}

function readType(text: string): string {
  const name = text.toLowerCase() === "host" ? "unicast" : text.toLowerCase();
  if (!Object.hasOwn(NAMES, name)) throw refuse(`Bad packet type '${text}'`);
  return name;
}
