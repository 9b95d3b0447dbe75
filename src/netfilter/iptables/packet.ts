import { ABOUT_UNTRACKED, type ConntrackRef } from "../../core/conntrack.js";
import type { SkBuff } from "../../core/skbuff.js";
import { get16, get32, get8 } from "../../wire/bytes.js";
import {
  decodeTransport,
  type Frame,
  type IpHeader,
  type TransportHeader,
} from "../../wire/frame.js";
import { IPPROTO_TCP, IPPROTO_UDP, type Ipv4Header } from "../../wire/ipv4.js";
import { fragmentExtension, type Ipv6Header, NO_EXTENSIONS } from "../../wire/ipv6.js";
import { type Ports, portsIn } from "../../wire/ports.js";
import { TCP_HLEN, type TcpHeader } from "../../wire/tcp.js";
import { UDP_HLEN, type UdpHeader } from "../../wire/udp.js";
import { isExtensionHeader, upperHeaderOf } from "../ipv6-headers.js";

/** What matches look at in a packet. */

/** The IP header; every packet of an IP hook has one. */
export function ipHeaderOf(skb: SkBuff): IpHeader | undefined {
  const { network } = skb.frame;
  return network === undefined || network.kind === "arp" ? undefined : network;
}

/** The header of a packet on an IPv4 hook. */
export function ipv4HeaderOf(skb: SkBuff): Ipv4Header | undefined {
  const { network } = skb.frame;
  return network?.kind === "ipv4" ? network : undefined;
}

/** The header of a packet on an IPv6 hook. */
export function ipv6HeaderOf(skb: SkBuff): Ipv6Header | undefined {
  const { network } = skb.frame;
  return network?.kind === "ipv6" ? network : undefined;
}

/** Where a fragment begins in its packet, in bytes: 0 in whole packets and first fragments. */
export function fragmentOffsetOf(frame: Frame): number {
  const { network } = frame;
  if (network?.kind === "ipv4") return network.fragmentOffset;
  if (network?.kind !== "ipv6") return 0;
  const { extensions, protocol } = network;
  if (extensions.length === 0 && !isExtensionHeader(protocol)) return 0;
  const own = fragmentExtension(network)?.fragmentOffset;
  // A fragment header that is cut short may still tell it.
  return own ?? upperHeaderOf(frame, network, false)?.fragmentOffset ?? 0;
}

/** The TOS byte, IPv6's traffic class. */
export function tosOf(skb: SkBuff): number {
  const { network } = skb.frame;
  if (network?.kind === "ipv4") return network.tos;
  return network?.kind === "ipv6" ? network.trafficClass : 0;
}

/** The transport header, also of a first fragment, which a frame keeps as bytes. Mirrors skb_header_pointer(). */
export function transportIn(frame: Frame): TransportHeader | undefined {
  const { network, transport } = frame;
  if (transport !== undefined || network === undefined || network.kind === "arp") return transport;
  const upper = upperPayload(frame);
  if (upper === undefined) return undefined;
  const { protocol, payload } = upper;
  if (protocol === IPPROTO_TCP) return tcpHeader(payload);
  if (protocol === IPPROTO_UDP) return udpHeader(payload);
  const whole =
    network.kind === "ipv4"
      ? { ...network, moreFragments: false }
      : { ...network, extensions: NO_EXTENSIONS, protocol };
  return decodeTransport(whole, payload, false).transport;
}

/** What rules see of a header whose packet goes on elsewhere, or that says wrong things of its own length. */
function tcpHeader(bytes: Uint8Array): TcpHeader | undefined {
  if (bytes.length < TCP_HLEN) return undefined;
  return {
    kind: "tcp",
    sourcePort: get16(bytes, 0),
    destinationPort: get16(bytes, 2),
    sequence: get32(bytes, 4),
    acknowledgment: get32(bytes, 8),
    flags: get16(bytes, 12) & 0xfff,
    window: get16(bytes, 14),
    urgent: get16(bytes, 18),
    options: bytes.subarray(TCP_HLEN, Math.max(TCP_HLEN, (get8(bytes, 12) >>> 4) * 4)),
  };
}

