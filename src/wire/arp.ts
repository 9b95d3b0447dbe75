import { get16, get32, get48, put8, put16, put32, put48 } from "./bytes.js";
import { type Decoded, decoded, refused } from "./decoded.js";
import { ETH_P_IP } from "./ethernet.js";
import { type Ipv4, type Mac, MAC_ZERO, formatIpv4, formatMac, ipv4 } from "./ip.js";

export const ARPOP_REQUEST = 1;
export const ARPOP_REPLY = 2;

export const ARP_LENGTH = 28;
const ARPHRD_ETHER = 1;

/** ARP for IPv4 over Ethernet (28 bytes). RFC 826. */
export interface ArpHeader {
  readonly kind: "arp";
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderIp: Ipv4;
  readonly targetMac: Mac;
  readonly targetIp: Ipv4;
}

/** Bytes after the 28th are Ethernet's padding and are left out. */
export function decodeArp(bytes: Uint8Array): Decoded<ArpHeader> {
  if (bytes.length < ARP_LENGTH)
    return refused(`ARP cut short: ${bytes.length} of ${ARP_LENGTH} bytes`);
  if (
    get16(bytes, 0) !== ARPHRD_ETHER ||
    get16(bytes, 2) !== ETH_P_IP ||
    get16(bytes, 4) !== 0x0604
  ) {
    return refused("ARP that is not for IPv4 over Ethernet");
  }
  return decoded({
    kind: "arp",
    operation: get16(bytes, 6),
    senderMac: get48(bytes, 8) as Mac,
    senderIp: ipv4(get32(bytes, 14)),
    targetMac: get48(bytes, 18) as Mac,
    targetIp: ipv4(get32(bytes, 24)),
  });
}

/** Writes the message over the first 28 bytes of `into`. */
export function encodeArp(header: ArpHeader, into: Uint8Array): void {
  put16(into, 0, ARPHRD_ETHER);
  put16(into, 2, ETH_P_IP);
  put8(into, 4, 6);
  put8(into, 5, 4);
  put16(into, 6, header.operation);
  put48(into, 8, header.senderMac);
  put32(into, 14, header.senderIp);
  put48(into, 18, header.targetMac);
  put32(into, 24, header.targetIp);
}

/** As tcpdump prints it: `Request who-has 10.9.0.50 tell 10.9.0.1`, `Reply 10.9.0.2 is-at 02:00:00:00:01:02`. */
export function formatArp(header: ArpHeader): string {
  if (header.operation === ARPOP_REPLY) {
    return `Reply ${formatIpv4(header.senderIp)} is-at ${formatMac(header.senderMac)}`;
  }
  if (header.operation !== ARPOP_REQUEST) return `Unknown (${header.operation})`;
  const target = header.targetMac === MAC_ZERO ? "" : ` (${formatMac(header.targetMac)})`;
  return `Request who-has ${formatIpv4(header.targetIp)}${target} tell ${formatIpv4(header.senderIp)}`;
}
