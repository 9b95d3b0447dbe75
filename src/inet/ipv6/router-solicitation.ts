import type { NetDevice } from "../../core/device.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import { type Micros, microseconds, seconds } from "../../sim/time.js";
import { NDISC_ROUTER_SOLICITATION } from "../../wire/icmpv6.js";
import { IPV6_ALL_ROUTERS } from "../../wire/ip.js";
import { encodeNdisc, linkLayerOption, ND_OPT_SOURCE_LL_ADDR } from "../../wire/ndisc.js";
import { linkLocalAddress } from "./addresses.js";
import { devConf6, hasIpv6 } from "./devconf.js";
import { sendLinkMessage } from "./link-message.js";

/** Differs: the kernel asks for ever, ever more seldom, until a router answers; a run has to come to an end. */
const MOST_SOLICITATIONS = 3;

/** A host asks its link for routers once its link-local address is sure. Mirrors addrconf_dad_completed() and addrconf_rs_timer(). */
export function solicitRouters(dev: NetDevice): void {
  const { forwarding, accept_ra: accept, router_solicitations: wanted } = devConf6(dev);
  const most = wanted < 0 ? MOST_SOLICITATIONS : Math.min(wanted, MOST_SOLICITATIONS);
  heardIn(dev.ns).delete(dev);
  if (most === 0 || dev.isLoopback || (forwarding === 0 ? accept === 0 : accept !== 2)) return;
  send(dev);
  repeat(dev, 1, most, firstInterval(dev));
}

/** Devices on which a router was heard since they last asked. Mirrors IF_RA_RCVD. */
const heardIn: (ns: NetworkNamespace) => Set<NetDevice> = perNamespace(() => new Set());

/** A router is there: nobody need be asked for one. */
export function noteRouter(dev: NetDevice): void {
  heardIn(dev.ns).add(dev);
}

function repeat(dev: NetDevice, sent: number, most: number, interval: Micros): void {
  if (sent >= most) return;
  dev.ns.sim.queue.after(interval, "router solicitation", () => {
    if (!dev.up || !hasIpv6(dev) || devConf6(dev).forwarding !== 0) return;
    if (heardIn(dev.ns).has(dev)) return;
    send(dev);
    repeat(dev, sent + 1, most, nextInterval(dev, interval));
  });
}

/** Randomised by a tenth either way. RFC 7559, mirrors rfc3315_s14_backoff_init(). */
function firstInterval(dev: NetDevice): Micros {
  const base = seconds(devConf6(dev).router_solicitation_interval);
  return microseconds(Math.floor(base * (0.9 + 0.2 * dev.ns.sim.random())));
}

function nextInterval(dev: NetDevice, last: Micros): Micros {
  const most = seconds(devConf6(dev).router_solicitation_max_interval);
  return microseconds(Math.floor(Math.min(last * (1.9 + 0.2 * dev.ns.sim.random()), most)));
}

function send(dev: NetDevice): void {
  const source = linkLocalAddress(dev);
  if (source === undefined || !dev.up) return;
  sendLinkMessage({
    dev,
    source,
    destination: IPV6_ALL_ROUTERS,
    hopLimit: 255,
    header: { kind: "icmpv6", type: NDISC_ROUTER_SOLICITATION, code: 0, rest: 0 },
    payload: encodeNdisc(undefined, [linkLayerOption(ND_OPT_SOURCE_LL_ADDR, dev.mac)]),
    by: "router solicitation",
    cause: undefined,
  });
}
