import type { NetworkNamespace } from "../core/namespace.js";
import type { RouteType } from "../core/route.js";
import { IPV4_ANY, IPV4_BROADCAST, type Ipv4, isIpv4Multicast, maskIpv4 } from "../wire/ip.js";
import type { Fib } from "./fib.js";
import {
  type FibNexthop,
  type FibResult,
  type FibRoute,
  type FlowKey,
  type NexthopSpec,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  type RouteSpec,
  RTPROT_BOOT,
} from "./fib-types.js";

/** The most ways out that one route may have. */
const MAX_NEXTHOPS = 256;

/**
 * The route that a request makes, or the kernel's refusal in the words of `ip route`.
 * Mirrors net/ipv4/fib_semantics.c:fib_create_info(), with the defaults of iproute2's iproute_modify().
 */
export function createRoute(ns: NetworkNamespace, tables: Fib, spec: RouteSpec): FibRoute | string {
  const type = spec.type ?? "unicast";
  const table = tableOf(spec);
  const nexthops = spec.nexthops ?? [];
  const scope = spec.scope ?? defaultScope(type, nexthops);
  if (maskIpv4(spec.prefix.address, spec.prefix.length) !== spec.prefix.address) {
    return "Error: Invalid prefix for given prefix length.";
  }
  if (LEAST_SCOPE[type] > scope || scope > RT_SCOPE_HOST) return "Error: Invalid scope.";
  if (nexthops.length > MAX_NEXTHOPS)
    return `Error: Invalid nexthop configuration: more than ${MAX_NEXTHOPS} nexthops.`;
  const made = isError(type)
    ? noNexthops(nexthops)
    : createNexthops(ns, tables, nexthops, table, scope);
  if (typeof made === "string") return made;
  if (spec.source !== undefined && !isValidSource(tables, spec, type, table))
    return "Error: Invalid prefsrc address.";
  return {
    table,
    prefix: { address: spec.prefix.address, length: spec.prefix.length },
    type,
    tos: (spec.tos ?? 0) & 0xfc,
    metric: spec.metric ?? 0,
    scope,
    protocol: spec.protocol ?? RTPROT_BOOT,
    source: spec.source,
    mtu: spec.mtu,
    mtuLock: spec.mtuLock ?? false,
    advmss: spec.advmss,
    nexthops: made,
  };
}

/** The table a request means when it names none. Mirrors iproute2's iproute_modify(). */
export function tableOf(spec: {
  readonly table?: number | undefined;
  readonly type?: RouteType | undefined;
}): number {
  return (
    spec.table ??
    (spec.type === "local" || spec.type === "broadcast" ? RT_TABLE_LOCAL : RT_TABLE_MAIN)
  );
}

/** The widest scope each type allows. Mirrors net/ipv4/fib_semantics.c:fib_props. */
const LEAST_SCOPE: Record<RouteType, number> = {
  unicast: RT_SCOPE_UNIVERSE,
  local: RT_SCOPE_HOST,
  broadcast: RT_SCOPE_LINK,
  multicast: RT_SCOPE_UNIVERSE,
  blackhole: RT_SCOPE_UNIVERSE,
  unreachable: RT_SCOPE_UNIVERSE,
  prohibit: RT_SCOPE_UNIVERSE,
  throw: RT_SCOPE_UNIVERSE,
};

