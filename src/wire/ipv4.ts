import type { Ipv4 } from "./ip.js";

/** IP protocol numbers, by their names in netinet/in.h. */
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;

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
}
