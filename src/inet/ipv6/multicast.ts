import { randomBetween } from "../../base/random.js";
import type { NetDevice } from "../../core/device.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { Timer } from "../../sim/event-queue.js";
import { microseconds, milliseconds } from "../../sim/time.js";
import { ICMPV6_MLD2_REPORT } from "../../wire/icmpv6.js";
import {
  IPV6_ALL_MLD2_ROUTERS,
  IPV6_ALL_NODES,
  IPV6_ANY,
  type Ipv6,
  ipv6MulticastScope,
} from "../../wire/ip.js";
import {
  encodeMldRecords,
  MLD2_CHANGE_TO_EXCLUDE,
  MLD2_CHANGE_TO_INCLUDE,
  MLD2_MODE_IS_EXCLUDE,
  MLD_ROUTER_ALERT,
  type MldRecord,
} from "../../wire/mld.js";
import { linkLocalAddress } from "./addresses.js";
import { devConf6, hasIpv6 } from "./devconf.js";
import { sendLinkMessage } from "./link-message.js";

/** How often a change is told. Mirrors MLD_QRV_DEFAULT. */
const ROBUSTNESS = 2;
/** A change waits two jiffies for others. */
const SOON = milliseconds(8);

/** What a device listens to, and what of it its neighbours have yet to be told. Mirrors struct inet6_dev's mc_list. */
class Memberships {
  /** Groups with the number of reasons to be in them. */
  readonly groups = new Map<Ipv6, number>();
  /** Changes to tell, and how often still. */
  readonly changes = new Map<Ipv6, { readonly type: number; left: number }>();
  /** How often reports go out still. Mirrors mc_ifc_count. */
  repeats = 0;
  timer: Timer | undefined;
}

const membershipsIn: (ns: NetworkNamespace) => Map<NetDevice, Memberships> = perNamespace(
  () => new Map<NetDevice, Memberships>(),
);

function membershipsOf(dev: NetDevice): Memberships {
  const all = membershipsIn(dev.ns);
  let own = all.get(dev);
  if (own === undefined) all.set(dev, (own = new Memberships()));
  return own;
}

/** Whether a packet to the group is for this device. Mirrors net/ipv6/mcast.c:ipv6_chk_mcast_addr(). */
export function isMember(dev: NetDevice, group: Ipv6): boolean {
  return membershipsIn(dev.ns).get(dev)?.groups.has(group) === true;
}

/** The groups of a device in the order they were joined, with how many joined each. */
export function groupsOf(dev: NetDevice): ReadonlyMap<Ipv6, number> {
  return membershipsOf(dev).groups;
}

/** Mirrors net/ipv6/mcast.c:__ipv6_dev_mc_inc(). */
export function joinGroup(dev: NetDevice, group: Ipv6): void {
  const { groups } = membershipsOf(dev);
  const count = groups.get(group) ?? 0;
  groups.set(group, count + 1);
  if (count === 0) tell(dev, group, MLD2_CHANGE_TO_EXCLUDE);
}

/** Mirrors net/ipv6/mcast.c:__ipv6_dev_mc_dec(). */
export function leaveGroup(dev: NetDevice, group: Ipv6): void {
  const { groups } = membershipsOf(dev);
  const count = groups.get(group) ?? 0;
  if (count > 1) groups.set(group, count - 1);
  else if (groups.delete(group)) tell(dev, group, MLD2_CHANGE_TO_INCLUDE);
}

/** Mirrors ipv6_mc_down() and ipv6_mc_destroy_dev(). */
export function leaveAll(dev: NetDevice): void {
  const own = membershipsOf(dev);
  own.timer?.cancel();
  membershipsIn(dev.ns).delete(dev);
}

