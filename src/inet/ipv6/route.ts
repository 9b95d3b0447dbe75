import type { NetDevice } from "../../core/device.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { RouteType } from "../../core/route.js";
import type { SkBuff } from "../../core/skbuff.js";
import type { Frame } from "../../wire/frame.js";
import {
  IPV6_ANY,
  IPV6_LOOPBACK,
  type Ipv6,
  isIpv6LinkLocal,
  isIpv6Multicast,
} from "../../wire/ip.js";
import { IPPROTO_ICMPV6 } from "../../wire/ipv6.js";
import { RouteCache } from "../route-cache.js";
import { loopbackOf, RouteEntry } from "../route-entry.js";
import type { OutputRefusal } from "../route-output.js";
import { route6Actions } from "./actions.js";
import { devConf6, devConfs6 } from "./devconf.js";
import { fib6 } from "./fib.js";
import { formatRoute6 } from "./fib-format.js";
import { leadsNowhere } from "./fib-table.js";
import type { Fib6Miss, Fib6Nexthop, Fib6Result, Fib6Route, Flow6Key } from "./fib-types.js";
import { flow6Of, hashedFlow6, multipath6Hash, selectNexthop6 } from "./multipath.js";
import { pathExceptions6 } from "./path-exceptions.js";
import { selectSource6 } from "./source-selection.js";

/** A packet to be sent, as routing sees it. Mirrors struct flowi6. */
export interface Output6Flow {
  readonly destination: Ipv6;
  /** The address the sender is bound to; left out, one is chosen. */
  readonly source?: Ipv6 | undefined;
  readonly mark: number;
  readonly oif?: NetDevice | undefined;
  /** The socket is bound to `oif`: no other device will do. */
  readonly bound?: boolean | undefined;
  readonly tos: number;
  readonly uid?: number | undefined;
  readonly protocol?: number | undefined;
  readonly sourcePort?: number | undefined;
  readonly destinationPort?: number | undefined;
}

export type Route6 = RouteEntry<Ipv6>;

const outputCache: (ns: NetworkNamespace) => RouteCache<OutputLook> = perNamespace(
  (ns) => new RouteCache(ns),
);
const inputCache: (ns: NetworkNamespace) => RouteCache<Route6> = perNamespace(
  (ns) => new RouteCache(ns),
);

/** Destinations whose route must be by the device asked for. Mirrors rt6_need_strict(). */
function needsStrict(destination: Ipv6): boolean {
  return (
    isIpv6Multicast(destination) || isIpv6LinkLocal(destination) || destination === IPV6_LOOPBACK
  );
}

/**
 * The way out for a local packet, its `source` the address the packet has to carry. The look that leads to a source decides, even where
 * rules would see it differently with that source; one that ends in an error is repeated. Mirrors net/ipv6/ip6_output.c:ip6_dst_lookup_tail().
 */
export function routeOutput6(ns: NetworkNamespace, flow: Output6Flow): Route6 | OutputRefusal {
  let asked = flow;
  if ((flow.source ?? IPV6_ANY) === IPV6_ANY) {
    const first = lookupOutput(ns, flow);
    const source = first.preferred ?? selectSource6(ns, first.sourceDevice, flow.destination);
    if (source === undefined)
      return { error: "EADDRNOTAVAIL", text: "there is no address to send from" };
    if (first.route.error === undefined) return withSource(first.route, source);
    asked = { ...flow, source };
  }
  const { route } = lookupOutput(ns, asked);
  if (route.error !== undefined) return { error: route.error, text: route.text };
  return withSource(route, asked.source ?? IPV6_ANY);
}

/** Whether the way to a destination names the address to send from. Mirrors net/ipv6/icmp.c:icmpv6_rt_has_prefsrc(). */
export function prefersSource6(ns: NetworkNamespace, destination: Ipv6): boolean {
  const { route, preferred } = lookupOutput(ns, {
    destination,
    mark: 0,
    tos: 0,
    protocol: IPPROTO_ICMPV6,
  });
  return route.error === undefined && preferred !== undefined;
}

function withSource(route: Route6, source: Ipv6): Route6 {
  return route.source === source ? route : route.from(source);
}

interface OutputLook {
  readonly route: Route6;
  /** The `src` of the route that decided. */
  readonly preferred: Ipv6 | undefined;
  /** The device whose addresses come first; undefined when no route decided. */
  readonly sourceDevice: NetDevice | undefined;
}

function lookupOutput(ns: NetworkNamespace, flow: Output6Flow): OutputLook {
  const { destination, source = IPV6_ANY, oif, mark } = flow;
  const strict =
    flow.bound === true || needsStrict(destination) || (oif !== undefined && source === IPV6_ANY);
  const cache = outputCache(ns);
  const kind = strict ? 256 + flow.tos : flow.tos;
  const cached = cache.get(destination, source, oif, kind, mark);
  if (cached !== undefined && pathExceptions6(ns).isEmpty) return cached;
  const { protocol = 0, sourcePort = 0, destinationPort = 0 } = flow;
  const tables = fib6(ns);
  const key: Flow6Key = {
    destination,
    source,
    tos: flow.tos & 0xfc,
    mark,
    iif: "lo",
    oif,
    ruleOif: oif,
    strict,
    reachable: looksForReachable(ns),
    uid: flow.uid ?? 0,
    protocol,
    sourcePort,
    destinationPort,
  };
  const found = tables.lookup(key);
  const fields = { source, destination, protocol, sourcePort, destinationPort, flowLabel: 0 };
  const decided = decide(ns, found, key, () => multipath6Hash(ns, fields));
  const by = found.route;
  const look: OutputLook = {
    route: decided.route,
    preferred: by?.source,
    sourceDevice: found.kind === "match" ? decided.nexthop?.dev : undefined,
  };
  const shared = !tables.looksAtPorts && (by?.nexthops.length ?? 1) === 1;
  if (shared) cache.set(destination, source, oif, kind, mark, look);
  return look;
}

