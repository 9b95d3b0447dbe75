import { get8, get32, put8, put16, put32 } from "./bytes.js";
import { checksumErrorOf, internetChecksum, spoilChecksum } from "./checksum.js";
import { type Decoded, type Layer, decoded, refused } from "./decoded.js";

export const ICMP_ECHOREPLY = 0;
export const ICMP_DEST_UNREACH = 3;
export const ICMP_REDIRECT = 5;
export const ICMP_ECHO = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETERPROB = 12;

/** Codes of ICMP_DEST_UNREACH. */
export const ICMP_NET_UNREACH = 0;
export const ICMP_HOST_UNREACH = 1;
export const ICMP_PROT_UNREACH = 2;
export const ICMP_PORT_UNREACH = 3;
export const ICMP_FRAG_NEEDED = 4;
export const ICMP_NET_ANO = 9;
export const ICMP_HOST_ANO = 10;
export const ICMP_PKT_FILTERED = 13;

export const ICMP_HLEN = 8;

/**
 * An ICMPv4 header of 8 bytes; data or the quoted packet is the frame's payload. RFC 792.
 * `rest` is the second word as one unsigned number: id and sequence of an echo, gateway of a redirect, MTU of 3/4.
 */
export interface IcmpHeader {
  readonly kind: "icmp";
  readonly type: number;
  readonly code: number;
  readonly rest: number;
  /** How far the checksum is off, 1..65534 in one's complement; absent when it is right. */
  readonly checksumError?: number | undefined;
}

/** `whole` is false for a message that was cut short: its checksum cannot be verified and passes for right. */
export function decodeIcmp(bytes: Uint8Array, whole = true): Decoded<Layer<IcmpHeader>> {
  if (bytes.length < ICMP_HLEN)
    return refused(`ICMP header cut short: ${bytes.length} of ${ICMP_HLEN} bytes`);
  const error = whole ? checksumErrorOf(bytes) : undefined;
  const header: IcmpHeader = {
    kind: "icmp",
    type: get8(bytes, 0),
    code: get8(bytes, 1),
    rest: get32(bytes, 4),
    ...(error === undefined ? {} : { checksumError: error }),
  };
  return decoded({ header, payload: bytes.subarray(ICMP_HLEN) });
}

/** Writes the header over the first 8 bytes of `into`, the whole message: its payload must be there already. */
export function encodeIcmp(header: IcmpHeader, into: Uint8Array): void {
  put8(into, 0, header.type);
  put8(into, 1, header.code);
  put16(into, 2, 0);
  put32(into, 4, header.rest);
  put16(into, 2, spoilChecksum(internetChecksum(into), header.checksumError));
}

/** The type and its numbers as tcpdump prints them: `ICMP echo request, id 1, seq 2`. Errors that quote are told by `formatFrame`. */
export function formatIcmp(header: IcmpHeader): string {
  const echo = `id ${header.rest >>> 16}, seq ${header.rest & 0xffff}`;
  if (header.type === ICMP_ECHO) return `ICMP echo request, ${echo}`;
  if (header.type === ICMP_ECHOREPLY) return `ICMP echo reply, ${echo}`;
  return `ICMP type-#${header.type}`;
}
