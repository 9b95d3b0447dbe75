import { type MatchExtension, defineMatch, isPositive } from "../extension.js";
import { option, type OptionUse } from "../options.js";
import { fitsPayload, portTest } from "../native-ports.js";
import { parseNumber } from "../numbers.js";
import { transportOf } from "../packet.js";
import { refuse } from "../refusal.js";
import { servicePort } from "../services.js";
import { formatRange, inRange, isFullPortRange, mergeTests, not, type Range } from "../values.js";

interface PortTest {
  readonly value: Range;
  readonly invert: boolean;
}

interface UdpMatch {
  readonly source: PortTest | undefined;
  readonly destination: PortTest | undefined;
  /** The nft variant compares bytes of the packet with plain ports. */
  readonly native: boolean;
}

const SPORT = option("source-port", readPorts, { alias: "sport", not: true });
const DPORT = option("destination-port", readPorts, { alias: "dport", not: true });

/** `-m udp`: ports of a UDP header. A reversed range never matches; ports wrap at 16 bits. */
export const udp: MatchExtension = defineMatch<UdpMatch>({
  name: "udp",
  mirrors: "net/netfilter/xt_tcpudp.c:udp_mt()",
  fidelity: "exact",
  examples: [
    "-p udp|--dport 53",
    "-p udp|! --sport 68 ! --dport 67",
    "-p udp|--sport 5:3",
    "-p udp|",
  ],
  options: [SPORT, DPORT],
  refuses: ({ source, destination }, { variant, protocol }) =>
    (variant === "nft" && (source !== undefined || destination !== undefined)) ||
    isPositive(protocol, 17)
      ? undefined
      : "Invalid argument",
  parse: (args, { variant }) => ({
    source: args.get(SPORT),
    destination: args.get(DPORT),
    native: variant === "nft" && args.all.length > 0,
  }),
  format({ source, destination }) {
    const words: string[] = [];
    if (source !== undefined && !isFullPortRange(source.value))
      words.push(`${not(source.invert)}--sport ${formatRange(source.value)}`);
    if (destination !== undefined && !isFullPortRange(destination.value)) {
      words.push(`${not(destination.invert)}--dport ${formatRange(destination.value)}`);
    }
    return words.join(" ");
  },
  nftText(params, protocol) {
    const empty = params.source === undefined && params.destination === undefined;
    return empty || protocol?.number === 17 ? undefined : "UDP match requires '-p udp'";
  },
  vanishesInNft: ({ source, destination }) => {
    const tests = [source, destination].filter((test) => test !== undefined);
    return tests.some(({ invert }) => invert) && tests.every(({ value }) => isFullPortRange(value));
  },
  merge(first, second) {
    const empty = [first, second].some(
      ({ source, destination }) => source === undefined && destination === undefined,
    );
    if (empty) return undefined;
    return {
      source: mergeTests(first.source, second.source),
      destination: mergeTests(first.destination, second.destination),
      native: true,
    };
  },
  isPure: true,
  destinationPorts: ({ destination }) =>
    destination === undefined || destination.invert ? undefined : [destination.value],
  matches({ source, destination, native }, skb) {
    const header = transportOf(skb, "udp");
    if (typeof header !== "object")
      return native
        ? fitsPayload(skb, [...portTest(0, source), ...portTest(2, destination)])
        : header;
    if (source !== undefined && inRange(header.sourcePort, source.value) === source.invert)
      return false;
    return (
      destination === undefined ||
      inRange(header.destinationPort, destination.value) !== destination.invert
    );
  },
  why({ source }, skb) {
    const header = transportOf(skb, "udp");
    if (header === false) return "packet is a later fragment";
    if (header === "hotdrop") return "packet has no whole UDP header";
    const bySource =
      source !== undefined && inRange(header.sourcePort, source.value) === source.invert;
    return bySource
      ? `packet has sport ${header.sourcePort}`
      : `packet has dport ${header.destinationPort}`;
  },
});

/** `P`, `P:P`, `P:`, `:P`, with what is wrong left in. Mirrors xtopt_parse_port() of a type that checks no bounds. */
function readPorts(text: string, use: OptionUse): Range {
  const parts = text.split(":");
  if (parts.length > 2)
    throw refuse(`${use.owner}: Too many components for option "--${use.option}" (max: 2)\n`);
  const bound = (part: string, otherwise: number): number => {
    if (part === "" && parts.length === 2) return otherwise;
    const number = parseNumber(part, 0, 0xffff_ffff);
    if (number !== undefined) return number & 0xffff;
    const port = servicePort(part, use.context.protocol?.number);
    if (port === undefined) throw refuse(`Port "${part}" does not resolve to anything.\n`);
    return port;
  };
  const low = bound(parts[0] ?? "", 0);
  return { low, high: parts.length === 1 ? low : bound(parts[1] ?? "", 65_535) };
}
