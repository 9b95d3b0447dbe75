import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, type TcpHeader } from "../../wire/tcp.js";
import { type Segment, TCP_SYN_RECV, TCP_SYN_SENT } from "./tcp-states.js";
import {
  FLAG_BE_LIBERAL,
  FLAG_DATA_UNACKNOWLEDGED,
  FLAG_MAXACK_SET,
  FLAG_SACK_PERM,
  FLAG_WINDOW_SCALE,
  type TcpSide,
  type TcpTrack,
  after,
  before,
  highestSack,
  readSynOptions,
} from "./tcp-track.js";
import { type Direction, ORIGINAL, REPLY } from "./tuple.js";

/** A segment to be judged by its numbers. `length` counts its data. */
export interface WindowSegment {
  readonly direction: Direction;
  readonly kind: Segment;
  readonly header: TcpHeader;
  readonly length: number;
  /** `nf_conntrack_tcp_be_liberal`. */
  readonly liberal: boolean;
  /** How far NAT moved the numbers that the segment acknowledges. */
  readonly ackOffset: number;
}

/** `ignore`: it belongs to the connection and tells nothing new. */
export type WindowResult =
  | { readonly kind: "accept" | "ignore" }
  | { readonly kind: "invalid"; readonly why: string };

const IN_WINDOW: WindowResult = { kind: "accept" };
const IGNORE: WindowResult = { kind: "ignore" };
/** An ACK may be this old. Mirrors MAXACKWINCONST. */
const MAX_ACK_WINDOW = 66_000;

/** The sequence number after the segment: data, SYN and FIN count. Mirrors segment_seq_plus_len(). */
export function segmentEnd(header: TcpHeader, length: number): number {
  const flags = ((header.flags & TCP_SYN) !== 0 ? 1 : 0) + ((header.flags & TCP_FIN) !== 0 ? 1 : 0);
  return (header.sequence + length + flags) >>> 0;
}

/** Compares a segment with what both sides sent and allowed, and takes over what it tells. Mirrors tcp_in_window(). */
export function trackWindow(track: TcpTrack, segment: WindowSegment): WindowResult {
  const { header, direction } = segment;
  const sender = track.side(direction);
  const receiver = track.side(direction === ORIGINAL ? REPLY : ORIGINAL);
  const isSyn = (header.flags & TCP_SYN) !== 0;
  const isAck = (header.flags & TCP_ACK) !== 0;
  const isRst = (header.flags & TCP_RST) !== 0;
  let { sequence } = header;
  let end = segmentEnd(header, segment.length);
  let ack = header.acknowledgment;
  let sack = (receiver.flags & FLAG_SACK_PERM) !== 0 ? highestSack(header, ack) : ack;
  if (segment.ackOffset !== 0) {
    ack = (ack - segment.ackOffset) >>> 0;
    sack = (sack - segment.ackOffset) >>> 0;
  }

  if (sender.maxWindow === 0) {
    if (isSyn) {
      startSide(sender, receiver, segment, end);
      if (!isAck) return IN_WINDOW;
    } else {
      joinMidstream(sender, receiver, header, end, sack);
    }
  } else if (
    isSyn &&
    after(end, sender.end) &&
    (track.state === TCP_SYN_SENT || track.state === TCP_SYN_RECV)
  ) {
    startSide(sender, receiver, segment, end);
    if (direction === REPLY && !isAck) return IN_WINDOW;
  }
  // Without an ACK, or with the zero that old stacks put into a reset, there is nothing to compare.
  if (!isAck || (isRst && ack === 0)) ack = sack = receiver.end;
  if (isRst && sequence === 0 && track.state === TCP_SYN_SENT) sequence = end = sender.end;

  const refused = compare(sender, receiver, sequence, end, sack);
  const liberal = segment.liberal || (sender.flags & FLAG_BE_LIBERAL) !== 0;
  if (refused !== undefined && !liberal) return refused;
  if (refused === undefined) update(track, segment, { sender, receiver, end, ack, sack });
  return IN_WINDOW;
}

function startSide(sender: TcpSide, receiver: TcpSide, segment: WindowSegment, end: number): void {
  sender.end = sender.maxEnd = end;
  sender.maxWindow = Math.max(segment.header.window, 1);
  readSynOptions(segment.header, sender);
  // Scaling counts only when both ends offered it. RFC 7323 §2.2.
  if (segment.direction === REPLY && (sender.flags & receiver.flags & FLAG_WINDOW_SCALE) === 0)
    sender.scale = receiver.scale = 0;
}

