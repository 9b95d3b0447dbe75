import type { NetDevice } from "../core/device.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { Timer } from "../sim/event-queue.js";
import { type Micros, milliseconds, seconds } from "../sim/time.js";
import { type Ipv4, ipv4 } from "../wire/ip.js";
import { confMax, devConf, devConfs } from "./devconf.js";
import { ipv4Sysctls } from "./sysctls.js";

/** 224.0.0.1: every host is in it, and nobody reports it. */
export const IGMP_ALL_HOSTS: Ipv4 = ipv4(0xe000_0001);
/** 224.0.0.2: hears of leaving hosts in version 2. */
export const IGMP_ALL_ROUTER: Ipv4 = ipv4(0xe000_0002);
/** 224.0.0.22: hears the reports of version 3. */
export const IGMPV3_ALL_MCR: Ipv4 = ipv4(0xe000_0016);

/** One group that a device is in. Mirrors struct ip_mc_list; there are no lists of sources. */
export class Membership {
  readonly group: Ipv4;
  /** How many joined it. */
  users = 1;
  /** This host was the last to report it. */
  reporter = false;
  /** Reports that nobody asked for and that are to be sent still, in versions 1 and 2. */
  unsolicited = 0;
  /** How often its joining is told still, in version 3. Mirrors crcount. */
  changes = 0;
  timer: Timer | undefined;
  timerEnds: Micros = 0 as Micros;

  constructor(group: Ipv4) {
    this.group = group;
  }
}

/** The groups of one device, and what its neighbours have yet to be told. Mirrors struct in_device. */
export class DeviceGroups {
  /** Joined last, first. */
  groups: readonly Membership[] = [];
  /** Groups that were left, the last first, with how often that is told still. Mirrors mc_tomb. */
  left: readonly { readonly group: Ipv4; changes: number }[] = [];
  /** Tells changes. Mirrors mr_ifc_timer and mr_ifc_count. */
  changeTimer: Timer | undefined;
  repeats = 0;
  /** Answers a general query. Mirrors mr_gq_timer. */
  queryTimer: Timer | undefined;
  queryEnds: Micros = 0 as Micros;
  /** Until when a router of an older version counts. */
  version1Until: Micros = 0 as Micros;
  version2Until: Micros = 0 as Micros;
  robustness: number;
  queryInterval: Micros = QUERY_INTERVAL;
  responseInterval: Micros = QUERY_RESPONSE_INTERVAL;
  longestDelay: Micros = QUERY_RESPONSE_INTERVAL;

  constructor(ns: NetworkNamespace) {
    this.robustness = ipv4Sysctls(ns).get("net.ipv4.igmp_qrv");
  }

  find(group: Ipv4): Membership | undefined {
    return this.groups.find((membership) => membership.group === group);
  }
}

export const QUERY_INTERVAL: Micros = seconds(125);
export const QUERY_RESPONSE_INTERVAL: Micros = seconds(10);

const groupsIn: (ns: NetworkNamespace) => Map<NetDevice, DeviceGroups> = perNamespace(
  () => new Map<NetDevice, DeviceGroups>(),
);

export function deviceGroups(dev: NetDevice): DeviceGroups {
  const all = groupsIn(dev.ns);
  let own = all.get(dev);
  if (own === undefined) all.set(dev, (own = new DeviceGroups(dev.ns)));
  return own;
}

/** Forgets a device that is gone. */
export function forgetGroups(dev: NetDevice): void {
  groupsIn(dev.ns).delete(dev);
}

/** Whether a packet to the group is for this device. Mirrors net/ipv4/igmp.c:ip_check_mc_rcu(). */
export function isMember4(dev: NetDevice, group: Ipv4): boolean {
  return groupsIn(dev.ns).get(dev)?.find(group) !== undefined;
}

/** The groups of a device in the order `ip maddr` shows them. */
export function groups4Of(dev: NetDevice): readonly Membership[] {
  return groupsIn(dev.ns).get(dev)?.groups ?? [];
}

/** Which version the routers of the link speak, as far as they were heard. Mirrors IGMP_V1_SEEN() and IGMP_V2_SEEN(). */
export function igmpVersion(dev: NetDevice): 1 | 2 | 3 {
  const forced = devConfs(dev.ns).all.force_igmp_version || devConf(dev).force_igmp_version;
  const own = deviceGroups(dev);
  const { now } = dev.ns.sim.queue;
  if (forced === 1 || own.version1Until > now) return 1;
  return forced === 2 || own.version2Until > now ? 2 : 3;
}

/** How long a report that nobody asked for may wait at most. Mirrors unsolicited_report_interval(). */
export function unsolicitedInterval(dev: NetDevice): Micros {
  const most = confMax(
    dev,
    igmpVersion(dev) === 3
      ? "igmpv3_unsolicited_report_interval"
      : "igmpv2_unsolicited_report_interval",
  );
  return milliseconds(Math.max(most, 4));
}

/** 224.0.0.0/24 is told unless `igmp_link_local_mcast_reports` is 0; 224.0.0.1 never. */
export function isReported4(ns: NetworkNamespace, group: Ipv4): boolean {
  if (group === IGMP_ALL_HOSTS) return false;
  return (
    group >>> 8 !== 0xe0_0000 || ipv4Sysctls(ns).get("net.ipv4.igmp_link_local_mcast_reports") !== 0
  );
}
