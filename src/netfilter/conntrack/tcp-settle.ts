import {
  IPCT_ASSURED,
  IPCT_PROTOINFO,
  IPS_ASSURED,
  IPS_FIXED_TIMEOUT,
  IPS_SEEN_REPLY,
  IPS_SEQ_ADJUST,
} from "../../core/conntrack.js";
import { type Micros, later, seconds } from "../../sim/time.js";
import { type TcpHeader } from "../../wire/tcp.js";
import { type Connection } from "./connection.js";
import {
  type Judgement,
  type Tracked,
  VALID,
  countPacket,
  invalid,
  refreshAndCount,
  timeoutsOf,
} from "./protocol.js";
import { sequenceOffset } from "./sequence-adjust.js";
import type { TimeoutName, Timeouts } from "./settings.js";
import {
  type Segment,
  TCP_ESTABLISHED,
  TCP_FIN_WAIT,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
} from "./tcp-states.js";
import { FLAG_CLOSE_INIT, FLAG_DATA_UNACKNOWLEDGED, type TcpTrack } from "./tcp-track.js";
import { trackWindow } from "./tcp-window.js";
import { ORIGINAL, REPLY } from "./tuple.js";

/** A TCP header, what kind of segment it is, and how much data follows. */
export interface SegmentOf {
  readonly header: TcpHeader;
  readonly kind: Segment;
  readonly length: number;
}

/** A segment that would lead to `state`, if its numbers fit. */
export function advance(
  entry: Connection,
  track: TcpTrack,
  segment: SegmentOf,
  packet: Tracked,
  state: number,
): Judgement {
  const { header, kind, length } = segment;
  const liberal = packet.table.settings.flags.tcp_be_liberal === 1;
  const { direction } = packet;
  const ackOffset =
    (entry.status & IPS_SEQ_ADJUST) === 0
      ? 0
      : sequenceOffset(
          entry,
          direction === ORIGINAL ? REPLY : ORIGINAL,
          (header.acknowledgment - 1) >>> 0,
        );
  const result = trackWindow(track, { direction, kind, header, length, liberal, ackOffset });
  if (result.kind === "invalid") {
    shortenAfterInvalid(entry, track, segment, packet);
    return invalid(result.why);
  }
  return result.kind === "ignore" ? VALID : settle(entry, track, segment, packet, state);
}

/** FIN or RST out of window on both sides: the ends have closed and we missed it. Mirrors nf_tcp_handle_invalid(). */
function shortenAfterInvalid(
  entry: Connection,
  track: TcpTrack,
  { kind }: SegmentOf,
  { table, direction }: Tracked,
): void {
  if (
    (entry.status & IPS_ASSURED) === 0 ||
    (entry.status & IPS_FIXED_TIMEOUT) !== 0 ||
    (kind !== "rst" && kind !== "fin")
  )
    return;
  if (
    track.lastDirection === direction ||
    (track.lastSegment !== "fin" && track.lastSegment !== "rst")
  ) {
    track.lastSegment = kind;
    track.lastDirection = direction;
    return;
  }
  const limit = later(table.now, timeoutsOf(entry, table).tcp_timeout_unacknowledged);
  if (entry.expires >= later(table.now, seconds(120)) && entry.expires > limit)
    entry.expires = limit;
}

/** The segment counts: new state, timeout, ASSURED; a reset without any reply ends the entry. */
export function settle(
  entry: Connection,
  track: TcpTrack,
  segment: SegmentOf,
  packet: Tracked,
  state: number,
): Judgement {
  const { table, direction } = packet;
  const old = track.state;
  track.lastSegment = segment.kind;
  track.lastDirection = direction;
  track.state = state;
  if (old !== state) {
    entry.events |= IPCT_PROTOINFO;
    if (state === TCP_FIN_WAIT) track.side(direction).flags |= FLAG_CLOSE_INIT;
  }
  const timeouts = timeoutsOf(entry, table);
  let timeout = timeoutFor(track, segment, state, timeouts, table.settings.tcpMaxRetrans);
  if ((entry.status & IPS_SEEN_REPLY) === 0) {
    if (segment.kind === "rst") {
      countPacket(entry, packet);
      table.kill(entry);
      return VALID;
    }
    // A repeated SYN does not keep the entry alive. A new entry comes this way with NONE as its old state.
    if (segment.kind === "syn" && old === TCP_SYN_SENT) return VALID;
    const limit = timeouts.tcp_timeout_unacknowledged;
    if (state === TCP_ESTABLISHED && timeout > limit) timeout = limit;
  } else if (
    (entry.status & IPS_ASSURED) === 0 &&
    (old === TCP_SYN_RECV || old === TCP_ESTABLISHED) &&
    state === TCP_ESTABLISHED
  ) {
    entry.status |= IPS_ASSURED;
    entry.events |= IPCT_ASSURED;
  }
  refreshAndCount(entry, timeout, packet);
  return VALID;
}

/** The timeout of each state, in the order of TCP_STATES. */
const STATE_TIMEOUTS: readonly TimeoutName[] = [
  "tcp_timeout_syn_sent",
  "tcp_timeout_syn_sent",
  "tcp_timeout_syn_recv",
  "tcp_timeout_established",
  "tcp_timeout_fin_wait",
  "tcp_timeout_close_wait",
  "tcp_timeout_last_ack",
  "tcp_timeout_time_wait",
  "tcp_timeout_close",
  "tcp_timeout_syn_sent2",
];

function timeoutFor(
  track: TcpTrack,
  { kind }: SegmentOf,
  state: number,
  timeouts: Timeouts,
  maxRetrans: number,
): Micros {
  const usual = timeouts[STATE_TIMEOUTS[state] ?? "tcp_timeout_close"];
  const [a, b] = track.sides;
  if (track.retransmissions >= maxRetrans && usual > timeouts.tcp_timeout_max_retrans)
    return timeouts.tcp_timeout_max_retrans;
  if (kind === "rst") return timeouts.tcp_timeout_close;
  const unacknowledged = ((a.flags | b.flags) & FLAG_DATA_UNACKNOWLEDGED) !== 0;
  if (unacknowledged && usual > timeouts.tcp_timeout_unacknowledged)
    return timeouts.tcp_timeout_unacknowledged;
  if (track.lastWindow === 0 && usual > timeouts.tcp_timeout_max_retrans)
    return timeouts.tcp_timeout_max_retrans;
  return usual;
}
