import type { NetDevice } from "../core/device.js";
import { type DeviceNotice, type NetworkNamespace, perNamespace } from "../core/namespace.js";
import {
  IPV4_ANY,
  IPV4_BROADCAST,
  IPV4_LOOPBACK,
  type Ipv4,
  broadcastOf,
  isIpv4Loopback,
  maskIpv4,
} from "../wire/ip.js";
import { confOr } from "./devconf.js";
import { fib } from "./fib.js";
import {
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTPROT_KERNEL,
} from "./fib-types.js";
import { bumpRouting } from "./generation.js";

/** An address as it is asked for. `scope` is host for 127/8 and global otherwise, unless given. */
export interface AddressSpec {
  readonly address: Ipv4;
  readonly length: number;
  readonly peer?: Ipv4 | undefined;
  readonly broadcast?: Ipv4 | undefined;
  readonly scope?: number | undefined;
  readonly noPrefixRoute?: boolean | undefined;
}

/** An address of a device. Mirrors struct in_ifaddr. */
export interface InterfaceAddress {
  readonly dev: NetDevice;
  /** Our own address (ifa_local). */
  readonly local: Ipv4;
  /** The peer's address on a point-to-point link, else the own one (ifa_address). */
  readonly peer: Ipv4;
  readonly length: number;
  readonly broadcast: Ipv4 | undefined;
  readonly scope: number;
  readonly noPrefixRoute: boolean;
  /** An earlier address of the device is in the same subnet. */
  secondary: boolean;
}

/** The addresses of every device of one namespace. */
class Addresses {
  /** By ifindex; primaries of wide scope last, secondaries at the end. */
  readonly lists: (readonly InterfaceAddress[] | undefined)[] = [];
  /** How many devices hold each address. */
  readonly holders = new Map<number, number>();
  readonly removalListeners: ((address: InterfaceAddress) => void)[] = [];
}

const addressesIn: (ns: NetworkNamespace) => Addresses = perNamespace(() => new Addresses());
const NONE: readonly InterfaceAddress[] = [];

/** The addresses of a device in the order `ip addr` shows them. */
export function addressesOf(dev: NetDevice): readonly InterfaceAddress[] {
  return addressesIn(dev.ns).lists[dev.ifindex] ?? NONE;
}

/** Whether the namespace holds the address on any device, up or not. Mirrors net/ipv4/devinet.c:inet_lookup_ifaddr_rcu(). */
export function holdsAddress(ns: NetworkNamespace, address: Ipv4): boolean {
  return addressesIn(ns).holders.has(address);
}

/** Calls `listener` when a device has lost an address. Mirrors NETDEV_DOWN of register_inetaddr_notifier(). */
export function onAddressRemoved(
  ns: NetworkNamespace,
  listener: (address: InterfaceAddress) => void,
): void {
  addressesIn(ns).removalListeners.push(listener);
}

/** Gives a device an address and makes its routes; a refusal comes back in the words of `ip addr`. Mirrors __inet_insert_ifa(). */
export function addAddress(dev: NetDevice, spec: AddressSpec): string | undefined {
  const list = addressesOf(dev);
  const peer = spec.peer ?? spec.address;
  const scope = spec.scope ?? (isIpv4Loopback(spec.address) ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE);
  const subnet = list.filter((other) => sameSubnet(other, peer, spec.length));
  if (subnet.some((other) => other.local === spec.address))
    return "Error: ipv4: Address already assigned.";
  if (subnet.some((other) => other.scope !== scope)) return "Error: ipv4: Invalid scope value.";
  const refused = dev.addressRefusal(spec.address);
  if (refused !== undefined) return refused;
  const added: InterfaceAddress = {
    dev,
    local: spec.address,
    peer,
    length: spec.length,
    broadcast: spec.broadcast,
    scope,
    noPrefixRoute: spec.noPrefixRoute ?? false,
    secondary: subnet.length > 0,
  };
  setList(dev, insertInOrder(list, added));
  addRoutes(added);
  return undefined;
}

/** Takes an address away, and with a primary one its secondaries unless they are promoted. Mirrors __inet_del_ifa(). */
export function removeAddress(
  dev: NetDevice,
  spec: Pick<AddressSpec, "address" | "length" | "peer">,
): string | undefined {
  const found = addressesOf(dev).find(
    (other) =>
      other.local === spec.address &&
      other.length === spec.length &&
      (spec.peer === undefined || spec.peer === other.peer),
  );
  if (found === undefined) return "Error: ipv4: Address not found.";
  const siblings = found.secondary
    ? []
    : addressesOf(dev).filter(
        (other) => other.secondary && sameSubnet(other, found.peer, found.length),
      );
  const promoted = confOr(dev, "promote_secondaries") ? siblings[0] : undefined;
  for (const sibling of siblings) {
    if (promoted === undefined) forget(sibling);
    removeRoutes(sibling, found);
  }
  forget(found);
  removeRoutes(found, found);
  if (promoted !== undefined) {
    promoted.secondary = false;
    const rest = addressesOf(dev).filter((other) => other !== promoted);
    setList(dev, insertInOrder(rest, promoted));
    for (const sibling of siblings) addRoutes(sibling);
  }
  // Without an address IP is off on the device: routes over it go too. Mirrors fib_disable_ip().
  if (addressesOf(dev).length === 0) fib(dev.ns).syncDown(dev, true);
  return undefined;
}

