import type { NetDevice } from "../../core/device.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import { type Ipv6, IPV6_ANY, isIpv6LinkLocal, isIpv6Multicast, maskIpv6 } from "../../wire/ip.js";
import { RT_TABLE_LOCAL, RT_TABLE_MAIN, RTPROT_BOOT } from "../fib-types.js";
import { isOwnAddress6 } from "./addresses.js";
import { hasIpv6 } from "./devconf.js";
import type { Fib6 } from "./fib.js";
import {
  type Fib6Nexthop,
  type Fib6Route,
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
  const nexthops = REFUSING.has(type)
    ? [{ dev: ns.device("lo"), gateway: undefined, weight: 1, onlink: false }]
    : createNexthops(ns, fib, spec.nexthops ?? []);
  if (typeof nexthops === "string") return nexthops;
  if (spec.source !== undefined && !isOwnAddress6(ns, spec.source))
    return "Error: Invalid source address.";
  return {
    table: spec.table ?? (type === "local" || type === "anycast" ? RT_TABLE_LOCAL : RT_TABLE_MAIN),
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
  specs: readonly Nexthop6Spec[],
): readonly Fib6Nexthop[] | string {
  if (specs.length === 0) return "RTNETLINK answers: No such device";
  const nexthops: Fib6Nexthop[] = [];
  for (const spec of specs) {
    const nexthop = createNexthop(ns, fib, spec);
    if (typeof nexthop === "string") return nexthop;
    nexthops.push(nexthop);
  }
  return nexthops;
}

/** Mirrors net/ipv6/route.c:fib6_nh_init(). */
function createNexthop(ns: NetworkNamespace, fib: Fib6, spec: Nexthop6Spec): Fib6Nexthop | string {
  const { gateway, weight = 1, onlink = false } = spec;
  const dev =
    gateway === undefined ? spec.dev : deviceOfGateway(ns, fib, gateway, spec.dev, onlink);
  if (typeof dev === "string") return dev;
  if (dev === undefined) return "RTNETLINK answers: No such device";
  if (!hasIpv6(dev)) return "Error: IPv6 is disabled on nexthop device.";
  if (!dev.up) return "Error: Nexthop device is not up.";
  return { dev, gateway, weight, onlink };
}

/** The device a gateway is on. Mirrors net/ipv6/route.c:ip6_validate_gw() and ip6_route_check_nh(). */
function deviceOfGateway(
  ns: NetworkNamespace,
  fib: Fib6,
  gateway: Ipv6,
  dev: NetDevice | undefined,
  onlink: boolean,
): NetDevice | string | undefined {
  if (isOwnAddress6(ns, gateway, isIpv6LinkLocal(gateway) ? dev : undefined))
    return "Error: Gateway can not be a local address.";
  if (isIpv6Multicast(gateway) || gateway === IPV6_ANY) return "Error: Invalid gateway address.";
  if (isIpv6LinkLocal(gateway)) return dev ?? "Error: Egress device not specified.";
  if (onlink) return dev ?? "Error: Egress device not specified.";
  const found = fib.lookup({
    destination: gateway,
    source: IPV6_ANY,
    tos: 0,
    mark: 0,
    iif: "lo",
    oif: dev,
    ruleOif: dev,
    strict: dev !== undefined,
    uid: 0,
    protocol: 0,
    sourcePort: 0,
    destinationPort: 0,
  });
  if (found.kind === "miss") return "RTNETLINK answers: No route to host";
  const [way] = found.route.nexthops;
  const onLink = way !== undefined && way.gateway === undefined && found.route.type === "unicast";
  // A route by lo refuses: nobody is there.
  const fits = onLink && !way.dev.isLoopback && (dev === undefined || way.dev === dev);
  return fits ? way.dev : "RTNETLINK answers: No route to host";
}
