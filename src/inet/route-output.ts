import type { NetDevice } from "../core/device.js";
import type { Errno } from "../core/errno.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { RouteType } from "../core/route.js";
import {
  IPV4_ANY,
  IPV4_BROADCAST,
  IPV4_LOOPBACK,
  type IpAddress,
  type Ipv4,
  isIpv4Loopback,
  isIpv4Multicast,
} from "../wire/ip.js";
import { holdsAddress } from "./addresses.js";
import { confOr } from "./devconf.js";
import { formatRoute } from "./fib-format.js";
import { fib } from "./fib.js";
import {
  type FibMatch,
  type FibNexthop,
  type FibRoute,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
} from "./fib-types.js";
import { isMember4 } from "./igmp-groups.js";
import { multipathHash, selectNexthop } from "./multipath.js";
import { type PathException, pathExceptions } from "./path-exceptions.js";
import { RouteCache } from "./route-cache.js";
import { loopbackOf, RouteEntry, routeActions } from "./route-entry.js";
import { inetAddrType, selectSource } from "./source-address.js";

/** A packet to be sent, as routing sees it. Mirrors struct flowi4. */
export interface OutputFlow {
  readonly destination: Ipv4;
  /** The address the sender is bound to; left out, one is chosen. */
  readonly source?: Ipv4 | undefined;
  readonly mark: number;
  readonly oif?: NetDevice | undefined;
  readonly tos: number;
  /** `source` need not be an address of this namespace. Mirrors FLOWI_FLAG_ANYSRC. */
  readonly anySource?: boolean | undefined;
  readonly uid?: number | undefined;
  readonly protocol?: number | undefined;
  readonly sourcePort?: number | undefined;
  readonly destinationPort?: number | undefined;
}

/** Why there is no way out: what send() returns, and the entry or words that say why. */
export interface OutputRefusal {
  readonly error: Errno;
  readonly text: string;
}

const cacheOf: (ns: NetworkNamespace) => RouteCache<RouteEntry | OutputRefusal> = perNamespace(
  (ns) => new RouteCache(ns),
);

/**
 * The way out for a local packet. The route's `source` is the address the packet has to carry; for a destination of this
 * namespace its device is `lo`. Mirrors net/ipv4/route.c:ip_route_output_key_hash_rcu().
 */
export function routeOutput(ns: NetworkNamespace, flow: OutputFlow): RouteEntry | OutputRefusal {
  const { destination, source = IPV4_ANY, oif, mark } = flow;
  // Whether any source will do changes only whether a foreign one is refused: two kinds of entries under one key.
  const kind = (flow.tos & IPTOS_DSCP) | (flow.anySource === true ? 1 : 0);
  const cache = cacheOf(ns);
  const cached = cache.get(destination, source, oif, kind, mark);
  if (cached !== undefined && (pathExceptions(ns).isEmpty || !isRoute(cached))) return cached;
  const decided = decideOutput(ns, flow, source);
  if (decided.cacheable) cache.set(destination, source, oif, kind, mark, decided.decision);
  return decided.decision;
}

/**
 * The way to a peer that a socket connects to: with the address that the first look chose, it looks again.
 * Mirrors include/net/route.h:ip_route_connect().
 */
export function routeConnect(ns: NetworkNamespace, flow: OutputFlow): RouteEntry | OutputRefusal {
  const first = routeOutput(ns, flow);
  if (!isRoute(first) || (flow.source ?? IPV4_ANY) !== IPV4_ANY) return first;
  return routeOutput(ns, { ...flow, source: first.source });
}

const IPTOS_DSCP = 0xfc;

export function isRoute<A extends IpAddress>(
  decision: RouteEntry<A> | OutputRefusal,
): decision is RouteEntry<A> {
  return decision instanceof RouteEntry;
}

interface Decided {
  readonly decision: RouteEntry | OutputRefusal;
  readonly cacheable: boolean;
}

