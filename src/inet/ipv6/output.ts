import { deliver, drop } from "../../core/drop.js";
import type { Errno, SendResult } from "../../core/errno.js";
import { nfHook } from "../../core/hooks.js";
import { cloneSkb } from "../../core/simulation.js";
import type { SkBuff } from "../../core/skbuff.js";
import { ETH_P_IPV6 } from "../../wire/ethernet.js";
import { encodeWithExtensions, ipLength } from "../../wire/frame.js";
import { ICMPV6_PKT_TOOBIG } from "../../wire/icmpv6.js";
import { ipv6MulticastScope, isIpv6LinkLocal, isIpv6Multicast } from "../../wire/ip.js";
import {
  extensionsLength,
  type FragmentExtension,
  IPPROTO_FRAGMENT,
  unfragmentable,
} from "../../wire/ipv6-extension.js";
import { IPV6_HLEN, IPV6_MIN_MTU, type Ipv6Header } from "../../wire/ipv6.js";
import { neighbours6, sendToNeighbour } from "../neighbour.js";
import { attachRoute, refuseRoute } from "../route-entry.js";
import { cutPlaces, sendPieces } from "../fragment-queue.js";
import { localOut } from "../local-out.js";
import { hasIpv6 } from "./devconf.js";
import { fib6 } from "./fib.js";
import { nextFragmentId } from "./fragment-id.js";
import { icmp6Send } from "./icmp.js";
import { flow6Of } from "./multipath.js";
import { isMember } from "./multicast.js";
import { isRoute6, routeOutput6 } from "./route.js";

/** Sends a packet of this host whose `route` is set: OUTPUT, then out. Mirrors net/ipv6/output_core.c:ip6_local_out(). */
export function ip6LocalOut(skb: SkBuff): SendResult {
  return localOut(skb, "ipv6");
}

/** POSTROUTING, fragments, neighbour. Mirrors net/ipv6/ip6_output.c:ip6_output(). */
export function ip6Output(skb: SkBuff): SendResult {
  const before = skb.dev;
  const out = skb.route?.dev;
  skb.dev = out;
  if (out !== undefined && !hasIpv6(out)) {
    drop(skb, "IPV6DISABLED", "ip6_output");
    return undefined;
  }
  const state = { hook: "POSTROUTING", family: "ipv6", ns: skb.ns, in: before, out } as const;
  return nfHook(skb, state, ip6FinishOutput);
}

/** Mirrors __ip6_finish_output(). */
function ip6FinishOutput(skb: SkBuff): SendResult {
  const mtu = skb.route?.mtu ?? 0;
  const length = ipLength(skb.frame);
  const tooBig = length > mtu || (skb.fragmentMaxSize > 0 && length > skb.fragmentMaxSize);
  return tooBig ? fragmentAndSend(skb, mtu) : ip6FinishOutput2(skb);
}

function fragmentAndSend(skb: SkBuff, mtu: number): SendResult {
  const pieces = ip6Fragment(skb, mtu);
  if (pieces === undefined) return "EMSGSIZE";
  return sendPieces(pieces, ip6FinishOutput2, "ip6_fragment");
}

/**
 * Routers do not cut packets: only what starts here, or what connection tracking put together. Undefined where the packet is
 * refused as too big. Mirrors ip6_fragment().
 */
export function ip6Fragment(skb: SkBuff, mtu: number): readonly SkBuff[] | undefined {
  const { network } = skb.frame;
  const refused = (!skb.ignoreDf && ipLength(skb.frame) > mtu) || skb.fragmentMaxSize > mtu;
  if (network?.kind !== "ipv6" || refused) {
    icmp6Send(skb, ICMPV6_PKT_TOOBIG, 0, mtu);
    drop(skb, "PKT_TOO_BIG", "ip6_fragment");
    return undefined;
  }
  const limit = skb.fragmentMaxSize > 0 ? Math.max(skb.fragmentMaxSize, IPV6_MIN_MTU) : mtu;
  return cut(skb, network, limit);
}

