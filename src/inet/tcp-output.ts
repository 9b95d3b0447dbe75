import { drop } from "../core/drop.js";
import type { SendResult } from "../core/errno.js";
import { newSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { NO_BYTES } from "../wire/frame.js";
import { IPPROTO_TCP } from "../wire/ipv4.js";
import { TCP_ACK, TCP_FIN, TCP_HLEN, TCP_PSH, TCP_RST, TCP_SYN } from "../wire/tcp.js";
import type { SocketRoute } from "./family.js";
import { attachRoute, refuseRoute } from "./route-entry.js";
import { isRoute, type OutputRefusal } from "./route-output.js";
import { boundDeviceOf, socketInfo } from "./socket-owner.js";
import { formatEndpoints } from "./socket-trace.js";
import type { SendState, TcpConnection } from "./tcp-connection.js";
import { encodeTcpOptions, type TcpOptions } from "./tcp-options.js";
import { blocksLength, takeBlocks } from "./tcp-sack.js";
import { advance, distance, isAfter, isBefore } from "./tcp-sequence.js";

/** What one segment says. */
export interface Segment {
  readonly flags: number;
  readonly sequence: number;
  readonly data?: Uint8Array | undefined;
  readonly options?: Uint8Array | undefined;
  readonly by: string;
}

/** Mirrors net/ipv4/tcp_output.c:tcp_connect() from the SYN on. */
export function sendSyn(connection: TcpConnection): SendResult {
  const echo = connection.timestamps ? 0 : undefined;
  const options = handshakeOptions(connection, echo, timestampOf(connection));
  return transmit(connection, {
    flags: TCP_SYN,
    sequence: connection.initialSequence,
    options,
    by: "tcp connect",
  });
}

/** Answers a SYN. Its IP id is 0, as every packet's that no socket counts. Mirrors tcp_make_synack(). */
export function sendSynAck(connection: TcpConnection): SendResult {
  const now = timestampOf(connection);
  if (connection.timestamps)
    connection.synAckTimestamps = [connection.synAckTimestamps?.[0] ?? now, now];
  return sendSynAckAt(connection, now, "tcp accept");
}

/** The same with a timestamp of the caller's: a cookie says more than the time in it. */
export function sendSynAckAt(connection: TcpConnection, timestamp: number, by: string): SendResult {
  const options = handshakeOptions(connection, connection.in.recentTimestamp, timestamp);
  const flags = TCP_SYN | TCP_ACK;
  return transmit(connection, { flags, sequence: connection.initialSequence, options, by });
}

/** An answer without data. What was due is done with it. Mirrors tcp_send_ack(). */
export function sendAck(connection: TcpConnection): void {
  transmit(connection, { flags: TCP_ACK, sequence: connection.out.sent, by: "tcp ack" });
}

/** Asks a peer that is silent or has closed its window: it answers a number of before, and tells its window. Mirrors tcp_xmit_probe_skb(). */
export function sendProbe(connection: TcpConnection, by: string): void {
  const sequence = advance(connection.out.una, -1);
  transmit(connection, { flags: TCP_ACK, sequence, by });
}

/** Ends the connection for the peer. Mirrors tcp_send_active_reset(). */
export function sendReset(connection: TcpConnection): void {
  transmit(connection, {
    flags: TCP_RST | TCP_ACK,
    sequence: connection.out.sent,
    by: "tcp reset",
  });
}

/** Sends what may be sent now: within the peer's window and our own restraint. Mirrors tcp_write_xmit(). */
export function pump(connection: TcpConnection, how: Pumping = "all"): void {
  const { out } = connection;
  for (;;) {
    const length = how === "all" ? sendableLength(connection) : roomFor(connection);
    const fin = hasFinToSend(connection, length);
    if (length === 0 && !fin) return;
    const start = out.sent;
    const error = sendFrom(connection, start, length, fin);
    // A FIN that comes meanwhile goes with what did not leave. Mirrors tcp_write_xmit() and tcp_send_fin().
    out.refused = error !== undefined;
    if (out.refused) return;
    out.sent = advance(start, length + (fin ? 1 : 0));
    if (fin) out.finSent = true;
    noteSent(connection, start, fin);
    if (how !== "all") return;
  }
}

/** All that may leave, or one segment whatever is under way, to find out whether the last one was lost. */
type Pumping = "all" | "one, full or not";

/** Whether a FIN goes behind the next `length` bytes: it needs its place in the peer's window, and alone in ours. */
function hasFinToSend({ out }: TcpConnection, length: number): boolean {
  if (!out.finWanted || out.finSent || distance(out.sent, out.end) !== length) return false;
  if (length === 0 && inFlight(out) >= Math.floor(out.congestionWindow)) return false;
  return out.window - distance(out.una, out.sent) > length;
}

/** How many bytes the next segment could hold. */
function roomFor(connection: TcpConnection): number {
  const { out } = connection;
  const waiting = distance(out.sent, out.end);
  const room = out.window - distance(out.una, out.sent);
  return Math.max(Math.min(waiting, currentMss(connection), room), 0);
}

/** The most bytes that fit into a segment that leaves now. Mirrors tcp_current_mss(). */
export function currentMss(connection: TcpConnection): number {
  return connection.out.mss - blocksLength(connection);
}

/** How many bytes may leave next: 0 while they must wait. Nagle's rule as Minshall changed it. Mirrors tcp_nagle_check(). */
function sendableLength(connection: TcpConnection): number {
  const { out } = connection;
  if (inFlight(out) >= Math.floor(out.congestionWindow)) return 0;
  const length = roomFor(connection);
  const partial = length < currentMss(connection);
  const smallUnderWay = isAfter(out.small, out.una) && !isAfter(out.small, out.sent);
  return partial && smallUnderWay && !out.finWanted ? 0 : length;
}

/** Sends bytes again or for the first time. */
export function sendFrom(
  connection: TcpConnection,
  sequence: number,
  length: number,
  fin: boolean,
): SendResult {
  const { out } = connection;
  const { data, pushed, cause } = gather(connection, sequence, length);
  const end = advance(sequence, length + (fin ? 1 : 0));
  const again = isBefore(sequence, out.sent);
  if (length > 0) noteDataSent(connection);
  const flags = TCP_ACK | (pushed ? TCP_PSH : 0) | (fin ? TCP_FIN : 0);
  const by = again ? "tcp retransmission" : length > 0 ? "tcp data" : "tcp close";
  const error = transmit(connection, { flags, sequence, data, by }, cause);
  if (error !== undefined && !again) return error;
  if (length > 0 && length < out.mss) out.small = end;
  return error;
}

/** What has just left for the first time is under way. Mirrors tcp_event_new_data_sent(). */
function noteSent({ out, ns }: TcpConnection, start: number, fin: boolean): void {
  const sentAt = ns.sim.queue.now;
  const fresh = { sacked: false, lost: false, resent: false, wasResent: false };
  const order = out.count++;
  out.flight = [...out.flight, { start, end: out.sent, fin, sentAt, order, ...fresh }];
  out.hasFresh = true;
  if (out.phase === "recovery") out.resentInRecovery++;
}

/** How many segments are thought to be on their way. Mirrors tcp_packets_in_flight(). */
export function inFlight({ flight }: SendState): number {
  let count = 0;
  for (const { sacked, lost, resent } of flight) if (!sacked && (!lost || resent)) count++;
  return count;
}

interface Gathered {
  readonly data: Uint8Array;
  /** The last byte ends something that was written. */
  readonly pushed: boolean;
  readonly cause: SkBuff | undefined;
}

function gather(connection: TcpConnection, sequence: number, length: number): Gathered {
  if (length === 0) return { data: NO_BYTES, pushed: false, cause: undefined };
  const end = advance(sequence, length);
  const parts: Uint8Array[] = [];
  let pushed = false;
  let cause: SkBuff | undefined;
  for (const chunk of connection.out.chunks) {
    const from = distance(chunk.start, sequence);
    const to = distance(chunk.start, end);
    if (from >= chunk.data.length || to <= 0) continue;
    parts.push(chunk.data.subarray(Math.max(from, 0), Math.min(to, chunk.data.length)));
    pushed = to === chunk.data.length;
    cause ??= chunk.cause;
  }
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return { data: only, pushed, cause };
  const data = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { data, pushed, cause };
}

/** Data that answers data soon: a dialogue, in which acknowledgments may wait for the next words. Mirrors tcp_event_data_sent(). */
function noteDataSent(connection: TcpConnection): void {
  const { in: received, ns } = connection;
  if (ns.sim.queue.now - received.lastData < received.ackTimeout)
    received.pingPong = Math.min(received.pingPong + 1, 255);
}

/** Builds a segment and sends it along the connection's route. Mirrors __tcp_transmit_skb() and __ip_queue_xmit(). */
export function transmit(connection: TcpConnection, segment: Segment, cause?: SkBuff): SendResult {
  const { ns, in: received, owner } = connection;
  const synchronising = (segment.flags & TCP_SYN) !== 0;
  const hasAck = (segment.flags & TCP_ACK) !== 0;
  if (hasAck) ackSent(connection);
  const route = connection.route?.isValid === true ? connection.route : routeOf(connection);
  const options = segment.options ?? dataOptions(connection);
  const uncounted = isUncounted(connection, hasAck);
  const round = uncounted ? Math.floor : Math.ceil;
  const window = synchronising
    ? Math.min(received.window, 0xffff)
    : Math.min(round(received.window / 2 ** received.windowScale), 0xffff);
  const fields = {
    source: connection.localAddress,
    destination: connection.remoteAddress,
    protocol: IPPROTO_TCP,
    tos: connection.tos,
    ttl: connection.ttl,
    id: () => (uncounted ? 0 : nextId(connection)),
    dontFragment: "path",
  } as const;
  const header = {
    kind: "tcp",
    sourcePort: connection.localPort,
    destinationPort: connection.remotePort,
    sequence: segment.sequence,
    acknowledgment: hasAck ? received.next : 0,
    flags: segment.flags,
    window: (segment.flags & TCP_RST) === 0 ? window : 0,
    urgent: 0,
    options,
  } as const;
  const skb = newSkb(
    ns,
    connection.family.packet(
      isRoute(route) ? route : undefined,
      fields,
      header,
      segment.data ?? NO_BYTES,
      ns,
    ),
    segment.by,
    cause ?? connection.current,
  );
  skb.mark = owner.mark ?? 0;
  connection.info ??= socketInfo(formatEndpoints(connection), owner);
  // The FIN or RST that close() sends is the last that goes out while the program holds the socket.
  skb.socket =
    connection.orphaned && (segment.flags & (TCP_FIN | TCP_RST)) === 0
      ? { ...connection.info, holder: "orphan" }
      : connection.info;
  if (!isRoute(route)) {
    refuseRoute(skb, "output", route.error, route.text);
    drop(skb, "IP_OUTNOROUTES", "__ip_queue_xmit");
    return "EHOSTUNREACH";
  }
  if (segment.sequence === connection.out.una) connection.out.head = skb;
  attachRoute(skb, route, "output");
  const result = connection.family.localOut(skb);
  if (connection.confirmPending) confirmRoute(connection);
  return result;
}

/** Mirrors sock_confirm_neigh(). */
function confirmRoute(connection: TcpConnection): void {
  const { route, remoteAddress } = connection;
  connection.confirmPending = false;
  if (route !== undefined && !route.dev.isLoopback)
    connection.family.confirm(route.dev, route.gateway ?? remoteAddress);
}

/** What a handshake's passive end says before it has a socket, and what is left of one in TIME_WAIT, is not counted. */
function isUncounted({ state, acceptQueue, hasSocket }: TcpConnection, hasAck: boolean): boolean {
  return !hasSocket || (state === "SYN_RECV" && acceptQueue !== undefined && hasAck);
}

function nextId(connection: TcpConnection): number {
  const id = connection.ipId;
  connection.ipId = (id + 1) & 0xffff;
  return id;
}

function ackSent(connection: TcpConnection): void {
  const { in: received } = connection;
  received.ackTimer?.cancel();
  received.ackTimer = undefined;
  if (received.quick > 0) received.quick--;
  received.acknowledged = received.next;
}

/** The way to the peer from the connection's address; kept until something changes. */
export function routeOf(connection: TcpConnection): SocketRoute | OutputRefusal {
  const { ns, owner, tos } = connection;
  const route = connection.family.route(ns, {
    destination: connection.remoteAddress,
    source: connection.localAddress,
    mark: owner.mark ?? 0,
    oif: boundDeviceOf(ns, owner),
    tos,
    uid: owner.uid,
    anySource: owner.transparent,
    protocol: IPPROTO_TCP,
    sourcePort: connection.localPort,
    destinationPort: connection.remotePort,
  });
  if (isRoute(route)) keepRoute(connection, route);
  else connection.route = undefined;
  return route;
}

/** The connection goes this way, and its segments fit into what it takes. */
export function keepRoute(connection: TcpConnection, route: SocketRoute): void {
  connection.route = route;
  const options = connection.timestamps ? TIMESTAMP_LENGTH : 0;
  const most = route.mtu - headersOf(connection) - options;
  connection.out.mss = Math.min(connection.out.mss, most);
}

/** IP and TCP headers without options, in bytes. */
export function headersOf(connection: TcpConnection): number {
  return connection.family.headerLength + TCP_HLEN;
}

/** The room a timestamp takes in every segment. */
export const TIMESTAMP_LENGTH = 12;

/** What this end offers: all it can in a SYN, what both can in a SYN-ACK. `echo` is undefined without timestamps. */
function handshakeOptions(
  connection: TcpConnection,
  echo: number | undefined,
  timestamp: number,
): Uint8Array {
  const options: TcpOptions = {
    mss: connection.advertisedMss,
    sackPermitted: connection.sackPermitted,
    timestamp: connection.timestamps && echo !== undefined ? [timestamp, echo] : undefined,
    windowScale: connection.in.windowScale > 0 ? connection.in.windowScale : undefined,
  };
  return encodeTcpOptions(options);
}

function dataOptions(connection: TcpConnection): Uint8Array {
  const sack = takeBlocks(connection);
  if (!connection.timestamps && sack.length === 0) return NO_BYTES;
  const timestamp = [timestampOf(connection), connection.in.recentTimestamp] as const;
  return encodeTcpOptions({ timestamp: connection.timestamps ? timestamp : undefined, sack });
}

/** Milliseconds, from a random start. Mirrors tcp_time_stamp_ts(). */
function timestampOf(connection: TcpConnection): number {
  return (Math.floor(connection.ns.sim.queue.now / 1000) + connection.timestampOffset) >>> 0;
}
