import { get8, get16, get32, put8, put16, put32 } from "./bytes.js";
import { checksumErrorOf, internetChecksum, spoilChecksum } from "./checksum.js";
import { type Decoded, decoded, refused } from "./decoded.js";
import { type Ipv4, formatIpv4, ipv4 } from "./ip.js";

/** IP protocol numbers, by their names in netinet/in.h. */
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;

export const IPV4_HLEN = 20;
const IP_DF = 0x4000;
const IP_MF = 0x2000;
const IP_OFFSET = 0x1fff;

/** An IPv4 header. Lengths and checksum follow from the frame and are computed when it is encoded. RFC 791. */
export interface Ipv4Header {
  readonly kind: "ipv4";
  /** The whole TOS byte: DSCP and ECN. */
  readonly tos: number;
  /** Identification, 0..65535. */
  readonly id: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In bytes, a multiple of 8. */
  readonly fragmentOffset: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly source: Ipv4;
  readonly destination: Ipv4;
  /** Option bytes, padded to a multiple of 4; empty for almost every packet. */
  readonly options: Uint8Array;
  /** How far the header's checksum is off, 1..65534 in one's complement; absent when it is right. */
  readonly checksumError?: number | undefined;
}

/** A header as it stands in a packet: what its total length says, and the bytes that are there of it. */
export interface Ipv4Packet {
  readonly header: Ipv4Header;
  /** From the total length field; more than header and payload when the packet was cut short. */
  readonly totalLength: number;
  /** The bytes after the header, without Ethernet's padding. */
  readonly payload: Uint8Array;
}

/** A packet that is cut short is given with what there is of its payload. The reserved flag is not kept. */
export function decodeIpv4(bytes: Uint8Array): Decoded<Ipv4Packet> {
  if (bytes.length < IPV4_HLEN)
    return refused(`IPv4 header cut short: ${bytes.length} of ${IPV4_HLEN} bytes`);
  if (get8(bytes, 0) >>> 4 !== 4) return refused(`IPv4 header of version ${get8(bytes, 0) >>> 4}`);
  const headerLength = (get8(bytes, 0) & 15) * 4;
  const totalLength = get16(bytes, 2);
  if (headerLength < IPV4_HLEN) return refused(`IPv4 header length of ${headerLength} bytes`);
  if (bytes.length < headerLength)
    return refused(`IPv4 header cut short: ${bytes.length} of ${headerLength} bytes`);
  if (totalLength < headerLength)
    return refused(`IPv4 total length ${totalLength} below the header's ${headerLength}`);
  const fragment = get16(bytes, 6);
  const error = checksumErrorOf(bytes.subarray(0, headerLength));
  const header: Ipv4Header = {
    kind: "ipv4",
    tos: get8(bytes, 1),
    id: get16(bytes, 4),
    dontFragment: (fragment & IP_DF) !== 0,
    moreFragments: (fragment & IP_MF) !== 0,
    fragmentOffset: (fragment & IP_OFFSET) * 8,
    ttl: get8(bytes, 8),
    protocol: get8(bytes, 9),
    source: ipv4(get32(bytes, 12)),
    destination: ipv4(get32(bytes, 16)),
    options: bytes.subarray(IPV4_HLEN, headerLength),
    ...(error === undefined ? {} : { checksumError: error }),
  };
  return decoded({ header, totalLength, payload: bytes.subarray(headerLength, totalLength) });
}

/** Writes the header over the first bytes of `into`, as that of a packet of `totalLength` bytes. */
export function encodeIpv4(header: Ipv4Header, totalLength: number, into: Uint8Array): void {
  const headerLength = ipv4HeaderLength(header);
  const flags = (header.dontFragment ? IP_DF : 0) | (header.moreFragments ? IP_MF : 0);
  put8(into, 0, 0x40 | (headerLength / 4));
  put8(into, 1, header.tos);
  put16(into, 2, totalLength);
  put16(into, 4, header.id);
  put16(into, 6, flags | (header.fragmentOffset / 8));
  put8(into, 8, header.ttl);
  put8(into, 9, header.protocol);
  put16(into, 10, 0);
  put32(into, 12, header.source);
  put32(into, 16, header.destination);
  into.set(header.options, IPV4_HLEN);
  put16(
    into,
    10,
    spoilChecksum(internetChecksum(into.subarray(0, headerLength)), header.checksumError),
  );
}

/** In bytes, options included. */
export function ipv4HeaderLength(header: Ipv4Header): number {
  return IPV4_HLEN + header.options.length;
}

/** Whether the packet is a piece of a larger one. Mirrors ip_is_fragment(). */
export function isFragment(header: Ipv4Header): boolean {
  return header.moreFragments || header.fragmentOffset !== 0;
}

/** `10.9.0.1 > 10.9.0.2`. */
export function formatIpv4Header(header: Ipv4Header): string {
  return `${formatIpv4(header.source)} > ${formatIpv4(header.destination)}`;
}
