import { drop } from "../core/drop.js";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../wire/tcp.js";
import { ipv4Sysctls } from "./sysctls.js";
import type { TcpConnection } from "./tcp-connection.js";
import { answerWithCookie, callByCookie } from "./tcp-cookie.js";
import { isAcceptQueueFull } from "./tcp-handshake.js";
import { sendSynAck } from "./tcp-output.js";
import { deliverTo, type Received } from "./tcp-received.js";
import { newRequest } from "./tcp-request.js";
import { resetSegment } from "./tcp-reset.js";
import type { TcpListener } from "./tcp-socket.js";
import { tcpTable } from "./tcp-table.js";
import { armTimer } from "./tcp-timer.js";

/**
 * A listener gets a segment: a SYN begins a connection, and an ACK may bring back the cookie that a SYN was answered with. That one
 * makes a connection at once, which is the result: the segment is still to be handed to it. Mirrors tcp_v4_do_rcv() for LISTEN.
 */
export function receiveInListen(
  listener: TcpListener,
  received: Received,
): TcpConnection | undefined {
  const { skb, header } = received;
  const { flags } = header;
  if ((flags & (TCP_SYN | TCP_ACK | TCP_RST)) === TCP_ACK) {
    const found = callByCookie(listener, received);
    if (found !== "no cookie") return found;
  }
  if ((flags & TCP_RST) !== 0) drop(skb, "TCP_RESET", "tcp_v4_do_rcv");
  else if ((flags & TCP_ACK) !== 0) {
    resetSegment(skb, listener.owner);
    drop(skb, "TCP_FLAGS", "tcp_v4_do_rcv");
  } else if ((flags & TCP_SYN) === 0 || (flags & TCP_FIN) !== 0)
    drop(skb, "TCP_FLAGS", "tcp_v4_do_rcv");
  else acceptSyn(listener, received, "a new client");
  return undefined;
}

/** Who sends a SYN: one that a connection in TIME_WAIT knows to be real finds room whatever waits. Mirrors tcp_tw_isn. */
type Caller = "a new client" | "from TIME_WAIT";

/** Mirrors net/ipv4/tcp_input.c:tcp_conn_request(). */
export function acceptSyn(listener: TcpListener, received: Received, caller: Caller): void {
  const { skb, options } = received;
  const knobs = ipv4Sysctls(skb.ns);
  const cookies = knobs.get("net.ipv4.tcp_syncookies");
  const isFull = cookies === 2 || listener.requests.size > listener.backlog;
  const wantsCookie = caller === "a new client" && isFull;
  if ((wantsCookie && cookies === 0) || isAcceptQueueFull(listener))
    return drop(skb, "TCP_LISTEN_OVERFLOW", "tcp_conn_request");
  // Nothing is kept of a SYN that gets a cookie, and only a timestamp can bring the options back.
  const hasTime = options.timestamp !== undefined && knobs.get("net.ipv4.tcp_timestamps") !== 0;
  const isKept = !wantsCookie || hasTime;
  const offered = isKept ? options : { mss: options.mss };
  const connection = newRequest(listener, received, offered);
  if (connection === undefined) return drop(skb, "NOT_SPECIFIED", "tcp_conn_request");
  if (wantsCookie) {
    listener.lastCookie = skb.ns.sim.queue.now;
    deliverTo(connection, skb);
    return answerWithCookie(connection, received, options.mss);
  }
  if (caller === "a new client" && cookies === 0 && isKeptForFriends(listener, connection))
    return drop(skb, "TCP_LISTEN_OVERFLOW", "tcp_conn_request");
  listener.requests.add(connection);
  tcpTable(skb.ns).addConnection(connection);
  deliverTo(connection, skb);
  connection.out.timedAt = skb.ns.sim.queue.now;
  sendSynAck(connection);
  armTimer(connection);
  connection.current = undefined;
}

/** Without cookies the last quarter of the SYN queue is for hosts that closed a connection in peace before. Mirrors tcp_peer_is_proven(). */
function isKeptForFriends(listener: TcpListener, connection: TcpConnection): boolean {
  const { ns, localAddress, remoteAddress } = connection;
  const most = ipv4Sysctls(ns).get("net.ipv4.tcp_max_syn_backlog");
  return (
    most - listener.requests.size < most >> 2 && !tcpTable(ns).isProven(localAddress, remoteAddress)
  );
}
