import { get8, get16, get32, put16, put32 } from "./bytes.js";
import { replaceLong, replaceWord } from "./checksum.js";
import { ICMP_ECHO, ICMP_ECHOREPLY } from "./icmp.js";
import { ICMPV6_ECHO_REPLY, ICMPV6_ECHO_REQUEST } from "./icmpv6.js";
import { type IpAddress, ipv6Words } from "./ip.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN } from "./ipv4.js";
import { decodeExtensions } from "./ipv6-extension.js";
import { decodeIpv6, fragmentExtension, IPPROTO_ICMPV6 } from "./ipv6.js";
import { withSctpPorts } from "./sctp.js";
import { IPPROTO_SCTP, IPPROTO_UDPLITE } from "./ports.js";

/** What NAT changes in a quoted packet. Addresses of the other family change nothing. */
export interface QuoteChange {
  readonly source?: IpAddress | undefined;
  readonly destination?: IpAddress | undefined;
  /** The id, for an ICMP echo. */
  readonly sourcePort?: number | undefined;
  readonly destinationPort?: number | undefined;
}

/** Where things stand in a quoted packet, in bytes from its start. */
interface Layout {
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
  /** Of IPv4's header; IPv6 has none. */
  readonly headerChecksum: number | undefined;
  /** Undefined in later fragments, and where headers cannot be followed. */
  readonly transport: number | undefined;
}

const MIN_TCP_WITH_CHECKSUM = 20;

/**
 * The packet that an ICMP error quotes, between other addresses and ports. Checksums are adjusted and not computed, so
 * those that cannot be verified stay as right or wrong as they were. Bytes that are no IP header come back unchanged.
 * Mirrors net/netfilter/nf_nat_proto.c:nf_nat_ipv4_manip_pkt() and nf_nat_ipv6_manip_pkt().
 */
export function rewriteQuote(quote: Uint8Array, change: QuoteChange): Uint8Array {
  const layout = get8(quote, 0) >>> 4 === 6 ? layoutOf6(quote) : layoutOf4(quote);
  if (layout === undefined) return quote;
  const bytes = quote.slice();
  const { protocol, transport } = layout;
  const checksumAt =
    transport === undefined ? undefined : transportChecksumAt(bytes, protocol, transport);
  if (transport !== undefined && checksumAt !== undefined)
    changePorts(bytes, layout, transport, checksumAt, change);
  // ICMP is the only one whose checksum does not cover the addresses.
  const pseudoAt = protocol === IPPROTO_ICMP ? undefined : checksumAt;
  if (transport !== undefined && protocol === IPPROTO_SCTP) changeSctp(bytes, transport, change);
  changeAddress(bytes, layout, layout.source, change.source, pseudoAt);
  changeAddress(bytes, layout, layout.destination, change.destination, pseudoAt);
  return bytes;
}

function layoutOf4(quote: Uint8Array): Layout | undefined {
  const headerLength = (get8(quote, 0) & 15) * 4;
  if (get8(quote, 0) >>> 4 !== 4 || headerLength < IPV4_HLEN || quote.length < headerLength)
    return undefined;
  const isWhole = (get16(quote, 6) & 0x1fff) === 0;
  return {
    protocol: get8(quote, 9),
    source: 12,
    destination: 16,
    headerChecksum: 10,
    transport: isWhole ? headerLength : undefined,
  };
}

function layoutOf6(quote: Uint8Array): Layout | undefined {
  const packet = decodeIpv6(quote);
  if (!packet.ok) return undefined;
  const { header, payload } = packet.value;
  const isLater = (fragmentExtension(header)?.fragmentOffset ?? 0) !== 0;
  const upper = decodeExtensions(header.protocol, payload);
  return {
    protocol: upper.protocol,
    source: 8,
    destination: 24,
    headerChecksum: undefined,
    transport: isLater ? undefined : upper.payload.byteOffset - quote.byteOffset,
  };
}

/** Where the transport checksum stands: past the end when the quote does not reach it, undefined for other protocols. */
function transportChecksumAt(bytes: Uint8Array, protocol: number, at: number): number | undefined {
  if (bytes.length < at + 8) return undefined;
  const past = bytes.length;
  switch (protocol) {
    case IPPROTO_TCP:
      return bytes.length < at + MIN_TCP_WITH_CHECKSUM ? past : at + 16;
    case IPPROTO_UDP:
      return get16(bytes, at + 6) === 0 ? past : at + 6;
    case IPPROTO_UDPLITE:
      return at + 6;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return at + 2;
    default:
      return undefined;
  }
}

/** Messages whose id NAT changes. */
const ECHOES: ReadonlyMap<number, readonly number[]> = new Map([
  [IPPROTO_ICMP, [ICMP_ECHO, ICMP_ECHOREPLY]],
  [IPPROTO_ICMPV6, [ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY]],
]);

function changePorts(
  bytes: Uint8Array,
  layout: Layout,
  at: number,
  checksumAt: number,
  change: QuoteChange,
): void {
  const echoes = ECHOES.get(layout.protocol);
  if (echoes === undefined) {
    changeWord(bytes, layout, at, change.sourcePort, checksumAt);
    changeWord(bytes, layout, at + 2, change.destinationPort, checksumAt);
  } else if (echoes.includes(get8(bytes, at))) {
    changeWord(bytes, layout, at + 4, change.sourcePort, checksumAt);
  }
}

/** Its checksum is made anew, over what is there of the packet. Mirrors sctp_manip_pkt(). */
function changeSctp(bytes: Uint8Array, at: number, change: QuoteChange): void {
  if (bytes.length < at + 8) return;
  const ports = { source: change.sourcePort, destination: change.destinationPort };
  bytes.set(withSctpPorts(bytes.subarray(at), ports), at);
}

function changeWord(
  bytes: Uint8Array,
  layout: Layout,
  at: number,
  value: number | undefined,
  checksumAt: number,
): void {
  if (value === undefined) return;
  const before = get16(bytes, at);
  put16(bytes, at, value);
  adjust(bytes, layout, checksumAt, (checksum) => replaceWord(checksum, before, value));
}

function changeAddress(
  bytes: Uint8Array,
  layout: Layout,
  at: number,
  address: IpAddress | undefined,
  pseudoAt: number | undefined,
): void {
  const isIpv4 = layout.headerChecksum !== undefined;
  if (address === undefined || isIpv4 !== (typeof address === "number")) return;
  const words = typeof address === "number" ? [address] : ipv6Words(address);
  for (const [index, word] of words.entries()) {
    const before = get32(bytes, at + 4 * index);
    put32(bytes, at + 4 * index, word);
    for (const place of [layout.headerChecksum, pseudoAt])
      if (place !== undefined)
        adjust(bytes, layout, place, (checksum) => replaceLong(checksum, before, word));
  }
}

function adjust(
  bytes: Uint8Array,
  { protocol, headerChecksum }: Layout,
  at: number,
  change: (checksum: number) => number,
): void {
  if (at + 2 > bytes.length) return;
  const checksum = change(get16(bytes, at));
  const isUdp = at !== headerChecksum && protocol === IPPROTO_UDP;
  put16(bytes, at, isUdp && checksum === 0 ? 0xffff : checksum);
}