/** The options of a TCP header; undefined where they are not all there, or the header says that it ends before them. */
export function tcpOptionsOf(frame: Frame): Uint8Array | undefined {
  if (frame.transport?.kind === "tcp") return frame.transport.options;
  const bytes = upperPayload(frame)?.payload;
  return bytes === undefined ? undefined : optionsIn(bytes);
}

/** The same of bytes that are taken for a TCP header. */
export function optionsIn(bytes: Uint8Array): Uint8Array | undefined {
  const length = (get8(bytes, 12) >>> 4) * 4;
  return bytes.length < length || length < TCP_HLEN ? undefined : bytes.subarray(TCP_HLEN, length);
}

function udpHeader(bytes: Uint8Array): UdpHeader | undefined {
  if (bytes.length < UDP_HLEN) return undefined;
  return { kind: "udp", sourcePort: get16(bytes, 0), destinationPort: get16(bytes, 2) };
}

/** A transport header of the wanted kind, or what its absence means: no match on later fragments, hotdrop when cut short. */
export function transportOf<K extends TransportHeader["kind"]>(
  skb: SkBuff,
  kind: K,
): Extract<TransportHeader, { readonly kind: K }> | false | "hotdrop" {
  const { frame } = skb;
  const offset = fragmentOffsetOf(frame);
  // Mirrors net/netfilter/xt_tcpudp.c:tcp_mt(): a fragment that starts inside the TCP header is an attack. It looks for
  // offset 1, in units of 8 bytes for IPv4; IPv6's offsets are in bytes and never that.
  if (offset > 0)
    return kind === "tcp" && offset === 8 && frame.network?.kind === "ipv4" ? "hotdrop" : false;
  const transport = transportIn(frame);
  if (transport?.kind !== kind) return "hotdrop";
  return transport as Extract<TransportHeader, { readonly kind: K }>;
}

/** The protocol behind IPv6's extension headers, and its bytes where no transport header was read; undefined in later fragments. */
export function upperPayload(
  frame: Frame,
): { readonly protocol: number; readonly payload: Uint8Array } | undefined {
  const { network, payload } = frame;
  if (network?.kind === "ipv4")
    return network.fragmentOffset > 0 ? undefined : { protocol: network.protocol, payload };
  if (network?.kind !== "ipv6") return undefined;
  const upper = upperHeaderOf(frame, network, false);
  return upper === undefined || upper.fragmentOffset > 0 ? undefined : upper;
}

/** Source and destination port. Four bytes are enough, whatever becomes of the rest of the header. */
export function portsOf(skb: SkBuff): Ports | undefined {
  const transport = transportIn(skb.frame);
  if (transport?.kind === "tcp" || transport?.kind === "udp") {
    return { source: transport.sourcePort, destination: transport.destinationPort };
  }
  // UDP-Lite, SCTP and DCCP begin with their ports as well; their headers, and those cut short, stay in the payload.
  if (transport !== undefined) return undefined;
  const upper = upperPayload(skb.frame);
  return upper === undefined ? undefined : portsIn(upper.protocol, upper.payload);
}

/** The state a conntrack match sees: INVALID when nothing tracks the packet. */
export function ctStateOf(
  ct: ConntrackRef | undefined,
): "INVALID" | "NEW" | "ESTABLISHED" | "RELATED" | "UNTRACKED" {
  if (ct === undefined || ct === ABOUT_UNTRACKED) return "INVALID";
  switch (ct.info) {
    case "NEW":
    case "UNTRACKED":
      return ct.info;
    case "ESTABLISHED":
    case "ESTABLISHED_REPLY":
      return "ESTABLISHED";
    case "RELATED":
    case "RELATED_REPLY":
      return "RELATED";
  }
}
