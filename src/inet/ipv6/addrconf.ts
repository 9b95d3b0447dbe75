import type { NetDevice } from "../../core/device.js";
import type { DeviceNotice } from "../../core/namespace.js";
import { later, type Micros, microseconds, seconds } from "../../sim/time.js";
import {
  IPV6_ALL_NODES,
  IPV6_ALL_ROUTERS,
  IPV6_ANY,
  IPV6_LOOPBACK,
  type Ipv6,
  isIpv6Multicast,
  linkLocalOf,
  maskIpv6,
  solicitedNode,
} from "../../wire/ip.js";
import { bumpRouting } from "../generation.js";
import { RT_TABLE_LOCAL, RT_TABLE_MAIN, RTPROT_KERNEL } from "../fib-types.js";
import {
  addressOn,
  addresses6Of,
  anycastOf,
  forgetAddresses6,
  type InterfaceAddress6,
  IPV6_SCOPE_HOST,
  IPV6_SCOPE_LINK,
  scopeOf,
  setAddresses6,
  setAnycast,
} from "./addresses.js";
import { beginDad, endDad } from "./dad.js";
import { devConf6, devConfs6, hasIpv6 } from "./devconf.js";
import { fib6 } from "./fib.js";
import { type Fib6Route, IP6_RT_PRIO_ADDRCONF, type Route6Type } from "./fib-types.js";
import { joinGroup, leaveAll, leaveGroup, reportAll } from "./multicast.js";
import { solicitRouters } from "./router-solicitation.js";

/** An address as it is asked for. */
export interface Address6Spec {
  readonly address: Ipv6;
  readonly length: number;
  readonly peer?: Ipv6 | undefined;
  readonly noDad?: boolean | undefined;
  readonly noPrefixRoute?: boolean | undefined;
  readonly deprecated?: boolean | undefined;
  readonly metric?: number | undefined;
}

const LINK_LOCAL_PREFIX = (0xfe80n << 112n) as Ipv6;
const MULTICAST_PREFIX = (0xffn << 120n) as Ipv6;
const INTERFACE_LOCAL_NODES = ((0xff01n << 112n) | 1n) as Ipv6;
/** ff01::2 and ff05::2. */
const ROUTER_GROUPS: readonly Ipv6[] = [
  IPV6_ALL_ROUTERS,
  ((0xff01n << 112n) | 2n) as Ipv6,
  ((0xff05n << 112n) | 2n) as Ipv6,
];

/** Gives a device an address; a refusal comes back in the words of `ip -6 addr`. Mirrors net/ipv6/addrconf.c:inet6_addr_add(). */
export function addAddress6(dev: NetDevice, spec: Address6Spec): string | undefined {
  const { address, length } = spec;
  if (!hasIpv6(dev)) return "Error: ipv6: IPv6 is disabled on this device.";
  if (address === IPV6_ANY) return "Error: ipv6: Invalid address.";
  if (isIpv6Multicast(address))
    return 'Error: ipv6: Cannot assign multicast address without "IFA_F_MCAUTOJOIN" flag.';
  if (address === IPV6_LOOPBACK && !dev.isLoopback)
    return "Error: ipv6: Cannot assign loopback address on this device.";
  const refused = dev.addressRefusal(address);
  if (refused !== undefined) return refused;
  if (addressOn(dev, address) !== undefined) return "Error: ipv6: address already assigned.";
  const added: InterfaceAddress6 = {
    dev,
    address,
    length,
    peer: spec.peer,
    scope: scopeOf(address),
    noDad: spec.noDad ?? false,
    noPrefixRoute: spec.noPrefixRoute ?? false,
    metric: spec.metric,
    deprecated: spec.deprecated ?? false,
    tentative: true,
    dadFailed: false,
  };
  setAddresses6(dev, insertInOrder(addresses6Of(dev), added));
  if (!added.noPrefixRoute && dev.up) addPrefixRoutes(added);
  startAddress(added);
  return undefined;
}

/** What a router said of one address; both lifetimes in seconds. */
interface Advertised {
  readonly address: Ipv6;
  readonly valid: number;
  readonly preferred: number;
}

const INFINITE = 0xffff_ffff;
/** No router shortens a lifetime below two hours at once. RFC 4862 §5.5.3 (e). */
const MIN_VALID_LIFETIME = 2 * 3600;

