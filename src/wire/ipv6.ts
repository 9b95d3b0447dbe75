import { get16, get32, get8, put16, put32, put8 } from "./bytes.js";
import { type Decoded, decoded, refused } from "./decoded.js";
import { type Ipv6, formatIpv6, getIpv6, putIpv6 } from "./ip.js";
import {
  type FragmentExtension,
  type Ipv6Extension,
  decodeExtensions,
  encodeExtensions,
  extensionsLength,
} from "./ipv6-extension.js";

export const IPPROTO_ICMPV6 = 58;
/** Nothing follows. */
export const IPPROTO_NONE = 59;

export const IPV6_HLEN = 40;
/** Every link carries packets of this size in bytes. RFC 8200 §5. */
export const IPV6_MIN_MTU = 1280;

/** An IPv6 header and the extension headers after it. The payload length follows from the frame. RFC 8200 §3. */
export interface Ipv6Header {
  readonly kind: "ipv6";
  /** DSCP and ECN, as IPv4's TOS byte. */
  readonly trafficClass: number;
  /** 0..0xfffff. */
  readonly flowLabel: number;
  readonly hopLimit: number;
  /** What comes after the extension headers: a transport, or a header that could not be read. */
  readonly protocol: number;
  readonly source: Ipv6;
  readonly destination: Ipv6;
  /** In their order on the wire; empty for almost every packet. */
  readonly extensions: readonly Ipv6Extension[];
}

/** A header as it stands in a packet: what its payload length says, and the bytes that are there of it. */
export interface Ipv6Packet {
  readonly header: Ipv6Header;
  /** In bytes, the header of 40 included; more than is there when the packet was cut short. */
  readonly totalLength: number;
  /** The bytes after the last extension header, without Ethernet's padding. */
  readonly payload: Uint8Array;
}

export const NO_EXTENSIONS: readonly Ipv6Extension[] = [];

/** A packet that is cut short is given with what there is of its payload. */
export function decodeIpv6(bytes: Uint8Array): Decoded<Ipv6Packet> {
  if (bytes.length < IPV6_HLEN)
    return refused(`IPv6 header cut short: ${bytes.length} of ${IPV6_HLEN} bytes`);
  if (get8(bytes, 0) >>> 4 !== 6) return refused(`IPv6 header of version ${get8(bytes, 0) >>> 4}`);
  const first = get32(bytes, 0);
  const totalLength = IPV6_HLEN + get16(bytes, 4);
  const rest = decodeExtensions(get8(bytes, 6), bytes.subarray(IPV6_HLEN, totalLength));
  const header: Ipv6Header = {
    kind: "ipv6",
    trafficClass: (first >>> 20) & 0xff,
    flowLabel: first & 0xf_ffff,
    hopLimit: get8(bytes, 7),
    protocol: rest.protocol,
    source: getIpv6(bytes, 8),
    destination: getIpv6(bytes, 24),
    extensions: rest.extensions.length === 0 ? NO_EXTENSIONS : rest.extensions,
  };
  return decoded({ header, totalLength, payload: rest.payload });
}

/** Writes header and extension headers over the first bytes of `into`, as those of a packet of `totalLength` bytes. */
export function encodeIpv6(header: Ipv6Header, totalLength: number, into: Uint8Array): void {
  put32(into, 0, (0x6000_0000 | (header.trafficClass << 20) | header.flowLabel) >>> 0);
  put16(into, 4, totalLength - IPV6_HLEN);
  put8(into, 6, header.extensions[0]?.type ?? header.protocol);
  put8(into, 7, header.hopLimit);
  putIpv6(into, 8, header.source);
  putIpv6(into, 24, header.destination);
  if (header.extensions.length > 0)
    encodeExtensions(header.extensions, header.protocol, into.subarray(IPV6_HLEN));
}

/** In bytes, extension headers included. */
export function ipv6HeaderLength(header: Ipv6Header): number {
  return header.extensions.length === 0
    ? IPV6_HLEN
    : IPV6_HLEN + extensionsLength(header.extensions);
}

/** The fragment header, even of a packet in one piece (an atomic fragment). */
export function fragmentExtension(header: Ipv6Header): FragmentExtension | undefined {
  return header.extensions.find((extension) => extension.kind === "fragment");
}

/** Whether the packet is a piece of a larger one; an atomic fragment is not. RFC 6946. */
export function isIpv6Fragment(header: Ipv6Header): boolean {
  const fragment = fragmentExtension(header);
  return fragment !== undefined && (fragment.moreFragments || fragment.fragmentOffset !== 0);
}

/** `fe80::1 > ff02::1`. */
export function formatIpv6Header(header: Ipv6Header): string {
  return `${formatIpv6(header.source)} > ${formatIpv6(header.destination)}`;
}
