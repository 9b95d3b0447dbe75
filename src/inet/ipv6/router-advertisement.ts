import type { NetDevice } from "../../core/device.js";
import { deliver, drop } from "../../core/drop.js";
import type { SkBuff } from "../../core/skbuff.js";
import { later, seconds } from "../../sim/time.js";
import type { Icmpv6Header } from "../../wire/icmpv6.js";
import {
  interfaceIdOf,
  IPV6_ANY,
  type Ipv6,
  isIpv6LinkLocal,
  isIpv6Multicast,
  maskIpv6,
} from "../../wire/ip.js";
import { IPV6_MIN_MTU, type Ipv6Header } from "../../wire/ipv6.js";
import {
  linkLayerOf,
  mtuOf,
  ND_OPT_SOURCE_LL_ADDR,
  type NdMessage,
  type PrefixInformation,
  prefixesOf,
} from "../../wire/ndisc.js";
import { RT_TABLE_MAIN, RTPROT_KERNEL } from "../fib-types.js";
import { neighbours6 } from "../neighbour.js";
import { neighbourParms6 } from "../neighbour-parms.js";
import { takeAdvertised } from "./addrconf.js";
import { isOwnAddress6 } from "./addresses.js";
import { type DevConf6, devConf6, devConfs6 } from "./devconf.js";
import { fib6 } from "./fib.js";
import { type Fib6Route, IP6_RT_PRIO_ADDRCONF } from "./fib-types.js";
import { noteRouter } from "./router-solicitation.js";

const RTPROT_RA = 9;
const INFINITE = 0xffff_ffff;
const DEFAULT_PREFIX = { address: IPV6_ANY, length: 0 } as const;
/** The two bits of a router's preference; binary 10 is taken for medium. RFC 4191 §2.1. */
const PREFERENCES = ["medium", "high", "medium", "low"] as const;

/** A host listens to routers, and with 2 a router does too. Mirrors ipv6_accept_ra(). */
function accepts({ accept_ra: accept, forwarding }: DevConf6): boolean {
  return forwarding === 0 ? accept !== 0 : accept === 2;
}

/** What a router says of itself and its link. Mirrors net/ipv6/ndisc.c:ndisc_router_discovery(). */
export function receiveRouterAdvertisement(
  skb: SkBuff,
  dev: NetDevice,
  { source }: Ipv6Header,
  header: Icmpv6Header,
  message: NdMessage,
): void {
  if (!isIpv6LinkLocal(source)) return drop(skb, "NOT_SPECIFIED", "ndisc_router_discovery");
  const conf = devConf6(dev);
  const listens = accepts(conf);
  if (listens) {
    noteRouter(dev);
    takeRouter(dev, source, header, conf);
    takeTimes(dev, message);
  }
  const neighbour = neighbours6(dev.ns).obtain(dev, source);
  if (neighbour !== undefined) {
    neighbour.isRouter = true;
    const mac = linkLayerOf(message, ND_OPT_SOURCE_LL_ADDR);
    neighbour.update(mac, "STALE", { override: true, weakOverride: true }, skb);
  }
  if (listens) {
    if (conf.accept_ra_pinfo !== 0)
      for (const prefix of prefixesOf(message)) takePrefix(dev, prefix, conf);
    takeMtu(dev, source, mtuOf(message), conf);
  }
  deliver(skb, "neighbour discovery");
}