/** An address of a prefix that a router advertises: made, or its lifetimes set anew. Mirrors addrconf_prefix_rcv_add_addr(). */
export function takeAdvertised(dev: NetDevice, { address, valid, preferred }: Advertised): void {
  const { now } = dev.ns.sim.queue;
  let found = addressOn(dev, address);
  let whole = valid;
  if (found === undefined) {
    const most = devConf6(dev).max_addresses;
    if (valid === 0 || (most > 0 && addresses6Of(dev).length >= most)) return;
    found = {
      dev,
      address,
      length: 64,
      peer: undefined,
      scope: scopeOf(address),
      noDad: false,
      noPrefixRoute: true,
      metric: undefined,
      lifetime: { valid: undefined, preferred: undefined },
      deprecated: false,
      tentative: true,
      dadFailed: false,
    };
    setAddresses6(dev, insertInOrder(addresses6Of(dev), found));
    startAddress(found);
  } else {
    // What was given by hand lives for ever.
    const until = found.lifetime?.valid;
    const left = until === undefined ? INFINITE : Math.floor((until - now) / 1_000_000);
    whole = Math.max(valid, Math.min(left, MIN_VALID_LIFETIME));
  }
  const end = (length: number): Micros | undefined =>
    length === INFINITE ? undefined : later(now, seconds(length));
  found.lifetime = { valid: end(whole), preferred: end(preferred) };
  found.deprecated = preferred === 0;
  watchLifetime(found);
}

/** Deprecated, and then gone, when its time is over. Mirrors addrconf_verify_rtnl(). */
function watchLifetime(address: InterfaceAddress6): void {
  const { lifetime, dev } = address;
  const { queue } = dev.ns.sim;
  const next = address.deprecated ? lifetime?.valid : (lifetime?.preferred ?? lifetime?.valid);
  if (next === undefined) return;
  queue.after(microseconds(Math.max(next - queue.now, 0)), "address lifetime", () => {
    if (address.lifetime !== lifetime || !addresses6Of(dev).includes(address)) return;
    if (lifetime?.valid !== undefined && lifetime.valid <= queue.now) return drop(address);
    address.deprecated = true;
    bumpRouting(dev.ns);
    watchLifetime(address);
  });
}

/** `ip -6 addr replace`: an address that is there gets other lifetimes and flags. Mirrors inet6_addr_modify(). */
export function changeAddress6(dev: NetDevice, spec: Address6Spec): string | undefined {
  const found = addressOn(dev, spec.address);
  if (found === undefined) return addAddress6(dev, spec);
  const changed: InterfaceAddress6 = {
    ...found,
    noDad: spec.noDad ?? false,
    deprecated: spec.deprecated ?? false,
  };
  setAddresses6(
    dev,
    addresses6Of(dev).map((other) => (other === found ? changed : other)),
  );
  return undefined;
}

/** Of addresses with the same scope the newest comes first. Mirrors ipv6_link_dev_addr(). */
function insertInOrder(
  list: readonly InterfaceAddress6[],
  added: InterfaceAddress6,
): readonly InterfaceAddress6[] {
  const at = list.findIndex((other) => other.scope <= added.scope);
  return list.toSpliced(at < 0 ? list.length : at, 0, added);
}

/** Mirrors net/ipv6/addrconf.c:inet6_addr_del(). */
export function removeAddress6(
  dev: NetDevice,
  { address, length }: Pick<Address6Spec, "address" | "length">,
): string | undefined {
  const found = addresses6Of(dev).find(
    (other) => other.address === address && other.length === length,
  );
  if (found === undefined) return "Error: ipv6: address not found.";
  removeRoutes(found);
  drop(found);
  return undefined;
}

function drop(gone: InterfaceAddress6): void {
  const { dev } = gone;
  endDad(gone);
  setAddresses6(
    dev,
    addresses6Of(dev).filter((other) => other !== gone),
  );
  leaveAnycast(gone);
  leaveGroup(dev, solicitedNode(gone.address));
  fib6(dev.ns).forgetSource(gone.address);
}

/** Keeps addresses, groups and routes in step with the devices. Mirrors net/ipv6/addrconf.c:addrconf_notify(). */
export function followDevice6(notice: DeviceNotice, dev: NetDevice): void {
  switch (notice) {
    case "register":
      devConfs6(dev.ns).of(dev);
      return;
    case "up":
      if (hasIpv6(dev)) bringUp(dev);
      return;
    case "carrier":
      if (dev.up && dev.carrier && hasIpv6(dev)) bringUp(dev);
      return;
    case "down":
      takeDown(dev, false);
      return;
    case "unregister":
      takeDown(dev, true);
      forgetAddresses6(dev);
      devConfs6(dev.ns).forget(dev);
      return;
    case "mtu":
      devConf6(dev).mtu = dev.mtu;
      return;
    case "address":
  }
}

