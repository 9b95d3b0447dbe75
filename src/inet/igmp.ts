import { randomBetween } from "../base/random.js";
import type { NetDevice } from "../core/device.js";
import type { DeviceNotice } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { later, type Micros, microseconds, milliseconds } from "../sim/time.js";
import {
  type IgmpRecord,
  IGMPV3_CHANGE_TO_EXCLUDE,
  IGMPV3_CHANGE_TO_INCLUDE,
  IGMPV3_MODE_IS_EXCLUDE,
} from "../wire/igmp.js";
import type { Ipv4 } from "../wire/ip.js";
import { bumpRouting } from "./generation.js";
import {
  type DeviceGroups,
  deviceGroups,
  forgetGroups,
  IGMP_ALL_HOSTS,
  igmpVersion,
  isReported4,
  Membership,
  QUERY_INTERVAL,
  QUERY_RESPONSE_INTERVAL,
  unsolicitedInterval,
} from "./igmp-groups.js";
import { sendLeave, sendOldReport, sendRecords } from "./igmp-send.js";
import { ipv4Sysctls } from "./sysctls.js";

/** Timers of this protocol run two jiffies longer than asked for. */
const SLACK = milliseconds(8);

/** One more reason to be in a group. Mirrors net/ipv4/igmp.c:____ip_mc_inc_group(). */
export function joinGroup4(dev: NetDevice, group: Ipv4): void {
  const own = deviceGroups(dev);
  const known = own.find(group);
  if (known !== undefined) {
    known.users++;
    return;
  }
  const added = new Membership(group);
  own.groups = [added, ...own.groups];
  own.left = own.left.filter((gone) => gone.group !== group);
  bumpRouting(dev.ns);
  if (dev.up) tellJoined(dev, own, added);
}

/** One reason less. Mirrors __ip_mc_dec_group(). */
export function leaveGroup4(dev: NetDevice, group: Ipv4): void {
  const own = deviceGroups(dev);
  const known = own.find(group);
  if (known === undefined || --known.users > 0) return;
  own.groups = own.groups.filter((other) => other !== known);
  bumpRouting(dev.ns);
  tellLeft(dev, own, known);
}

/** Keeps 224.0.0.1, and what neighbours are told, in step with the devices. Mirrors ip_mc_up(), ip_mc_down() and ip_mc_destroy_dev(). */
export function followDeviceGroups(notice: DeviceNotice, dev: NetDevice): void {
  if (notice === "up") {
    const own = deviceGroups(dev);
    own.robustness = ipv4Sysctls(dev.ns).get("net.ipv4.igmp_qrv");
    own.queryInterval = QUERY_INTERVAL;
    own.responseInterval = QUERY_RESPONSE_INTERVAL;
    joinGroup4(dev, IGMP_ALL_HOSTS);
    own.left = [];
    for (const membership of own.groups) tellJoined(dev, own, membership);
  } else if (notice === "down") {
    stop(deviceGroups(dev));
    leaveGroup4(dev, IGMP_ALL_HOSTS);
  } else if (notice === "unregister") {
    stop(deviceGroups(dev));
    forgetGroups(dev);
  }
}

function stop(own: DeviceGroups): void {
  for (const membership of own.groups) stopReport(membership);
  own.changeTimer?.cancel();
  own.changeTimer = undefined;
  own.queryTimer?.cancel();
  own.queryTimer = undefined;
  own.repeats = 0;
}

/** Mirrors igmp_group_added(). */
function tellJoined(dev: NetDevice, own: DeviceGroups, added: Membership): void {
  if (!isReported4(dev.ns, added.group)) return;
  const { robustness } = own;
  added.unsolicited = robustness;
  if (igmpVersion(dev) !== 3) return startReport(dev, added, milliseconds(4));
  added.changes = robustness;
  tellChangesSoon(dev, own);
}

/** Mirrors igmp_group_dropped(). */
function tellLeft(dev: NetDevice, own: DeviceGroups, gone: Membership): void {
  const { reporter } = gone;
  stopReport(gone);
  if (!isReported4(dev.ns, gone.group) || !dev.up) return;
  const version = igmpVersion(dev);
  if (version === 2 && reporter) sendLeave(dev, gone.group);
  if (version !== 3) return;
  own.left = [{ group: gone.group, changes: own.robustness }, ...own.left];
  tellChangesSoon(dev, own);
}

/** Mirrors igmp_ifc_event(). */
function tellChangesSoon(dev: NetDevice, own: DeviceGroups): void {
  own.repeats = own.robustness;
  startChanges(dev, own, microseconds(0));
}