function decideOutput(ns: NetworkNamespace, flow: OutputFlow, asked: Ipv4): Decided {
  let source = asked;
  let { destination, oif } = flow;
  if (source !== IPV4_ANY) {
    if (isIpv4Multicast(source) || source === IPV4_BROADCAST)
      return fixed(refusal("EINVAL", "the source is no unicast address"));
    if (oif === undefined && (isIpv4Multicast(destination) || destination === IPV4_BROADCAST)) {
      oif = [...ns.devices.values()].find((dev) => deviceHolds(dev, source));
      if (oif === undefined)
        return fixed(refusal("EINVAL", "the source is no address of this host"));
      return fixed(
        make(ns, { type: "unicast", dev: oif, source, destination, by: undefined, asked: oif }),
      );
    }
    if (flow.anySource !== true && !isOwn(ns, source))
      return fixed(refusal("EINVAL", "the source is no address of this host"));
  }
  if (oif !== undefined) {
    if (!oif.up) return fixed(refusal("ENETUNREACH", `${oif.name} is down`));
    if (destination === IPV4_BROADCAST || isLocalMulticast(destination)) {
      if (source === IPV4_ANY) source = selectSource(oif, IPV4_ANY, RT_SCOPE_LINK);
      return fixed(
        make(ns, { type: "unicast", dev: oif, source, destination, by: undefined, asked: oif }),
      );
    }
    if (source === IPV4_ANY && isIpv4Multicast(destination))
      source = selectSource(oif, IPV4_ANY, RT_SCOPE_UNIVERSE);
    if (source === IPV4_ANY && destination === IPV4_ANY)
      source = selectSource(oif, IPV4_ANY, RT_SCOPE_HOST);
  }
  if (destination === IPV4_ANY) {
    destination = source === IPV4_ANY ? IPV4_LOOPBACK : source;
    return fixed(
      make(ns, {
        type: "local",
        dev: loopbackOf(ns),
        source: destination,
        destination,
        by: undefined,
        asked: undefined,
      }),
    );
  }
  return byTables(ns, flow, source, destination, oif);
}

function fixed(decision: RouteEntry | OutputRefusal): Decided {
  return { decision, cacheable: true };
}

function refusal(error: Errno, text: string): OutputRefusal {
  return { error, text };
}

/** An address of a device, or one of a local route such as 127.9.9.9. Mirrors net/ipv4/devinet.c:__ip_dev_find(). */
function isOwn(ns: NetworkNamespace, address: Ipv4): boolean {
  return holdsAddress(ns, address) || inetAddrType(ns, address) === "LOCAL";
}

/** 224.0.0.0/24. */
function isLocalMulticast(address: Ipv4): boolean {
  return address >>> 8 === 0xe0_0000;
}

function deviceHolds(dev: NetDevice, address: Ipv4): boolean {
  return (
    fib(dev.ns)
      .list(255)
      ?.some(
        (route) =>
          route.type === "local" &&
          route.prefix.length === 32 &&
          route.prefix.address === address &&
          route.nexthops[0]?.dev === dev,
      ) === true
  );
}

function byTables(
  ns: NetworkNamespace,
  flow: OutputFlow,
  asked: Ipv4,
  destination: Ipv4,
  oif: NetDevice | undefined,
): Decided {
  const tables = fib(ns);
  let source = asked;
  const { protocol = 0, sourcePort = 0, destinationPort = 0 } = flow;
  const key = {
    destination,
    source,
    tos: flow.tos & IPTOS_DSCP,
    mark: flow.mark,
    iif: "lo",
    oif,
    scope: RT_SCOPE_UNIVERSE,
  };
  const found = tables.lookup({
    ...key,
    uid: flow.uid ?? 0,
    protocol,
    sourcePort,
    destinationPort,
    ignoreLinkState: false,
  });
  const cacheable = !tables.looksAtPorts;
  if (found.kind === "miss") {
    if (oif !== undefined) {
      // No route, but a device was named: the destination is taken to be on its link.
      if (source === IPV4_ANY) source = selectSource(oif, IPV4_ANY, RT_SCOPE_LINK);
      return {
        decision: make(ns, {
          type: "unicast",
          dev: oif,
          source,
          destination,
          by: undefined,
          asked: oif,
        }),
        cacheable,
      };
    }
    const text = found.route === undefined ? (found.rule ?? "no route") : formatRoute(found.route);
    return { decision: refusal(found.error, text), cacheable };
  }
  if (found.route.type === "local") {
    if (source === IPV4_ANY) source = found.route.source ?? destination;
    if (isIpv4Loopback(destination) && asked === IPV4_ANY)
      source = found.route.source ?? destination;
    const way = {
      type: "local",
      dev: loopbackOf(ns),
      source,
      destination,
      by: found.route,
      asked: found.route.nexthops[found.index]?.dev,
    } as const;
    return { decision: make(ns, way), cacheable };
  }
  const multipath = found.route.nexthops.length > 1;
  const nexthop = chooseNexthop(ns, found, {
    source,
    destination,
    protocol,
    sourcePort,
    destinationPort,
  });
  const dev = nexthop.dev ?? loopbackOf(ns);
  if (source === IPV4_ANY)
    source =
      found.route.source ?? selectSource(dev, nexthop.gateway ?? IPV4_ANY, found.route.scope);
  const { type } = found.route;
  return {
    decision: make(ns, {
      type,
      dev,
      source,
      destination,
      by: found.route,
      asked: oif,
      gateway: nexthop.gateway,
      realms: nexthop.realms,
    }),
    cacheable: cacheable && !multipath,
  };
}

