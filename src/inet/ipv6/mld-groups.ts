import type { NetDevice } from "../../core/device.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { Timer } from "../../sim/event-queue.js";
import { later, type Micros, milliseconds, seconds } from "../../sim/time.js";
import { IPV6_ALL_NODES, type Ipv6, ipv6MulticastScope } from "../../wire/ip.js";
import { devConf6, devConfs6 } from "./devconf.js";

/** One group that a device is in. Mirrors struct ifmcaddr6; there are no lists of sources. */
export class Membership6 {
  readonly group: Ipv6;
  /** How many reasons there are to be in it. */
  users = 1;
  /** This host was the last to report it. Mirrors MAF_LAST_REPORTER. */
  reporter = false;
  /** Reports it. Mirrors mca_work. */
  timer: Timer | undefined;
  timerEnds: Micros = 0 as Micros;

  constructor(group: Ipv6) {
    this.group = group;
  }
}

/** What a device listens to, and what of it its neighbours have yet to be told. Mirrors struct inet6_dev's mc_list. */
export class Memberships {
  readonly groups: Map<Ipv6, Membership6> = new Map();
  /** Changes to tell, and how often still. */
  readonly changes: Map<Ipv6, { readonly type: number; left: number }> = new Map();
  /** How often reports go out still. Mirrors mc_ifc_count. */
  repeats = 0;
  timer: Timer | undefined;
  /** Answers a general query. Mirrors mc_gq_work. */
  queryTimer: Timer | undefined;
  /** Until when a router of version 1 counts. Mirrors mc_v1_seen. */
  version1Until: Micros = 0 as Micros;
  /** How often a change is told. Mirrors mc_qrv and MLD_QRV_DEFAULT. */
  robustness = 2;
  queryInterval: Micros = seconds(125);
  responseInterval: Micros = seconds(10);

  /** Joined last, first. */
  newestFirst(): readonly Membership6[] {
    return [...this.groups.values()].toReversed();
  }
}

const membershipsIn: (ns: NetworkNamespace) => Map<NetDevice, Memberships> = perNamespace(
  () => new Map<NetDevice, Memberships>(),
);

export function membershipsOf(dev: NetDevice): Memberships {
  const all = membershipsIn(dev.ns);
  let own = all.get(dev);
  if (own === undefined) all.set(dev, (own = new Memberships()));
  return own;
}

/** What the device listens to now, if that is known at all. */
export function knownMemberships(dev: NetDevice): Memberships | undefined {
  return membershipsIn(dev.ns).get(dev);
}

export function forgetMemberships(dev: NetDevice): void {
  membershipsIn(dev.ns).delete(dev);
}

/** Which version is spoken: as `force_mld_version` says, or as the link's router does. Mirrors mld_in_v1_mode(). */
export function mldVersion(dev: NetDevice): 1 | 2 {
  const forced = forcedMldVersion(dev);
  if (forced === 2) return 2;
  return forced === 1 || membershipsOf(dev).version1Until > dev.ns.sim.queue.now ? 1 : 2;
}

/** What all devices are told counts before what one is. Mirrors mld_force_mld_version(). */
export function forcedMldVersion(dev: NetDevice): number {
  return devConfs6(dev.ns).all.force_mld_version || devConf6(dev).force_mld_version;
}

/** How long a report that nobody asked for may wait at most. Mirrors unsolicited_report_interval(). */
export function unsolicitedInterval6(dev: NetDevice): Micros {
  const { mldv1_unsolicited_report_interval: one, mldv2_unsolicited_report_interval: two } =
    devConf6(dev);
  return milliseconds(Math.max(mldVersion(dev) === 1 ? one : two, 4));
}

/** Until when a router of version 1 counts from now on. RFC 3810 §9.12. */
export function version1Ends(dev: NetDevice, own: Memberships): Micros {
  const { robustness, queryInterval, responseInterval } = own;
  return later(dev.ns.sim.queue.now, (robustness * queryInterval + responseInterval) as Micros);
}

/** Groups that never leave the host, and the one that everybody is in, are not told of. Mirrors MAF_NOREPORT. */
export function isReported6(group: Ipv6): boolean {
  return group !== IPV6_ALL_NODES && ipv6MulticastScope(group) >= 2;
}
