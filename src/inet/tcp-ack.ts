import { microseconds, milliseconds } from "../sim/time.js";
import { ipv4Sysctls } from "./sysctls.js";
import type { SendState, SentSegment, TcpConnection } from "./tcp-connection.js";
import { cutToSize, isDuplicate, markSacked, takeAcknowledged } from "./tcp-flight.js";
import { enterLoss, recover } from "./tcp-loss.js";
import { sendAck } from "./tcp-output.js";
import type { Received } from "./tcp-received.js";
import { advance, distance, isAfter, isBefore } from "./tcp-sequence.js";
import {
  armReordering,
  armTimer,
  noteProbeAnswered,
  restartTimer,
  sampleRoundTrip,
} from "./tcp-timer.js";

const QUICK_ACKS = 16;
const ACK_DELAY_MILLISECONDS = 40;
/** One tick of HZ=250: an answer that need not be at once, on a connection that never carried data. */
const JIFFY_MILLISECONDS = 4;

/** An acknowledgment that moves on, repeats, tells of what is behind a hole, or opens the window. Mirrors net/ipv4/tcp_input.c:tcp_ack() behind its checks. */
export function processAck(connection: TcpConnection, received: Received): void {
  const { out, ns } = connection;
  const { acknowledgment, window } = received.header;
  const scaled = window * 2 ** out.windowScale;
  const windowMoved = scaled !== out.window;
  const acked = distance(out.una, acknowledgment);
  out.window = scaled;
  out.maxWindow = Math.max(out.maxWindow, scaled);
  connection.in.lastAck = ns.sim.queue.now;
  noteProbeAnswered(connection);
  if (acked < 0 || out.una === out.sent) return;
  const blocks = connection.sackPermitted ? (received.options.sack ?? []) : [];
  const isDouble = isDuplicate(blocks, acknowledgment);
  // A SYN-ACK stands in no queue of the kernel's: its answer confirms nothing.
  if (acked > 0 && out.una !== connection.initialSequence) connection.confirmPending = true;
  if (acked > 0) moveOn(connection, acknowledgment);
  const acknowledged = takeAcknowledged(out, acknowledgment);
  const sacked = markSacked(out, isDouble ? blocks.slice(1) : blocks);
  const repeats = acked === 0 && received.data.length === 0 && !windowMoved && !isDouble;
  sampleAnswers(connection, acknowledged, sacked);
  noteLossProbeAnswered(out, acknowledgment, isDouble || (repeats && sacked.length === 0));
  const delivery = { acknowledged, sacked, repeats };
  recover(connection, delivery);
  if (out.reorderingEnd !== undefined) armReordering(connection);
  else if (acked > 0 || out.waitsFor === "a late segment") restartTimer(connection);
}

function moveOn({ out }: TcpConnection, acknowledgment: number): void {
  out.una = acknowledgment;
  out.retransmits = 0;
  out.chunks = out.chunks.filter((chunk) =>
    isAfter(advance(chunk.start, chunk.data.length), acknowledgment),
  );
}

/** How long the answer took to what was sent once. Mirrors tcp_ack_update_rtt(). */
function sampleAnswers(
  connection: TcpConnection,
  acknowledged: readonly SentSegment[],
  sacked: readonly SentSegment[],
): void {
  const { now } = connection.ns.sim.queue;
  const inOrder = acknowledged.filter((segment) => !segment.sacked);
  const [first] = inOrder.some(({ wasResent }) => wasResent) ? [] : inOrder;
  const timed = first ?? sacked.find(({ wasResent }) => !wasResent);
  if (timed !== undefined) sampleRoundTrip(connection, now - timed.sentAt);
}

/** Mirrors tcp_process_tlp_ack(). */
function noteLossProbeAnswered(out: SendState, acknowledgment: number, saysNothing: boolean): void {
  if (out.lossProbe === undefined || isBefore(acknowledgment, out.lossProbe.end)) return;
  const { again, end } = out.lossProbe;
  if (!again || saysNothing || isAfter(acknowledgment, end)) out.lossProbe = undefined;
}

/** The path takes smaller segments than thought: what is under way is sent again in smaller ones. Mirrors tcp_simple_retransmit(). */
export function resendSmaller(connection: TcpConnection): void {
  const { out } = connection;
  if (out.flight.length === 0) return;
  cutToSize(out, out.mss);
  enterLoss(connection);
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

/** Something came that came before: what comes next is answered at once for a while. Mirrors tcp_enter_quickack_mode(). */
export function answerQuickly({ in: received }: TcpConnection): void {
  const wanted = Math.max(Math.floor(received.window / (2 * received.mss)), 2);
  received.quick = Math.max(received.quick, Math.min(wanted, QUICK_ACKS));
  received.pingPong = 0;
  received.ackTimeout = milliseconds(ACK_DELAY_MILLISECONDS);
}

/** Acknowledges at once, or lets the acknowledgment wait for data to go with. Mirrors __tcp_ack_snd_check(). */
export function acknowledge(connection: TcpConnection): void {
  const { in: received, ns } = connection;
  const due = distance(received.acknowledged, received.next);
  const isUrgent = received.answerNow;
  received.answerNow = false;
  if (isUrgent) return sendAck(connection);
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