function cut(skb: SkBuff, network: Ipv6Header, limit: number): readonly SkBuff[] {
  const [kept, cutUp] = unfragmentable(network.extensions);
  const room = (limit - IPV6_HLEN - extensionsLength(kept) - 8) & ~7;
  if (room < 8) {
    drop(skb, "PKT_TOO_BIG", "ip6_fragment");
    return [];
  }
  const bytes = encodeWithExtensions(skb.frame, cutUp);
  const first = cutUp[0]?.type ?? network.protocol;
  const id = nextFragmentId(skb.ns);
  const pieces: SkBuff[] = [];
  const places = cutPlaces(skb, bytes.length, room);
  for (const [index, offset] of places.entries()) {
    const end = places[index + 1] ?? bytes.length;
    const piece = cloneSkb(skb, "fragment");
    piece.socket = skb.socket;
    const fragment: FragmentExtension = {
      kind: "fragment",
      type: IPPROTO_FRAGMENT,
      fragmentOffset: offset,
      moreFragments: end < bytes.length,
      id,
    };
    piece.fragmentMaxSize = 0;
    piece.frame = {
      link: skb.frame.link,
      network: { ...network, protocol: first, extensions: [...kept, fragment] },
      transport: undefined,
      payload: bytes.subarray(offset, end),
    };
    pieces.push(piece);
  }
  deliver(skb, "fragments");
  return pieces;
}

/** Mirrors ip6_finish_output2(). */
function ip6FinishOutput2(skb: SkBuff): SendResult {
  const { route } = skb;
  const { network } = skb.frame;
  if (route === undefined || network?.kind !== "ipv6") {
    drop(skb, "NOT_SPECIFIED", "ip6_finish_output2");
    return "EINVAL";
  }
  const { destination } = network;
  const { dev } = route;
  if (isIpv6Multicast(destination) && !dev.isLoopback) {
    loopBack(skb);
    if (ipv6MulticastScope(destination) <= 1) {
      deliver(skb, "this host alone");
      return undefined;
    }
  }
  const nexthop = typeof route.gateway === "bigint" ? route.gateway : destination;
  skb.dev = dev;
  const neighbour = neighbours6(dev.ns).obtain(dev, nexthop);
  if (neighbour === undefined) {
    drop(skb, "NEIGH_CREATEFAIL", "ip6_finish_output2");
    return "ENOBUFS";
  }
  return sendToNeighbour(skb, neighbour, ETH_P_IPV6);
}

/** What a program sends to a group that this host is in comes back to it. The kernel's own messages do not. */
function loopBack(skb: SkBuff): void {
  const { network } = skb.frame;
  const { route, ns } = skb;
  if (network?.kind !== "ipv6" || route === undefined || skb.notLoopedBack) return;
  if (!isMember(route.dev, network.destination)) return;
  const copy = cloneSkb(skb, "multicast loopback");
  const state = { hook: "POSTROUTING", family: "ipv6", ns, in: undefined, out: route.dev } as const;
  nfHook(copy, state, (packet) => {
    packet.packetType = "LOOPBACK";
    packet.inDev = packet.dev;
    ns.sim.softirq.netifRx(() => {
      const receive = ns.protocols.get(ETH_P_IPV6);
      if (receive === undefined) return drop(packet, "UNHANDLED_PROTO", "__netif_receive_skb_core");
      receive(packet);
    });
    return undefined;
  });
}

/**
 * Routes a local packet again after a hook changed its mark or addresses. The errno of a failure is what send() has to
 * return; the packet is the caller's to drop. Mirrors net/ipv6/netfilter.c:ip6_route_me_harder().
 */
export function ip6RouteMeHarder(skb: SkBuff): Errno | undefined {
  const { network } = skb.frame;
  const { ns, socket } = skb;
  if (network?.kind !== "ipv6") return "EINVAL";
  const bound = socket?.boundDevice === undefined ? undefined : ns.devices.get(socket.boundDevice);
  const { destination } = network;
  // What stays on its link leaves by the device it was going to.
  const strict = isIpv6LinkLocal(destination) || isIpv6Multicast(destination);
  const oif = bound ?? (strict ? skb.route?.dev : undefined);
  const ports = fib6(ns).looksAtPorts ? flow6Of(skb.frame) : undefined;
  const decision = routeOutput6(ns, {
    destination,
    source: network.source,
    mark: skb.mark,
    tos: network.trafficClass,
    oif,
    bound: oif !== undefined,
    uid: socket?.uid,
    protocol: ports?.protocol,
    sourcePort: ports?.sourcePort,
    destinationPort: ports?.destinationPort,
  });
  if (isRoute6(decision)) {
    attachRoute(skb, decision, "output");
    return undefined;
  }
  refuseRoute(skb, "output", decision.error, decision.text);
  return decision.error;
}
