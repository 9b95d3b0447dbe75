import {
  type CtInfo,
  IPS_EXPECTED,
  IPS_HELPER,
  IPS_SEQ_ADJUST,
  type Tuple,
  isOriginalDirection,
} from "../../core/conntrack.js";
import { ACCEPT, type HookState, type Verdict } from "../../core/hooks.js";
import type { SkBuff } from "../../core/skbuff.js";
import { told } from "../../core/trace.js";
import { formatIp } from "../../wire/ip.js";
import type { Connection } from "./connection.js";
import type { Expectation } from "./expectations.js";
import { adjustSegment } from "./sequence-adjust.js";
import type { ConntrackTable } from "./table.js";
import { tellConntrack } from "./tell.js";
import { ORIGINAL, REPLY } from "./tuple.js";

/**
 * A new connection is one that was expected, or takes over what the template of `-j CT` has. Mirrors the later half of
 * net/netfilter/nf_conntrack_core.c:init_conntrack().
 */
export function adopt(
  table: ConntrackTable,
  entry: Connection,
  tuple: Tuple,
  template: Connection | undefined,
): void {
  if (template?.ext !== undefined) {
    const { timeouts, eventMasks, synproxy } = template.ext;
    if (timeouts !== undefined) entry.extend().timeouts = timeouts;
    if (eventMasks !== undefined) entry.extend().eventMasks = eventMasks;
    if (synproxy !== undefined) entry.extend().synproxy = { ...synproxy };
  }
  const expectation = table.expectations.take(tuple, entry.zones);
  if (expectation !== undefined) {
    const { master } = expectation;
    entry.status |= IPS_EXPECTED;
    entry.master = master;
    if (master.mark !== 0) entry.inheritMark(master.mark);
    expectation.onArrival?.(entry);
    return;
  }
  const helper = template?.ext?.help?.helper;
  if (helper === undefined) return;
  entry.status |= IPS_HELPER;
  entry.extend().help = { helper, memory: undefined };
}

/** Lets the connection's helper read the packet, and moves its sequence numbers. Mirrors the first half of nf_confirm(). */
export function helpAndAdjust(
  skb: SkBuff,
  state: HookState,
  entry: Connection,
  info: CtInfo,
  table: ConntrackTable,
): Verdict {
  const { ext } = entry;
  // Asked before the helper: the segment that it changes first keeps its own numbers.
  const isLoopback = state.hook === "INPUT" && skb.dev?.isLoopback === true;
  const adjust =
    (entry.status & IPS_SEQ_ADJUST) === 0 || isLoopback ? undefined : ext?.sequenceAdjust;
  if (ext === undefined || (ext.help === undefined && adjust === undefined)) return ACCEPT;
  // Helpers do not read ICMP errors.
  if (info === "RELATED_REPLY") return ACCEPT;
  if (ext.help !== undefined) {
    const verdict = help(skb, entry, info, table);
    if (verdict.kind !== "accept") return verdict;
  }
  if (adjust !== undefined)
    skb.frame = adjustSegment(skb.frame, adjust, isOriginalDirection(info) ? ORIGINAL : REPLY);
  return ACCEPT;
}

function help(skb: SkBuff, entry: Connection, info: CtInfo, table: ConntrackTable): Verdict {
  const helper = entry.ext?.help?.helper;
  const result = helper?.help({ skb, entry, info, table });
  switch (result?.kind) {
    case "expects":
      tellConntrack(skb, "helper", entry, () => describeExpectation(result.expectation));
      return ACCEPT;
    case "drop":
      tellConntrack(
        skb,
        "helper",
        entry,
        `nf_ct_${helper?.name ?? ""}: dropping packet: ${result.why}`,
      );
      return { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" };
    case "unknown":
      skb.ns.sim.trace?.(told(skb, { kind: "unknown", what: result.what, place: undefined }));
      return ACCEPT;
    default:
      return ACCEPT;
  }
}

/** `ftp expects 10.0.2.2 > 10.0.2.1:40020 for 300 s`. */
function describeExpectation({ helper, tuple }: Expectation): string {
  return `${helper.name} expects ${describeWay(tuple)} for ${helper.timeout / 1_000_000} s`;
}

/** Why a new connection is RELATED. */
export function expectedBecause(master: Connection): string {
  const name = master.ext?.help?.helper.name ?? "a helper";
  const { source, sourcePort, destination, destinationPort } = master.original;
  return `expected: ${name} read of it in ${formatIp(source)}:${sourcePort} > ${formatIp(destination)}:${destinationPort}`;
}

function describeWay({ source, destination, destinationPort }: Tuple): string {
  return `${formatIp(source)} > ${formatIp(destination)}:${destinationPort}`;
}
