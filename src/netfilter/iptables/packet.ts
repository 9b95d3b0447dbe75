import type { ConntrackRef } from "../../core/conntrack.js";
import type { SkBuff } from "../../core/skbuff.js";
import {
  decodeTransport,
  type Frame,
  type IpHeader,
  type TransportHeader,
} from "../../wire/frame.js";
import type { Ipv4Header } from "../../wire/ipv4.js";
import { fragmentExtension, type Ipv6Header, NO_EXTENSIONS } from "../../wire/ipv6.js";
import { upperHeaderOf } from "../ipv6-headers.js";

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
export function fragmentOffsetOf({ network }: Frame): number {
  if (network?.kind === "ipv4") return network.fragmentOffset;
  return network?.kind === "ipv6" ? (fragmentExtension(network)?.fragmentOffset ?? 0) : 0;
}

/** The TOS byte, IPv6's traffic class. */
export function tosOf(skb: SkBuff): number {
  const { network } = skb.frame;
  if (network?.kind === "ipv4") return network.tos;
  return network?.kind === "ipv6" ? network.trafficClass : 0;
}

/** The transport header, also of a first fragment, which a frame keeps as bytes. Mirrors skb_header_pointer(). */
export function transportIn(frame: Frame): TransportHeader | undefined {
  const { network, transport, payload } = frame;
  if (transport !== undefined) return transport;
  if (network?.kind === "ipv6") return firstPiece6(frame, network);
  const isFirst = network?.kind === "ipv4" && network.moreFragments && network.fragmentOffset === 0;
  if (!isFirst) return undefined;
  return decodeTransport({ ...network, moreFragments: false }, payload, false).transport;
}

function firstPiece6(frame: Frame, network: Ipv6Header): TransportHeader | undefined {
  if (fragmentExtension(network)?.moreFragments !== true) return undefined;
  const upper = upperHeaderOf(frame, network, false);
  if (upper === undefined || upper.fragmentOffset !== 0) return undefined;
  const whole = { ...network, extensions: NO_EXTENSIONS, protocol: upper.protocol };
  return decodeTransport(whole, upper.payload, false).transport;
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

/** Source and destination port of a TCP or UDP packet. */
export function portsOf(
  skb: SkBuff,
): { readonly source: number; readonly destination: number } | undefined {
  const transport = transportIn(skb.frame);
  if (transport?.kind === "tcp" || transport?.kind === "udp") {
    return { source: transport.sourcePort, destination: transport.destinationPort };
  }
  // UDP-Lite, SCTP and DCCP begin with their ports as well; their headers stay in the payload.
  if (transport !== undefined) return undefined;
  const upper = upperPayload(skb.frame);
  if (upper === undefined || upper.payload.length < 4 || !PORTED.includes(upper.protocol))
    return undefined;
  const { payload } = upper;
  const port = (at: number): number => ((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0);
  return { source: port(0), destination: port(2) };
}

/** DCCP, SCTP, UDP-Lite. */
const PORTED: readonly number[] = [33, 132, 136];

/** The state a conntrack match sees: INVALID when nothing tracks the packet. */
export function ctStateOf(
  ct: ConntrackRef | undefined,
): "INVALID" | "NEW" | "ESTABLISHED" | "RELATED" | "UNTRACKED" {
  if (ct === undefined) return "INVALID";
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
