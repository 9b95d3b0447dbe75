import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { RouteType } from "../core/route.js";
import {
  IPV4_ANY,
  IPV4_BROADCAST,
  type Ipv4,
  isIpv4Multicast,
  prefixContains,
} from "../wire/ip.js";
import { addressesOf } from "./addresses.js";
import { confOr } from "./devconf.js";
import { fib } from "./fib.js";
import { RT_SCOPE_HOST, RT_SCOPE_LINK, RT_TABLE_LOCAL } from "./fib-types.js";

/** Types of addresses as `-m addrtype` names them. */
export type InetAddressType =
  | "UNICAST"
  | "LOCAL"
  | "BROADCAST"
  | "MULTICAST"
  | "BLACKHOLE"
  | "UNREACHABLE"
  | "PROHIBIT"
  | "THROW";

const NAMES: Record<RouteType, InetAddressType> = {
  unicast: "UNICAST",
  local: "LOCAL",
  broadcast: "BROADCAST",
  multicast: "MULTICAST",
  blackhole: "BLACKHOLE",
  unreachable: "UNREACHABLE",
  prohibit: "PROHIBIT",
  throw: "THROW",
};

/**
 * What kind an address is, by the local table; with `dev` only that device's entries count.
 * Mirrors net/ipv4/fib_frontend.c:inet_addr_type_dev_table().
 */
export function inetAddrType(
  ns: NetworkNamespace,
  address: Ipv4,
  dev?: NetDevice,
): InetAddressType {
  if (address === IPV4_ANY || address === IPV4_BROADCAST) return "BROADCAST";
  if (isIpv4Multicast(address)) return "MULTICAST";
  const route = fib(ns).table(RT_TABLE_LOCAL)?.typeOf(address);
  if (route === undefined || (dev !== undefined && route.nexthops[0]?.dev !== dev))
    return "UNICAST";
  return NAMES[route.type];
}

/**
 * The address a packet gets that leaves by `dev`: a primary one whose subnet holds `destination` (0.0.0.0 for any), else the
 * first of fitting scope, else one of another device; 0.0.0.0 when there is none. Mirrors net/ipv4/devinet.c:inet_select_addr().
 */
export function selectSource(dev: NetDevice, destination: Ipv4, scope: number): Ipv4 {
  const localnetScope = confOr(dev, "route_localnet") ? RT_SCOPE_LINK : RT_SCOPE_HOST;
  let first = IPV4_ANY;
  for (const address of addressesOf(dev)) {
    if (address.secondary || Math.min(address.scope, localnetScope) > scope) continue;
    if (
      destination === IPV4_ANY ||
      prefixContains({ address: address.peer, length: address.length }, destination)
    )
      return address.local;
    if (first === IPV4_ANY) first = address.local;
  }
  return first === IPV4_ANY ? sourceOfOthers(dev.ns, scope) : first;
}

/** Addresses of scope link are not lent to other devices. Mirrors in_dev_select_addr(). */
function sourceOfOthers(ns: NetworkNamespace, scope: number): Ipv4 {
  for (const dev of ns.devices.values()) {
    for (const address of addressesOf(dev)) {
      if (!address.secondary && address.scope !== RT_SCOPE_LINK && address.scope <= scope)
        return address.local;
    }
  }
  return IPV4_ANY;
}
