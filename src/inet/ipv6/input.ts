import type { NetDevice } from "../../core/device.js";
import { deliver, drop } from "../../core/drop.js";
import type { SendResult } from "../../core/errno.js";
import { type HookState, nfHook } from "../../core/hooks.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { get8 } from "../../wire/bytes.js";
import {
  ICMPV6_HDR_FIELD,
  ICMPV6_PARAMPROB,
  ICMPV6_UNK_NEXTHDR,
  ICMPV6_UNK_OPTION,
} from "../../wire/icmpv6.js";
import { IPV6_LOOPBACK, ipv6MulticastScope, isIpv6Multicast } from "../../wire/ip.js";
import {
  extensionsLength,
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
  type OptionsExtension,
} from "../../wire/ipv6-extension.js";
import { IPPROTO_NONE, IPV6_HLEN, type Ipv6Header, isIpv6Fragment } from "../../wire/ipv6.js";
import { attachRoute } from "../route-entry.js";
import { ip6Protocols } from "../protocols.js";
import { ip6Defrag } from "./defrag.js";
import { devConf6, hasIpv6 } from "./devconf.js";
import { icmp6Send } from "./icmp.js";
import { isMember } from "./multicast.js";
import { checkOptions6 } from "./options.js";
import { routeInput6 } from "./route.js";
import { ipv6Sysctls } from "./sysctls.js";

/** Receives a packet from a device. Mirrors net/ipv6/ip6_input.c:ipv6_rcv() with ip6_rcv_core(). */
export function ip6Rcv(skb: SkBuff): void {
  const { network } = skb.frame;
  const { dev } = skb;
  if (skb.packetType === "OTHERHOST") return drop(skb, "OTHERHOST", "ip6_rcv_core");
  if (dev === undefined || !hasIpv6(dev)) return drop(skb, "IPV6DISABLED", "ip6_rcv_core");
  if (network?.kind !== "ipv6") return drop(skb, "IP_INHDR", "ip6_rcv_core");
  if (hasBadAddresses(skb, network)) return drop(skb, "IP_INHDR", "ip6_rcv_core");
  const inGroupFrame = skb.packetType === "BROADCAST" || skb.packetType === "MULTICAST";
  if (
    inGroupFrame &&
    !isIpv6Multicast(network.destination) &&
    devConf6(dev).drop_unicast_in_l2_multicast !== 0
  )
    return drop(skb, "UNICAST_IN_L2_MULTICAST", "ip6_rcv_core");
  skb.notLoopedBack = false;
  skb.fragmentMaxSize = 0;
  if (skb.route === undefined) skb.ignoreDf = false;
  else routedBefore(skb.ns).add(skb);
  const [first] = network.extensions;
  if (first?.kind === "options" && first.type === IPPROTO_HOPOPTS && !acceptOptions(skb, first, 0))
    return;
  const state: HookState = {
    hook: "PREROUTING",
    family: "ipv6",
    ns: skb.ns,
    in: dev,
    out: undefined,
  };
  nfHook(skb, state, ip6RcvFinish);
}

/**
 * Packets that have a way already when they come in: the bridge found it when NAT changed where they go. They count as come
 * in by the device that they leave by. Mirrors IP6CB(skb)->iif of ip6_rcv_core().
 */
export const routedBefore: (ns: NetworkNamespace) => WeakSet<SkBuff> = perNamespace(
  () => new WeakSet<SkBuff>(),
);

/** Addresses that do not cross a wire. */
function hasBadAddresses(skb: SkBuff, { source, destination }: Ipv6Header): boolean {
  const inside = skb.dev?.isLoopback === true;
  if ((source === IPV6_LOOPBACK || destination === IPV6_LOOPBACK) && !inside) return true;
  if (isIpv6Multicast(source)) return true;
  if (!isIpv6Multicast(destination)) return false;
  const scope = ipv6MulticastScope(destination);
  return scope === 0 || (scope === 1 && !inside);
}

/** Mirrors ip6_rcv_finish(). A packet from `lo` still has the route it was sent by. */
function ip6RcvFinish(skb: SkBuff): SendResult {
  const inside = skb.dev?.l3Receive?.(skb);
  if (inside !== undefined) routeInside(skb, inside);
  if (skb.route === undefined) {
    const route = routeInput6(skb);
    if (route === undefined) drop(skb, "NOT_SPECIFIED", "ip6_rcv_finish");
    else attachRoute(skb, route, "input");
  }
  if (!skb.ended) skb.route?.input(skb);
  return undefined;
}

/** Routes as another namespace would; the packet stays where it is. Mirrors drivers/net/ipvlan/ipvlan_l3s.c:ipvlan_l3_rcv(). */
function routeInside(skb: SkBuff, inside: NetDevice): void {
  const { dev, ns } = skb;
  skb.dev = inside;
  skb.ns = inside.ns;
  const route = routeInput6(skb);
  if (route !== undefined) attachRoute(skb, route, "input");
  skb.dev = dev;
  skb.ns = ns;
}

