import { type MatchExtension, defineMatch, isPositive } from "../extension.js";
import { fitsPayload, type PayloadTest, portTest } from "../native-ports.js";
import { flag, option, type OptionUse } from "../options.js";
import { tcpOptionsOf, transportOf } from "../packet.js";
import { refuse } from "../refusal.js";
import { parseNumber } from "../numbers.js";
import {
  formatRange,
  inRange,
  isFullPortRange,
  mergeTests,
  not,
  portRange,
  type Range,
} from "../values.js";

interface Flags {
  readonly mask: number;
  readonly compare: number;
}

interface Negatable<T> {
  readonly value: T;
  readonly invert: boolean;
}

interface TcpMatch {
  readonly source: Negatable<Range> | undefined;
  readonly destination: Negatable<Range> | undefined;
  readonly option: Negatable<number> | undefined;
  readonly flags: Negatable<Flags> | undefined;
  /** The nft variant compares bytes of the packet with plain ports and flags. */
  readonly native: boolean;
}

/** In the order they are printed. */
const FLAG_NAMES = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"] as const;
const ALL_FLAGS = 0x3f;
const SYN_TEST: Flags = { mask: 0x17, compare: 0x02 };

const EXCLUSIVE = "Only one of `--syn' or `--tcp-flags'  allowed";

const SPORT = option("sport", portRange, {
  alias: "source-port",
  not: true,
  onlyOnce: "Only one `--source-port' allowed",
});
const DPORT = option("dport", portRange, {
  alias: "destination-port",
  not: true,
  onlyOnce: "Only one `--destination-port' allowed",
});
const SYN = option("tcp-flags", readFlags, {
  not: true,
  sameAs: "syn",
  onlyOnce: EXCLUSIVE,
  second: "--tcp-flags requires two args.",
});
const ONLY_SYN = flag("syn", { not: true, onlyOnce: EXCLUSIVE, sameAs: "tcp-flags" });
const OPTION = option("tcp-option", readTcpOption, {
  not: true,
  onlyOnce: "Only one `--tcp-option' allowed",
});

/** `-m tcp`: ports, flags and options of a TCP header. */
export const tcp: MatchExtension = defineMatch<TcpMatch>({
  name: "tcp",
  mirrors: "net/netfilter/xt_tcpudp.c:tcp_mt()",
  fidelity: "exact",
  examples: [
    "-p tcp|--dport 22",
    "-p tcp|! --sport 1024:65535 --dport 80 --tcp-option 2 --tcp-flags FIN,SYN,RST,ACK SYN",
    "-p tcp|! --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE",
    "-p tcp|",
  ],
  options: [SPORT, DPORT, ONLY_SYN, SYN, OPTION],
  // What nft makes expressions of, the kernel does not check against -p.
  refuses: (params, { variant, protocol }) =>
    (variant === "nft" && !isEmpty(params) && params.option === undefined) ||
    isPositive(protocol, 6)
      ? undefined
      : "Invalid argument",
  parse(args, { variant }) {
    const syn = args.get(ONLY_SYN);
    return {
      source: args.get(SPORT),
      destination: args.get(DPORT),
      option: args.get(OPTION),
      flags: syn === undefined ? args.get(SYN) : { value: SYN_TEST, invert: syn.invert },
      native: variant === "nft" && args.all.length > 0 && !args.has(OPTION),
    };
  },
  format({ source, destination, option: tcpOption, flags }) {
    const words: string[] = [];
    if (source !== undefined && !isFullPortRange(source.value))
      words.push(`${not(source.invert)}--sport ${formatRange(source.value)}`);
    if (destination !== undefined && !isFullPortRange(destination.value)) {
      words.push(`${not(destination.invert)}--dport ${formatRange(destination.value)}`);
    }
    if (tcpOption !== undefined)
      words.push(`${not(tcpOption.invert)}--tcp-option ${tcpOption.value}`);
    if (flags !== undefined && (flags.value.mask !== 0 || flags.invert)) {
      words.push(
        `${not(flags.invert)}--tcp-flags ${formatFlags(flags.value.mask)} ${formatFlags(flags.value.compare)}`,
      );
    }
    return words.join(" ");
  },
  nftText(params, protocol) {
    if (isEmpty(params) || protocol?.number === 6) return undefined;
    return "TCP match requires '-p tcp'";
  },
  vanishesInNft: ({ source, destination, option: tcpOption, flags }) =>
    tcpOption === undefined &&
    flags === undefined &&
    (neverTrue(source) || neverTrue(destination)) &&
    !isPlain(source) &&
    !isPlain(destination),
  merge(first, second) {
    if (
      isEmpty(first) ||
      isEmpty(second) ||
      first.option !== undefined ||
      second.option !== undefined
    )
      return undefined;
    return {
      source: mergeTests(first.source, second.source),
      destination: mergeTests(first.destination, second.destination),
      option: undefined,
      flags: mergeTests(first.flags, second.flags),
      native: true,
    };
  },
  isPure: true,
  destinationPorts: ({ destination }) =>
    destination === undefined || destination.invert ? undefined : [destination.value],
  matches(params, skb) {
    const header = transportOf(skb, "tcp");
    if (typeof header !== "object")
      return params.native ? fitsPayload(skb, payloadTests(params)) : header;
    const { source, destination, option: tcpOption, flags } = params;
    if (source !== undefined && inRange(header.sourcePort, source.value) === source.invert)
      return false;
    if (
      destination !== undefined &&
      inRange(header.destinationPort, destination.value) === destination.invert
    )
      return false;
    if (
      flags !== undefined &&
      ((header.flags & flags.value.mask) === flags.value.compare) === flags.invert
    )
      return false;
    if (tcpOption === undefined) return true;
    const options = tcpOptionsOf(skb.frame);
    return options === undefined
      ? "hotdrop"
      : hasOption(options, tcpOption.value) !== tcpOption.invert;
  },
  why({ source, destination, flags }, skb) {
    const header = transportOf(skb, "tcp");
    if (header === false) return "packet is a later fragment";
    if (header === "hotdrop") return "packet has no whole TCP header";
    if (source !== undefined && inRange(header.sourcePort, source.value) === source.invert)
      return `packet has sport ${header.sourcePort}`;
    if (
      destination !== undefined &&
      inRange(header.destinationPort, destination.value) === destination.invert
    ) {
      return `packet has dport ${header.destinationPort}`;
    }
    return flags === undefined
      ? "packet's TCP options differ"
      : `packet has flags ${formatFlags(header.flags & ALL_FLAGS)}`;
  },
});

