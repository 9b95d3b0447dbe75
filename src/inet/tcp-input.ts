import { drop, type DropReason } from "../core/drop.js";
import type { SkBuff } from "../core/skbuff.js";
import { later, milliseconds } from "../sim/time.js";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../wire/tcp.js";
import { assignedSocket } from "./assigned-socket.js";
import type { IcmpErrorNotice, IpProtocol } from "./protocols.js";
import { ipv4Sysctls } from "./sysctls.js";
import { acknowledge, answerQuickly, processAck, resendSmaller } from "./tcp-ack.js";
import type { TcpConnection } from "./tcp-connection.js";
import { takeData, tellProgram } from "./tcp-data.js";
import { finishHandshake, receiveInSynRecv, receiveInSynSent } from "./tcp-handshake.js";
import { acceptSyn, receiveInListen } from "./tcp-listen.js";
import { parseTcpOptions, type TcpOptions } from "./tcp-options.js";
import { pump, routeOf, sendAck } from "./tcp-output.js";
import { deliverTo, type Received } from "./tcp-received.js";
import { resetSegment } from "./tcp-reset.js";
import { noteDuplicate } from "./tcp-sack.js";
import { advance, distance, isAfter, isBefore } from "./tcp-sequence.js";
import type { TcpListener } from "./tcp-socket.js";
import { tcpRedirect } from "./tcp-redirect.js";
import { tcpTable } from "./tcp-table.js";
import { enterFinWait2, enterTimeWait, fail, forget, watch } from "./tcp-timer.js";

/** Both families' segments. Mirrors net/ipv4/tcp_ipv4.c:tcp_protocol and net/ipv6/tcp_ipv6.c:tcpv6_protocol. */
export const tcpProtocol: IpProtocol = {
  receive: tcpRcv,
  error: tcpErr,
  redirect: tcpRedirect,
};

/** Mirrors net/ipv4/tcp_ipv4.c:tcp_v4_rcv(). */
function tcpRcv(skb: SkBuff): void {
  const { network, transport, payload } = skb.frame;
  const where = network?.kind === "ipv6" ? "tcp_v6_rcv" : "tcp_v4_rcv";
  if (skb.packetType !== "HOST") return drop(skb, "NOT_SPECIFIED", where);
  if (network === undefined || network.kind === "arp" || transport?.kind !== "tcp")
    return drop(skb, "PKT_TOO_SMALL", where);
  if (transport.checksumError !== undefined) return drop(skb, "TCP_CSUM", where);
  const table = tcpTable(skb.ns);
  const { destination, source } = network;
  const given = assignedSocket(skb);
  const connection =
    given?.kind === "connection"
      ? given.socket
      : given === undefined
        ? table.connection(destination, transport.destinationPort, source, transport.sourcePort)
        : undefined;
  const length =
    payload.length +
    ((transport.flags & TCP_SYN) === 0 ? 0 : 1) +
    ((transport.flags & TCP_FIN) === 0 ? 0 : 1);
  const options = transport.options.length === 0 ? NO_OPTIONS : parseTcpOptions(transport.options);
  const received: Received = {
    skb,
    header: transport,
    options,
    data: payload,
    end: advance(transport.sequence, length),
  };
  if (connection !== undefined) return toConnection(connection, received);
  const listener =
    given?.kind === "listener"
      ? given.socket
      : table.listener(destination, transport.destinationPort, skb.dev, {
          address: source,
          port: transport.sourcePort,
        });
  if (listener !== undefined) return toListener(listener, received);
  resetSegment(skb);
  drop(skb, "NO_SOCKET", where);
}

const NO_OPTIONS: TcpOptions = {};

function toListener(listener: TcpListener, received: Received): void {
  const made = receiveInListen(listener, received);
  if (made === undefined) return;
  made.current = received.skb;
  receive(made, received, true);
  made.current = undefined;
}

function toConnection(connection: TcpConnection, received: Received): void {
  const { backlog } = connection;
  if (backlog === undefined) processSegment(connection, received);
  else backlog.push(() => processSegment(connection, received));
}

/** Mirrors tcp_v4_do_rcv(). */
function processSegment(connection: TcpConnection, received: Received): void {
  connection.current = received.skb;
  switch (connection.state) {
    case "SYN_SENT":
      receiveInSynSent(connection, received);
      break;
    case "SYN_RECV":
      if (receiveInSynRecv(connection, received)) receive(connection, received, true);
      break;
    case "TIME_WAIT":
      receiveInTimeWait(connection, received);
      break;
    case "CLOSE":
      drop(received.skb, "TCP_CLOSE", "tcp_rcv_state_process");
      break;
    default:
      receive(connection, received, false);
  }
  connection.current = undefined;
}