/** Gives a received packet its route: it always gets one, if only to be refused. Mirrors net/ipv6/route.c:ip6_route_input(). */
export function routeInput6(skb: SkBuff): Route6 | undefined {
  const { network } = skb.frame;
  const { dev, ns, mark } = skb;
  if (network?.kind !== "ipv6" || dev === undefined) return undefined;
  const { source, destination, trafficClass } = network;
  const cache = inputCache(ns);
  const cached = cache.get(destination, source, dev, trafficClass, mark);
  if (cached !== undefined) return cached;
  const { route, ways } = decideInput6(skb.frame, dev, mark);
  if (!fib6(ns).looksAtPorts && ways === 1)
    cache.set(destination, source, dev, trafficClass, mark, route);
  return route;
}

/** The route of a packet that comes in by a device, and how many ways it was chosen from. */
export function decideInput6(
  frame: Frame,
  dev: NetDevice,
  mark: number,
): { readonly route: Route6; readonly ways: number } {
  const { ns } = dev;
  const key = inputKey(frame, dev, mark);
  const found = fib6(ns).lookup(key);
  const { route } = decide(ns, found, key, () => multipath6Hash(ns, hashedFlow6(frame)));
  return { route, ways: found.route?.nexthops.length ?? 1 };
}

function inputKey(frame: Frame, dev: NetDevice, mark: number): Flow6Key {
  const fields = flow6Of(frame);
  const { network } = frame;
  return {
    ...fields,
    tos: network?.kind === "ipv6" ? network.trafficClass & 0xfc : 0,
    mark,
    iif: dev.name,
    oif: dev,
    ruleOif: undefined,
    strict: needsStrict(fields.destination),
    reachable: looksForReachable(dev.ns),
    uid: 0,
  };
}

/** A host avoids gateways that have failed; a router takes the way it is told. Mirrors ip6_pol_route(). */
export function looksForReachable(ns: NetworkNamespace): boolean {
  return devConfs6(ns).all.forwarding === 0;
}

/** A gateway has failed or has come back: hosts may have to decide anew, what sockets keep stays. */
export function forgetDecisions6(ns: NetworkNamespace): void {
  outputCache(ns).clear();
  inputCache(ns).clear();
}

interface Decided {
  readonly route: Route6;
  readonly nexthop: Fib6Nexthop | undefined;
}

function decide(
  ns: NetworkNamespace,
  found: Fib6Result,
  key: Flow6Key,
  hash: () => number,
): Decided {
  if (found.kind === "miss") return { route: errorRoute(ns, found), nexthop: undefined };
  const { route: by } = found;
  const nexthop = by.nexthops.length > 1 ? selectNexthop6(by, hash(), key) : by.nexthops[0];
  if (nexthop === undefined) return { route: errorRoute(ns, NOWHERE), nexthop: undefined };
  return { route: make(ns, by, nexthop, key.destination), nexthop };
}

const NOWHERE: Fib6Miss = {
  kind: "miss",
  error: "ENETUNREACH",
  again: false,
  route: undefined,
  rule: undefined,
};

/** What answers and drops. Mirrors ip6_rt_init_dst_reject(). */
function errorRoute(ns: NetworkNamespace, { error, route, rule }: Fib6Miss): Route6 {
  const actions = route6Actions(ns);
  return new RouteEntry<Ipv6>({
    ns,
    type: route?.type === undefined ? "unreachable" : (REFUSING[route.type] ?? "unreachable"),
    dev: loopbackOf(ns),
    error,
    decidedBy: route === undefined ? (rule ?? "no route") : () => formatRoute6(route),
    input: actions.error,
    output: actions.output,
  });
}

const REFUSING: Partial<Record<Fib6Route["type"], RouteType>> = {
  blackhole: "blackhole",
  prohibit: "prohibit",
  throw: "throw",
};

/** Mirrors ip6_rt_init_dst() and ip6_rt_get_dev_rcu(). */
function make(
  ns: NetworkNamespace,
  by: Fib6Route,
  nexthop: Fib6Nexthop,
  destination: Ipv6,
): Route6 {
  const actions = route6Actions(ns);
  const refuses = leadsNowhere(by, nexthop);
  const own = by.type === "local" || by.type === "anycast";
  const dev = own ? loopbackOf(ns) : nexthop.dev;
  const multicast = isIpv6Multicast(destination);
  const exception = own || multicast ? undefined : pathExceptions6(ns).find(destination);
  const mtu = exception?.mtu ?? by.mtu ?? (own ? dev.mtu : devConf6(dev).mtu);
  return new RouteEntry<Ipv6>({
    ns,
    type: own ? "local" : refuses ? "unreachable" : multicast ? "multicast" : "unicast",
    anycast: by.type === "anycast",
    owner: nexthop.dev,
    prefixLength: by.prefix.length,
    hopLimit: by.hopLimit,
    dev,
    gateway: own ? undefined : (exception?.gateway ?? nexthop.gateway),
    mtu,
    largest: IP6_MAX_MTU,
    decidedBy: () => formatRoute6({ ...by, nexthops: [nexthop] }),
    decidedBy6: by,
    input: refuses
      ? actions.error
      : own
        ? actions.localDeliver
        : isIpv6Multicast(by.prefix.address)
          ? actions.multicastInput
          : actions.forward,
    output: refuses ? actions.discardOut : actions.output,
  });
}

const IP6_MAX_MTU = 65_535 + 40;

/** Whether a decision is a route. */
export function isRoute6(decision: Route6 | OutputRefusal): decision is Route6 {
  return decision instanceof RouteEntry;
}
