import type { Errno } from "../core/errno.js";
import { type Micros, microseconds, milliseconds, seconds } from "../sim/time.js";
import { traceSocket } from "./socket-trace.js";
import { ipv4Sysctls } from "./sysctls.js";
import type { TcpConnection } from "./tcp-connection.js";
import { resend } from "./tcp-flight.js";
import { enterLoss, isTimedOut, resendLate } from "./tcp-loss.js";
import { pump, sendProbe, sendSyn, sendSynAck } from "./tcp-output.js";
import { tcpTable } from "./tcp-table.js";

const TIME_WAIT_LENGTH = seconds(60);
/** Timeouts are whole ticks of HZ=250. */
const TICK = milliseconds(4);
/** tcp_orphan_retries = 0 stands for this many. */
const ORPHAN_RETRIES = 8;

/**
 * Starts, keeps or stops the retransmission timer, by whether anything waits for an answer or could not leave. Mirrors
 * tcp_rearm_rto() and tcp_check_probe_timer().
 */
export function armTimer(connection: TcpConnection, delay: Micros = connection.out.timeout): void {
  const { out, ns } = connection;
  out.timer?.cancel();
  out.timer = undefined;
  out.isProbing = false;
  out.waitsFor = "an answer";
  if (out.una === out.sent && !out.refused) return armProbe(connection);
  out.timer = ns.sim.queue.after(delay, "tcp retransmission", () => onTimeout(connection));
}

/** Something waits although nothing is under way: the peer's window is closed, and it has to be asked. Mirrors tcp_check_probe_timer(). */
function armProbe(connection: TcpConnection): void {
  const { out, ns, state } = connection;
  const waits = out.sent !== out.end || out.finWanted;
  if (!waits || out.finSent || state === "SYN_SENT" || state === "SYN_RECV") return;
  const sysctls = ipv4Sysctls(ns);
  const base = Math.max(out.timeout, sysctls.get("net.ipv4.tcp_rto_min_us"));
  const most = milliseconds(sysctls.get("net.ipv4.tcp_rto_max_ms"));
  const delay = microseconds(Math.min(base * 2 ** out.probeBackoff, most));
  out.isProbing = true;
  out.timer = ns.sim.queue.after(delay, "tcp window probe", () => onProbeTimeout(connection));
}

/** Mirrors net/ipv4/tcp_timer.c:tcp_probe_timer() and net/ipv4/tcp_output.c:tcp_send_probe0(). */
function onProbeTimeout(connection: TcpConnection): void {
  const { out, ns } = connection;
  out.timer = undefined;
  const retries = ipv4Sysctls(ns).get("net.ipv4.tcp_retries2");
  if (out.probes >= retryLimit(connection))
    return fail(connection, connection.softError ?? "ETIMEDOUT");
  out.probes++;
  if (out.probeBackoff < retries) out.probeBackoff++;
  sendProbe(connection, "tcp window probe");
  if (out.timer === undefined) armTimer(connection);
}

/** An answer came: the window has opened, or is asked for again after the same while. Mirrors tcp_ack_probe(). */
export function noteProbeAnswered(connection: TcpConnection): void {
  const { out } = connection;
  out.probes = 0;
  if (!out.isProbing) return;
  if (out.window === 0) return armTimer(connection);
  out.probeBackoff = 0;
  out.isProbing = false;
  out.timer?.cancel();
  out.timer = undefined;
}

/** Starts the timer when something was just sent, and waits for its answer. Mirrors the end of tcp_write_xmit(). */
export function watch(connection: TcpConnection): void {
  const { out } = connection;
  const hasFresh = out.hasFresh;
  out.hasFresh = false;
  if (hasFresh && armLossProbe(connection, false)) return;
  if (out.timer === undefined) armTimer(connection);
  else if (hasFresh && out.waitsFor === "a loss probe")
    armTimer(connection, timeoutLeft(connection));
}

/** Something was acknowledged: the wait begins anew. Mirrors tcp_set_xmit_timer(). */
export function restartTimer(connection: TcpConnection): void {
  if (!armLossProbe(connection, true)) armTimer(connection);
}

/** How long it is to the timeout of the first segment under way. Mirrors tcp_rto_delta_us(). */
function timeoutLeft({ out, ns }: TcpConnection): Micros {
  const [head] = out.flight;
  const left = head === undefined ? out.timeout : head.sentAt + out.timeout - ns.sim.queue.now;
  return microseconds(Math.max(left, 1));
}

/**
 * The last segment is sent once more if its answer takes longer than two round trips, which may save the timeout. RFC 8985 §7.2. False
 * when none is due. Mirrors net/ipv4/tcp_output.c:tcp_schedule_loss_probe().
 */
