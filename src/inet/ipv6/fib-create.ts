import type { NetDevice } from "../../core/device.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import { type Ipv6, IPV6_ANY, isIpv6LinkLocal, isIpv6Multicast, maskIpv6 } from "../../wire/ip.js";
import { RT_TABLE_LOCAL, RT_TABLE_MAIN, RTPROT_BOOT } from "../fib-types.js";
import { isOwnAddress6 } from "./addresses.js";
import { hasIpv6 } from "./devconf.js";
import type { Fib6 } from "./fib.js";
import { leadsNowhere } from "./fib-table.js";
import {
  type Fib6Match,
  type Fib6Nexthop,
  type Fib6Route,
  type Flow6Key,
  IP6_RT_PRIO_USER,
  type Nexthop6Spec,
  type Route6Spec,
  type Route6Type,
} from "./fib-types.js";

const REFUSING: ReadonlySet<Route6Type> = new Set<Route6Type>([
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
]);

/** A route as the kernel keeps it, or its refusal in the words of `ip`. Mirrors net/ipv6/route.c:ip6_route_info_create(). */
export function createRoute6(
  ns: NetworkNamespace,
  fib: Fib6,
  spec: Route6Spec,
): Fib6Route | string {
  const { type = "unicast", prefix } = spec;
  const table =
    spec.table ?? (type === "local" || type === "anycast" ? RT_TABLE_LOCAL : RT_TABLE_MAIN);
  const nexthops = REFUSING.has(type)
    ? [{ dev: ns.device("lo"), gateway: undefined, weight: 1, onlink: false }]
    : createNexthops(ns, fib, table, spec.nexthops ?? []);
  if (typeof nexthops === "string") return nexthops;
  if (spec.source !== undefined && !isOwnAddress6(ns, spec.source))
    return "Error: Invalid source address.";
  return {
    table,
    prefix: { address: maskIpv6(prefix.address, prefix.length), length: prefix.length },
    type,
    metric: spec.metric === undefined || spec.metric === 0 ? IP6_RT_PRIO_USER : spec.metric,
    protocol: spec.protocol ?? RTPROT_BOOT,
    source: spec.source,
    mtu: spec.mtu,
    advmss: spec.advmss,
    hopLimit: spec.hopLimit,
    pref: spec.pref ?? "medium",
    nexthops,
  };
}

function createNexthops(
  ns: NetworkNamespace,
  fib: Fib6,
  table: number,
  specs: readonly Nexthop6Spec[],
): readonly Fib6Nexthop[] | string {
  if (specs.length === 0) return "RTNETLINK answers: No such device";
  const nexthops: Fib6Nexthop[] = [];
  for (const spec of specs) {
    const nexthop = createNexthop(ns, fib, table, spec);
    if (typeof nexthop === "string") return nexthop;
    nexthops.push(nexthop);
  }
  return nexthops;
}

/** Mirrors net/ipv6/route.c:fib6_nh_init(). */
function createNexthop(
  ns: NetworkNamespace,
  fib: Fib6,
  table: number,
  spec: Nexthop6Spec,
): Fib6Nexthop | string {
  const { gateway, weight = 1, onlink = false } = spec;
  const dev = gateway === undefined ? spec.dev : deviceOfGateway(ns, fib, table, gateway, spec);
  if (typeof dev === "string") return dev;
  if (dev === undefined) return "RTNETLINK answers: No such device";
  if (!hasIpv6(dev)) return "Error: IPv6 is disabled on nexthop device.";
  if (!dev.up) return "Error: Nexthop device is not up.";
  return { dev, gateway, weight, onlink };
}

/** The device a gateway is on. Mirrors net/ipv6/route.c:ip6_validate_gw(). */
function deviceOfGateway(
  ns: NetworkNamespace,
  fib: Fib6,
  table: number,
  gateway: Ipv6,
  { dev, onlink = false }: Nexthop6Spec,
): NetDevice | string {
  const isOwn = (by: NetDevice): boolean =>
    isOwnAddress6(ns, gateway, isIpv6LinkLocal(gateway) ? by : undefined);
  if (onlink && dev === undefined) return "Error: Nexthop device required for onlink.";
  if (dev !== undefined && isOwn(dev)) return LOCAL_GATEWAY;
  if (isIpv6Multicast(gateway) || gateway === IPV6_ANY) return "Error: Invalid gateway address.";
  const found = isIpv6LinkLocal(gateway)
    ? (dev ?? "Error: Egress device not specified.")
    : onlink && dev !== undefined
      ? deviceOfOnlink(fib, gateway, dev)
      : deviceByRoute(fib, table, gateway, dev);
  if (typeof found === "string") return found;
  if (found.isLoopback) return "Error: Egress device can not be loopback device for this route.";
  return dev === undefined && isOwn(found) ? LOCAL_GATEWAY : found;
}

const LOCAL_GATEWAY = "Error: Gateway can not be a local address.";

/** The route's own table is asked first, then what the rules lead to. Mirrors ip6_route_check_nh(). */
function deviceByRoute(
  fib: Fib6,
  table: number,
  gateway: Ipv6,
  dev: NetDevice | undefined,
): NetDevice | string {
  const key = gatewayKey(gateway, dev, true);
  const own = wayOnLink(fib.table(table)?.lookup(key));
  const way = own !== undefined && (dev ?? own.dev) === own.dev ? own : byRules(fib, key);
  return way !== undefined && (dev ?? way.dev) === way.dev ? way.dev : NO_ROUTE_TO_HOST;
}

function byRules(fib: Fib6, key: Flow6Key): Fib6Nexthop | undefined {
  const found = fib.lookup(key);
  return found.kind === "match" ? wayOnLink(found) : undefined;
}

/** A gateway cannot need a gateway, nor stand behind a route that refuses. */
function wayOnLink(found: Fib6Match | undefined): Fib6Nexthop | undefined {
  const [way] = found?.route.nexthops ?? [];
  if (found === undefined || way === undefined || way.gateway !== undefined) return undefined;
  return refuses(found.route, way) ? undefined : way;
}

function refuses(route: Fib6Route, way: Fib6Nexthop): boolean {
  return REFUSING.has(route.type) || leadsNowhere(route, way);
}

const NO_ROUTE_TO_HOST = "RTNETLINK answers: No route to host";

/** The main table may not know the gateway by another device; its default route does not count. Mirrors ip6_route_check_nh_onlink(). */
function deviceOfOnlink(fib: Fib6, gateway: Ipv6, dev: NetDevice): NetDevice | string {
  const route = fib.table(RT_TABLE_MAIN)?.lookup(gatewayKey(gateway, dev, false))?.route;
  const [way] = route?.nexthops ?? [];
  if (route === undefined || way === undefined || refuses(route, way)) return dev;
  if (route.prefix.address === IPV6_ANY || (route.type === "unicast" && way.dev === dev))
    return dev;
  return "Error: Nexthop has invalid gateway or device mismatch.";
}

/** Mirrors ip6_nh_lookup_table(). */
function gatewayKey(gateway: Ipv6, dev: NetDevice | undefined, strict: boolean): Flow6Key {
  return {
    destination: gateway,
    source: IPV6_ANY,
    tos: 0,
    mark: 0,
    iif: "lo",
    oif: dev,
    ruleOif: dev,
    strict,
    reachable: false,
    uid: 0,
    protocol: 0,
    sourcePort: 0,
    destinationPort: 0,
  };
}
