import type { DropReason } from "../core/drop.js";
import { TCP_FIN } from "../wire/tcp.js";
import { traceSocket } from "./socket-trace.js";
import { answerQuickly, noteDataReceived } from "./tcp-ack.js";
import type { EarlySegment, TcpConnection } from "./tcp-connection.js";
import type { Received } from "./tcp-received.js";
import { sendAck } from "./tcp-output.js";
import { noteDuplicate, noteEarly, noteInOrder } from "./tcp-sack.js";
import { advance, distance, isAfter, isBefore } from "./tcp-sequence.js";
import { enterTimeWait } from "./tcp-timer.js";

/** Segments that wait for an earlier one: more are refused. */
const MAX_EARLY = 1024;

/** What a segment brought to the program. */
export interface Taken {
  readonly data: readonly Uint8Array[];
  readonly fin: boolean;
  readonly refused: DropReason | undefined;
}

const NOTHING: Taken = { data: [], fin: false, refused: undefined };

/** Puts a segment's bytes where they belong. Mirrors net/ipv4/tcp_input.c:tcp_data_queue(). */
export function takeData(connection: TcpConnection, received: Received): Taken {
  const { header, data, end } = received;
  const { in: receiver } = connection;
  const fin = (header.flags & TCP_FIN) !== 0;
  if (data.length === 0 && !fin) return NOTHING;
  if (!isAfter(end, receiver.next)) {
    noteDuplicate(connection, header.sequence, end);
    answerQuickly(connection);
    sendAck(connection);
    return { ...NOTHING, refused: "TCP_OLD_DATA" };
  }
  if (data.length > 0) noteDataReceived(connection, data.length);
  const segment: EarlySegment = { start: header.sequence, data, fin };
  if (isAfter(header.sequence, receiver.next)) {
    const known = receiver.early.some(
      (other) => other.start === segment.start && other.data.length >= data.length,
    );
    if (known) {
      noteDuplicate(connection, header.sequence, end);
      noteEarly(connection, header.sequence, end);
    }
    if (known || receiver.early.length >= MAX_EARLY) {
      sendAck(connection);
      return { ...NOTHING, refused: known ? "TCP_OLD_DATA" : "TCP_OFO_DROP" };
    }
    receiver.early = [...receiver.early, segment].sort((a, b) => distance(b.start, a.start));
    noteEarly(connection, header.sequence, end);
    sendAck(connection);
    return NOTHING;
  }
  if (isBefore(header.sequence, receiver.next))
    noteDuplicate(connection, header.sequence, receiver.next);
  const hadHole = receiver.early.length > 0;
  const taken = append(connection, segment);
  noteInOrder(connection);
  receiver.answerNow ||= hadHole && receiver.early.length === 0;
  return taken;
}

/** The segment, and what had waited for it. */
function append(connection: TcpConnection, segment: EarlySegment): Taken {
  const { in: receiver } = connection;
  const data: Uint8Array[] = [];
  let next: EarlySegment | undefined = segment;
  while (next !== undefined && !receiver.finReceived) {
    const fresh = next.data.subarray(Math.max(distance(next.start, receiver.next), 0));
    if (fresh.length > 0) data.push(fresh);
    receiver.next = advance(receiver.next, fresh.length);
    if (next.fin) receiveFin(connection);
    const [waiting, ...rest] = receiver.early;
    if (waiting === undefined || isBefore(receiver.next, waiting.start)) break;
    receiver.early = rest;
    next = waiting;
  }
  return { data, fin: receiver.finReceived, refused: undefined };
}

/** Mirrors tcp_fin(). */
function receiveFin(connection: TcpConnection): void {
  const { in: receiver } = connection;
  receiver.next = advance(receiver.next, 1);
  receiver.finReceived = true;
  receiver.early = [];
  receiver.blocks = [];
  receiver.pingPong = 255;
  if (connection.state === "ESTABLISHED") connection.state = "CLOSE_WAIT";
  else if (connection.state === "FIN_WAIT1") {
    sendAck(connection);
    connection.state = "CLOSING";
  } else if (connection.state === "FIN_WAIT2") {
    sendAck(connection);
    enterTimeWait(connection);
  }
}

/** The program wakes up after the protocol has done its part. */
export function tellProgram(connection: TcpConnection, taken: Taken, accepted: boolean): void {
  const { ns } = connection;
  if (accepted) {
    if (ns.sim.trace !== undefined) traceSocket(ns, connection, "accepted", "accepted");
    const { accept } = connection;
    connection.accept = undefined;
    accept?.(connection);
  }
  for (const data of taken.data) {
    if (connection.orphaned) return;
    if (ns.sim.trace !== undefined)
      traceSocket(ns, connection, "received", `received ${data.length} bytes`);
    if (connection.onData === undefined) connection.unread += data.length;
    else connection.onData(data);
  }
  if (!taken.fin || connection.orphaned) return;
  if (ns.sim.trace !== undefined) traceSocket(ns, connection, "closed", "the peer closed its side");
  connection.onClose?.();
}