function armLossProbe(connection: TcpConnection, advancing: boolean): boolean {
  const { out, ns, state, sackPermitted } = connection;
  if (state === "SYN_SENT" || state === "SYN_RECV" || !sackPermitted) return false;
  const mode = ipv4Sysctls(ns).get("net.ipv4.tcp_early_retrans");
  const isQuiet = out.phase === "open" && !out.flight.some(({ sacked }) => sacked);
  if (mode < 3 || out.flight.length === 0 || !isQuiet) return false;
  const pause =
    out.flight.length === 1
      ? ipv4Sysctls(ns).get("net.ipv4.tcp_rto_min_us")
      : milliseconds(LEAST_PAUSE_MILLISECONDS);
  const wanted = out.roundTrip === 0 ? seconds(1) : microseconds(2 * out.roundTrip + pause);
  const left = advancing ? out.timeout : timeoutLeft(connection);
  out.timer?.cancel();
  out.isProbing = false;
  out.waitsFor = "a loss probe";
  const delay = microseconds(Math.min(wanted, left));
  out.timer = ns.sim.queue.after(delay, "tcp loss probe", () => onLossProbe(connection));
  return true;
}

/** Mirrors tcp_send_loss_probe(). */
function onLossProbe(connection: TcpConnection): void {
  const { out } = connection;
  out.timer = undefined;
  if (out.lossProbe !== undefined) return armTimer(connection, timeoutLeft(connection));
  const before = out.sent;
  pump(connection, "one, full or not");
  const last = out.flight.at(-1);
  if (out.sent === before && last !== undefined) {
    if (isStillHere(connection)) return armTimer(connection, timeoutLeft(connection));
    resend(connection, last);
  }
  out.hasFresh = false;
  out.lossProbe = { end: out.sent, again: out.sent === before };
  armTimer(connection);
}

/** What has not come yet is lost now, unless that is still not sure. Mirrors net/ipv4/tcp_recovery.c:tcp_rack_reo_timeout(). */
export function armReordering(connection: TcpConnection): void {
  const { out, ns } = connection;
  if (out.reorderingEnd === undefined) return;
  const delay = microseconds(out.reorderingEnd + milliseconds(LEAST_PAUSE_MILLISECONDS));
  out.timer?.cancel();
  out.isProbing = false;
  out.waitsFor = "a late segment";
  out.timer = ns.sim.queue.after(delay, "tcp reordering", () => {
    out.timer = undefined;
    resendLate(connection);
    if (out.timer === undefined) armTimer(connection, timeoutLeft(connection));
  });
}

/** Two ticks of HZ=250. Mirrors TCP_TIMEOUT_MIN. */
const LEAST_PAUSE_MILLISECONDS = 8;

/** Mirrors net/ipv4/tcp_timer.c:tcp_retransmit_timer() and, for SYN-ACKs, reqsk_timer_handler(). */
function onTimeout(connection: TcpConnection): void {
  const { out, state } = connection;
  out.timer = undefined;
  // A neighbour that fails at this very moment tells so first.
  if (state === "SYN_SENT") {
    out.timer = connection.ns.sim.queue.after(microseconds(0), "tcp retransmission", () => {
      out.timer = undefined;
      onHandshakeTimeout(connection);
    });
    return;
  }
  if (state === "SYN_RECV") return onHandshakeTimeout(connection);
  const limit = retryLimit(connection);
  const isOver = out.flight.length === 0 ? out.retransmits >= limit : isTimedOut(connection, limit);
  if (isOver) return fail(connection, connection.softError ?? "ETIMEDOUT");
  out.retransmits++;
  if (isStillHere(connection)) return backOff(connection);
  if (out.flight.length > 0) enterLoss(connection);
  else pump(connection);
  out.hasFresh = false;
  backOff(connection);
}

/** How often something is said again that nobody answers. Mirrors tcp_orphan_retries(). */
function retryLimit({ orphaned, ns }: TcpConnection): number {
  const sysctls = ipv4Sysctls(ns);
  if (!orphaned) return sysctls.get("net.ipv4.tcp_retries2");
  return sysctls.get("net.ipv4.tcp_orphan_retries") || ORPHAN_RETRIES;
}

/** What is to be sent again has not left yet: its next hop is being asked for. Mirrors skb_still_in_host_queue(). */
function isStillHere({ out, family, ns }: TcpConnection): boolean {
  const { head } = out;
  return head !== undefined && !head.ended && head.ns === ns && family.isWaiting(head);
}

function backOff(connection: TcpConnection): void {
  const { out } = connection;
  const most = milliseconds(ipv4Sysctls(connection.ns).get("net.ipv4.tcp_rto_max_ms"));
  out.timeout = microseconds(Math.min(out.timeout * 2, most));
  armTimer(connection);
}

