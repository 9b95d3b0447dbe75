import type { NetDevice } from "../core/device.js";
import type { DropReason } from "../core/drop.js";
import type { Errno } from "../core/errno.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { RouteType } from "../core/route.js";
import type { SkBuff } from "../core/skbuff.js";
import type { Frame } from "../wire/frame.js";
import {
  formatIpv4,
  IPV4_ANY,
  IPV4_BROADCAST,
  type Ipv4,
  isIpv4Loopback,
  isIpv4Multicast,
  prefixContains,
} from "../wire/ip.js";
import { addressesOf } from "./addresses.js";
import { confAnd, confOr, isForwarding } from "./devconf.js";
import { fib } from "./fib.js";
import {
  type FibMatch,
  type FibNexthop,
  type FibResult,
  type FibRoute,
  RT_SCOPE_UNIVERSE,
} from "./fib-types.js";
import { isMember4 } from "./igmp-groups.js";
import { flowOf, multipathHash, rulePortsOf, selectNexthop } from "./multipath.js";
import { nexthopRoutes } from "./nexthop-routes.js";
import { RouteCache } from "./route-cache.js";
import { attachRoute, loopbackOf, RouteEntry, routeActions } from "./route-entry.js";
import { validateSource } from "./source-validation.js";

/** A received packet as routing sees it. */
export interface InputFlow {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly tos: number;
  readonly mark: number;
  readonly dev: NetDevice;
  /** The packet itself, for rules and hashes that look at its ports; undefined for an ARP request. */
  readonly frame: Frame | undefined;
}

const cacheOf: (ns: NetworkNamespace) => RouteCache<RouteEntry | DropReason> = perNamespace(
  (ns) => new RouteCache(ns),
);

/**
 * Gives a received packet its route; a reason to drop it comes back. A route with an `error` is a route: its `input`
 * answers and drops. `towards` is where it goes when that is not its destination. Mirrors
 * net/ipv4/route.c:ip_route_input_noref().
 */
export function routeInput(skb: SkBuff, towards?: Ipv4): DropReason | undefined {
  const { network } = skb.frame;
  if (network?.kind !== "ipv4" || skb.dev === undefined) return "NOT_SPECIFIED";
  const { source } = network;
  const destination = towards ?? network.destination;
  const tos = network.tos & IPTOS_DSCP;
  const cache = cacheOf(skb.ns);
  let decision = cache.get(destination, source, skb.dev, tos, skb.mark);
  if (decision === undefined) {
    const flow: InputFlow = {
      source,
      destination,
      tos,
      mark: skb.mark,
      dev: skb.dev,
      frame: skb.frame,
    };
    const decided = decideInput(flow);
    decision = decided.decision;
    if (decided.cacheable) cache.set(destination, source, skb.dev, tos, skb.mark, decision);
  }
  if (typeof decision === "string") return decision;
  attachRoute(skb, decision, "input");
  return undefined;
}

const IPTOS_DSCP = 0xfc;

/** A decision, and whether equal packets may share it. */
export interface Decided {
  readonly decision: RouteEntry | DropReason;
  readonly cacheable: boolean;
}

/** The decision in the kernel's order. Also for ARP requests, which ask where an address is. Mirrors ip_route_input_slow(). */
export function decideInput(flow: InputFlow): Decided {
  const { source, destination, dev } = flow;
  if (isIpv4Multicast(destination)) return shared(multicastInput(flow));
  if (isIpv4Multicast(source) || source === IPV4_BROADCAST) return shared("IP_INVALID_SOURCE");
  if (destination === IPV4_BROADCAST || (source === IPV4_ANY && destination === IPV4_ANY))
    return shared(broadcastInput(flow, undefined));
  if (source === IPV4_ANY) return shared("IP_INVALID_SOURCE");
  if (destination === IPV4_ANY) return shared("IP_INVALID_DEST");
  if (
    (isIpv4Loopback(destination) || isIpv4Loopback(source)) &&
    !dev.isLoopback &&
    !confOr(dev, "route_localnet")
  )
    return shared("IP_LOCALNET");
  const tables = fib(dev.ns);
  const found = lookup(flow);
  const multipath = found.kind === "match" && found.route.nexthops.length > 1;
  return { decision: decideFound(flow, found), cacheable: !multipath && !tables.looksAtPorts };
}

function shared(decision: RouteEntry | DropReason): Decided {
  return { decision, cacheable: true };
}

function lookup(flow: InputFlow): FibResult {
  const { protocol, sourcePort, destinationPort } = rulePortsOf(flow.frame);
  return fib(flow.dev.ns).lookup({
    destination: flow.destination,
    source: flow.source,
    tos: flow.tos,
    mark: flow.mark,
    iif: flow.dev.name,
    oif: undefined,
    scope: RT_SCOPE_UNIVERSE,
    uid: 0,
    protocol,
    sourcePort,
    destinationPort,
    ignoreLinkState: false,
  });
}

