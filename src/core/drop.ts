import type { SkBuff } from "./skbuff.js";
import { told } from "./trace.js";
import { assert } from "../base/errors.js";

/** Why a packet died: the names of enum skb_drop_reason without their prefix. `docs/drop-reasons.md` explains each. */
export const DROP_REASONS = [
  "NOT_SPECIFIED",
  "NO_SOCKET",
  "SOCKET_CLOSE",
  "SOCKET_RCVBUFF",
  "PKT_TOO_SMALL",
  "TCP_CSUM",
  "UDP_CSUM",
  "NETFILTER_DROP",
  "OTHERHOST",
  "IP_CSUM",
  "IP_INHDR",
  "IP_RPFILTER",
  "UNICAST_IN_L2_MULTICAST",
  "IP_NOPROTO",
  "TCP_FLAGS",
  "TCP_OLD_DATA",
  "TCP_OVERWINDOW",
  "TCP_RFC7323_PAWS",
  "TCP_RFC7323_TSECR",
  "TCP_OFO_DROP",
  "TCP_TOO_OLD_ACK",
  "TCP_ABORT_ON_DATA",
  "TCP_LISTEN_OVERFLOW",
  "TCP_OLD_SEQUENCE",
  "TCP_INVALID_SEQUENCE",
  "TCP_INVALID_ACK_SEQUENCE",
  "TCP_RESET",
  "TCP_INVALID_SYN",
  "TCP_CLOSE",
  "TCP_OLD_ACK",
  "TCP_ACK_UNSENT_DATA",
  "IP_OUTNOROUTES",
  "IPV6DISABLED",
  "NEIGH_CREATEFAIL",
  "NEIGH_FAILED",
  "NEIGH_QUEUEFULL",
  "NEIGH_DEAD",
  "QDISC_DROP",
  "UNHANDLED_PROTO",
  "DEV_READY",
  "HDR_TRUNC",
  "ICMP_CSUM",
  "INVALID_PROTO",
  "IP_INADDRERRORS",
  "IP_INNOROUTES",
  "IP_LOCAL_SOURCE",
  "IP_INVALID_SOURCE",
  "IP_LOCALNET",
  "IP_INVALID_DEST",
  "PKT_TOO_BIG",
  "DUP_FRAG",
  "FRAG_REASM_TIMEOUT",
  "IPV6_NDISC_FRAG",
  "IPV6_NDISC_HOP_LIMIT",
  "IPV6_NDISC_BAD_CODE",
  "IPV6_NDISC_BAD_OPTIONS",
  "IPV6_NDISC_NS_OTHERHOST",
  "NO_TX_TARGET",
  "MAC_INVALID_SOURCE",
  "LOCAL_MAC",
  "MAC_IEEE_MAC_CONTROL",
  "BRIDGE_INGRESS_STP_STATE",
  "QUEUE_PURGE",
  "RECURSION_LIMIT",
  "IP_TUNNEL_ECN",
  "VXLAN_INVALID_HDR",
  "VXLAN_VNI_NOT_FOUND",
  "VXLAN_ENTRY_EXISTS",
] as const;

export type DropReason = (typeof DROP_REASONS)[number];

/**
 * The one door a packet dies through. Mirrors net/core/skbuff.c:kfree_skb_reason().
 * `where` is the kernel function that gives up, as `skb:kfree_skb` would name it.
 */
export function drop(skb: SkBuff, reason: DropReason, where: string): void {
  end(skb);
  const { sim } = skb.ns;
  sim.packets.dropped++;
  sim.trace?.(told(skb, { kind: "dropped", reason, where }));
}

/** A packet reached what it was for and is used up there. `to` names it: `socket tcp/8080`, `arp`. Mirrors consume_skb(). */
export function deliver(skb: SkBuff, to: string): void {
  end(skb);
  const { sim } = skb.ns;
  sim.packets.delivered++;
  sim.trace?.(told(skb, { kind: "delivered", to }));
}

function end(skb: SkBuff): void {
  assert(!skb.ended, `packet ${skb.id} ended twice`);
  skb.ended = true;
}