/** A synchronised connection gets a segment. Mirrors tcp_rcv_established() and tcp_rcv_state_process(). */
function receive(connection: TcpConnection, received: Received, finishes: boolean): void {
  const { skb, header, data } = received;
  const { out, in: receiver } = connection;
  const refused = validate(connection, received);
  if (refused !== undefined) return drop(skb, refused, "tcp_validate_incoming");
  if ((header.flags & TCP_ACK) === 0) return drop(skb, "TCP_FLAGS", "tcp_rcv_established");
  const { acknowledgment, sequence } = header;
  if (isAfter(acknowledgment, out.sent))
    return drop(skb, "TCP_ACK_UNSENT_DATA", "tcp_rcv_established");
  if (distance(acknowledgment, out.una) > Math.max(out.maxWindow, 0xffff)) {
    challenge(connection);
    return drop(skb, "TCP_TOO_OLD_ACK", "tcp_rcv_established");
  }
  if (
    connection.orphaned &&
    data.length > 0 &&
    isAfter(advance(sequence, data.length), receiver.next)
  ) {
    resetSegment(skb, connection.owner);
    drop(skb, "TCP_ABORT_ON_DATA", "tcp_rcv_state_process");
    return forget(connection);
  }
  if (
    received.options.timestamp !== undefined &&
    connection.timestamps &&
    !isAfter(sequence, receiver.acknowledged)
  ) {
    receiver.recentTimestamp = received.options.timestamp[0];
  }
  if (finishes) finishHandshake(connection);
  processAck(connection, received);
  if (!afterAck(connection, (header.flags & TCP_FIN) !== 0)) return deliverTo(connection, skb);
  const taken = takeData(connection, received);
  if (taken.refused !== undefined) drop(skb, taken.refused, "tcp_data_queue");
  else deliverTo(connection, skb);
  pump(connection);
  watch(connection);
  acknowledge(connection);
  tellProgram(connection, taken, finishes);
}

/** Our FIN was acknowledged: on to the next state. False when the connection is over. */
function afterAck(connection: TcpConnection, withFin: boolean): boolean {
  const { out } = connection;
  if (!out.finSent || out.una !== advance(out.end, 1)) return true;
  if (connection.state === "FIN_WAIT1") enterFinWait2(connection, withFin);
  else if (connection.state === "CLOSING") enterTimeWait(connection);
  else if (connection.state === "LAST_ACK") {
    tcpTable(connection.ns).noteEnd(connection);
    forget(connection);
    return false;
  }
  return true;
}

/** Why a segment does not belong here; what has to be said about it is said. Mirrors tcp_validate_incoming(). */
function validate(connection: TcpConnection, received: Received): DropReason | undefined {
  const { header, options, end, data } = received;
  const { in: receiver } = connection;
  const reset = (header.flags & TCP_RST) !== 0;
  const synchronise = (header.flags & TCP_SYN) !== 0;
  const hasData = data.length > 0 && !synchronise;
  if (
    connection.timestamps &&
    options.timestamp !== undefined &&
    !reset &&
    isBefore(options.timestamp[0], receiver.recentTimestamp)
  ) {
    noteOld(connection, received);
    answerDuplicate(connection, hasData);
    return "TCP_RFC7323_PAWS";
  }
  const outside = outsideWindow(connection, header.sequence, end);
  if (outside !== undefined) {
    if (!reset) {
      noteOld(connection, received);
      answerDuplicate(connection, hasData);
    }
    return outside;
  }
  if (reset) {
    if (header.sequence === receiver.next) reseted(connection);
    else challenge(connection);
    return "TCP_RESET";
  }
  if (!synchronise) return undefined;
  challenge(connection);
  return "TCP_INVALID_SYN";
}

/** Mirrors tcp_sequence(). */
function outsideWindow(
  { in: receiver }: TcpConnection,
  sequence: number,
  end: number,
): DropReason | undefined {
  if (isBefore(end, receiver.acknowledged)) return "TCP_OLD_SEQUENCE";
  return isAfter(sequence, advance(receiver.next, receiver.window))
    ? "TCP_INVALID_SEQUENCE"
    : undefined;
}