function defaultScope(type: RouteType, nexthops: readonly NexthopSpec[]): number {
  if (type === "local") return RT_SCOPE_HOST;
  if (type === "broadcast" || type === "multicast") return RT_SCOPE_LINK;
  const onLink = type === "unicast" && nexthops.length <= 1 && nexthops[0]?.gateway === undefined;
  return onLink ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

function isError(type: RouteType): boolean {
  return type === "blackhole" || type === "unreachable" || type === "prohibit" || type === "throw";
}

function noNexthops(nexthops: readonly NexthopSpec[]): readonly FibNexthop[] | string {
  const asked = nexthops.some(
    (nexthop) => nexthop.dev !== undefined || nexthop.gateway !== undefined,
  );
  return asked
    ? "Error: Gateway, device and multipath can not be specified for this route type."
    : [];
}

function createNexthops(
  ns: NetworkNamespace,
  tables: Fib,
  specs: readonly NexthopSpec[],
  table: number,
  scope: number,
): readonly FibNexthop[] | string {
  if (scope === RT_SCOPE_HOST) {
    const [only] = specs;
    if (specs.length > 1) return "Error: Route with host scope can not have multiple nexthops.";
    if (only?.gateway !== undefined) return "Error: Route with host scope can not have a gateway.";
    if (only?.dev === undefined) return "RTNETLINK answers: No such device";
    return [nexthop(only, only.dev, RT_SCOPE_NOWHERE)];
  }
  const made: FibNexthop[] = [];
  for (const spec of specs.length === 0 ? [{}] : specs) {
    const checked =
      spec.gateway === undefined
        ? checkOnLink(spec)
        : checkGateway(ns, tables, spec, spec.gateway, table, scope);
    if (typeof checked === "string") return checked;
    made.push(checked);
  }
  return made;
}

function nexthop(spec: NexthopSpec, dev: FibNexthop["dev"], scope: number): FibNexthop {
  return {
    dev,
    gateway: spec.gateway,
    weight: spec.weight ?? 1,
    onlink: spec.onlink ?? false,
    realms: spec.realms ?? 0,
    scope,
    dead: false,
  };
}

/** Mirrors fib_check_nh_nongw(). */
function checkOnLink(spec: NexthopSpec): FibNexthop | string {
  if (spec.onlink === true)
    return "Error: Invalid flags for nexthop - PERVASIVE and ONLINK can not be set.";
  if (spec.dev === undefined) return "RTNETLINK answers: No such device";
  if (!spec.dev.up) return "Error: Device for nexthop is not up.";
  return nexthop(spec, spec.dev, RT_SCOPE_HOST);
}

/** A gateway must be a neighbour of a device of ours, by a route of a nearer scope. Mirrors fib_check_nh_v4_gw(). */
function checkGateway(
  ns: NetworkNamespace,
  tables: Fib,
  spec: NexthopSpec,
  gateway: Ipv4,
  table: number,
  scope: number,
): FibNexthop | string {
  if (spec.onlink === true) {
    if (scope >= RT_SCOPE_LINK) return "Error: Nexthop has invalid scope.";
    if (spec.dev === undefined) return "Error: Nexthop device required for onlink.";
    if (!spec.dev.up) return "Error: Nexthop device is not up.";
    return addressTypeIn(tables, gateway) === "unicast"
      ? nexthop(spec, spec.dev, RT_SCOPE_LINK)
      : INVALID_GATEWAY;
  }
  const key: FlowKey = {
    destination: gateway,
    source: IPV4_ANY,
    tos: 0,
    mark: 0,
    iif: "lo",
    oif: spec.dev,
    scope: Math.max(scope + 1, RT_SCOPE_LINK),
    uid: 0,
    protocol: 0,
    sourcePort: 0,
    destinationPort: 0,
    ignoreLinkState: true,
  };
  let found: FibResult | undefined =
    table === RT_TABLE_MAIN ? undefined : tables.table(table)?.lookup(key);
  if (found?.kind !== "match") found = tables.lookup(key);
  if (found.kind !== "match" || (found.route.type !== "unicast" && found.route.type !== "local"))
    return INVALID_GATEWAY;
  const dev = found.route.nexthops[found.index]?.dev;
  if (dev === undefined || dev.ns !== ns) return "Error: No egress device for nexthop.";
  if (!dev.up) return "RTNETLINK answers: Network is down";
  return nexthop(spec, dev, found.route.scope);
}

const INVALID_GATEWAY = "Error: Nexthop has invalid gateway.";

/** The type of an address by the local table. Mirrors net/ipv4/fib_frontend.c:__inet_dev_addr_type() without a device. */
export function addressTypeIn(
  tables: Fib,
  address: Ipv4,
): "unicast" | "local" | "broadcast" | "multicast" {
  if (address === IPV4_ANY || address === IPV4_BROADCAST) return "broadcast";
  if (isIpv4Multicast(address)) return "multicast";
  const type = tables.table(RT_TABLE_LOCAL)?.typeOf(address)?.type;
  return type === "local" || type === "broadcast" || type === "multicast" ? type : "unicast";
}

/** Mirrors fib_valid_prefsrc(). */
function isValidSource(tables: Fib, spec: RouteSpec, type: RouteType, table: number): boolean {
  const source = spec.source ?? IPV4_ANY;
  if (type === "local" && spec.prefix.address !== IPV4_ANY && source === spec.prefix.address)
    return true;
  if (table !== RT_TABLE_MAIN && tables.table(table)?.typeOf(source)?.type === "local") return true;
  return addressTypeIn(tables, source) === "local";
}