function payloadTests({ source, destination, flags }: TcpMatch): readonly PayloadTest[] {
  const ports = [...portTest(0, source), ...portTest(2, destination)];
  if (flags === undefined) return ports;
  const { value, invert } = flags;
  const holds = (byte: number): boolean => ((byte & value.mask) === value.compare) !== invert;
  return [...ports, { at: 13, size: 1, holds }];
}

function isEmpty({ source, destination, option: tcpOption, flags }: TcpMatch): boolean {
  return [source, destination, tcpOption, flags].every((part) => part === undefined);
}

function neverTrue(test: Negatable<Range> | undefined): boolean {
  return test !== undefined && test.invert && isFullPortRange(test.value);
}

function isPlain(test: Negatable<Range> | undefined): boolean {
  return test !== undefined && !isFullPortRange(test.value);
}

function readFlags(text: string, { second }: OptionUse): Flags {
  return { mask: flagBits(text), compare: flagBits(second) };
}

function flagBits(text: string): number {
  let bits = 0;
  for (const name of text.split(",")) {
    const upper = name.toUpperCase();
    const index = FLAG_NAMES.findIndex((known) => known === upper);
    if (upper === "ALL") bits |= ALL_FLAGS;
    else if (index >= 0) bits |= 1 << index;
    else if (upper !== "NONE") throw refuse(`Unknown TCP flag \`${name}'`);
  }
  return bits;
}

function formatFlags(bits: number): string {
  const names = FLAG_NAMES.filter((_, index) => (bits & (1 << index)) !== 0);
  return names.length === 0 ? "NONE" : names.join(",");
}

function readTcpOption(text: string): number {
  const number = parseNumber(text, 1, 255);
  if (number === undefined) throw refuse(`Bad TCP option "${text}"`);
  return number;
}

/** Walks the options. Mirrors tcp_find_option(), which drops packets whose options are not all there. */
function hasOption(options: Uint8Array, wanted: number): boolean {
  for (let at = 0; at < options.length;) {
    const kind = options[at] ?? 0;
    if (kind === wanted) return true;
    at += kind < 2 ? 1 : Math.max(1, options[at + 1] ?? 1);
  }
  return false;
}