/** What was acknowledged before came again. Mirrors tcp_send_dupack(). */
function noteOld(connection: TcpConnection, { header, end }: Received): void {
  const { in: receiver } = connection;
  if (end === header.sequence || !isBefore(header.sequence, receiver.next)) return;
  answerQuickly(connection);
  const known = isAfter(end, receiver.next) ? receiver.next : end;
  noteDuplicate(connection, header.sequence, known);
}

/** Tells the peer where we are; without data only now and then. Mirrors tcp_oow_rate_limited(). */
function answerDuplicate(connection: TcpConnection, hasData: boolean): void {
  if (hasData) return sendAck(connection);
  challenge(connection);
}

function challenge(connection: TcpConnection): void {
  const { in: receiver, ns } = connection;
  const pause = milliseconds(ipv4Sysctls(ns).get("net.ipv4.tcp_invalid_ratelimit"));
  const { now } = ns.sim.queue;
  if (receiver.lastChallenge !== undefined && now < later(receiver.lastChallenge, pause)) return;
  receiver.lastChallenge = now;
  sendAck(connection);
}

/** Mirrors tcp_reset(). */
function reseted(connection: TcpConnection): void {
  fail(connection, connection.state === "CLOSE_WAIT" ? "EPIPE" : "ECONNRESET");
}

/** Mirrors net/ipv4/tcp_minisocks.c:tcp_timewait_state_process(). */
function receiveInTimeWait(connection: TcpConnection, received: Received): void {
  const { skb, header, end, options } = received;
  const { in: receiver, ns } = connection;
  const { flags, sequence } = header;
  const value = connection.timestamps ? options.timestamp?.[0] : undefined;
  const isReset = (flags & TCP_RST) !== 0;
  const isOld = value !== undefined && !isReset && isBefore(value, receiver.recentTimestamp);
  if (!isOld && sequence === receiver.next && (sequence === end || isReset)) {
    if (isReset && ipv4Sysctls(ns).get("net.ipv4.tcp_rfc1337") === 0) forget(connection);
    else enterTimeWait(connection);
    if (isReset) return drop(skb, "TCP_RESET", "tcp_timewait_state_process");
    return deliverTo(connection, skb);
  }
  const isNewer =
    isAfter(sequence, receiver.next) ||
    (value !== undefined && isAfter(value, receiver.recentTimestamp));
  const listener = tcpTable(ns).listener(
    connection.localAddress,
    connection.localPort,
    skb.dev,
    connection.remote,
  );
  const opens = (flags & (TCP_SYN | TCP_ACK | TCP_RST)) === TCP_SYN && !isOld && isNewer;
  if (opens && listener !== undefined) {
    forget(connection);
    return acceptSyn(listener, received, "from TIME_WAIT");
  }
  if (isReset) return drop(skb, "TCP_RESET", "tcp_timewait_state_process");
  if (isOld || (flags & TCP_ACK) !== 0) enterTimeWait(connection);
  answerDuplicate(connection, end !== sequence && (flags & TCP_SYN) === 0);
  deliverTo(connection, skb);
}

/** An ICMP error about a segment of ours: it ends a handshake, and is only remembered later on. Mirrors tcp_v4_err(). */
function tcpErr(notice: IcmpErrorNotice): void {
  const { network, transport } = notice.quoted;
  if (network === undefined || network.kind === "arp" || transport?.kind !== "tcp") return;
  const connection = tcpTable(notice.skb.ns).connection(
    network.source,
    transport.sourcePort,
    network.destination,
    transport.destinationPort,
  );
  if (connection === undefined || connection.state === "TIME_WAIT") return;
  const { out } = connection;
  if (isBefore(transport.sequence, out.una) || isAfter(transport.sequence, out.sent)) return;
  const { backlog } = connection;
  if (backlog === undefined) processError(connection, notice);
  else backlog.push(() => processError(connection, notice));
}

/**
 * Differs: the kernel notes an error that comes while the program's call holds the socket, and a program that waits by poll()
 * is told of it at once (IPv4) or about the next SYN (IPv6).
 */
function processError(connection: TcpConnection, notice: IcmpErrorNotice): void {
  connection.current = notice.skb;
  if (notice.tooBig) {
    connection.family.learnPathMtu(notice);
    routeOf(connection);
    if (connection.state !== "SYN_SENT" && connection.state !== "SYN_RECV")
      resendSmaller(connection);
  } else if (connection.state === "SYN_SENT") fail(connection, notice.errno);
  else if (connection.state === "SYN_RECV") forget(connection);
  else connection.softError = notice.errno;
  connection.current = undefined;
}