/** A packet to a group: for this host when the device it came by is in the group. Mirrors ip6_mc_input(). */
export function ip6McInput(skb: SkBuff): void {
  const { network } = skb.frame;
  const member =
    network?.kind === "ipv6" && skb.dev !== undefined && isMember(skb.dev, network.destination);
  if (member) ip6Input(skb);
  else drop(skb, "NOT_SPECIFIED", "ip6_mc_input");
}

/** A packet for this host; pieces are shown to INPUT one by one. Mirrors ip6_input(). */
export function ip6Input(skb: SkBuff): void {
  nfHook(
    skb,
    { hook: "INPUT", family: "ipv6", ns: skb.ns, in: skb.dev, out: undefined },
    (packet) => {
      toProtocol(packet, 0);
      return undefined;
    },
  );
}

/** Walks the extension headers from `index` on, then the transport gets the packet. Mirrors ip6_protocol_deliver_rcu(). */
function toProtocol(skb: SkBuff, index: number): void {
  const { network } = skb.frame;
  if (network?.kind !== "ipv6") return drop(skb, "NOT_SPECIFIED", "ip6_protocol_deliver_rcu");
  const extension = network.extensions[index];
  if (extension === undefined) return toTransport(skb, network);
  switch (extension.type) {
    case IPPROTO_HOPOPTS:
      if (index > 0) return unknownHeader(skb, network, index);
      break;
    case IPPROTO_AH:
      return unknownHeader(skb, network, index);
    case IPPROTO_FRAGMENT: {
      if (!isIpv6Fragment(network)) break;
      const whole = ip6Defrag(skb, "local");
      if (whole !== undefined) toProtocol(whole, index);
      return;
    }
    case IPPROTO_ROUTING:
      if (!acceptRouting(skb, extension, index)) return;
      break;
    case IPPROTO_DSTOPTS:
      if (!acceptOptions(skb, extension, index)) return;
      break;
    default:
  }
  toProtocol(skb, index + 1);
}

function toTransport(skb: SkBuff, network: Ipv6Header): void {
  if (network.protocol === IPPROTO_NONE) return deliver(skb, "no next header");
  const handler = ip6Protocols(skb.ns).get(network.protocol);
  if (handler !== undefined) return handler.receive(skb);
  unknownHeader(skb, network, network.extensions.length);
}

/** The sender is told where the number stands that nobody here knows. */
function unknownHeader(skb: SkBuff, network: Ipv6Header, index: number): void {
  const pointer = index === 0 ? NEXT_HEADER_AT : offsetOf(network, index - 1);
  icmp6Send(skb, ICMPV6_PARAMPROB, ICMPV6_UNK_NEXTHDR, pointer);
  drop(skb, "IP_NOPROTO", "ip6_protocol_deliver_rcu");
}

/** Where the next header's number stands in an IPv6 header. */
const NEXT_HEADER_AT = 6;

/** Where an extension header begins, from the start of the packet. */
function offsetOf(network: Ipv6Header, index: number): number {
  return IPV6_HLEN + extensionsLength(network.extensions.slice(0, index));
}

/** False when the packet was dropped. Mirrors ipv6_parse_hopopts() and ipv6_destopt_rcv(). */
function acceptOptions(skb: SkBuff, extension: OptionsExtension, index: number): boolean {
  const hopByHop = extension.type === IPPROTO_HOPOPTS;
  const name = hopByHop ? "net.ipv6.max_hbh_opts_number" : "net.ipv6.max_dst_opts_number";
  const verdict = checkOptions6(extension.body, hopByHop, ipv6Sysctls(skb.ns).get(name));
  if (verdict.kind === "accept") return true;
  const { network } = skb.frame;
  const { problem } = verdict;
  if (problem !== undefined && network?.kind === "ipv6") {
    const toGroup = isIpv6Multicast(network.destination);
    const pointer = offsetOf(network, index) + problem.offset;
    if (!toGroup || problem.evenGroups)
      icmp6Send(skb, ICMPV6_PARAMPROB, ICMPV6_UNK_OPTION, pointer);
  }
  drop(skb, verdict.reason, hopByHop ? "ipv6_parse_hopopts" : "ipv6_destopt_rcv");
  return false;
}

/**
 * A packet whose route is all used up goes on; one that is to be sent on is refused, whatever `accept_source_route` says:
 * type 0 is gone (RFC 5095), and the pinned kernel has no Mobile IPv6 for type 2. Mirrors ipv6_rthdr_rcv().
 */
function acceptRouting(skb: SkBuff, { body }: OptionsExtension, index: number): boolean {
  const [type, left] = [get8(body, 0), get8(body, 1)];
  const { network } = skb.frame;
  if (network?.kind !== "ipv6") return false;
  const toOne = !isIpv6Multicast(network.destination) && skb.packetType === "HOST";
  if (toOne && left === 0 && type !== SEGMENT_ROUTING && type !== RPL) return true;
  if (toOne && type !== SEGMENT_ROUTING && type !== RPL)
    icmp6Send(skb, ICMPV6_PARAMPROB, ICMPV6_HDR_FIELD, offsetOf(network, index) + ROUTING_TYPE_AT);
  drop(skb, "NOT_SPECIFIED", "ipv6_rthdr_rcv");
  return false;
}

const ROUTING_TYPE_AT = 2;
const RPL = 3;
const SEGMENT_ROUTING = 4;
