import type { NetDevice } from "../../core/device.js";
import { deliver, drop } from "../../core/drop.js";
import type { DeviceNotice, NetworkNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { microseconds } from "../../sim/time.js";
import {
  ICMPV6_ADDR_UNREACH,
  ICMPV6_DEST_UNREACH,
  type Icmpv6Header,
  NDISC_NEIGHBOUR_ADVERTISEMENT,
  NDISC_NEIGHBOUR_SOLICITATION,
  NDISC_REDIRECT,
  NDISC_ROUTER_SOLICITATION,
} from "../../wire/icmpv6.js";
import {
  IPV6_ALL_NODES,
  IPV6_ANY,
  type Ipv6,
  isIpv6Multicast,
  type Mac,
  multicastMac6,
  solicitedNode,
} from "../../wire/ip.js";
import { isIpv6Fragment, type Ipv6Header } from "../../wire/ipv6.js";
import {
  decodeNdisc,
  linkLayerOf,
  NA_OVERRIDE,
  NA_ROUTER,
  NA_SOLICITED,
  ND_OPT_SOURCE_LL_ADDR,
  ND_OPT_TARGET_LL_ADDR,
  type NdMessage,
} from "../../wire/ndisc.js";
import { neighbours6 } from "../neighbour.js";
import type { Neighbour } from "../neighbour-entry.js";
import { neighbourParms6 } from "../neighbour-parms.js";
import { addressOn, anycastOf, type InterfaceAddress6, isUsable } from "./addresses.js";
import { failDad, isOwnNonce } from "./dad.js";
import { devConf6, devConfs6 } from "./devconf.js";
import { icmp6Send } from "./icmp.js";
import { joinGroup, leaveGroup } from "./multicast.js";
import { ndiscSolicit, sendAdvertisement } from "./ndisc-output.js";
import { acceptRedirect } from "./redirect.js";
import { forgetDecisions6 } from "./route.js";
import { receiveRouterAdvertisement } from "./router-advertisement.js";

/** Neighbours of one namespace that are found by ICMPv6. Mirrors net/ipv6/ndisc.c:nd_tbl. */
export function setUpNdisc(ns: NetworkNamespace): void {
  neighbours6(ns).ops = {
    solicit: ndiscSolicit,
    fixedMac,
    parms: neighbourParms6,
    keyOf: (_, address) => address,
    // Mirrors pndisc_constructor() and pndisc_destructor().
    followProxy: (dev, address, stands) =>
      (stands ? joinGroup : leaveGroup)(dev, solicitedNode(address)),
    // Mirrors ndisc_error_report() and net/ipv6/route.c:ip6_link_failure().
    turned: ({ dev }) => forgetDecisions6(dev.ns),
    errorReport: (skb) => icmp6Send(skb, ICMPV6_DEST_UNREACH, ICMPV6_ADDR_UNREACH),
  };
}

/** Mirrors net/ipv6/ndisc.c:ndisc_netdev_event(). */
export function followDeviceNdisc(notice: DeviceNotice, dev: NetDevice): void {
  const table = neighbours6(dev.ns);
  if (notice === "register") neighbourParms6(dev);
  else if (notice === "down" || notice === "address" || notice === "unregister")
    table.flushDevice(dev, false);
  else if (notice === "carrier" && !dev.carrier && devConf6(dev).ndisc_evict_nocarrier !== 0)
    table.flushDevice(dev, true);
}

/** Mirrors net/ipv6/ndisc.c:ndisc_constructor(). */
function fixedMac(dev: NetDevice, address: Ipv6): Mac | undefined {
  if (isIpv6Multicast(address)) return multicastMac6(address);
  return dev.isLoopback || dev.noArp ? dev.mac : undefined;
}

/** Receives a message of neighbour discovery. Mirrors net/ipv6/ndisc.c:ndisc_rcv(). */
export function ndiscRcv(skb: SkBuff, network: Ipv6Header, header: Icmpv6Header): void {
  const { dev } = skb;
  if (dev === undefined) return drop(skb, "NOT_SPECIFIED", "ndisc_rcv");
  if (skb.fragmentMaxSize > 0 || isIpv6Fragment(network) || isAtomic(network))
    if (devConf6(dev).suppress_frag_ndisc !== 0) return drop(skb, "IPV6_NDISC_FRAG", "ndisc_rcv");
  if (network.hopLimit !== 255) return drop(skb, "IPV6_NDISC_HOP_LIMIT", "ndisc_rcv");
  if (header.code !== 0) return drop(skb, "IPV6_NDISC_BAD_CODE", "ndisc_rcv");
  const decoded = decodeNdisc(header, skb.frame.payload);
  if (!decoded.ok) {
    const short = decoded.reason.includes("cut short");
    return drop(skb, short ? "PKT_TOO_SMALL" : "IPV6_NDISC_BAD_OPTIONS", "ndisc_rcv");
  }
  switch (header.type) {
    case NDISC_NEIGHBOUR_SOLICITATION:
      return receiveSolicitation(skb, dev, network, decoded.value);
    case NDISC_NEIGHBOUR_ADVERTISEMENT:
      return receiveAdvertisement(skb, dev, network, header, decoded.value);
    case NDISC_REDIRECT:
      deliver(skb, "neighbour discovery");
      return acceptRedirect(skb, header, decoded.value);
    case NDISC_ROUTER_SOLICITATION:
      return receiveRouterSolicitation(skb, dev, network, decoded.value);
    default:
      return receiveRouterAdvertisement(skb, dev, network, header, decoded.value);
  }
}

function isAtomic(network: Ipv6Header): boolean {
  return network.extensions.some(({ kind }) => kind === "fragment");
}

/** Mirrors ndisc_recv_ns(). The order of the checks decides. */
function receiveSolicitation(
  skb: SkBuff,
  dev: NetDevice,
  network: Ipv6Header,
  message: NdMessage,
): void {
  const { source, destination } = network;
  const target = message.target ?? IPV6_ANY;
  const dad = source === IPV6_ANY;
  const mac = linkLayerOf(message, ND_OPT_SOURCE_LL_ADDR);
  if (isIpv6Multicast(target)) return drop(skb, "NOT_SPECIFIED", "ndisc_recv_ns");
  if (dad && (destination !== solicitedNode(target) || mac !== undefined))
    return drop(skb, "IPV6_NDISC_BAD_OPTIONS", "ndisc_recv_ns");
  const held = addressOn(dev, target);
  const router = devConf6(dev).forwarding !== 0;
  const unsure = held !== undefined && !isUsable(held);
  if (unsure) return meetsTentative(skb, held, dad, message);
  const toGroup = isIpv6Multicast(destination);
  if (held !== undefined) return answer(skb, dev, network, { target, mac, held: true, router });
  const anycast = anycastOf(dev).includes(target);
  if (!anycast && !standsIn(dev, target))
    return drop(skb, "IPV6_NDISC_NS_OTHERHOST", "ndisc_recv_ns");
  const asked = { target, mac, held: false, router: anycast && router };
  const delay = neighbourParms6(dev).proxyDelay;
  if (skb.packetType === "HOST" || !toGroup || delay === 0) return answer(skb, dev, network, asked);
  // Others may have the address as well: whoever answers waits a random time. RFC 4861 §7.2.7.
  const { queue, random } = dev.ns.sim;
  queue.after(microseconds(Math.floor(random() * delay)), "proxy neighbour", () => {
    if (dev.up) answer(skb, dev, network, asked);
    else drop(skb, "NOT_SPECIFIED", "neigh_proxy_process");
  });
}

interface AskedFor {
  readonly target: Ipv6;
  /** Of the asker. */
  readonly mac: Mac | undefined;
  /** The device has the address itself. */
  readonly held: boolean;
  readonly router: boolean;
}

/** Learns who asks and answers. */
function answer(
  skb: SkBuff,
  dev: NetDevice,
  { source, destination }: Ipv6Header,
  { target, mac, held, router }: AskedFor,
): void {
  const dad = source === IPV6_ANY;
  const toGroup = isIpv6Multicast(destination);
  const reply = { dev, target, override: held && (dad || toGroup), router, cause: skb };
  if (dad) {
    sendAdvertisement({
      ...reply,
      destination: IPV6_ALL_NODES,
      solicited: false,
      withAddress: true,
    });
    return deliver(skb, "neighbour discovery");
  }
  const neighbour = learn(dev, source, mac, toGroup);
  if (mac !== undefined && neighbour !== undefined)
    neighbour.update(mac, "STALE", { override: true, weakOverride: true }, skb);
  if (neighbour !== undefined)
    sendAdvertisement({ ...reply, destination: source, solicited: true, withAddress: toGroup });
  deliver(skb, "neighbour discovery");
}

/** Somebody asks for an address that we are only about to take. */
function meetsTentative(
  skb: SkBuff,
  held: InterfaceAddress6,
  dad: boolean,
  message: NdMessage,
): void {
  if (dad && !isOwnNonce(held, message.options)) failDad(held);
  deliver(skb, "neighbour discovery");
}

/** `ip -6 neigh add proxy` with `proxy_ndp`. Mirrors the second half of ndisc_recv_ns(). */
function standsIn(dev: NetDevice, target: Ipv6): boolean {
  const { all } = devConfs6(dev.ns);
  const forwards = devConf6(dev).forwarding !== 0;
  const proxies = all.proxy_ndp !== 0 || devConf6(dev).proxy_ndp !== 0;
  return forwards && proxies && neighbours6(dev.ns).hasProxy(dev, target);
}

function learn(
  dev: NetDevice,
  source: Ipv6,
  mac: Mac | undefined,
  toGroup: boolean,
): Neighbour<Ipv6> | undefined {
  const table = neighbours6(dev.ns);
  return !toGroup || mac !== undefined ? table.obtain(dev, source) : table.lookup(dev, source);
}

/** Mirrors ndisc_recv_na(). */
function receiveAdvertisement(
  skb: SkBuff,
  dev: NetDevice,
  network: Ipv6Header,
  { rest: flags }: Icmpv6Header,
  message: NdMessage,
): void {
  const target = message.target ?? IPV6_ANY;
  const solicited = hasFlag(flags, NA_SOLICITED);
  if (isIpv6Multicast(target)) return drop(skb, "NOT_SPECIFIED", "ndisc_recv_na");
  if (isIpv6Multicast(network.destination) && solicited)
    return drop(skb, "NOT_SPECIFIED", "ndisc_recv_na");
  if (!solicited && devConf6(dev).drop_unsolicited_na !== 0)
    return drop(skb, "NOT_SPECIFIED", "ndisc_recv_na");
  const held = addressOn(dev, target);
  if (held !== undefined) {
    if (held.tentative) failDad(held);
    return deliver(skb, "neighbour discovery");
  }
  const neighbour = neighbours6(dev.ns).lookup(dev, target);
  if (neighbour !== undefined && neighbour.state !== "FAILED") {
    const rights = { override: hasFlag(flags, NA_OVERRIDE), weakOverride: true };
    neighbour.isRouter = hasFlag(flags, NA_ROUTER);
    const mac = linkLayerOf(message, ND_OPT_TARGET_LL_ADDR);
    neighbour.update(mac, solicited ? "REACHABLE" : "STALE", rights, skb);
  }
  deliver(skb, "neighbour discovery");
}

function hasFlag(flags: number, flag: number): boolean {
  return (flags & flag) !== 0;
}

/** A router learns who asks; that it answers is a program's work. Mirrors ndisc_recv_rs(). */
function receiveRouterSolicitation(
  skb: SkBuff,
  dev: NetDevice,
  { source }: Ipv6Header,
  message: NdMessage,
): void {
  const mac = linkLayerOf(message, ND_OPT_SOURCE_LL_ADDR);
  if (devConf6(dev).forwarding !== 0 && source !== IPV6_ANY && mac !== undefined)
    neighbours6(dev.ns).obtain(dev, source)?.update(mac, "STALE", { override: true }, skb);
  deliver(skb, "neighbour discovery");
}
