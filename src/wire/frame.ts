import { assert } from "../base/errors.js";
import { ARP_LENGTH, type ArpHeader, decodeArp, encodeArp } from "./arp.js";
import { pseudoHeaderSum, pseudoHeaderSum6 } from "./checksum.js";
import { type Decoded, type Layer, decoded, refused } from "./decoded.js";
import {
  ETH_HLEN,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  type EthernetHeader,
  decodeEthernet,
  encodeEthernet,
} from "./ethernet.js";
import { ICMP_HLEN, type IcmpHeader, decodeIcmp, encodeIcmp } from "./icmp.js";
import { ICMPV6_HLEN, type Icmpv6Header, decodeIcmpv6, encodeIcmpv6 } from "./icmpv6.js";
import { type IpAddress, MAC_ZERO, type Mac } from "./ip.js";
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
import {
  IPPROTO_ICMPV6,
  IPV6_HLEN,
  type Ipv6Header,
  decodeIpv6,
  encodeIpv6,
  ipv6HeaderLength,
  isIpv6Fragment,
} from "./ipv6.js";
import { encodeExtensions, extensionsLength, type Ipv6Extension } from "./ipv6-extension.js";
import { type TcpHeader, decodeTcp, encodeTcp, tcpHeaderLength } from "./tcp.js";
import { UDP_HLEN, type UdpHeader, decodeUdp, encodeUdp } from "./udp.js";

/** What both families share: `source`, `destination` and `protocol`, the last after any extension headers. */
export type IpHeader = Ipv4Header | Ipv6Header;
export type NetworkHeader = ArpHeader | IpHeader;
export type TransportHeader = IcmpHeader | Icmpv6Header | UdpHeader | TcpHeader;

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

/** Whether a transport header is ICMP's or ICMPv6's: one without ports. */
export function isIcmp(transport: TransportHeader): transport is IcmpHeader | Icmpv6Header {
  return transport.kind === "icmp" || transport.kind === "icmpv6";
}

export const NO_BYTES: Uint8Array = new Uint8Array(0);

/** What follows an IP header. */
export interface Transport {
  readonly transport: TransportHeader | undefined;
  readonly payload: Uint8Array;
}

/**
 * Reads a frame; `encodeFrame` gives the same bytes again, Ethernet's padding aside. Refuses one whose Ethernet, ARP or
 * IP header is damaged. The payload is a view: `bytes` must not change afterwards.
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
  if (link.etherType !== ETH_P_IP && link.etherType !== ETH_P_IPV6)
    return decoded({ link, network: undefined, transport: undefined, payload });
  const packet = link.etherType === ETH_P_IP ? decodeIpv4(payload) : decodeIpv6(payload);
  if (!packet.ok) return packet;
  const { header: network, totalLength, payload: segment } = packet.value;
  const present = ipHeaderLength(network) + segment.length;
  if (totalLength > present) {
    const version = network.kind === "ipv4" ? "IPv4" : "IPv6";
    return refused(`${version} packet cut short: ${present} of ${totalLength} bytes`);
  }
  return decoded({ link, network, ...decodeTransport(network, segment) });
}

/**
 * Reads a packet of either family from its IP header on, such as the one an ICMP error quotes, into a frame with empty MAC addresses.
 * Of a packet that was cut short the transport header is read as far as it goes: good to look at, not to encode again
 * (`rewriteQuote` changes such bytes in place).
 */
export function decodeIpPacket(bytes: Uint8Array): Decoded<Frame> {
  const isIpv6 = (bytes[0] ?? 0) >>> 4 === 6;
  const packet = isIpv6 ? decodeIpv6(bytes) : decodeIpv4(bytes);
  if (!packet.ok) return packet;
  const { header: network, totalLength, payload } = packet.value;
  const whole = totalLength === ipHeaderLength(network) + payload.length;
  const link: EthernetHeader = {
    destination: MAC_ZERO,
    source: MAC_ZERO,
    etherType: isIpv6 ? ETH_P_IPV6 : ETH_P_IP,
  };
  return decoded({ link, network, ...decodeTransport(network, payload, whole) });
}

/** Reads what follows an IP header. Fragments, unknown protocols and damaged headers stay bytes. */
export function decodeTransport(network: IpHeader, bytes: Uint8Array, whole = true): Transport {
  const opaque: Transport = { transport: undefined, payload: bytes };
  if (isIpFragment(network)) return opaque;
  const layer = decodeLayer(network, bytes, whole);
  return layer?.ok === true
    ? { transport: layer.value.header, payload: layer.value.payload }
    : opaque;
}

