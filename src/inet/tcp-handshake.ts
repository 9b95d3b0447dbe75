import { drop, type DropReason } from "../core/drop.js";
import { later, milliseconds } from "../sim/time.js";
import { TCP_ACK, TCP_RST, TCP_SYN } from "../wire/tcp.js";
import { traceSocket } from "./socket-trace.js";
import { ipv4Sysctls } from "./sysctls.js";
import type { AcceptQueue, TcpConnection } from "./tcp-connection.js";
import { startKeepAlive } from "./tcp-keepalive.js";
import { deliverTo, type Received } from "./tcp-received.js";
import { agree } from "./tcp-open.js";
import { pump, sendAck, sendSynAck } from "./tcp-output.js";
import { resetSegment } from "./tcp-reset.js";
import { advance, isAfter, isBefore } from "./tcp-sequence.js";
import { armHandshakeTimer, armTimer, fail, forget, sampleRoundTrip } from "./tcp-timer.js";

/** The client's SYN was answered, or refused. Mirrors tcp_rcv_synsent_state_process(). */
export function receiveInSynSent(connection: TcpConnection, received: Received): void {
  const { skb, header, options } = received;
  const { flags, acknowledgment } = header;
  const { out, in: receiver } = connection;
  const acknowledges = (flags & TCP_ACK) !== 0;
  if (acknowledges && acknowledgment !== out.sent) {
    resetSegment(skb, connection.owner);
    return drop(skb, "TCP_INVALID_ACK_SEQUENCE", "tcp_rcv_state_process");
  }
  if ((flags & TCP_RST) !== 0) {
    if (!acknowledges) return drop(skb, "TCP_RESET", "tcp_rcv_state_process");
    deliverTo(connection, skb);
    return fail(connection, "ECONNREFUSED");
  }
  if ((flags & TCP_SYN) === 0) return drop(skb, "TCP_FLAGS", "tcp_rcv_state_process");
  deliverTo(connection, skb);
  agree(connection, options);
  receiver.next = advance(header.sequence, 1);
  receiver.acknowledged = receiver.next;
  out.window = header.window;
  out.maxWindow = header.window;
  if (!acknowledges) {
    // Both ends called each other. RFC 9293 §3.5 figure 8.
    connection.state = "SYN_RECV";
    sendSynAck(connection);
    return armTimer(connection);
  }
  out.una = acknowledgment;
  sampleHandshake(connection);
  connection.state = "ESTABLISHED";
  connection.confirmPending = true;
  startKeepAlive(connection);
  armTimer(connection);
  if (out.chunks.length > 0 || out.finWanted) pump(connection);
  else sendAck(connection);
  armTimer(connection);
  if (connection.ns.sim.trace !== undefined)
    traceSocket(connection.ns, connection, "connected", "connected");
  connection.onConnected?.();
}

/** Whether a segment finishes a passive handshake; all others are dealt with here. Mirrors tcp_check_req(). */
export function receiveInSynRecv(connection: TcpConnection, received: Received): boolean {
  const { skb, header } = received;
  const { flags, acknowledgment, sequence } = header;
  const { in: receiver, out } = connection;
  const repeated =
    (flags & (TCP_SYN | TCP_ACK | TCP_RST)) === TCP_SYN && advance(sequence, 1) === receiver.next;
  if (repeated) {
    deliverTo(connection, skb);
    if (mayRepeat(connection) && sendSynAck(connection) === undefined)
      armHandshakeTimer(connection);
    return false;
  }
  if ((flags & TCP_ACK) !== 0 && (flags & TCP_RST) === 0 && acknowledgment !== out.sent) {
    resetSegment(skb, connection.owner);
    drop(skb, "TCP_INVALID_ACK_SEQUENCE", "tcp_check_req");
    return false;
  }
  const misfit = misfitOf(connection, received);
  if (misfit !== undefined) {
    // An answer to what carries nothing is limited: two ends could answer each other for ever.
    const mayAnswer = received.data.length > 0 || mayRepeat(connection);
    if ((flags & TCP_RST) === 0 && mayAnswer) sendAck(connection);
    drop(skb, misfit, "tcp_check_req");
    return false;
  }
  if ((flags & (TCP_RST | TCP_SYN)) !== 0) {
    if ((flags & TCP_RST) === 0) resetSegment(skb, connection.owner);
    drop(skb, (flags & TCP_RST) === 0 ? "TCP_INVALID_SYN" : "TCP_RESET", "tcp_check_req");
    forget(connection);
    if (connection.acceptQueue === undefined) fail(connection, "ECONNREFUSED");
    return false;
  }
  if ((flags & TCP_ACK) === 0) {
    drop(skb, "TCP_FLAGS", "tcp_check_req");
    return false;
  }
  return hasRoom(connection, received);
}

