import type { ArpHeader } from "./arp.js";
import type { EthernetHeader } from "./ethernet.js";
import type { IcmpHeader } from "./icmp.js";
import type { Ipv4, Mac } from "./ip.js";
import type { Ipv4Header } from "./ipv4.js";
import type { TcpHeader } from "./tcp.js";
import type { UdpHeader } from "./udp.js";

export type NetworkHeader = ArpHeader | Ipv4Header;
export type TransportHeader = IcmpHeader | UdpHeader | TcpHeader;

/**
 * One frame as an immutable value. A rewrite makes another frame: the old one still exists, so a trace may keep both.
 * `transport` is undefined where the bytes are not one of its kinds (or a later fragment); `payload` then holds all of them.
 */
export interface Frame {
  readonly link: EthernetHeader;
  readonly network: NetworkHeader | undefined;
  readonly transport: TransportHeader | undefined;
  readonly payload: Uint8Array;
}

export const NO_BYTES: Uint8Array = new Uint8Array(0);

/** The same frame between other Ethernet addresses. */
export function withMacs(frame: Frame, source: Mac, destination: Mac): Frame {
  return { ...frame, link: { ...frame.link, source, destination } };
}

/** The same packet to another address; a frame that is not IPv4 stays as it is. */
export function withDestination(frame: Frame, destination: Ipv4): Frame {
  return frame.network?.kind === "ipv4" ? { ...frame, network: { ...frame.network, destination } } : frame;
}

/** The same packet from another address; a frame that is not IPv4 stays as it is. */
export function withSource(frame: Frame, source: Ipv4): Frame {
  return frame.network?.kind === "ipv4" ? { ...frame, network: { ...frame.network, source } } : frame;
}

/** The same packet with another time to live. */
export function withTtl(frame: Frame, ttl: number): Frame {
  return frame.network?.kind === "ipv4" ? { ...frame, network: { ...frame.network, ttl } } : frame;
}
