import { type Micros, milliseconds } from "../sim/time.js";
import { ipv4Sysctls } from "./sysctls.js";
import type { SendState, SentSegment, TcpConnection } from "./tcp-connection.js";
import { resend } from "./tcp-flight.js";
import { inFlight } from "./tcp-output.js";
import { isAfter } from "./tcp-sequence.js";

/** So many segments behind a hole say that what is in it is lost. Mirrors TCP_FASTRETRANS_THRESH. */
const REORDERING = 3;

/** What an acknowledgment brought. */
export interface Delivery {
  /** Segments acknowledged in order, and those behind a hole. */
  readonly acknowledged: readonly SentSegment[];
  readonly sacked: readonly SentSegment[];
  /** The acknowledgment says nothing new at all. */
  readonly repeats: boolean;
}

/**
 * What to think of what is still under way, and to send again of it.
 *
 *             a segment is thought lost              all that was sent till then is acknowledged
 *   open ──────────────────────────────▶ recovery ──────────────────────────────▶ open
 *     └───── timeout ─────▶ loss ────────────────────────────────────────────────────┘
 *
 * Mirrors net/ipv4/tcp_input.c:tcp_fastretrans_alert(), tcp_cong_control() and tcp_xmit_recovery().
 */
export function recover(connection: TcpConnection, delivery: Delivery): void {
  const { out } = connection;
  const advanced = delivery.acknowledged.length > 0;
  const delivered =
    delivery.acknowledged.filter(({ sacked }) => !sacked).length + delivery.sacked.length;
  noteDelivered(connection, delivery);
  if (out.phase !== "open" && !isAfter(out.highSequence, out.una)) endRecovery(out);
  const lostBefore = lostCount(out);
  if (connection.sackPermitted) detectLoss(connection);
  else countRepeats(out, delivery.repeats, advanced);
  const lost = lostCount(out) - lostBefore;
  if (out.phase === "open" && lostCount(out) > 0) enterRecovery(out);
  if (out.phase === "recovery") reduceWindow(out, delivered, lost, advanced);
  else if (advanced) growWindow(out, delivered);
  if (out.phase !== "open") resendLost(connection);
}

/** Sends again what is lost, as far as the window goes. Mirrors tcp_xmit_retransmit_queue(). */
export function resendLost(connection: TcpConnection): void {
  const { out, ns } = connection;
  for (const segment of [...out.flight]) {
    if (!segment.lost || segment.resent || !out.flight.includes(segment)) continue;
    if (inFlight(out) >= Math.floor(out.congestionWindow)) return;
    segment.resent = true;
    resend(connection, segment);
    out.retransmitStamp ??= ns.sim.queue.now;
    if (out.phase === "recovery") out.resentInRecovery++;
  }
}

/** Nothing was heard for long: all that was not told to be there counts as lost, and the first of it is sent. Mirrors tcp_enter_loss(). */
export function enterLoss(connection: TcpConnection): void {
  const { out } = connection;
  if (out.phase === "open") out.slowStartThreshold = threshold(out);
  out.phase = "loss";
  out.highSequence = out.sent;
  for (const segment of out.flight) {
    segment.lost = !segment.sacked;
    segment.resent = false;
  }
  out.congestionWindow = 1;
  resendLost(connection);
}

/** Nothing more has come: what is still missing is lost. Mirrors tcp_rack_reo_timeout(). */
export function resendLate(connection: TcpConnection): void {
  const { out } = connection;
  if (!detectLoss(connection)) return;
  if (out.phase === "open") {
    enterRecovery(out);
    reduceWindow(out, 1, 0, false);
  }
  resendLost(connection);
}

/** Segments that were sent well before one that has come since are lost. False while that is not sure. Mirrors net/ipv4/tcp_recovery.c:tcp_rack_detect_loss(). */
function detectLoss(connection: TcpConnection): boolean {
  const { out, ns } = connection;
  const { newest } = out;
  out.reorderingEnd = undefined;
  if (newest === undefined) return false;
  const patience = reorderingWindow(out);
  const before = inFlight(out);
  for (const segment of out.flight) {
    if (segment.sacked || (segment.lost && !segment.resent)) continue;
    if (segment.order > newest.order) continue;
    const left = newest.roundTrip + patience - (ns.sim.queue.now - segment.sentAt);
    if (left <= 0) {
      segment.lost = true;
      segment.resent = false;
    } else out.reorderingEnd = Math.max(out.reorderingEnd ?? 0, left) as Micros;
  }
  return inFlight(out) < before;
}