function joinMidstream(
  sender: TcpSide,
  receiver: TcpSide,
  header: TcpHeader,
  end: number,
  sack: number,
): void {
  const window = scaled(header.window, sender);
  sender.end = end;
  sender.maxWindow = Math.max(window, 1);
  sender.maxEnd = (end + sender.maxWindow) >>> 0;
  if (receiver.maxWindow === 0) receiver.end = receiver.maxEnd = sack;
  else if (sack === (receiver.end + 1) >>> 0) receiver.end = (receiver.end + 1) >>> 0;
}

/** What is wrong with the numbers; undefined when nothing is. Words as in the kernel's log. */
function compare(
  sender: TcpSide,
  receiver: TcpSide,
  sequence: number,
  end: number,
  sack: number,
): WindowResult | undefined {
  const ackWindow = Math.max(sender.maxWindow, MAX_ACK_WINDOW);
  const ackNotOld = after(sack, receiver.end - ackWindow - 1);
  const ackSeen = before(sack, receiver.end + 1);
  const inReceiveWindow = after(end, sender.end - receiver.maxWindow - 1);
  if (!before(sequence, sender.maxEnd + 1)) {
    const overshot = (end - sender.maxEnd + 1) >>> 0;
    if (
      receiver.maxWindow !== 0 &&
      inReceiveWindow &&
      ackNotOld &&
      ackSeen &&
      overshot <= receiver.maxWindow
    ) {
      // Some senders overstep a little. Remember how far, so that the answer to it is not refused.
      sender.end = end;
      sender.flags |= FLAG_DATA_UNACKNOWLEDGED;
      return IGNORE;
    }
    return {
      kind: "invalid",
      why: `SEQ is over upper bound ${(sender.maxEnd + 1) >>> 0} (over the window of the receiver)`,
    };
  }
  if (!ackSeen) {
    return {
      kind: "invalid",
      why: `ACK is over upper bound ${(receiver.end + 1) >>> 0} (ACKed data not seen yet)`,
    };
  }
  return (receiver.maxWindow === 0 || inReceiveWindow) && ackNotOld ? undefined : IGNORE;
}

interface Numbers {
  readonly sender: TcpSide;
  readonly receiver: TcpSide;
  readonly end: number;
  readonly ack: number;
  readonly sack: number;
}

function update(
  track: TcpTrack,
  segment: WindowSegment,
  { sender, receiver, end, ack, sack }: Numbers,
): void {
  const { header, direction } = segment;
  const window = (header.flags & TCP_SYN) !== 0 ? header.window : scaled(header.window, sender);
  sender.maxWindow = Math.max(sender.maxWindow, window + ((sack - ack) >>> 0));
  if (after(end, sender.end)) {
    sender.end = end;
    sender.flags |= FLAG_DATA_UNACKNOWLEDGED;
  }
  if (
    (header.flags & TCP_ACK) !== 0 &&
    ((sender.flags & FLAG_MAXACK_SET) === 0 || after(ack, sender.maxAck))
  ) {
    sender.maxAck = ack;
    sender.flags |= FLAG_MAXACK_SET;
  }
  if (receiver.maxWindow !== 0 && after(end, sender.maxEnd))
    receiver.maxWindow += (end - sender.maxEnd) >>> 0;
  if (after(sack + window, receiver.maxEnd - 1))
    receiver.maxEnd = (sack + window + (window === 0 ? 1 : 0)) >>> 0;
  if (ack === receiver.end) receiver.flags &= ~FLAG_DATA_UNACKNOWLEDGED;
  if (segment.kind === "ack") countRetransmission(track, header, direction, end, ack);
}

/** The same ACK segment again is a retransmission: three of them shorten the timeout. */
function countRetransmission(
  track: TcpTrack,
  header: TcpHeader,
  direction: Direction,
  end: number,
  ack: number,
): void {
  const repeated =
    track.lastDirection === direction &&
    track.lastSequence === header.sequence &&
    track.lastAck === ack &&
    track.lastEnd === end &&
    track.lastWindow === header.window;
  if (repeated) {
    track.retransmissions++;
    return;
  }
  track.lastDirection = direction;
  track.lastSequence = header.sequence;
  track.lastAck = ack;
  track.lastEnd = end;
  track.lastWindow = header.window;
  track.retransmissions = 0;
}

function scaled(window: number, side: TcpSide): number {
  return window * 2 ** side.scale;
}
