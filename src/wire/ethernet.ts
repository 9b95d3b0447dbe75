import { get16, get48, put16, put48 } from "./bytes.js";
import { type Decoded, type Layer, decoded, refused } from "./decoded.js";
import { type Mac, formatMac } from "./ip.js";

/** EtherTypes we speak. IEEE 802 numbers. */
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_8021Q = 0x8100;
export const ETH_P_IPV6 = 0x86dd;

export const ETH_HLEN = 14;

/** An Ethernet II header without its frame check sequence. */
export interface EthernetHeader {
  readonly destination: Mac;
  readonly source: Mac;
  readonly etherType: number;
}

export function decodeEthernet(bytes: Uint8Array): Decoded<Layer<EthernetHeader>> {
  if (bytes.length < ETH_HLEN)
    return refused(`Ethernet header cut short: ${bytes.length} of ${ETH_HLEN} bytes`);
  const header: EthernetHeader = {
    destination: get48(bytes, 0) as Mac,
    source: get48(bytes, 6) as Mac,
    etherType: get16(bytes, 12),
  };
  return decoded({ header, payload: bytes.subarray(ETH_HLEN) });
}

/** Writes the header over the first 14 bytes of `into`. */
export function encodeEthernet(header: EthernetHeader, into: Uint8Array): void {
  put48(into, 0, header.destination);
  put48(into, 6, header.source);
  put16(into, 12, header.etherType);
}

/** As `tcpdump -e` prints it: `02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype IPv4 (0x0800)`. */
export function formatEthernet(header: EthernetHeader): string {
  const name = ETHERTYPE_NAMES.get(header.etherType) ?? "Unknown";
  const type = `${name} (0x${header.etherType.toString(16).padStart(4, "0")})`;
  return `${formatMac(header.source)} > ${formatMac(header.destination)}, ethertype ${type}`;
}

const ETHERTYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [ETH_P_IP, "IPv4"],
  [ETH_P_ARP, "ARP"],
  [ETH_P_8021Q, "802.1Q"],
  [ETH_P_IPV6, "IPv6"],
]);