/** `disable_ipv6` and `forwarding` act at once. Mirrors dev_disable_change() and dev_forward_change(). */
export function followKnob6(dev: NetDevice, name: string): void {
  if (name === "disable_ipv6") {
    if (!hasIpv6(dev)) takeDown(dev, true);
    else if (dev.up) bringUp(dev);
  } else if (name === "forwarding" && hasIpv6(dev)) {
    const forwards = devConf6(dev).forwarding !== 0;
    if (forwards) forgetRouters(dev);
    if (dev.up && !dev.isLoopback)
      for (const group of ROUTER_GROUPS)
        if (forwards) joinGroup(dev, group);
        else leaveGroup(dev, group);
    for (const address of addresses6Of(dev))
      if (forwards) joinAnycast(address);
      else leaveAnycast(address);
  }
}

/** A host that begins to forward forgets the routers it heard of. Mirrors rt6_purge_dflt_routers(). */
function forgetRouters({ ns }: NetDevice): void {
  for (const route of fib6(ns).table(RT_TABLE_MAIN)?.at({ address: IPV6_ANY, length: 0 }) ?? []) {
    const dev = route.nexthops[0]?.dev;
    if (route.learned === true && dev !== undefined && devConf6(dev).accept_ra !== 2)
      fib6(ns).discard(route);
  }
}

/** Both ends of the link are there. */
function isReady(dev: NetDevice): boolean {
  return dev.up && dev.carrier;
}

/** Routes and groups of a device that came up; with a carrier also its link-local address. */
function bringUp(dev: NetDevice): void {
  if (dev.isLoopback) {
    if (addressOn(dev, IPV6_LOOPBACK) === undefined)
      addAddress6(dev, { address: IPV6_LOOPBACK, length: 128 });
    return;
  }
  if (!isReady(dev)) return;
  const fresh = !isStarted(dev);
  if (fresh) {
    leaveAll(dev);
    joinGroup(dev, INTERFACE_LOCAL_NODES);
    joinGroup(dev, IPV6_ALL_NODES);
    if (devConf6(dev).forwarding !== 0) for (const group of ROUTER_GROUPS) joinGroup(dev, group);
    addMulticastRoute(dev);
  }
  if (devConf6(dev).addr_gen_mode === 0) addLinkLocal(dev);
  for (const address of addresses6Of(dev)) {
    if (address.scope === IPV6_SCOPE_LINK || !fresh) continue;
    if (!address.noPrefixRoute) addPrefixRoutes(address);
    if (address.tentative) startAddress(address);
    else {
      joinGroup(dev, solicitedNode(address.address));
      addLocalRoute(address);
      joinAnycast(address);
    }
  }
}

function isStarted(dev: NetDevice): boolean {
  return (
    fib6(dev.ns)
      .table(RT_TABLE_LOCAL)
      ?.at({ address: MULTICAST_PREFIX, length: 8 })
      .some((route) => route.nexthops[0]?.dev === dev) === true
  );
}

/** Mirrors addrconf_addr_gen() and addrconf_add_linklocal(). */
function addLinkLocal(dev: NetDevice): void {
  if (addresses6Of(dev).some(({ scope }) => scope === IPV6_SCOPE_LINK)) return;
  addAddress6(dev, { address: linkLocalOf(dev.mac, dev.devId), length: 64 });
}

/** Joins the group of the address's neighbours and asks whether it is free. Mirrors addrconf_dad_start() and addrconf_dad_begin(). */
function startAddress(address: InterfaceAddress6): void {
  const { dev } = address;
  if (!dev.isLoopback && isReady(dev)) joinGroup(dev, solicitedNode(address.address));
  beginDad(address, () => {
    addLocalRoute(address);
    joinAnycast(address);
    if (address.scope !== IPV6_SCOPE_LINK) return;
    reportAll(dev);
    solicitRouters(dev);
  });
}

/** Mirrors addrconf_ifdown(): global addresses go unless `keep_addr_on_down` says otherwise. */
function takeDown(dev: NetDevice, forGood: boolean): void {
  const keeps = !forGood && keepsAddresses(dev);
  for (const address of addresses6Of(dev)) {
    endDad(address);
    leaveAnycast(address);
    if (keeps && isKept(address)) continue;
    fib6(dev.ns).forgetSource(address.address);
  }
  setAddresses6(dev, keeps ? addresses6Of(dev).filter(isKept) : []);
  leaveAll(dev);
  fib6(dev.ns).syncDown(dev);
}

/** What was given by hand, and is not link-local. */
function isKept({ scope, lifetime }: InterfaceAddress6): boolean {
  return scope !== IPV6_SCOPE_LINK && lifetime === undefined;
}

