import { assert } from "../base/errors.js";
import { ARP_LENGTH, type ArpHeader, decodeArp, encodeArp } from "./arp.js";
import { pseudoHeaderSum } from "./checksum.js";
import { type Decoded, type Layer, decoded } from "./decoded.js";
import {
  ETH_HLEN,
  ETH_P_ARP,
  ETH_P_IP,
  type EthernetHeader,
  decodeEthernet,
  encodeEthernet,
} from "./ethernet.js";
import { ICMP_HLEN, type IcmpHeader, decodeIcmp, encodeIcmp } from "./icmp.js";
import { type Ipv4, MAC_ZERO, type Mac } from "./ip.js";
import {
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  type Ipv4Header,
  decodeIpv4,
  encodeIpv4,
  ipv4HeaderLength,
  isFragment,
} from "./ipv4.js";
import { type TcpHeader, decodeTcp, encodeTcp, tcpHeaderLength } from "./tcp.js";
import { UDP_HLEN, type UdpHeader, decodeUdp, encodeUdp } from "./udp.js";

export type NetworkHeader = ArpHeader | Ipv4Header;
export type TransportHeader = IcmpHeader | UdpHeader | TcpHeader;

/**
 * One frame as an immutable value. A rewrite makes another frame: the old one still exists, so a trace may keep both.
 * `transport` is undefined where the bytes are not one of its kinds, and in every fragment; `payload` then holds all of them.
 */
export interface Frame {
  readonly link: EthernetHeader;
  readonly network: NetworkHeader | undefined;
  readonly transport: TransportHeader | undefined;
  readonly payload: Uint8Array;
}

export const NO_BYTES: Uint8Array = new Uint8Array(0);

/** What follows an IPv4 header. */
export interface Transport {
  readonly transport: TransportHeader | undefined;
  readonly payload: Uint8Array;
}

/**
 * Reads a frame; `encodeFrame` gives the same bytes again, Ethernet's padding aside. Refuses one whose Ethernet, ARP or
 * IPv4 header is damaged. The payload is a view: `bytes` must not change afterwards.
 */
export function decodeFrame(bytes: Uint8Array): Decoded<Frame> {
  const ethernet = decodeEthernet(bytes);
  if (!ethernet.ok) return ethernet;
  const { header: link, payload } = ethernet.value;
  if (link.etherType === ETH_P_ARP) {
    const arp = decodeArp(payload);
    return arp.ok
      ? decoded({ link, network: arp.value, transport: undefined, payload: NO_BYTES })
      : arp;
  }
  if (link.etherType !== ETH_P_IP)
    return decoded({ link, network: undefined, transport: undefined, payload });
  const packet = decodeIpv4(payload);
  if (!packet.ok) return packet;
  const { header: network, totalLength, payload: segment } = packet.value;
  const present = ipv4HeaderLength(network) + segment.length;
  if (totalLength > present)
    return { ok: false, reason: `IPv4 packet cut short: ${present} of ${totalLength} bytes` };
  return decoded({ link, network, ...decodeTransport(network, segment) });
}

/**
 * Reads a packet from its IPv4 header on, such as the one an ICMP error quotes, into a frame with empty MAC addresses.
 * Of a packet that was cut short the transport header is read as far as it goes: good to look at, not to encode again
 * (`rewriteQuote` changes such bytes in place).
 */
export function decodeIpPacket(bytes: Uint8Array): Decoded<Frame> {
  const packet = decodeIpv4(bytes);
  if (!packet.ok) return packet;
  const { header: network, totalLength, payload } = packet.value;
  const whole = totalLength === ipv4HeaderLength(network) + payload.length;
  const link: EthernetHeader = { destination: MAC_ZERO, source: MAC_ZERO, etherType: ETH_P_IP };
  return decoded({ link, network, ...decodeTransport(network, payload, whole) });
}

/** Reads what follows an IPv4 header. Fragments, unknown protocols and damaged headers stay bytes. */
export function decodeTransport(network: Ipv4Header, bytes: Uint8Array, whole = true): Transport {
  const opaque: Transport = { transport: undefined, payload: bytes };
  if (isFragment(network)) return opaque;
  const layer = decodeLayer(network, bytes, whole);
  return layer?.ok === true
    ? { transport: layer.value.header, payload: layer.value.payload }
    : opaque;
}

