import { assignedSocket } from "../assigned-socket.js";
import { drop } from "../../core/drop.js";
import type { SendResult } from "../../core/errno.js";
import { nfHook } from "../../core/hooks.js";
import type { SkBuff } from "../../core/skbuff.js";
import { milliseconds } from "../../sim/time.js";
import { ipLength, withTtl } from "../../wire/frame.js";
import {
  ICMPV6_ADDR_UNREACH,
  ICMPV6_ADM_PROHIBITED,
  ICMPV6_DEST_UNREACH,
  ICMPV6_EXC_HOPLIMIT,
  ICMPV6_NOROUTE,
  ICMPV6_NOT_NEIGHBOUR,
  ICMPV6_PKT_TOOBIG,
  ICMPV6_TIME_EXCEED,
  isIcmpv6Error,
  NDISC_NEIGHBOUR_SOLICITATION,
} from "../../wire/icmpv6.js";
import { IPV6_ANY, IPV6_LOOPBACK, isIpv6LinkLocal, isIpv6Multicast } from "../../wire/ip.js";
import { IPV6_MIN_MTU, type Ipv6Header } from "../../wire/ipv6.js";
import { neighbours6 } from "../neighbour.js";
import { inetPeers } from "../inet-peer.js";
import { devConf6, devConfs6, isForwarding6 } from "./devconf.js";
import { icmp6Send } from "./icmp.js";
import { ip6Input, routedBefore } from "./input.js";
import { sendRedirect } from "./redirect.js";

/**
 * A packet for somebody else. Hop limit, scope and size come before the FORWARD hook.
 * Mirrors net/ipv6/ip6_output.c:ip6_forward().
 */
export function ip6Forward(skb: SkBuff): void {
  const { network } = skb.frame;
  const { route, dev } = skb;
  if (network?.kind !== "ipv6" || route === undefined || dev === undefined)
    return drop(skb, "NOT_SPECIFIED", "ip6_forward");
  if (!isForwarding6(dev)) return drop(skb, "IP_INADDRERRORS", "ip6_forward");
  if (skb.packetType !== "HOST") return drop(skb, "NOT_SPECIFIED", "ip6_forward");
  if (assignedSocket(skb) !== undefined) return drop(skb, "NOT_SPECIFIED", "ip6_forward");
  if (network.hopLimit <= 1) {
    icmp6Send(skb, ICMPV6_TIME_EXCEED, ICMPV6_EXC_HOPLIMIT);
    return drop(skb, "IP_INHDR", "ip6_forward");
  }
  const proxied = proxy(skb, network);
  if (proxied === "ours") return ip6Input(skb);
  if (proxied === "unreachable") return drop(skb, "IP_INADDRERRORS", "ip6_forward");
  if (route.dev === dev || routedBefore(skb.ns).has(skb)) redirect(skb, network);
  else if (!maySend(skb, network)) return drop(skb, "IP_INADDRERRORS", "ip6_forward");
  const mtu = Math.max(route.mtu, IPV6_MIN_MTU);
  if (exceedsMtu(skb, mtu)) {
    icmp6Send(skb, ICMPV6_PKT_TOOBIG, 0, mtu);
    return drop(skb, "PKT_TOO_BIG", "ip6_forward");
  }
  skb.frame = withTtl(skb.frame, network.hopLimit - 1);
  nfHook(
    skb,
    { hook: "FORWARD", family: "ipv6", ns: skb.ns, in: dev, out: route.dev },
    ip6ForwardFinish,
  );
}

function ip6ForwardFinish(skb: SkBuff): SendResult {
  if (skb.route !== undefined) return skb.route.output(skb);
  drop(skb, "IP_OUTNOROUTES", "ip6_forward_finish");
  return "ENETUNREACH";
}

/** Who stands in for others takes their solicitations; their link-local traffic cannot be passed on. Mirrors ip6_forward_proxy_check(). */
function proxy(skb: SkBuff, network: Ipv6Header): "none" | "ours" | "unreachable" {
  const { dev, ns } = skb;
  if (dev === undefined) return "none";
  const stands = devConfs6(ns).all.proxy_ndp !== 0 || devConf6(dev).proxy_ndp !== 0;
  if (!stands || !neighbours6(ns).hasProxy(dev, network.destination)) return "none";
  const { transport } = skb.frame;
  const isDiscovery =
    transport?.kind === "icmpv6" &&
    transport.type >= NDISC_NEIGHBOUR_SOLICITATION - 2 &&
    transport.type <= NDISC_NEIGHBOUR_SOLICITATION + 2 &&
    !isIcmpv6Error(transport.type);
  if (isDiscovery) return "ours";
  if (!isIpv6LinkLocal(network.destination)) return "none";
  icmp6Send(skb, ICMPV6_DEST_UNREACH, ICMPV6_ADDR_UNREACH);
  return "unreachable";
}

/** At most one message a second to each destination's peer. */
function redirect(skb: SkBuff, network: Ipv6Header): void {
  if (!inetPeers(skb.ns).allowError(network.destination, milliseconds(1000))) return;
  sendRedirect(skb);
}

/** Sources that do not leave their link, or are nobody's. */
function maySend(skb: SkBuff, { source }: Ipv6Header): boolean {
  if (source === IPV6_ANY || source === IPV6_LOOPBACK || isIpv6Multicast(source)) return false;
  if (!isIpv6LinkLocal(source)) return true;
  icmp6Send(skb, ICMPV6_DEST_UNREACH, ICMPV6_NOT_NEIGHBOUR);
  return false;
}

/** Mirrors ip6_pkt_too_big(). */
function exceedsMtu(skb: SkBuff, mtu: number): boolean {
  if (ipLength(skb.frame) <= mtu) return false;
  if (skb.fragmentMaxSize > 0) return skb.fragmentMaxSize > mtu;
  return !skb.ignoreDf;
}

/** A packet that routing refuses: answered and dropped, also on a host that does not forward. Mirrors net/ipv6/route.c:ip6_pkt_drop(). */
export function ip6PacketDiscard(skb: SkBuff): void {
  const { route } = skb;
  const { network } = skb.frame;
  if (network?.kind !== "ipv6" || route === undefined)
    return drop(skb, "NOT_SPECIFIED", "ip6_pkt_drop");
  if (route.error === "EINVAL") return drop(skb, "NOT_SPECIFIED", "dst_discard");
  const code = route.error === "EACCES" ? ICMPV6_ADM_PROHIBITED : ICMPV6_NOROUTE;
  icmp6Send(skb, ICMPV6_DEST_UNREACH, code);
  drop(
    skb,
    network.destination === IPV6_ANY ? "IP_INADDRERRORS" : "IP_INNOROUTES",
    route.error === "EACCES" ? "ip6_pkt_prohibit" : "ip6_pkt_discard",
  );
}

/** A packet of our own that a route refuses which is no error itself: the sender hears of it from its own host. Mirrors ip6_pkt_discard_out(). */
export function ip6PacketDiscardOut(skb: SkBuff): SendResult {
  skb.dev = skb.route?.dev;
  icmp6Send(skb, ICMPV6_DEST_UNREACH, ICMPV6_NOROUTE);
  drop(skb, "IP_OUTNOROUTES", "ip6_pkt_discard_out");
  return undefined;
}