function chooseNexthop(
  ns: NetworkNamespace,
  { route, index }: FibMatch,
  flow: Parameters<typeof multipathHash>[1],
): FibNexthop {
  const chosen =
    route.nexthops.length > 1
      ? selectNexthop(route, index, multipathHash(ns, flow), flow.source)
      : index;
  return route.nexthops[chosen] as FibNexthop;
}

interface Way {
  readonly type: RouteType;
  readonly dev: NetDevice;
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly by: FibRoute | undefined;
  /** The device asked for, or that holds a local destination. */
  readonly asked: NetDevice | undefined;
  readonly gateway?: Ipv4 | undefined;
  readonly realms?: number | undefined;
}

/** Mirrors net/ipv4/route.c:__mkroute_output(). */
function make(ns: NetworkNamespace, way: Way): RouteEntry | OutputRefusal {
  const { dev, source, destination, by } = way;
  if (isIpv4Loopback(source) && !dev.isLoopback && !confOr(dev, "route_localnet")) {
    return refusal("EINVAL", `a packet from 127.0.0.0/8 does not leave by ${dev.name}`);
  }
  const type =
    destination === IPV4_BROADCAST
      ? "broadcast"
      : isIpv4Multicast(destination)
        ? "multicast"
        : way.type;
  const actions = routeActions(ns);
  const exception = type === "unicast" ? pathExceptions(ns).find(destination) : undefined;
  return new RouteEntry({
    ns,
    type: dev.isLoopback && type === "unicast" ? "local" : type,
    dev,
    gateway: countsGateway(type, by) ? (exception?.gateway ?? way.gateway) : undefined,
    source: source === IPV4_ANY ? undefined : source,
    realms: way.realms,
    mtu: pathMtu(exception, by, dev),
    mtuLocked: exception?.mtuLocked === true || by?.mtuLock === true,
    decidedBy: by ?? `${type} dev ${dev.name}`,
    input: actions.localDeliver,
    output: isHeardHere(type, dev, destination) ? actions.multicastOutput : actions.output,
  });
}

/** Broadcasts are on the link, and groups too unless a route says more of them than 224.0.0.0/4 would. */
function countsGateway(type: RouteType, by: FibRoute | undefined): boolean {
  return type === "unicast" || (type === "multicast" && by !== undefined && by.prefix.length >= 4);
}

/** This host hears its own broadcasts, and what it sends to groups that it is in on that device. */
function isHeardHere(type: RouteType, dev: NetDevice, destination: Ipv4): boolean {
  if (dev.isLoopback) return false;
  return type === "broadcast" || (type === "multicast" && isMember4(dev, destination));
}

/** What a router told us counts before the route's own metric and the device. Mirrors ip_dst_mtu_maybe_forward(). */
function pathMtu(
  exception: PathException | undefined,
  by: FibRoute | undefined,
  dev: NetDevice,
): number {
  return exception?.mtu ?? by?.mtu ?? dev.mtu;
}
