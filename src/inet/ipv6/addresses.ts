import type { NetDevice } from "../../core/device.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { Micros } from "../../sim/time.js";
import {
  type Ipv6,
  IPV6_LOOPBACK,
  ipv6MulticastScope,
  isIpv6LinkLocal,
  isIpv6Multicast,
} from "../../wire/ip.js";
import { bumpRouting } from "../generation.js";

/** How far an address reaches. RFC 4007; by the numbers of multicast scopes. */
export const IPV6_SCOPE_HOST = 1;
export const IPV6_SCOPE_LINK = 2;
export const IPV6_SCOPE_SITE = 5;
export const IPV6_SCOPE_GLOBAL = 14;

/** Undefined is for ever. */
export interface Lifetime {
  readonly valid: Micros | undefined;
  readonly preferred: Micros | undefined;
}

/** An address of a device. Mirrors struct inet6_ifaddr. */
export interface InterfaceAddress6 {
  readonly dev: NetDevice;
  readonly address: Ipv6;
  readonly length: number;
  readonly peer: Ipv6 | undefined;
  readonly scope: number;
  readonly noDad: boolean;
  readonly noPrefixRoute: boolean;
  /** Of its prefix route; undefined for the usual 256. */
  readonly metric: number | undefined;
  /** A router advertised its prefix: until when it may be used, and until when for something new. */
  lifetime?: Lifetime | undefined;
  /** Its preferred lifetime is over: others are chosen as source. */
  deprecated: boolean;
  /** Nobody knows yet whether another host has it: not used until then. */
  tentative: boolean;
  /** Another host has it: never used. */
  dadFailed: boolean;
}

/** The addresses of one namespace, by device. */
class Addresses6 {
  readonly byDevice = new Map<NetDevice, readonly InterfaceAddress6[]>();
  /** The devices that hold each address. */
  readonly holders = new Map<Ipv6, readonly InterfaceAddress6[]>();
  /** Networks that this host answers for as the router of, by device. Mirrors ac_list. */
  readonly anycast = new Map<NetDevice, readonly Ipv6[]>();
  readonly removalListeners: ((address: InterfaceAddress6) => void)[] = [];
}

const addressesIn: (ns: NetworkNamespace) => Addresses6 = perNamespace(() => new Addresses6());
const NONE: readonly InterfaceAddress6[] = [];

/** The addresses of a device in the order `ip -6 addr` shows them. */
export function addresses6Of(dev: NetDevice): readonly InterfaceAddress6[] {
  return addressesIn(dev.ns).byDevice.get(dev) ?? NONE;
}

/** For `addrconf.ts` alone. */
export function setAddresses6(dev: NetDevice, list: readonly InterfaceAddress6[]): void {
  const state = addressesIn(dev.ns);
  for (const gone of addresses6Of(dev)) {
    const rest = (state.holders.get(gone.address) ?? NONE).filter((other) => other !== gone);
    if (rest.length === 0) state.holders.delete(gone.address);
    else state.holders.set(gone.address, rest);
  }
  for (const address of list)
    state.holders.set(address.address, [...(state.holders.get(address.address) ?? NONE), address]);
  const before = addresses6Of(dev);
  state.byDevice.set(dev, list);
  dev.addressesChanged();
  bumpRouting(dev.ns);
  for (const gone of before)
    if (!list.some(({ address }) => address === gone.address))
      for (const listener of state.removalListeners) listener(gone);
}

/** Calls `listener` when a device has lost an address. Mirrors NETDEV_DOWN of register_inet6addr_notifier(). */
export function onAddress6Removed(
  ns: NetworkNamespace,
  listener: (address: InterfaceAddress6) => void,
): void {
  addressesIn(ns).removalListeners.push(listener);
}

/** The address as a device holds it, whatever its state. Mirrors ipv6_get_ifaddr(). */
export function addressOn(dev: NetDevice, address: Ipv6): InterfaceAddress6 | undefined {
  return addressesIn(dev.ns)
    .holders.get(address)
    ?.find((holder) => holder.dev === dev);
}

/**
 * Whether the namespace (or one device of it) has the address and may use it; `tentativeToo` counts one that is still being
 * asked about. Mirrors net/ipv6/addrconf.c:ipv6_chk_addr_and_flags().
 */
export function isOwnAddress6(
  ns: NetworkNamespace,
  address: Ipv6,
  dev?: NetDevice,
  tentativeToo = false,
): boolean {
  return (addressesIn(ns).holders.get(address) ?? NONE).some(
    (holder) => (dev === undefined || holder.dev === dev) && (tentativeToo || isUsable(holder)),
  );
}

export function isUsable(address: InterfaceAddress6): boolean {
  return !address.tentative && !address.dadFailed;
}

/** The device's own link-local address. Mirrors ipv6_get_lladdr(). */
export function linkLocalAddress(dev: NetDevice): Ipv6 | undefined {
  return addresses6Of(dev).find(
    (candidate) => candidate.scope === IPV6_SCOPE_LINK && isUsable(candidate),
  )?.address;
}

export function anycastOf(dev: NetDevice): readonly Ipv6[] {
  return addressesIn(dev.ns).anycast.get(dev) ?? [];
}

/** For `addrconf.ts` alone. */
export function setAnycast(dev: NetDevice, list: readonly Ipv6[]): void {
  addressesIn(dev.ns).anycast.set(dev, list);
}

/** Forgets a device that is gone. */
export function forgetAddresses6(dev: NetDevice): void {
  setAddresses6(dev, NONE);
  addressesIn(dev.ns).byDevice.delete(dev);
  addressesIn(dev.ns).anycast.delete(dev);
}

/** Mirrors __ipv6_addr_type() and ipv6_addr_src_scope(). */
export function scopeOf(address: Ipv6): number {
  if (isIpv6Multicast(address)) return ipv6MulticastScope(address);
  if (isIpv6LinkLocal(address)) return IPV6_SCOPE_LINK;
  if (address === IPV6_LOOPBACK) return IPV6_SCOPE_HOST;
  return address >> 118n === 0x3fbn ? IPV6_SCOPE_SITE : IPV6_SCOPE_GLOBAL;
}