function startChanges(dev: NetDevice, own: DeviceGroups, most: Micros): void {
  own.changeTimer?.cancel();
  own.changeTimer = dev.ns.sim.queue.after(randomDelay(dev, most), "igmp report", () =>
    tellChanges(dev, own),
  );
}

/** Mirrors igmp_ifc_timer_expire() and igmpv3_send_cr(). */
function tellChanges(dev: NetDevice, own: DeviceGroups): void {
  own.changeTimer = undefined;
  const records: IgmpRecord[] = [];
  for (const gone of own.left) {
    records.push({ type: IGMPV3_CHANGE_TO_INCLUDE, group: gone.group, sources: [] });
    gone.changes--;
  }
  own.left = own.left.filter(({ changes }) => changes > 0);
  for (const membership of own.groups) {
    if (membership.changes === 0) continue;
    records.push({ type: IGMPV3_CHANGE_TO_EXCLUDE, group: membership.group, sources: [] });
    membership.changes--;
  }
  sendRecords(dev, records);
  if (own.repeats === 0) return;
  own.repeats--;
  // Differs: the last round, which has nothing to say, is left out.
  if (own.left.length > 0 || own.groups.some(({ changes }) => changes > 0))
    startChanges(dev, own, unsolicitedInterval(dev));
}

/** Nothing of a change is told any more: an older router would not understand it. Mirrors igmpv3_clear_delrec(). */
export function stopChanges(own: DeviceGroups): void {
  own.repeats = 0;
  own.changeTimer?.cancel();
  own.changeTimer = undefined;
  own.left = [];
}

/** Everything this device is in, in one answer, within a time that a router gave. Mirrors igmp_gq_start_timer(). */
export function answerAll(dev: NetDevice, own: DeviceGroups, cause: SkBuff): void {
  const { queue } = dev.ns.sim;
  const delay = randomDelay(dev, own.longestDelay);
  const ends = later(queue.now, delay);
  if (own.queryTimer !== undefined && ends >= own.queryEnds) return;
  own.queryTimer?.cancel();
  own.queryEnds = ends;
  own.queryTimer = queue.after(delay, "igmp answer", () => {
    own.queryTimer = undefined;
    const told = own.groups.filter(({ group }) => isReported4(dev.ns, group));
    sendRecords(dev, told.map(currentState), cause);
  });
}

function currentState({ group }: Membership): IgmpRecord {
  return { type: IGMPV3_MODE_IS_EXCLUDE, group, sources: [] };
}

/** A report that is due sooner stays. Mirrors igmp_mod_timer(). */
export function reportWithin(
  dev: NetDevice,
  membership: Membership,
  most: Micros,
  cause: SkBuff,
): void {
  membership.unsolicited = 0;
  const { now } = dev.ns.sim.queue;
  if (membership.timer !== undefined && membership.timerEnds - now < most) return;
  startReport(dev, membership, most, cause);
}

/** Another host has reported the group. Mirrors igmp_stop_timer(). */
export function stopReport(membership: Membership): void {
  if (membership.timer !== undefined) {
    membership.timer.cancel();
    membership.timer = undefined;
  }
  membership.reporter = false;
  membership.unsolicited = 0;
}

function startReport(dev: NetDevice, membership: Membership, most: Micros, cause?: SkBuff): void {
  const { queue } = dev.ns.sim;
  const delay = randomDelay(dev, most);
  membership.timer?.cancel();
  membership.timerEnds = later(queue.now, delay);
  membership.timer = queue.after(delay, "igmp report", () => report(dev, membership, cause));
}

/** Mirrors igmp_timer_expire(). */
function report(dev: NetDevice, membership: Membership, cause: SkBuff | undefined): void {
  membership.timer = undefined;
  if (membership.unsolicited > 0 && --membership.unsolicited > 0)
    startReport(dev, membership, unsolicitedInterval(dev));
  membership.reporter = true;
  if (igmpVersion(dev) === 3) sendRecords(dev, [currentState(membership)], cause);
  else sendOldReport(dev, membership.group, cause);
}

/** A random part of the longest wait, in whole jiffies, and two more. */
function randomDelay(dev: NetDevice, most: Micros): Micros {
  const jiffies = Math.max(Math.floor(most / milliseconds(4)), 1);
  return later(milliseconds(4 * randomBetween(dev.ns.sim.random, 0, jiffies - 1)), SLACK);
}