/** The router is a way to everywhere for as long as it says. */
function takeRouter(dev: NetDevice, router: Ipv6, { rest }: Icmpv6Header, conf: DevConf6): void {
  const lifetime = rest & 0xffff;
  if (conf.accept_ra_defrtr === 0) return;
  if (lifetime !== 0 && lifetime < conf.accept_ra_min_lft) return;
  if (conf.accept_ra_from_local === 0 && isOwnAddress6(dev.ns, router, dev)) return;
  const pref = conf.accept_ra_rtr_pref === 0 ? "medium" : PREFERENCES[(rest >>> 19) & 3];
  const hops = rest >>> 24;
  const counts = conf.accept_ra_min_hop_limit < 256 && hops !== 0;
  const known = defaultRoute(dev, router);
  if (counts && conf.accept_ra_min_hop_limit <= hops) conf.hop_limit = hops;
  const kept = lifetime !== 0 && known?.metric === conf.ra_defrtr_metric ? known : undefined;
  if (known !== undefined && kept === undefined) fib6(dev.ns).discard(known);
  if (lifetime === 0) return;
  const route: Fib6Route = {
    table: RT_TABLE_MAIN,
    prefix: DEFAULT_PREFIX,
    type: "unicast",
    metric: conf.ra_defrtr_metric,
    protocol: RTPROT_RA,
    source: undefined,
    mtu: undefined,
    advmss: undefined,
    ...kept,
    hopLimit: counts && conf.accept_ra_min_hop_limit <= hops ? hops : kept?.hopLimit,
    pref: pref ?? "medium",
    nexthops: [{ dev, gateway: router, weight: 1, onlink: false }],
    expires: later(dev.ns.sim.queue.now, seconds(lifetime)),
    learned: true,
  };
  fib6(dev.ns).learn(kept, route);
}

function defaultRoute(dev: NetDevice, router: Ipv6): Fib6Route | undefined {
  return fib6(dev.ns)
    .table(RT_TABLE_MAIN)
    ?.at(DEFAULT_PREFIX)
    .find(
      ({ learned, nexthops: [way] }) =>
        learned === true && way?.dev === dev && way.gateway === router,
    );
}

/** How long neighbours count as reachable, and how long their answers are waited for. */
function takeTimes(dev: NetDevice, { reachable = 0, retransmit = 0 }: NdMessage): void {
  const { values } = neighbourParms6(dev);
  if (retransmit !== 0) values.retrans_time_ms = Math.max(retransmit, 10);
  if (reachable === 0) return;
  values.base_reachable_time_ms = Math.max(reachable, 100);
  values.gc_stale_time = Math.floor((3 * values.base_reachable_time_ms) / 1000);
}

/** A prefix is on the link, and hosts make addresses of it. Mirrors net/ipv6/addrconf.c:addrconf_prefix_rcv(). */
function takePrefix(dev: NetDevice, information: PrefixInformation, conf: DevConf6): void {
  const { prefix, length, valid, preferred } = information;
  if (isIpv6Multicast(prefix) || isIpv6LinkLocal(prefix) || preferred > valid) return;
  if (valid !== 0 && valid < conf.accept_ra_min_lft) return;
  if (information.onLink) takeOnLink(dev, information);
  // Differs: the kernel says in its log when a prefix has another length than 64.
  if (!information.autonomous || conf.autoconf === 0 || length !== 64) return;
  const address = (maskIpv6(prefix, 64) | interfaceIdOf(dev.mac)) as Ipv6;
  takeAdvertised(dev, { address, valid, preferred });
}

function takeOnLink(dev: NetDevice, { prefix, length, valid }: PrefixInformation): void {
  const fib = fib6(dev.ns);
  const network = { address: maskIpv6(prefix, length), length };
  const known = fib
    .table(RT_TABLE_MAIN)
    ?.at(network)
    .find((route) => route.learned === true && route.nexthops[0]?.dev === dev);
  if (valid === 0) {
    if (known !== undefined) fib.discard(known);
    return;
  }
  fib.learn(known, {
    table: RT_TABLE_MAIN,
    prefix: network,
    type: "unicast",
    metric: IP6_RT_PRIO_ADDRCONF,
    protocol: RTPROT_KERNEL,
    source: undefined,
    mtu: undefined,
    advmss: undefined,
    hopLimit: undefined,
    pref: "medium",
    nexthops: [{ dev, gateway: undefined, weight: 1, onlink: false }],
    expires: valid === INFINITE ? undefined : later(dev.ns.sim.queue.now, seconds(valid)),
    learned: true,
  });
}

/** The largest packet that the link's hosts agree on, within what the device and IPv6 allow. */
function takeMtu(dev: NetDevice, router: Ipv6, mtu: number | undefined, conf: DevConf6): void {
  if (mtu === undefined || conf.accept_ra_mtu === 0) return;
  if (mtu < IPV6_MIN_MTU || mtu > dev.mtu || conf.mtu === mtu) return;
  devConfs6(dev.ns).of(dev).mtu = mtu;
  const known = defaultRoute(dev, router);
  if (known !== undefined) fib6(dev.ns).learn(known, { ...known, mtu });
}
