import type { Ipv4, Mac } from "./ip.js";

export const ARPOP_REQUEST = 1;
export const ARPOP_REPLY = 2;

/** ARP for IPv4 over Ethernet (28 bytes). RFC 826. */
export interface ArpHeader {
  readonly kind: "arp";
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderIp: Ipv4;
  readonly targetMac: Mac;
  readonly targetIp: Ipv4;
}
