import type { PacketType } from "../../../core/skbuff.js";
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
  matches: ({ value, invert }, skb) => (skb.packetType === NAMES[value]) !== invert,
  why: (_, skb) => `packet is ${skb.packetType.toLowerCase()}`,
});

function readType(text: string): string {
  const name = text.toLowerCase() === "host" ? "unicast" : text.toLowerCase();
  if (!Object.hasOwn(NAMES, name)) throw refuse(`Bad packet type '${text}'`);
  return name;
}
