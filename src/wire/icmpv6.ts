import { get32, get8, put16, put32, put8 } from "./bytes.js";
import { checksumErrorOf, internetChecksum, spoilChecksum } from "./checksum.js";
import { type Decoded, type Layer, decoded, refused } from "./decoded.js";

export const ICMPV6_DEST_UNREACH = 1;
export const ICMPV6_PKT_TOOBIG = 2;
export const ICMPV6_TIME_EXCEED = 3;
export const ICMPV6_PARAMPROB = 4;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;
export const ICMPV6_MGM_QUERY = 130;
export const ICMPV6_MGM_REPORT = 131;
export const ICMPV6_MGM_REDUCTION = 132;
export const NDISC_ROUTER_SOLICITATION = 133;
export const NDISC_ROUTER_ADVERTISEMENT = 134;
export const NDISC_NEIGHBOUR_SOLICITATION = 135;
export const NDISC_NEIGHBOUR_ADVERTISEMENT = 136;
export const NDISC_REDIRECT = 137;
export const ICMPV6_MLD2_REPORT = 143;

/** Codes of ICMPV6_DEST_UNREACH. */
export const ICMPV6_NOROUTE = 0;
export const ICMPV6_ADM_PROHIBITED = 1;
export const ICMPV6_NOT_NEIGHBOUR = 2;
export const ICMPV6_ADDR_UNREACH = 3;
export const ICMPV6_PORT_UNREACH = 4;
export const ICMPV6_POLICY_FAIL = 5;
export const ICMPV6_REJECT_ROUTE = 6;

/** Codes of ICMPV6_TIME_EXCEED. */
export const ICMPV6_EXC_HOPLIMIT = 0;
export const ICMPV6_EXC_FRAGTIME = 1;

/** Codes of ICMPV6_PARAMPROB. */
export const ICMPV6_HDR_FIELD = 0;
export const ICMPV6_UNK_NEXTHDR = 1;
export const ICMPV6_UNK_OPTION = 2;
export const ICMPV6_HDR_INCOMP = 3;

export const ICMPV6_HLEN = 8;

/**
 * An ICMPv6 header of 8 bytes; what follows is the frame's payload. RFC 4443.
 * `rest` is the second word as one unsigned number: id and sequence of an echo, MTU, pointer, flags of an advertisement.
 */
export interface Icmpv6Header {
  readonly kind: "icmpv6";
  readonly type: number;
  readonly code: number;
  readonly rest: number;
  /** How far the checksum is off, 1..65534 in one's complement; absent when it is right. */
  readonly checksumError?: number | undefined;
}

/** `pseudo` is the sum of the pseudo header; undefined for a message that was cut short and cannot be verified. */
export function decodeIcmpv6(
  bytes: Uint8Array,
  pseudo: number | undefined,
): Decoded<Layer<Icmpv6Header>> {
  if (bytes.length < ICMPV6_HLEN)
    return refused(`ICMPv6 header cut short: ${bytes.length} of ${ICMPV6_HLEN} bytes`);
  const error = pseudo === undefined ? undefined : checksumErrorOf(bytes, pseudo);
  const header: Icmpv6Header = {
    kind: "icmpv6",
    type: get8(bytes, 0),
    code: get8(bytes, 1),
    rest: get32(bytes, 4),
    ...(error === undefined ? {} : { checksumError: error }),
  };
  return decoded({ header, payload: bytes.subarray(ICMPV6_HLEN) });
}

/** Writes the header over the first 8 bytes of `into`, the whole message: its payload must be there already. */
export function encodeIcmpv6(header: Icmpv6Header, pseudo: number, into: Uint8Array): void {
  put8(into, 0, header.type);
  put8(into, 1, header.code);
  put16(into, 2, 0);
  put32(into, 4, header.rest);
  put16(into, 2, spoilChecksum(internetChecksum(into, pseudo), header.checksumError));
}

/** Neighbour discovery and multicast listener discovery: what hosts of one link say to each other. */
export function isLinkTalk(type: number): boolean {
  return (type >= ICMPV6_MGM_QUERY && type <= NDISC_REDIRECT) || type === ICMPV6_MLD2_REPORT;
}

/** Whether a type tells of an error: those quote a packet and are never answered by another. RFC 4443 §2.1. */
export function isIcmpv6Error(type: number): boolean {
  return type < 128;
}
