import type { ConntrackRef } from "../../core/conntrack.js";
import type { SkBuff } from "../../core/skbuff.js";
import { type Frame, type TransportHeader, decodeTransport } from "../../wire/frame.js";
import type { Ipv4Header } from "../../wire/ipv4.js";

/** What matches look at in a packet. */

/** The IPv4 header; every packet of an IPv4 hook has one. */
export function ipv4HeaderOf(skb: SkBuff): Ipv4Header | undefined {
  const { network } = skb.frame;
  return network?.kind === "ipv4" ? network : undefined;
}

/** The transport header, also of a first fragment, which a frame keeps as bytes. Mirrors skb_header_pointer(). */
export function transportIn({ network, transport, payload }: Frame): TransportHeader | undefined {
  const isFirst = network?.kind === "ipv4" && network.moreFragments && network.fragmentOffset === 0;
  if (transport !== undefined || !isFirst) return transport;
  return decodeTransport({ ...network, moreFragments: false }, payload, false).transport;
}

/** A transport header of the wanted kind, or what its absence means: no match on later fragments, hotdrop when cut short. */
export function transportOf<K extends TransportHeader["kind"]>(
  skb: SkBuff,
  kind: K,
): Extract<TransportHeader, { readonly kind: K }> | false | "hotdrop" {
  const offset = ipv4HeaderOf(skb)?.fragmentOffset ?? 0;
  // Mirrors net/netfilter/xt_tcpudp.c:tcp_mt(): a fragment that starts inside the TCP header is an attack.
  if (offset > 0) return kind === "tcp" && offset === 8 ? "hotdrop" : false;
  const transport = transportIn(skb.frame);
  if (transport?.kind !== kind) return "hotdrop";
  return transport as Extract<TransportHeader, { readonly kind: K }>;
}

/** Source and destination port of a TCP or UDP packet. */
export function portsOf(
  skb: SkBuff,
): { readonly source: number; readonly destination: number } | undefined {
  const { network, payload } = skb.frame;
  const transport = transportIn(skb.frame);
  if (transport?.kind === "tcp" || transport?.kind === "udp") {
    return { source: transport.sourcePort, destination: transport.destinationPort };
  }
  // UDP-Lite, SCTP and DCCP begin with their ports as well; their headers stay in the payload.
  if (
    network?.kind !== "ipv4" ||
    network.fragmentOffset > 0 ||
    transport !== undefined ||
    payload.length < 4
  )
    return undefined;
  if (![33, 132, 136].includes(network.protocol)) return undefined;
  const port = (at: number): number => ((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0);
  return { source: port(0), destination: port(2) };
}

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
