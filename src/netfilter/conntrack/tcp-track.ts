import { get32 } from "../../wire/bytes.js";
import type { TcpHeader } from "../../wire/tcp.js";
import { TCP_NONE, type Segment } from "./tcp-states.js";
import { type Direction, ORIGINAL } from "./tuple.js";

/** Flags of one side. Mirrors IP_CT_TCP_FLAG_*. */
export const FLAG_WINDOW_SCALE = 0x01;
export const FLAG_SACK_PERM = 0x02;
export const FLAG_CLOSE_INIT = 0x04;
export const FLAG_BE_LIBERAL = 0x08;
export const FLAG_DATA_UNACKNOWLEDGED = 0x10;
export const FLAG_MAXACK_SET = 0x20;
/** Of `lastFlags`: the SYN that was let through may be answered by a challenge ACK. RFC 5961. */
export const FLAG_EXPECT_CHALLENGE_ACK = 0x40;
export const FLAG_SIMULTANEOUS_OPEN = 0x80;

/** What one side sent and allows. Sequence numbers are unsigned 32-bit. Mirrors struct ip_ct_tcp_state. */
export interface TcpSide {
  /** The highest sequence number sent, and one more. */
  end: number;
  /** The highest the other side allows. */
  maxEnd: number;
  /** The largest window it advertised; 0 before its first segment. */
  maxWindow: number;
  maxAck: number;
  scale: number;
  flags: number;
}

/** The TCP part of an entry. Mirrors struct ip_ct_tcp. */
export class TcpTrack {
  state: number = TCP_NONE;
  readonly sides: [TcpSide, TcpSide] = [newSide(), newSide()];
  lastDirection: Direction = ORIGINAL;
  lastSegment: Segment = "none";
  retransmissions = 0;
  lastSequence = 0;
  lastAck = 0;
  lastEnd = 0;
  /** As on the wire, unscaled. */
  lastWindow = 0;
  lastScale = 0;
  lastFlags = 0;

  side(direction: Direction): TcpSide {
    return this.sides[direction];
  }
}

/** The TCP part of an entry of which only the state is known: its numbers are not checked. */
export function pickedUpIn(state: number): TcpTrack {
  const track = new TcpTrack();
  track.state = state;
  for (const side of track.sides) side.flags = FLAG_BE_LIBERAL | FLAG_SACK_PERM;
  return track;
}

export function newSide(): TcpSide {
  return { end: 0, maxEnd: 0, maxWindow: 0, maxAck: 0, scale: 0, flags: 0 };
}

/** Whether sequence number `a` comes before `b`, modulo 2^32. */
export function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

export function after(a: number, b: number): boolean {
  return before(b, a);
}

/** Takes window scale and SACK permission from a SYN's options. Mirrors tcp_options(). */
export function readSynOptions(header: TcpHeader, side: TcpSide): void {
  side.scale = 0;
  side.flags &= FLAG_BE_LIBERAL;
  forEachOption(header.options, (kind, at, length) => {
    if (kind === OPTION_SACK_PERM && length === 2) side.flags |= FLAG_SACK_PERM;
    if (kind === OPTION_WINDOW && length === 3) {
      side.scale = Math.min(header.options[at + 2] ?? 0, MAX_SCALE);
      side.flags |= FLAG_WINDOW_SCALE;
    }
  });
}

/** The highest right edge of the SACK blocks, or `ack` when that is higher. Mirrors tcp_sack(). */
export function highestSack(header: TcpHeader, ack: number): number {
  let highest = ack;
  if (header.options.length === 0) return highest;
  forEachOption(header.options, (kind, at, length) => {
    if (kind !== OPTION_SACK || length < 10 || (length - 2) % 8 !== 0) return;
    for (let block = at + 2; block < at + length; block += 8) {
      const edge = get32(header.options, block + 4);
      if (after(edge, highest)) highest = edge;
    }
  });
  return highest;
}

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_WINDOW = 3;
const OPTION_SACK_PERM = 4;
export const OPTION_SACK = 5;
/** RFC 7323 §2.3. */
const MAX_SCALE = 14;

/** Calls `see` with each option's kind, its place and its length, up to the first that is damaged. */
export function forEachOption(
  options: Uint8Array,
  see: (kind: number, at: number, length: number) => void,
): void {
  for (let at = 0; at < options.length;) {
    const kind = options[at] ?? OPTION_END;
    if (kind === OPTION_END) return;
    if (kind === OPTION_NOP) {
      at++;
      continue;
    }
    const length = options[at + 1] ?? 0;
    if (length < 2 || at + length > options.length) return;
    see(kind, at, length);
    at += length;
  }
}