/** How long a segment may come late: not at all once enough have come before it. Mirrors tcp_rack_reo_wnd(). */
function reorderingWindow(out: SendState): number {
  const sacked = out.flight.filter((segment) => segment.sacked).length;
  if (out.phase !== "open" || sacked >= REORDERING) return 0;
  // A round trip takes time anywhere but here.
  return Math.max(1, Math.floor(Math.min(out.leastRoundTrip / 4, out.roundTrip)));
}

/** Mirrors tcp_rack_advance(). */
function noteDelivered(connection: TcpConnection, { acknowledged, sacked }: Delivery): void {
  const { out, ns } = connection;
  for (const { sentAt, order, wasResent } of [
    ...acknowledged.filter((segment) => !segment.sacked),
    ...sacked,
  ]) {
    const roundTrip = ns.sim.queue.now - sentAt;
    if (wasResent && roundTrip < out.leastRoundTrip) continue;
    if (!wasResent) out.leastRoundTrip = Math.min(out.leastRoundTrip, roundTrip);
    if (out.newest === undefined || order > out.newest.order) out.newest = { order, roundTrip };
  }
}

/** Without SACK three repetitions say that the first segment is lost. Mirrors tcp_newreno_mark_lost(). */
function countRepeats(out: SendState, repeats: boolean, advanced: boolean): void {
  out.duplicateAcks = advanced ? 0 : out.duplicateAcks + (repeats ? 1 : 0);
  const [head] = out.flight;
  if (head === undefined) return;
  if (out.phase === "open" ? out.duplicateAcks >= REORDERING : out.phase === "recovery" && advanced)
    head.lost = true;
}

/** Mirrors tcp_enter_recovery() and tcp_init_cwnd_reduction(). */
function enterRecovery(out: SendState): void {
  out.priorWindow = Math.floor(out.congestionWindow);
  out.slowStartThreshold = threshold(out);
  out.phase = "recovery";
  out.highSequence = out.sent;
  out.deliveredInRecovery = 0;
  out.resentInRecovery = 0;
}

function endRecovery(out: SendState): void {
  if (out.phase === "recovery") out.congestionWindow = out.slowStartThreshold;
  out.phase = "open";
  out.retransmitStamp = undefined;
}

/** Mirrors net/ipv4/tcp_cubic.c:cubictcp_recalc_ssthresh(). */
function threshold({ congestionWindow }: SendState): number {
  return Math.max(Math.floor((Math.floor(congestionWindow) * 717) / 1024), 2);
}

/** Proportional rate reduction: as many leave as arrive. RFC 6937, mirrors tcp_cwnd_reduction(). */
function reduceWindow(out: SendState, delivered: number, lost: number, advanced: boolean): void {
  if (delivered <= 0) return;
  const flying = inFlight(out);
  const room = out.slowStartThreshold - flying;
  out.deliveredInRecovery += delivered;
  let more: number;
  if (room < 0)
    more =
      Math.ceil((out.slowStartThreshold * out.deliveredInRecovery) / out.priorWindow) -
      out.resentInRecovery;
  else {
    more = Math.max(out.deliveredInRecovery - out.resentInRecovery, delivered);
    if (advanced && lost <= 0) more++;
    more = Math.min(room, more);
  }
  out.congestionWindow = flying + Math.max(more, out.resentInRecovery > 0 ? 0 : 1);
}

/** Slow start, then one segment a window. RFC 5681 §3.1. Differs: Linux grows by CUBIC. */
function growWindow(out: SendState, segments: number): void {
  out.congestionWindow +=
    out.congestionWindow < out.slowStartThreshold ? segments : segments / out.congestionWindow;
}

function lostCount({ flight }: SendState): number {
  return flight.filter(({ lost }) => lost).length;
}

/**
 * Whether retransmissions have gone on for longer than `boundary` of them would take from the least timeout on. Mirrors
 * net/ipv4/tcp_timer.c:retransmits_timed_out() and tcp_model_timeout().
 */
export function isTimedOut({ out, ns }: TcpConnection, boundary: number): boolean {
  if (out.retransmits === 0 || out.retransmitStamp === undefined) return false;
  const base = LEAST_TIMEOUT_MILLISECONDS;
  const most = ipv4Sysctls(ns).get("net.ipv4.tcp_rto_max_ms");
  const doublings = Math.floor(Math.log2(most / base));
  const length =
    boundary <= doublings
      ? (2 * 2 ** boundary - 1) * base
      : (2 * 2 ** doublings - 1) * base + (boundary - doublings) * most;
  return ns.sim.queue.now - out.retransmitStamp >= milliseconds(length);
}

const LEAST_TIMEOUT_MILLISECONDS = 200;