function decodeLayer(
  network: IpHeader,
  bytes: Uint8Array,
  whole: boolean,
): Decoded<Layer<TransportHeader>> | undefined {
  const pseudo = whole ? pseudoSum(network, bytes.length) : undefined;
  switch (network.protocol) {
    case IPPROTO_ICMP:
      return network.kind === "ipv4" ? decodeIcmp(bytes, whole) : undefined;
    case IPPROTO_ICMPV6:
      return network.kind === "ipv6" ? decodeIcmpv6(bytes, pseudo) : undefined;
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

/** The bytes after the IP header (and its extension headers), the transport checksum computed: what fragments are cut from. */
export function encodeTransport(frame: Frame): Uint8Array {
  const bytes = new Uint8Array(transportLength(frame.transport) + frame.payload.length);
  encodeSegment(frame, bytes);
  return bytes;
}

/** The same with the last of its extension headers, those given, before them: what a packet's pieces share among them. */
export function encodeWithExtensions(
  frame: Frame,
  extensions: readonly Ipv6Extension[],
): Uint8Array {
  const segment = encodeTransport(frame);
  if (extensions.length === 0 || frame.network?.kind !== "ipv6") return segment;
  const bytes = new Uint8Array(extensionsLength(extensions) + segment.length);
  encodeExtensions(extensions, frame.network.protocol, bytes);
  bytes.set(segment, bytes.length - segment.length);
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
  return ipHeaderLength(network) + transportLength(frame.transport) + frame.payload.length;
}

/** In bytes, with IPv4's options or IPv6's extension headers. */
export function ipHeaderLength(network: IpHeader): number {
  return network.kind === "ipv4" ? ipv4HeaderLength(network) : ipv6HeaderLength(network);
}

/** Whether a packet of either family is a piece of a larger one. */
export function isIpFragment(network: IpHeader): boolean {
  return network.kind === "ipv4" ? isFragment(network) : isIpv6Fragment(network);
}

function transportLength(transport: TransportHeader | undefined): number {
  if (transport === undefined) return 0;
  if (transport.kind === "tcp") return tcpHeaderLength(transport);
  if (transport.kind === "udp") return UDP_HLEN;
  return transport.kind === "icmp" ? ICMP_HLEN : ICMPV6_HLEN;
}

function encodeNetwork(frame: Frame, into: Uint8Array): void {
  const { network } = frame;
  if (network === undefined) return into.set(frame.payload);
  if (network.kind === "arp") return encodeArp(network, into);
  const headerLength = ipHeaderLength(network);
  if (network.kind === "ipv4") {
    assert(into.length <= 0xffff, `an IPv4 packet of ${into.length} bytes`);
    encodeIpv4(network, into.length, into);
  } else {
    assert(into.length <= 0xffff + IPV6_HLEN, `an IPv6 packet of ${into.length} bytes`);
    encodeIpv6(network, into.length, into);
  }
  encodeSegment(frame, into.subarray(headerLength));
}

function encodeSegment(frame: Frame, into: Uint8Array): void {
  const { network, transport } = frame;
  into.set(frame.payload, into.length - frame.payload.length);
  if (transport === undefined || network === undefined || network.kind === "arp") return;
  if (transport.kind === "icmp") return encodeIcmp(transport, into);
  const pseudo = pseudoSum(network, into.length);
  if (transport.kind === "udp") encodeUdp(transport, pseudo, into);
  else if (transport.kind === "tcp") encodeTcp(transport, pseudo, into);
  else encodeIcmpv6(transport, pseudo, into);
}

function pseudoSum(network: IpHeader, length: number): number {
  return network.kind === "ipv4"
    ? pseudoHeaderSum(network.source, network.destination, network.protocol, length)
    : pseudoHeaderSum6(network.source, network.destination, network.protocol, length);
}

/** The same frame between other Ethernet addresses. */
export function withMacs(frame: Frame, source: Mac, destination: Mac): Frame {
  return { ...frame, link: { ...frame.link, source, destination } };
}

/** The same packet to another address of its family; any other frame stays as it is. */
export function withDestination(frame: Frame, destination: IpAddress): Frame {
  return withAddress(frame, destination, "destination");
}

/** The same packet from another address of its family; any other frame stays as it is. */
export function withSource(frame: Frame, source: IpAddress): Frame {
  return withAddress(frame, source, "source");
}

function withAddress(frame: Frame, address: IpAddress, side: "source" | "destination"): Frame {
  const { network } = frame;
  const fits = network?.kind === (typeof address === "number" ? "ipv4" : "ipv6");
  return fits ? { ...frame, network: { ...network, [side]: address } } : frame;
}

/** The same packet with another time to live, IPv6's hop limit. */
export function withTtl(frame: Frame, ttl: number): Frame {
  const { network } = frame;
  if (network?.kind === "ipv4") return { ...frame, network: { ...network, ttl } };
  return network?.kind === "ipv6" ? { ...frame, network: { ...network, hopLimit: ttl } } : frame;
}
