import { type MatchExtension, defineMatch } from "../extension.js";
import { option, type OptionUse } from "../options.js";
import { fragmentOffsetOf, portsOf } from "../packet.js";
import { refuse } from "../refusal.js";
import { formatRange, inRange, not, parsePort, type Range } from "../values.js";

type Side = "source" | "destination" | "either";

interface Multiport {
  readonly side: Side;
  readonly slots: readonly Range[];
  readonly invert: boolean;
}

const PROTOCOLS: readonly number[] = [6, 17, 33, 132, 136];

const others = (name: string): string[] =>
  ["source-ports", "destination-ports", "ports"].filter((other) => other !== name);
const SPORTS = option("source-ports", readSlots, {
  alias: "sports",
  not: true,
  excludes: others("source-ports"),
});
const DPORTS = option("destination-ports", readSlots, {
  alias: "dports",
  not: true,
  excludes: others("destination-ports"),
});
const PORTS = option("ports", readSlots, { not: true, excludes: others("ports") });

const NAMES: Readonly<Record<Side, string>> = {
  source: "--sports",
  destination: "--dports",
  either: "--ports",
};

/** `-m multiport`: up to 15 ports, a range counts as two. */
export const multiport: MatchExtension = defineMatch<Multiport>({
  name: "multiport",
  mirrors: "net/netfilter/xt_multiport.c:multiport_mt()",
  fidelity: "exact",
  examples: ["-p tcp|--dports 22,80:443", "-p udp|! --sports 53", "-p sctp|--ports 0:65535"],
  options: [SPORTS, DPORTS, PORTS],
  check(args) {
    if (args.all.length === 0) throw refuse("multiport expection an option");
  },
  parse(args) {
    const sides: readonly (readonly [Side, typeof SPORTS])[] = [
      ["source", SPORTS],
      ["destination", DPORTS],
      ["either", PORTS],
    ];
    for (const [side, spec] of sides) {
      const given = args.get(spec);
      if (given !== undefined) return { side, slots: given.value, invert: given.invert };
    }
    throw refuse("multiport expection an option");
  },
  format: ({ side, slots, invert }) =>
    `${not(invert)}${NAMES[side]} ${slots.map(formatRange).join(",")}`,
  isPure: true,
  destinationPorts: ({ side, slots, invert }) =>
    side === "destination" && !invert ? slots : undefined,
  matches({ side, slots, invert }, skb) {
    if (fragmentOffsetOf(skb.frame) > 0) return false;
    const ports = portsOf(skb);
    if (ports === undefined) return skb.frame.transport === undefined ? "hotdrop" : false;
    const hit = slots.some(
      (slot) =>
        (side !== "destination" && inRange(ports.source, slot)) ||
        (side !== "source" && inRange(ports.destination, slot)),
    );
    return hit !== invert;
  },
  why({ side }, skb) {
    const ports = portsOf(skb);
    if (ports === undefined) return "packet has no ports";
    if (side === "either") return `packet has sport ${ports.source} and dport ${ports.destination}`;
    return side === "source"
      ? `packet has sport ${ports.source}`
      : `packet has dport ${ports.destination}`;
  },
});

function readSlots(text: string, use: OptionUse): readonly Range[] {
  const { protocol } = use.context;
  if (protocol === undefined)
    throw refuse("multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'");
  if (protocol.invert || !PROTOCOLS.includes(protocol.number))
    throw refuse("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP");
  let used = 0;
  return text.split(",").map((part) => {
    const colon = part.indexOf(":");
    used += colon < 0 ? 1 : 2;
    if (used > 15) throw refuse("too many ports specified");
    const low = parsePort(colon < 0 ? part : part.slice(0, colon), use);
    const high = colon < 0 ? low : parsePort(part.slice(colon + 1), use);
    if (colon >= 0 && low >= high) throw refuse("invalid portrange specified");
    return { low, high };
  });
}