/** A SYN is repeated every second at first, then at doubled distances; a SYN-ACK at doubled distances. */
function onHandshakeTimeout(connection: TcpConnection): void {
  const { out, state } = connection;
  const sysctls = ipv4Sysctls(connection.ns);
  const linear = state === "SYN_SENT" ? sysctls.get("net.ipv4.tcp_syn_linear_timeouts") : 0;
  const limit =
    state === "SYN_SENT"
      ? sysctls.get("net.ipv4.tcp_syn_retries") + linear
      : synAckLimit(connection);
  if (out.retransmits >= limit) {
    if (state === "SYN_RECV") return forget(connection);
    return fail(connection, connection.softError ?? "ETIMEDOUT");
  }
  out.retransmits++;
  if (state === "SYN_RECV") sendSynAck(connection);
  else if (!isStillHere(connection)) sendSyn(connection);
  armHandshakeTimer(connection);
}

/** A SYN or SYN-ACK has just been sent, and is sent again if nobody answers. Mirrors tcp_reqsk_timeout(). */
export function armHandshakeTimer(connection: TcpConnection): void {
  const { out, state } = connection;
  const sysctls = ipv4Sysctls(connection.ns);
  const linear = state === "SYN_SENT" ? sysctls.get("net.ipv4.tcp_syn_linear_timeouts") : 0;
  const delay = seconds(2 ** Math.max(out.retransmits - linear, 0));
  const most = milliseconds(sysctls.get("net.ipv4.tcp_rto_max_ms"));
  armTimer(connection, microseconds(Math.min(delay, most)));
}

/** How often a SYN-ACK is repeated: less often while most of a SYN queue that fills up has not been answered for long. Mirrors reqsk_timer_handler(). */
function synAckLimit({ acceptQueue, ns }: TcpConnection): number {
  let limit = ipv4Sysctls(ns).get("net.ipv4.tcp_synack_retries");
  if (acceptQueue === undefined) return limit;
  const { requests, backlog } = acceptQueue;
  if (requests.size * 2 <= Math.max(8, backlog)) return limit;
  const fresh = [...requests].filter(({ out }) => out.retransmits === 0).length;
  for (let young = fresh * 2; limit > 2 && requests.size >= young; young *= 2) limit--;
  return limit;
}

/** Learns from an answer how long answers take. RFC 6298, mirrors tcp_rtt_estimator() and tcp_set_rto(). */
export function sampleRoundTrip(connection: TcpConnection, sample: number): void {
  const { out } = connection;
  const least = ipv4Sysctls(connection.ns).get("net.ipv4.tcp_rto_min_us");
  const measured = Math.max(sample, 1);
  if (out.roundTrip === 0) {
    out.roundTrip = measured;
    out.deviation = measured / 2;
  } else {
    out.deviation += (Math.abs(out.roundTrip - measured) - out.deviation) / 4;
    out.roundTrip += (measured - out.roundTrip) / 8;
  }
  const wanted = out.roundTrip + Math.max(4 * out.deviation, least);
  out.timeout = microseconds(Math.ceil(wanted / TICK) * TICK);
}

/** Both sides are done: late segments are answered for a minute. Mirrors tcp_time_wait(). */
export function enterTimeWait(connection: TcpConnection): void {
  stopTimers(connection);
  connection.state = "TIME_WAIT";
  connection.hasSocket = false;
  tcpTable(connection.ns).noteEnd(connection);
  connection.out.timer = connection.ns.sim.queue.after(TIME_WAIT_LENGTH, "tcp TIME_WAIT", () =>
    forget(connection),
  );
}

/** The peer does not close its side: after tcp_fin_timeout nobody waits for it. `withFin`: it closes in the same segment. */
export function enterFinWait2(connection: TcpConnection, withFin: boolean): void {
  connection.state = "FIN_WAIT2";
  if (!connection.orphaned) return;
  const { out, ns } = connection;
  const length = seconds(ipv4Sysctls(ns).get("net.ipv4.tcp_fin_timeout"));
  if (!withFin && length <= TIME_WAIT_LENGTH) connection.hasSocket = false;
  out.timer?.cancel();
  out.timer = ns.sim.queue.after(length, "tcp FIN_WAIT2", () => forget(connection));
}

/** The connection is over and its program is told why. Mirrors tcp_done_with_error(). */
export function fail(connection: TcpConnection, errno: Errno): void {
  forget(connection);
  connection.error = errno;
  if (connection.ns.sim.trace !== undefined)
    traceSocket(connection.ns, connection, "error", `error ${errno}`, errno);
  if (!connection.orphaned) connection.onError?.(errno);
}

/** The connection is over and out of every table. Mirrors tcp_done(). */
export function forget(connection: TcpConnection): void {
  stopTimers(connection);
  if (connection.state === "CLOSE") return;
  connection.state = "CLOSE";
  connection.acceptQueue?.requests.delete(connection);
  tcpTable(connection.ns).removeConnection(connection);
}

function stopTimers(connection: TcpConnection): void {
  connection.out.timer?.cancel();
  connection.out.timer = undefined;
  connection.in.ackTimer?.cancel();
  connection.in.ackTimer = undefined;
  connection.keepAliveTimer?.cancel();
  connection.keepAliveTimer = undefined;
}
