import { randomBetween } from "../../base/random.js";
import type { NetDevice } from "../../core/device.js";
import type { SkBuff } from "../../core/skbuff.js";
import { later, type Micros, milliseconds } from "../../sim/time.js";
import type { Ipv6 } from "../../wire/ip.js";
import {
  MLD2_CHANGE_TO_EXCLUDE,
  MLD2_CHANGE_TO_INCLUDE,
  MLD2_MODE_IS_EXCLUDE,
  type MldRecord,
} from "../../wire/mld.js";
import { linkLocalAddress } from "./addresses.js";
import {
  forgetMemberships,
  isReported6,
  knownMemberships,
  Membership6,
  type Memberships,
  membershipsOf,
  mldVersion,
  unsolicitedInterval6,
} from "./mld-groups.js";
import { reports6, sendDone6, sendOldReport6, sendRecords6 } from "./mld-send.js";

/** A change, and the answer to a general query, wait two jiffies for others. */
const SOON = milliseconds(8);

/** Whether a packet to the group is for this device. Mirrors net/ipv6/mcast.c:ipv6_chk_mcast_addr(). */
export function isMember(dev: NetDevice, group: Ipv6): boolean {
  return knownMemberships(dev)?.groups.has(group) === true;
}

/** The groups of a device in the order they were joined. */
export function groupsOf(dev: NetDevice): readonly Membership6[] {
  return [...membershipsOf(dev).groups.values()];
}

/** Mirrors net/ipv6/mcast.c:__ipv6_dev_mc_inc(). */
export function joinGroup(dev: NetDevice, group: Ipv6): void {
  const own = membershipsOf(dev);
  const known = own.groups.get(group);
  if (known !== undefined) {
    known.users++;
    return;
  }
  const added = new Membership6(group);
  own.groups.set(group, added);
  if (!isReported6(group) || !reports6(dev)) return;
  if (mldVersion(dev) === 2) return tell(dev, own, group, MLD2_CHANGE_TO_EXCLUDE);
  // Mirrors igmp6_join_group(): now, and once more.
  sendOldReport6(dev, group);
  added.reporter = true;
  startReport(dev, added, unsolicitedInterval6(dev), undefined);
}

/** Mirrors net/ipv6/mcast.c:__ipv6_dev_mc_dec() and igmp6_leave_group(). */
export function leaveGroup(dev: NetDevice, group: Ipv6): void {
  const own = membershipsOf(dev);
  const known = own.groups.get(group);
  if (known === undefined || --known.users > 0) return;
  own.groups.delete(group);
  known.timer?.cancel();
  if (!isReported6(group) || !reports6(dev)) return;
  if (mldVersion(dev) === 2) tell(dev, own, group, MLD2_CHANGE_TO_INCLUDE);
  else if (known.reporter) sendDone6(dev, group);
}

/** Mirrors ipv6_mc_down() and ipv6_mc_destroy_dev(). */
export function leaveAll(dev: NetDevice): void {
  const own = membershipsOf(dev);
  own.timer?.cancel();
  own.queryTimer?.cancel();
  for (const { timer } of own.groups.values()) timer?.cancel();
  forgetMemberships(dev);
}

/** With its link-local address the device says all over again what it listens to. Mirrors mld_send_initial_cr(). */
export function reportAll(dev: NetDevice): void {
  if (!reports6(dev)) return;
  const own = membershipsOf(dev);
  const records = recordsOf(own, MLD2_CHANGE_TO_EXCLUDE);
  if (mldVersion(dev) === 2) sendRecords6(dev, records);
  dev.ns.sim.queue.after(repetition(dev), "mld report", () => {
    if (knownMemberships(dev) === own && mldVersion(dev) === 2) sendRecords6(dev, records);
  });
}

function recordsOf(own: Memberships, type: number): readonly MldRecord[] {
  return own
    .newestFirst()
    .filter(({ group }) => isReported6(group))
    .map(({ group }): MldRecord => ({ type, group, sources: [] }));
}

function tell(dev: NetDevice, own: Memberships, group: Ipv6, type: number): void {
  own.changes.set(group, { type, left: own.robustness });
  own.repeats = own.robustness;
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
  sendRecords6(dev, records);
  if (--own.repeats <= 0 || own.changes.size === 0) return;
  own.timer = dev.ns.sim.queue.after(repetition(dev), "mld report", () => tellChanges(dev, own));
}

/** A random part of the longest time a repetition may wait. */
function repetition(dev: NetDevice): Micros {
  const most = unsolicitedInterval6(dev) / 1000;
  return milliseconds(randomBetween(dev.ns.sim.random, 4, Math.max(most, 4)));
}

/** Version 1 does not tell changes, nor answer with all groups at once. Mirrors mld_process_v1(). */
export function stopChanges6(own: Memberships): void {
  own.queryTimer?.cancel();
  own.timer?.cancel();
  own.timer = undefined;
  own.repeats = 0;
  for (const [group, { type }] of own.changes)
    if (type === MLD2_CHANGE_TO_INCLUDE) own.changes.delete(group);
}

/** Everything this device is in, in one answer, within a time that a router gave; the last query counts. Mirrors mld_gq_start_work(). */
export function answerAll6(dev: NetDevice, most: Micros, cause: SkBuff): void {
  const own = membershipsOf(dev);
  own.queryTimer?.cancel();
  own.queryTimer = dev.ns.sim.queue.after(later(randomPart(dev, most), SOON), "mld answer", () =>
    sendRecords6(dev, recordsOf(own, MLD2_MODE_IS_EXCLUDE), cause),
  );
}

/** A group is asked for: a report that is due sooner stays. Mirrors igmp6_group_queried(). */
export function reportWithin6(
  dev: NetDevice,
  membership: Membership6,
  most: Micros,
  cause: SkBuff,
): void {
  if (!isReported6(membership.group)) return;
  const { now } = dev.ns.sim.queue;
  if (membership.timer !== undefined && membership.timerEnds - now < most) return;
  startReport(dev, membership, most, cause);
}

/** Another host has reported the group. Mirrors __mld_report_work(). */
export function stopReport6(membership: Membership6): void {
  membership.timer?.cancel();
  membership.timer = undefined;
  membership.reporter = false;
}

function startReport(
  dev: NetDevice,
  membership: Membership6,
  most: Micros,
  cause: SkBuff | undefined,
): void {
  const { queue } = dev.ns.sim;
  const delay = randomPart(dev, most);
  membership.timer?.cancel();
  membership.timerEnds = later(queue.now, delay);
  membership.timer = queue.after(delay, "mld report", () => report(dev, membership, cause));
}

/** Mirrors mld_mca_work(). */
function report(dev: NetDevice, membership: Membership6, cause: SkBuff | undefined): void {
  const { group } = membership;
  membership.timer = undefined;
  membership.reporter = true;
  if (mldVersion(dev) === 1) sendOldReport6(dev, group, cause);
  else sendRecords6(dev, [{ type: MLD2_MODE_IS_EXCLUDE, group, sources: [] }], cause);
}

/** A random part of the longest wait, in whole jiffies. */
function randomPart(dev: NetDevice, most: Micros): Micros {
  const jiffies = Math.max(Math.ceil(most / milliseconds(4)), 1);
  return milliseconds(4 * randomBetween(dev.ns.sim.random, 0, jiffies - 1));
}
