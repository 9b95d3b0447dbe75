import { get8, get16, get32, put16, put32 } from "./bytes.js";
import { replaceLong, replaceWord } from "./checksum.js";
import { ICMP_ECHO, ICMP_ECHOREPLY } from "./icmp.js";
import type { Ipv4 } from "./ip.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN } from "./ipv4.js";

/** What NAT changes in a quoted packet. */
export interface QuoteChange {
  readonly source?: Ipv4 | undefined;
  readonly destination?: Ipv4 | undefined;
  /** The id, for an ICMP echo. */
  readonly sourcePort?: number | undefined;
  readonly destinationPort?: number | undefined;
}

const MIN_TCP_WITH_CHECKSUM = 20;

/**
 * The packet that an ICMP error quotes, between other addresses and ports. Checksums are adjusted and not computed, so
 * those that cannot be verified stay as right or wrong as they were. Bytes that are no IPv4 header come back unchanged.
 * Mirrors net/netfilter/nf_nat_proto.c:nf_nat_manip_pkt().
 */
export function rewriteQuote(quote: Uint8Array, change: QuoteChange): Uint8Array {
  const headerLength = (get8(quote, 0) & 15) * 4;
  if (get8(quote, 0) >>> 4 !== 4 || headerLength < IPV4_HLEN || quote.length < headerLength)
    return quote;
  const bytes = quote.slice();
  const checksumAt =
    (get16(bytes, 6) & 0x1fff) === 0 ? transportChecksumAt(bytes, headerLength) : undefined;
  if (checksumAt !== undefined) changePorts(bytes, headerLength, checksumAt, change);
  const pseudoAt = get8(bytes, 9) === IPPROTO_ICMP ? undefined : checksumAt;
  changeAddress(bytes, 12, change.source, pseudoAt);
  changeAddress(bytes, 16, change.destination, pseudoAt);
  return bytes;
}

/** Where the transport checksum stands: past the end when the quote does not reach it, undefined for other protocols. */
function transportChecksumAt(bytes: Uint8Array, at: number): number | undefined {
  if (bytes.length < at + 8) return undefined;
  const past = bytes.length;
  switch (get8(bytes, 9)) {
    case IPPROTO_TCP:
      return bytes.length < at + MIN_TCP_WITH_CHECKSUM ? past : at + 16;
    case IPPROTO_UDP:
      return get16(bytes, at + 6) === 0 ? past : at + 6;
    case IPPROTO_ICMP:
      return at + 2;
    default:
      return undefined;
  }
}

function changePorts(bytes: Uint8Array, at: number, checksumAt: number, change: QuoteChange): void {
  if (get8(bytes, 9) !== IPPROTO_ICMP) {
    changeWord(bytes, at, change.sourcePort, checksumAt);
    changeWord(bytes, at + 2, change.destinationPort, checksumAt);
  } else if (get8(bytes, at) === ICMP_ECHO || get8(bytes, at) === ICMP_ECHOREPLY) {
    changeWord(bytes, at + 4, change.sourcePort, checksumAt);
  }
}

function changeWord(
  bytes: Uint8Array,
  at: number,
  value: number | undefined,
  checksumAt: number,
): void {
  if (value === undefined) return;
  const before = get16(bytes, at);
  put16(bytes, at, value);
  adjust(bytes, checksumAt, (checksum) => replaceWord(checksum, before, value));
}

function changeAddress(
  bytes: Uint8Array,
  at: number,
  address: Ipv4 | undefined,
  pseudoAt: number | undefined,
): void {
  if (address === undefined) return;
  const before = get32(bytes, at);
  put32(bytes, at, address);
  adjust(bytes, 10, (checksum) => replaceLong(checksum, before, address));
  if (pseudoAt !== undefined)
    adjust(bytes, pseudoAt, (checksum) => replaceLong(checksum, before, address));
}

function adjust(bytes: Uint8Array, at: number, change: (checksum: number) => number): void {
  if (at + 2 > bytes.length) return;
  const checksum = change(get16(bytes, at));
  const isUdp = at !== 10 && get8(bytes, 9) === IPPROTO_UDP;
  put16(bytes, at, isUdp && checksum === 0 ? 0xffff : checksum);
}
