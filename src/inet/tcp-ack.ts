import { microseconds, milliseconds } from "../sim/time.js";
import { ipv4Sysctls } from "./sysctls.js";
import type { TcpConnection } from "./tcp-connection.js";
import { pump, sendAck, sendFrom } from "./tcp-output.js";
import { advance, distance, isAfter } from "./tcp-sequence.js";
import { armTimer, noteProbeAnswered, resetTimeout, sampleRoundTrip } from "./tcp-timer.js";

const DUPLICATES_BEFORE_RETRANSMISSION = 3;
const QUICK_ACKS = 16;
const ACK_DELAY_MILLISECONDS = 40;
/** One tick of HZ=250: an answer that need not be at once, on a connection that never carried data. */
const JIFFY_MILLISECONDS = 4;

/** An acknowledgment that moves on, repeats, or opens the window. Mirrors net/ipv4/tcp_input.c:tcp_ack() behind its checks. */
export function processAck(
  connection: TcpConnection,
  acknowledgment: number,
  window: number,
  hasData: boolean,
): void {
  const { out, ns } = connection;
  const scaled = window * 2 ** out.windowScale;
  const windowMoved = scaled !== out.window;
  const acked = distance(out.una, acknowledgment);
  out.window = scaled;
  out.maxWindow = Math.max(out.maxWindow, scaled);
  connection.in.lastAck = ns.sim.queue.now;
  noteProbeAnswered(connection);
  if (acked <= 0) {
    if (acked === 0 && !hasData && !windowMoved && out.una !== out.sent) duplicate(connection);
    return;
  }
  // A SYN-ACK stands in no queue of the kernel's: its answer confirms nothing.
  if (out.una !== connection.initialSequence) connection.confirmPending = true;
  out.una = acknowledgment;
  if (isAfter(acknowledgment, out.next)) out.next = acknowledgment;
  out.chunks = out.chunks.filter((chunk) =>
    isAfter(advance(chunk.start, chunk.data.length), acknowledgment),
  );
  if (out.finWanted && isAfter(acknowledgment, out.end)) out.finSent = true;
  out.duplicateAcks = 0;
  if (out.timed !== undefined && !isAfter(out.timed.end, acknowledgment)) {
    sampleRoundTrip(connection, ns.sim.queue.now - out.timed.at);
    out.timed = undefined;
  }
  resetTimeout(connection);
  growWindow(connection, acked);
  armTimer(connection);
}

/** Slow start, then one segment a window. RFC 5681 §3.1. Differs: Linux grows by CUBIC. */
function growWindow({ out }: TcpConnection, acked: number): void {
  const segments = Math.ceil(acked / out.mss);
  out.congestionWindow +=
    out.congestionWindow < out.slowStartThreshold ? segments : segments / out.congestionWindow;
}

/** Three answers to what came after a hole: the hole is filled without waiting. RFC 5681 §3.2. */
function duplicate(connection: TcpConnection): void {
  const { out } = connection;
  out.duplicateAcks++;
  if (out.duplicateAcks !== DUPLICATES_BEFORE_RETRANSMISSION) return;
  out.slowStartThreshold = Math.max(Math.floor(out.congestionWindow / 2), 2);
  out.congestionWindow = out.slowStartThreshold;
  const length = Math.min(out.mss, distance(out.una, out.end));
  const fin = out.finSent && distance(out.una, out.end) === length;
  sendFrom(connection, out.una, Math.max(length, 0), fin);
}

/** The path takes smaller segments than thought: what is under way is sent again in smaller ones. Mirrors tcp_simple_retransmit(). */
export function resendSmaller(connection: TcpConnection): void {
  const { out } = connection;
  if (out.una === out.sent) return;
  out.next = out.una;
  out.finSent = false;
  out.timed = undefined;
  pump(connection);
  armTimer(connection);
}

/** Data came: how soon it has to be acknowledged. Mirrors tcp_event_data_recv(). */
export function noteDataReceived(connection: TcpConnection, length: number): void {
  const { in: received, ns } = connection;
  received.mss = Math.max(received.mss, length);
  if (received.ackTimeout === 0) {
    received.quick = QUICK_ACKS;
    received.ackTimeout = milliseconds(ACK_DELAY_MILLISECONDS);
  }
  received.lastData = ns.sim.queue.now;
}

/** Acknowledges at once, or lets the acknowledgment wait for data to go with. Mirrors __tcp_ack_snd_check(). */
export function acknowledge(connection: TcpConnection): void {
  const { in: received, ns } = connection;
  const due = distance(received.acknowledged, received.next);
  if (due === 0) return;
  const inDialogue = received.pingPong >= ipv4Sysctls(ns).get("net.ipv4.tcp_pingpong_thresh");
  if (due > received.mss || received.early.length > 0 || (received.quick > 0 && !inDialogue))
    return sendAck(connection);
  if (received.ackTimer !== undefined) return;
  const cause = connection.current;
  const delay =
    received.ackTimeout === 0
      ? milliseconds(JIFFY_MILLISECONDS)
      : microseconds(received.ackTimeout);
  received.ackTimer = ns.sim.queue.after(delay, "tcp delayed ack", () => {
    received.ackTimer = undefined;
    connection.current = cause;
    sendAck(connection);
    connection.current = undefined;
  });
}
