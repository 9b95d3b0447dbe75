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

/**
 * An ICMPv4 header of 8 bytes; data or the quoted packet is the frame's payload. RFC 792.
 * `rest` is the second word as one unsigned number: id and sequence of an echo, gateway of a redirect, MTU of 3/4.
 */
export interface IcmpHeader {
  readonly kind: "icmp";
  readonly type: number;
  readonly code: number;
  readonly rest: number;
  /** How far the checksum is off, as a 16-bit difference; absent when it is right. */
  readonly checksumError?: number | undefined;
}