function keepsAddresses(dev: NetDevice): boolean {
  const { all } = devConfs6(dev.ns);
  const own = devConf6(dev).keep_addr_on_down;
  return all.keep_addr_on_down > 0 || (all.keep_addr_on_down === 0 && own > 0);
}

function kernelRoute(
  dev: NetDevice,
  table: number,
  type: Route6Type,
  [address, length]: readonly [Ipv6, number],
  metric: number,
): Fib6Route {
  return {
    table,
    prefix: { address: maskIpv6(address, length), length },
    type,
    metric,
    protocol: RTPROT_KERNEL,
    source: undefined,
    mtu: undefined,
    advmss: undefined,
    hopLimit: undefined,
    pref: "medium",
    nexthops: [{ dev, gateway: undefined, weight: 1, onlink: false }],
  };
}

/** A route that is there already stays as it is. */
function put(route: Fib6Route, dev: NetDevice): void {
  fib6(dev.ns).insert(route, "append");
}

function addMulticastRoute(dev: NetDevice): void {
  put(
    kernelRoute(dev, RT_TABLE_LOCAL, "multicast", [MULTICAST_PREFIX, 8], IP6_RT_PRIO_ADDRCONF),
    dev,
  );
}

/** The network that an address is in is on its link. A link-local one and a peer's have theirs as well. */
function addPrefixRoutes(address: InterfaceAddress6): void {
  const { dev, length } = address;
  if (address.scope === IPV6_SCOPE_HOST) return;
  const metric = address.metric ?? IP6_RT_PRIO_ADDRCONF;
  put(kernelRoute(dev, RT_TABLE_MAIN, "unicast", [prefixOf(address), length], metric), dev);
  if (address.peer !== undefined)
    put(kernelRoute(dev, RT_TABLE_MAIN, "unicast", [address.peer, 128], metric), dev);
}

function prefixOf(address: InterfaceAddress6): Ipv6 {
  return address.scope === IPV6_SCOPE_LINK ? LINK_LOCAL_PREFIX : address.address;
}

function addLocalRoute({ dev, address }: InterfaceAddress6): void {
  put(kernelRoute(dev, RT_TABLE_LOCAL, "local", [address, 128], 0), dev);
}

function removeRoutes(gone: InterfaceAddress6): void {
  const { dev } = gone;
  discard(dev, RT_TABLE_LOCAL, [gone.address, 128], "local");
  if (gone.noPrefixRoute) return;
  const shared = addresses6Of(dev).some(
    (other) =>
      other !== gone &&
      other.length === gone.length &&
      !other.noPrefixRoute &&
      maskIpv6(other.address, other.length) === maskIpv6(gone.address, gone.length),
  );
  if (!shared) discard(dev, RT_TABLE_MAIN, [gone.address, gone.length], "unicast");
  if (gone.peer !== undefined) discard(dev, RT_TABLE_MAIN, [gone.peer, 128], "unicast");
}

function discard(
  dev: NetDevice,
  table: number,
  [address, length]: readonly [Ipv6, number],
  type: Route6Type,
): void {
  const fib = fib6(dev.ns);
  const found = fib
    .table(table)
    ?.at({ address: maskIpv6(address, length), length })
    .find(
      (route) =>
        route.type === type && route.protocol === RTPROT_KERNEL && route.nexthops[0]?.dev === dev,
    );
  if (found !== undefined) fib.discard(found);
}

/** A router answers for the network's own address. RFC 4291 §2.6.1, mirrors addrconf_join_anycast(). */
function joinAnycast(address: InterfaceAddress6): void {
  const { dev } = address;
  const network = maskIpv6(address.address, address.length);
  if (devConf6(dev).forwarding === 0 || address.length >= 127 || dev.isLoopback) return;
  if (address.tentative || !isReady(dev)) return;
  const known = anycastOf(dev);
  setAnycast(dev, [...known, network]);
  if (known.includes(network)) return;
  put(kernelRoute(dev, RT_TABLE_LOCAL, "anycast", [network, 128], 0), dev);
  joinGroup(dev, solicitedNode(network));
}

function leaveAnycast(address: InterfaceAddress6): void {
  const { dev } = address;
  const network = maskIpv6(address.address, address.length);
  const known = anycastOf(dev);
  const at = known.indexOf(network);
  if (at < 0) return;
  const rest = known.toSpliced(at, 1);
  setAnycast(dev, rest);
  if (rest.includes(network)) return;
  discard(dev, RT_TABLE_LOCAL, [network, 128], "anycast");
  leaveGroup(dev, solicitedNode(network));
}
