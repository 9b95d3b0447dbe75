import type { NetDevice } from "../core/device.js";
import type { Route } from "../core/route.js";
import { IPV4_ANY, type Ipv4, prefixContains } from "../wire/ip.js";
import { addressesOf, type InterfaceAddress } from "./addresses.js";
import { confMax, confOr } from "./devconf.js";
import { RT_SCOPE_HOST, RT_SCOPE_LINK } from "./fib-types.js";
import { isRoute, routeOutput } from "./route.js";

/** Whether `arp_ignore` forbids to answer for an address of ours. Mirrors net/ipv4/arp.c:arp_ignore(). */
export function arpIgnores(dev: NetDevice, sender: Ipv4, target: Ipv4): boolean {
  switch (confMax(dev, "arp_ignore")) {
    case 1:
      return !isConfirmed(addressesOf(dev), IPV4_ANY, target, RT_SCOPE_HOST);
    case 2:
      return !isConfirmed(addressesOf(dev), sender, target, RT_SCOPE_HOST);
    case 3:
      return ![...dev.ns.devices.values()].some((other) =>
        isConfirmed(addressesOf(other), IPV4_ANY, target, RT_SCOPE_LINK),
      );
    case 8:
      return true;
    default:
      return false;
  }
}

/** Whether `arp_filter` forbids it: the way to the asker leads through another device. Mirrors net/ipv4/arp.c:arp_filter(). */
export function arpFilterRefuses(dev: NetDevice, sender: Ipv4, target: Ipv4): boolean {
  const route = routeOutput(dev.ns, { destination: sender, source: target, mark: 0, tos: 0 });
  return !isRoute(route) || route.dev !== dev;
}

/** Whether we answer for an address behind us. Mirrors net/ipv4/arp.c:arp_fwd_proxy() and arp_fwd_pvlan(). */
export function isProxiedByRoute(dev: NetDevice, route: Pick<Route, "dev">): boolean {
  if (route.dev === dev) return confOr(dev, "proxy_arp_pvlan");
  return confOr(dev, "proxy_arp");
}

/** Mirrors net/ipv4/devinet.c:confirm_addr_indev(). */
function isConfirmed(
  addresses: readonly InterfaceAddress[],
  sender: Ipv4,
  target: Ipv4,
  scope: number,
): boolean {
  if (
    !addresses.some(
      ({ local, scope: own }) => local === target && Math.max(own, RT_SCOPE_LINK) <= scope,
    )
  )
    return false;
  return addresses.some(({ peer, length }) => {
    const prefix = { address: peer, length };
    return (
      prefixContains(prefix, target) && (sender === IPV4_ANY || prefixContains(prefix, sender))
    );
  });
}