/** Keeps addresses and their routes in step with the devices. Mirrors inetdev_event() and fib_netdev_event(). */
export function followDevice(notice: DeviceNotice, dev: NetDevice): void {
  if (notice === "up") {
    if (dev.isLoopback && addressesOf(dev).length === 0)
      addAddress(dev, { address: IPV4_LOOPBACK, length: 8, scope: RT_SCOPE_HOST });
    for (const address of addressesOf(dev)) addRoutes(address);
    fib(dev.ns).syncUp(dev);
  } else if (notice === "down") {
    fib(dev.ns).syncDown(dev, false);
  } else if (notice === "unregister") {
    for (const address of addressesOf(dev)) forget(address);
    fib(dev.ns).syncDown(dev, true);
  }
  bumpRouting(dev.ns);
}

function sameSubnet(other: InterfaceAddress, peer: Ipv4, length: number): boolean {
  return other.length === length && maskIpv4(other.peer, length) === maskIpv4(peer, length);
}

/** A primary goes behind the last primary of its own or a nearer scope, a secondary to the end. */
function insertInOrder(
  list: readonly InterfaceAddress[],
  added: InterfaceAddress,
): readonly InterfaceAddress[] {
  if (added.secondary) return [...list, added];
  const at = list.findLastIndex((other) => !other.secondary && added.scope <= other.scope) + 1;
  return list.toSpliced(at, 0, added);
}

function setList(dev: NetDevice, list: readonly InterfaceAddress[]): void {
  const state = addressesIn(dev.ns);
  for (const { local } of addressesOf(dev)) count(state, local, -1);
  for (const { local } of list) count(state, local, 1);
  state.lists[dev.ifindex] = list;
  dev.addressesChanged();
  bumpRouting(dev.ns);
}

function count(state: Addresses, address: Ipv4, change: number): void {
  const holders = (state.holders.get(address) ?? 0) + change;
  if (holders === 0) state.holders.delete(address);
  else state.holders.set(address, holders);
}

function forget(address: InterfaceAddress): void {
  setList(
    address.dev,
    addressesOf(address.dev).filter((other) => other !== address),
  );
  for (const listener of addressesIn(address.dev.ns).removalListeners) listener(address);
}

/** The routes of an address, all but the local one only while its device is up. Mirrors net/ipv4/fib_frontend.c:fib_add_ifaddr(). */
function addRoutes(address: InterfaceAddress): void {
  const { dev, local, peer, length } = address;
  const primary = primaryOf(address);
  kernelRoute("local", local, 32, primary);
  if (!dev.up) return;
  if (
    address.broadcast !== undefined &&
    address.broadcast !== IPV4_BROADCAST &&
    address.broadcast !== IPV4_ANY
  ) {
    kernelRoute("broadcast", address.broadcast, 32, primary);
  }
  const network = maskIpv4(peer, length);
  if (network === IPV4_ANY || address.secondary || (network === local && length === 32)) return;
  if (!address.noPrefixRoute)
    kernelRoute(dev.isLoopback ? "local" : "unicast", network, length, primary);
  if (length < 31) kernelRoute("broadcast", broadcastOf({ address: network, length }), 32, primary);
}

/** Takes the routes of an address away that no other address of the device needs. Mirrors fib_del_ifaddr(). */
function removeRoutes(address: InterfaceAddress, primary: InterfaceAddress): void {
  const { dev, local, peer, length } = address;
  const others = addressesOf(dev).filter((other) => other !== address);
  const network = maskIpv4(peer, length);
  const remove = (
    type: "local" | "unicast" | "broadcast",
    destination: Ipv4,
    bits: number,
  ): void => {
    const table = type === "unicast" ? RT_TABLE_MAIN : RT_TABLE_LOCAL;
    const selector = {
      prefix: { address: destination, length: bits },
      table,
      type,
      source: primary.local,
      protocol: RTPROT_KERNEL,
    };
    fib(dev.ns).remove({ ...selector, nexthops: [{ dev }] });
  };
  if (!address.secondary) {
    remove(dev.isLoopback ? "local" : "unicast", network, length);
    if (length < 31) remove("broadcast", broadcastOf({ address: network, length }), 32);
  }
  if (
    address.broadcast !== undefined &&
    !others.some((other) => broadcastsOf(other).includes(address.broadcast ?? IPV4_ANY))
  ) {
    remove("broadcast", address.broadcast, 32);
  }
  if (others.some((other) => other.local === local)) return;
  remove("local", local, 32);
  if (!holdsAddress(dev.ns, local)) fib(dev.ns).syncDownAddress(local);
}

function broadcastsOf(address: InterfaceAddress): readonly Ipv4[] {
  const directed =
    address.length < 31 ? [broadcastOf({ address: address.peer, length: address.length })] : [];
  return address.broadcast === undefined ? directed : [...directed, address.broadcast];
}

function primaryOf(address: InterfaceAddress): InterfaceAddress {
  if (!address.secondary) return address;
  return (
    addressesOf(address.dev).find(
      (other) => !other.secondary && sameSubnet(other, address.peer, address.length),
    ) ?? address
  );
}

/** Mirrors fib_magic(): an equal route is left as it is. */
function kernelRoute(
  type: "local" | "unicast" | "broadcast",
  destination: Ipv4,
  length: number,
  primary: InterfaceAddress,
): void {
  const { dev } = primary;
  fib(dev.ns).add(
    {
      type,
      prefix: { address: destination, length },
      table: type === "unicast" ? RT_TABLE_MAIN : RT_TABLE_LOCAL,
      scope: type === "local" ? RT_SCOPE_HOST : RT_SCOPE_LINK,
      protocol: RTPROT_KERNEL,
      source: primary.local,
      nexthops: [{ dev }],
    },
    "append",
  );
}