/** Why a segment cannot end the handshake: its timestamps, or its place. */
function misfitOf(
  connection: TcpConnection,
  { header, options, end }: Received,
): DropReason | undefined {
  const { in: receiver, synAckTimestamps } = connection;
  if (connection.timestamps && options.timestamp !== undefined) {
    const [value, echo] = options.timestamp;
    if ((header.flags & TCP_RST) === 0 && isBefore(value, receiver.recentTimestamp))
      return "TCP_RFC7323_PAWS";
    const [first, last] = synAckTimestamps ?? [echo, echo];
    // Mirrors between() of include/net/tcp.h.
    if (echo !== 0 && (last - first) >>> 0 < (echo - first) >>> 0) return "TCP_RFC7323_TSECR";
  }
  if (isAfter(receiver.next, end)) return "TCP_OLD_SEQUENCE";
  const behind = advance(receiver.next, receiver.window);
  return isAfter(header.sequence, behind) ? "TCP_INVALID_SEQUENCE" : undefined;
}

/** A handshake ends only while its connection finds a place in the accept queue. Mirrors the label listen_overflow of tcp_check_req(). */
function hasRoom(connection: TcpConnection, { skb }: Received): boolean {
  const { acceptQueue, ns } = connection;
  if (acceptQueue === undefined || !isAcceptQueueFull(acceptQueue)) return true;
  if (ipv4Sysctls(ns).get("net.ipv4.tcp_abort_on_overflow") !== 0) {
    resetSegment(skb, connection.owner);
    forget(connection);
  }
  drop(skb, "TCP_LISTEN_OVERFLOW", "tcp_check_req");
  return false;
}

/** Whether no more connections may wait to be accepted: `listen(n)` takes n + 1. Mirrors sk_acceptq_is_full(). */
export function isAcceptQueueFull({ waiting, backlog }: AcceptQueue): boolean {
  return waiting.size > backlog;
}

/** A repeated SYN is answered again, but not more often than `tcp_invalid_ratelimit`. */
function mayRepeat(connection: TcpConnection): boolean {
  const { in: receiver, ns } = connection;
  const { now } = ns.sim.queue;
  const pause = milliseconds(ipv4Sysctls(ns).get("net.ipv4.tcp_invalid_ratelimit"));
  if (receiver.lastChallenge !== undefined && now < later(receiver.lastChallenge, pause))
    return false;
  receiver.lastChallenge = now;
  return true;
}

/** The passive end is established. */
export function finishHandshake(connection: TcpConnection): void {
  sampleHandshake(connection);
  connection.state = "ESTABLISHED";
  startKeepAlive(connection);
  const { acceptQueue } = connection;
  acceptQueue?.requests.delete(connection);
  if (connection.accept === undefined) acceptQueue?.waiting.add(connection);
  connection.acceptQueue = undefined;
}

/** The handshake's own round trip, when nothing of it was repeated. */
function sampleHandshake(connection: TcpConnection): void {
  const { out, ns } = connection;
  if (out.timedAt !== undefined && out.retransmits === 0) {
    out.leastRoundTrip = ns.sim.queue.now - out.timedAt;
    sampleRoundTrip(connection, out.leastRoundTrip);
  }
  out.timedAt = undefined;
  out.retransmits = 0;
}
