import { drop, type DropReason } from "../core/drop.js";
import type { SendResult } from "../core/errno.js";
import { nfHook } from "../core/hooks.js";
import type { SkBuff } from "../core/skbuff.js";
import { ipLength, withTtl } from "../wire/frame.js";
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_HOST_UNREACH,
  ICMP_NET_UNREACH,
  ICMP_PKT_FILTERED,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
} from "../wire/icmp.js";
import { assignedSocket } from "./assigned-socket.js";
import { isForwarding } from "./devconf.js";
import { icmpSend } from "./icmp.js";
import { inetPeers } from "./inet-peer.js";
import { forwardOptions } from "./ip-options.js";
import { sourceRoutes } from "./source-route.js";

const ICMP_EXC_TTL = 0;
const ICMP_REDIR_HOST = 1;
const ICMP_SR_FAILED = 5;

/**
 * A packet for somebody else. TTL is checked before it is lowered, and TTL, size and redirects come before the FORWARD hook.
 * Mirrors net/ipv4/ip_forward.c:ip_forward().
 */
export function ipForward(skb: SkBuff): void {
  const { network } = skb.frame;
  const { route } = skb;
  if (network?.kind !== "ipv4" || route === undefined || skb.packetType !== "HOST")
    return drop(skb, "NOT_SPECIFIED", "ip_forward");
  // TPROXY gave it to a socket, but no policy route brought it here.
  if (assignedSocket(skb) !== undefined) return drop(skb, "NOT_SPECIFIED", "ip_forward");
  if (network.ttl <= 1) {
    icmpSend(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL);
    return drop(skb, "IP_INHDR", "ip_forward");
  }
  const sourceRoute = sourceRoutes(skb.ns).get(skb);
  if (sourceRoute?.isStrict === true && route.gateway !== undefined) {
    icmpSend(skb, ICMP_DEST_UNREACH, ICMP_SR_FAILED);
    return drop(skb, "NOT_SPECIFIED", "ip_forward");
  }
  if (exceedsMtu(skb, network.dontFragment, route.mtu)) {
    icmpSend(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, route.mtu);
    return drop(skb, "PKT_TOO_BIG", "ip_forward");
  }
  skb.frame = withTtl(skb.frame, network.ttl - 1);
  if (route.redirect && sourceRoute === undefined) sendRedirect(skb);
  nfHook(
    skb,
    { hook: "FORWARD", family: "ipv4", ns: skb.ns, in: skb.dev, out: route.dev },
    ipForwardFinish,
  );
}

/** Mirrors ip_exceeds_mtu(). */
function exceedsMtu(skb: SkBuff, dontFragment: boolean, mtu: number): boolean {
  if (ipLength(skb.frame) <= mtu || !dontFragment) return false;
  return skb.fragmentMaxSize > mtu || !skb.ignoreDf;
}

function ipForwardFinish(skb: SkBuff): SendResult {
  const { network } = skb.frame;
  if (network?.kind === "ipv4" && network.options.length > 0) forwardOptions(skb, network);
  if (skb.route !== undefined) return skb.route.output(skb);
  drop(skb, "IP_OUTNOROUTES", "ip_forward_finish");
  return "ENETUNREACH";
}

/** Tells the sender of the nearer router. Mirrors net/ipv4/route.c:ip_rt_send_redirect(). */
function sendRedirect(skb: SkBuff): void {
  const { network } = skb.frame;
  const { route } = skb;
  if (network?.kind !== "ipv4" || route === undefined) return;
  const peers = inetPeers(skb.ns);
  if (!peers.allowRedirect(network.source)) return;
  const nexthop = typeof route.gateway === "number" ? route.gateway : network.destination;
  icmpSend(skb, ICMP_REDIRECT, ICMP_REDIR_HOST, nexthop);
  peers.redirected(network.source);
}

/** A packet that routing refuses: answered when the device forwards, at a rate of its own, and dropped. Mirrors net/ipv4/route.c:ip_error(). */
export function ipError(skb: SkBuff): void {
  const { network } = skb.frame;
  const { dev, route } = skb;
  if (network?.kind !== "ipv4" || dev === undefined || route === undefined)
    return drop(skb, "NOT_SPECIFIED", "ip_error");
  const error = route.error ?? "EINVAL";
  if (!isForwarding(dev)) return drop(skb, NOT_FORWARDING[error] ?? "NOT_SPECIFIED", "ip_error");
  const code = CODES[error];
  if (code !== undefined && inetPeers(skb.ns).allowRouteError(network.source))
    icmpSend(skb, ICMP_DEST_UNREACH, code);
  drop(skb, error === "ENETUNREACH" ? "IP_INNOROUTES" : "NOT_SPECIFIED", "ip_error");
}

const NOT_FORWARDING: Partial<Record<string, DropReason>> = {
  EHOSTUNREACH: "IP_INADDRERRORS",
  ENETUNREACH: "IP_INNOROUTES",
};

/** `blackhole` (EINVAL) is not answered. */
const CODES: Partial<Record<string, number>> = {
  EHOSTUNREACH: ICMP_HOST_UNREACH,
  ENETUNREACH: ICMP_NET_UNREACH,
  EACCES: ICMP_PKT_FILTERED,
};