/** With its link-local address the device says all over again what it listens to. Mirrors mld_send_initial_cr(). */
export function reportAll(dev: NetDevice): void {
  if (!reports(dev)) return;
  const own = membershipsOf(dev);
  const records = [...own.groups.keys()]
    .toReversed()
    .filter(isReported)
    .map((group): MldRecord => ({ type: MLD2_CHANGE_TO_EXCLUDE, group, sources: [] }));
  send(dev, records);
  dev.ns.sim.queue.after(interval(dev), "mld report", () => {
    if (membershipsIn(dev.ns).get(dev) === own) send(dev, records);
  });
}

/**
 * Answers a router's query within the time that it gives, in milliseconds: a general one (about ::) with everything, one for a
 * group with that group. Mirrors mld_gq_start_work(), igmp6_group_queried() and mld_send_report().
 * Differs: a query that is under way already is answered as well, and one of version 1 in the words of version 2.
 */
export function answerQuery(dev: NetDevice, asked: Ipv6, most: number): void {
  const own = membershipsOf(dev);
  const { queue, random } = dev.ns.sim;
  const delay = milliseconds(randomBetween(random, 0, Math.max(most - 1, 0)));
  queue.after(delay, "mld answer", () => {
    if (membershipsIn(dev.ns).get(dev) !== own) return;
    const records = [...own.groups.keys()]
      .toReversed()
      .filter((group) => isReported(group) && (asked === IPV6_ANY || group === asked))
      .map((group): MldRecord => ({ type: MLD2_MODE_IS_EXCLUDE, group, sources: [] }));
    send(dev, records);
  });
}

function tell(dev: NetDevice, group: Ipv6, type: number): void {
  if (!isReported(group) || !reports(dev)) return;
  const own = membershipsOf(dev);
  own.changes.set(group, { type, left: ROBUSTNESS });
  own.repeats = ROBUSTNESS;
  own.timer?.cancel();
  own.timer = dev.ns.sim.queue.after(SOON, "mld report", () => tellChanges(dev, own));
}

/** Mirrors mld_ifc_work() and mld_send_cr(). */
function tellChanges(dev: NetDevice, own: Memberships): void {
  own.timer = undefined;
  const records = [...own.changes]
    .toReversed()
    .map(([group, { type }]): MldRecord => ({ type, group, sources: [] }));
  // What is told from :: is told again with the next change. Observed on 6.18.
  if (linkLocalAddress(dev) !== undefined)
    for (const [group, change] of own.changes) if (--change.left === 0) own.changes.delete(group);
  send(dev, records);
  if (--own.repeats <= 0 || own.changes.size === 0) return;
  own.timer = dev.ns.sim.queue.after(interval(dev), "mld report", () => tellChanges(dev, own));
}

/** A random part of the longest time a repetition may wait, in milliseconds. Mirrors unsolicited_report_interval(). */
function interval(dev: NetDevice): ReturnType<typeof microseconds> {
  const most = devConf6(dev).mldv2_unsolicited_report_interval;
  return milliseconds(randomBetween(dev.ns.sim.random, 4, Math.max(most, 4)));
}

/** Groups that never leave the host, and the one that everybody is in, are not told of. Mirrors MAF_NOREPORT. */
function isReported(group: Ipv6): boolean {
  return group !== IPV6_ALL_NODES && ipv6MulticastScope(group) >= 2;
}

function reports(dev: NetDevice): boolean {
  return dev.up && !dev.isLoopback && hasIpv6(dev) && dev.carrier;
}

/** Mirrors mld_newpack() and mld_sendpack(): from the link-local address, or :: while there is none. */
function send(dev: NetDevice, records: readonly MldRecord[]): void {
  if (records.length === 0 || !reports(dev)) return;
  sendLinkMessage({
    dev,
    source: linkLocalAddress(dev) ?? IPV6_ANY,
    destination: IPV6_ALL_MLD2_ROUTERS,
    hopLimit: 1,
    extensions: [MLD_ROUTER_ALERT],
    header: { kind: "icmpv6", type: ICMPV6_MLD2_REPORT, code: 0, rest: records.length },
    payload: encodeMldRecords(records),
    by: "mld report",
    cause: undefined,
  });
}