function decodeLayer(
  network: Ipv4Header,
  bytes: Uint8Array,
  whole: boolean,
): Decoded<Layer<TransportHeader>> | undefined {
  const pseudo = whole ? pseudoSum(network, bytes.length) : undefined;
  switch (network.protocol) {
    case IPPROTO_ICMP:
      return decodeIcmp(bytes, whole);
    case IPPROTO_UDP:
      return decodeUdp(bytes, pseudo);
    case IPPROTO_TCP:
      return decodeTcp(bytes, pseudo);
    default:
      return undefined;
  }
}

/** The frame's bytes as they would cross a wire now, without padding; lengths and checksums are computed. */
export function encodeFrame(frame: Frame): Uint8Array {
  const bytes = new Uint8Array(frameLength(frame));
  encodeEthernet(frame.link, bytes);
  encodeNetwork(frame, bytes.subarray(ETH_HLEN));
  return bytes;
}

/** The bytes from the network header on, at most the first `limit` of them (the header then still tells the whole length). */
export function encodeIpPacket(frame: Frame, limit: number = Number.POSITIVE_INFINITY): Uint8Array {
  const bytes = new Uint8Array(ipLength(frame));
  encodeNetwork(frame, bytes);
  return limit < bytes.length ? bytes.slice(0, limit) : bytes;
}

/** The bytes after the IPv4 header, the transport checksum computed: what fragments are cut from. */
export function encodeTransport(frame: Frame): Uint8Array {
  const bytes = new Uint8Array(transportLength(frame.transport) + frame.payload.length);
  encodeSegment(frame, bytes);
  return bytes;
}

/** Bytes on the wire, without padding and frame check sequence. */
export function frameLength(frame: Frame): number {
  return ETH_HLEN + ipLength(frame);
}

/** Bytes from the network header on: what IP calls the total length and iptables counts. Costs no encoding. */
export function ipLength(frame: Frame): number {
  const { network } = frame;
  if (network === undefined) return frame.payload.length;
  if (network.kind === "arp") return ARP_LENGTH;
  return ipv4HeaderLength(network) + transportLength(frame.transport) + frame.payload.length;
}

function transportLength(transport: TransportHeader | undefined): number {
  if (transport === undefined) return 0;
  if (transport.kind === "tcp") return tcpHeaderLength(transport);
  return transport.kind === "udp" ? UDP_HLEN : ICMP_HLEN;
}

function encodeNetwork(frame: Frame, into: Uint8Array): void {
  const { network } = frame;
  if (network === undefined) return into.set(frame.payload);
  if (network.kind === "arp") return encodeArp(network, into);
  assert(into.length <= 0xffff, `an IPv4 packet of ${into.length} bytes`);
  encodeIpv4(network, into.length, into);
  encodeSegment(frame, into.subarray(ipv4HeaderLength(network)));
}

function encodeSegment(frame: Frame, into: Uint8Array): void {
  const { network, transport } = frame;
  into.set(frame.payload, into.length - frame.payload.length);
  if (transport === undefined || network?.kind !== "ipv4") return;
  const pseudo = pseudoSum(network, into.length);
  if (transport.kind === "icmp") encodeIcmp(transport, into);
  else if (transport.kind === "udp") encodeUdp(transport, pseudo, into);
  else encodeTcp(transport, pseudo, into);
}

function pseudoSum(network: Ipv4Header, length: number): number {
  return pseudoHeaderSum(network.source, network.destination, network.protocol, length);
}

/** The same frame between other Ethernet addresses. */
export function withMacs(frame: Frame, source: Mac, destination: Mac): Frame {
  return { ...frame, link: { ...frame.link, source, destination } };
}

/** The same packet to another address; a frame that is not IPv4 stays as it is. */
export function withDestination(frame: Frame, destination: Ipv4): Frame {
  return frame.network?.kind === "ipv4"
    ? { ...frame, network: { ...frame.network, destination } }
    : frame;
}

/** The same packet from another address; a frame that is not IPv4 stays as it is. */
export function withSource(frame: Frame, source: Ipv4): Frame {
  return frame.network?.kind === "ipv4"
    ? { ...frame, network: { ...frame.network, source } }
    : frame;
}

/** The same packet with another time to live. */
export function withTtl(frame: Frame, ttl: number): Frame {
  return frame.network?.kind === "ipv4" ? { ...frame, network: { ...frame.network, ttl } } : frame;
}