function decideFound(flow: InputFlow, found: FibResult): RouteEntry | DropReason {
  const { dev } = flow;
  if (found.kind === "miss") {
    const by = found.route ?? found.rule;
    return isForwarding(dev)
      ? errorRoute(dev.ns, found.error, by, found.route?.type)
      : errorRoute(dev.ns, "EHOSTUNREACH", by ?? NOT_FORWARDING);
  }
  const { type } = found.route;
  if (type === "broadcast")
    return confAnd(dev, "bc_forwarding") ? forward(flow, found) : broadcastInput(flow, found.route);
  if (type === "local") {
    const verdict = validateSource(flow, undefined);
    return typeof verdict === "string"
      ? verdict
      : localRoute(dev.ns, "local", found.route, verdict.realms);
  }
  if (!isForwarding(dev)) return errorRoute(dev.ns, "EHOSTUNREACH", NOT_FORWARDING);
  return type === "unicast" ? forward(flow, found) : "IP_INVALID_DEST";
}

const NOT_FORWARDING = "not for this host, and it does not forward what comes by this device";

/** Mirrors the labels no_route and local_input: the packet is answered by ip_error(). */
function errorRoute(
  ns: NetworkNamespace,
  error: Errno,
  by: FibRoute | string | undefined,
  type: RouteType = "unreachable",
): RouteEntry {
  const actions = routeActions(ns);
  return new RouteEntry({
    ns,
    type,
    dev: loopbackOf(ns),
    error,
    decidedBy: by,
    input: actions.error,
    output: actions.output,
  });
}

function localRoute(
  ns: NetworkNamespace,
  type: "local" | "broadcast" | "multicast",
  by: FibRoute | string | undefined,
  realms = 0,
): RouteEntry {
  const actions = routeActions(ns);
  return new RouteEntry({
    ns,
    type,
    dev: loopbackOf(ns),
    realms,
    decidedBy: by,
    input: actions.localDeliver,
    output: actions.output,
  });
}

function broadcastInput(flow: InputFlow, by: FibRoute | undefined): RouteEntry | DropReason {
  if (flow.frame === undefined) return "INVALID_PROTO";
  if (flow.source !== IPV4_ANY) {
    const verdict = validateSource({ ...flow, destination: IPV4_ANY }, undefined);
    if (typeof verdict === "string") return verdict;
  }
  return localRoute(flow.dev.ns, "broadcast", by ?? "broadcast");
}

/** Mirrors ip_mc_validate_source() and ip_route_input_mc(). There is no multicast routing. */
function multicastInput(flow: InputFlow): RouteEntry | DropReason {
  const { source, destination, dev } = flow;
  if (!isMember4(dev, destination)) return "NOT_SPECIFIED";
  if (isIpv4Multicast(source) || source === IPV4_BROADCAST) return "IP_INVALID_SOURCE";
  if (flow.frame === undefined) return "INVALID_PROTO";
  if (isIpv4Loopback(source) && !confOr(dev, "route_localnet")) return "IP_LOCALNET";
  if (source !== IPV4_ANY) {
    const verdict = validateSource({ ...flow, destination: IPV4_ANY }, undefined);
    if (typeof verdict === "string") return verdict;
  }
  return localRoute(dev.ns, "multicast", `multicast ${formatIpv4(destination)}`);
}

/** Mirrors ip_mkroute_input() and __mkroute_input(). */
function forward(flow: InputFlow, found: FibMatch): RouteEntry | DropReason {
  const { dev } = flow;
  const { route } = found;
  const index =
    route.nexthops.length > 1 && flow.frame !== undefined
      ? selectNexthop(route, found.index, multipathHash(dev.ns, flowOf(flow.frame)), IPV4_ANY)
      : found.index;
  const nexthop = route.nexthops[index] as FibNexthop;
  const { dev: out, gateway, realms } = nexthop;
  if (out === undefined) return "NOT_SPECIFIED";
  const verdict = validateSource(flow, out);
  if (typeof verdict === "string") return verdict;
  if (flow.frame === undefined && out === dev && !confOr(dev, "proxy_arp_pvlan"))
    return "NOT_SPECIFIED";
  const redirect =
    out === dev &&
    verdict.onLink &&
    confOr(dev, "send_redirects") &&
    (confOr(dev, "shared_media") || isOnLink(out, flow.source, gateway ?? IPV4_ANY));
  const shared = nexthopRoutes(dev.ns);
  const isOfAll = !redirect && verdict.realms === 0;
  const known = isOfAll ? shared.get(nexthop) : undefined;
  if (known !== undefined) return known;
  const actions = routeActions(dev.ns);
  const made = new RouteEntry({
    ns: dev.ns,
    type: "unicast",
    dev: out,
    gateway,
    mtu: route.mtu,
    mtuLocked: route.mtuLock,
    redirect,
    realms: combined(realms, verdict.realms),
    decidedBy: route,
    input: actions.forward,
    output: actions.output,
  });
  if (isOfAll) shared.set(nexthop, made);
  return made;
}

/** Each half is the route's own, or else that of the way back. Mirrors net/ipv4/route.c:set_class_tag(). */
function combined(own: number, tag: number): number {
  const low = own & 0xffff || tag & 0xffff;
  const high = own >>> 16 || tag >>> 16;
  return ((high << 16) | low) >>> 0;
}

/** Whether one subnet of the device holds both addresses. Mirrors inet_addr_onlink(). */
function isOnLink(dev: NetDevice, a: Ipv4, b: Ipv4): boolean {
  return addressesOf(dev).some((address) => {
    const subnet = { address: address.peer, length: address.length };
    return prefixContains(subnet, a) && (b === IPV4_ANY || prefixContains(subnet, b));
  });
}
