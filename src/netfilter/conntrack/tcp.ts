import { IPS_ASSURED, IPS_SEEN_REPLY } from "../../core/conntrack.js";
import {
  TCP_ACK,
  TCP_CWR,
  TCP_ECE,
  TCP_FIN,
  TCP_PSH,
  TCP_RST,
  TCP_SYN,
  TCP_URG,
  type TcpHeader,
} from "../../wire/tcp.js";
import { type Connection } from "./connection.js";
import {
  AGAIN,
  type ConntrackProtocol,
  type Judgement,
  type Tracked,
  VALID,
  checksumFails,
  invalid,
} from "./protocol.js";
import { type ConntrackSettings } from "./settings.js";
import { type SegmentOf, advance, settle } from "./tcp-settle.js";
import {
  type Segment,
  TCP_CLOSE,
  TCP_ESTABLISHED,
  TCP_FIN_WAIT,
  TCP_IGNORE,
  TCP_INVALID,
  TCP_LAST_ACK,
  TCP_STATES,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
  TCP_SYN_SENT2,
  TCP_TIME_WAIT,
  nextTcpState,
} from "./tcp-states.js";
import {
  FLAG_BE_LIBERAL,
  FLAG_CLOSE_INIT,
  FLAG_EXPECT_CHALLENGE_ACK,
  FLAG_MAXACK_SET,
  FLAG_SACK_PERM,
  FLAG_SIMULTANEOUS_OPEN,
  FLAG_WINDOW_SCALE,
  TcpTrack,
  before,
  newSide,
  readSynOptions,
} from "./tcp-track.js";
import { segmentEnd } from "./tcp-window.js";
import { type Direction, ORIGINAL, REPLY } from "./tuple.js";

/** TCP. Mirrors net/netfilter/nf_conntrack_proto_tcp.c:nf_conntrack_tcp_packet(). */
export const tcp: ConntrackProtocol = {
  name: "tcp",
  allowClash: false,

  track(entry, packet) {
    const header = packet.skb.frame.transport;
    if (header?.kind !== "tcp") return invalid("short packet");
    if (checksumFails(packet)) return invalid("bad checksum");
    if (!VALID_FLAGS.has(header.flags & ~(TCP_PSH | TCP_ECE | TCP_CWR)))
      return invalid("invalid tcp flag combination");
    const segment: SegmentOf = {
      header,
      kind: segmentKind(header),
      length: packet.skb.frame.payload.length,
    };
    if (!entry.confirmed) {
      const refused = pickUp(entry, segment, packet.table.settings);
      if (refused !== undefined) return invalid(refused);
    }
    return entry.tcp === undefined
      ? invalid("no tcp state")
      : judge(entry, entry.tcp, segment, packet);
  },
};

/** The flag combinations that may be. Mirrors tcp_valid_flags; PSH, ECE and CWR are not looked at. */
const VALID_FLAGS: ReadonlySet<number> = new Set([
  TCP_SYN,
  TCP_SYN | TCP_URG,
  TCP_SYN | TCP_ACK,
  TCP_RST,
  TCP_RST | TCP_ACK,
  TCP_FIN | TCP_ACK,
  TCP_FIN | TCP_ACK | TCP_URG,
  TCP_ACK,
  TCP_ACK | TCP_URG,
]);

/** Mirrors get_conntrack_index(). */
function segmentKind({ flags }: TcpHeader): Segment {
  if ((flags & TCP_RST) !== 0) return "rst";
  if ((flags & TCP_SYN) !== 0) return (flags & TCP_ACK) !== 0 ? "synack" : "syn";
  if ((flags & TCP_FIN) !== 0) return "fin";
  return (flags & TCP_ACK) !== 0 ? "ack" : "none";
}

/** Starts the state of a new entry; says why the segment cannot start one. Mirrors tcp_new(). */
function pickUp(
  entry: Connection,
  segment: SegmentOf,
  settings: ConntrackSettings,
): string | undefined {
  const { header } = segment;
  const state = nextTcpState(ORIGINAL, segment.kind, 0);
  if (state === TCP_INVALID || state === TCP_IGNORE) return `${segment.kind} without an entry`;
  const midstream = state !== TCP_SYN_SENT;
  if (midstream && settings.flags.tcp_loose === 0) return "mid-stream segment and tcp_loose is 0";
  const track = new TcpTrack();
  const [sender, receiver] = track.sides;
  sender.end = segmentEnd(header, segment.length);
  sender.maxWindow = Math.max(header.window, 1);
  sender.maxEnd = midstream ? (sender.end + sender.maxWindow) >>> 0 : sender.end;
  if (midstream) sender.flags = receiver.flags = FLAG_SACK_PERM | FLAG_BE_LIBERAL;
  else readSynOptions(header, sender);
  entry.tcp = track;
  return undefined;
}

function judge(entry: Connection, track: TcpTrack, segment: SegmentOf, packet: Tracked): Judgement {
  const { direction } = packet;
  const before = track.state;
  const wanted = nextTcpState(direction, segment.kind, before);
  switch (wanted) {
    case TCP_SYN_SENT:
      if (before < TCP_TIME_WAIT) break;
      if (mayReopen(track, direction)) {
        packet.table.kill(entry);
        return AGAIN;
      }
      return letThrough(track, segment, direction)
        ? advance(entry, track, segment, packet, TCP_SYN_RECV)
        : VALID;
    case TCP_IGNORE:
      return letThrough(track, segment, direction)
        ? advance(entry, track, segment, packet, TCP_SYN_RECV)
        : VALID;
    case TCP_INVALID:
      if (isProxyKeepalive(entry, track, segment, direction)) return VALID;
      return invalid(`${segment.kind} in state ${TCP_STATES[before] ?? ""}`);
    case TCP_TIME_WAIT:
      if (!isChallengeAck(track, segment, direction)) break;
      track.lastFlags &= ~FLAG_EXPECT_CHALLENGE_ACK;
      return VALID;
    case TCP_SYN_SENT2:
      track.lastFlags |= FLAG_SIMULTANEOUS_OPEN;
      break;
    case TCP_SYN_RECV:
      if (
        direction === REPLY &&
        segment.kind === "ack" &&
        (track.lastFlags & FLAG_SIMULTANEOUS_OPEN) !== 0
      ) {
        return advance(entry, track, segment, packet, TCP_ESTABLISHED);
      }
      break;
    case TCP_CLOSE:
      if (segment.kind === "rst") return judgeReset(entry, track, segment, packet);
      break;
    default:
      break;
  }
  return advance(entry, track, segment, packet, wanted);
}

/** A SYNPROXY client asks again while its server has not answered: the hook of the proxy has to see it in its connection. */
function isProxyKeepalive(
  entry: Connection,
  track: TcpTrack,
  { header, kind }: SegmentOf,
  direction: Direction,
): boolean {
  return (
    entry.ext?.synproxy !== undefined &&
    track.state === TCP_SYN_SENT &&
    kind === "ack" &&
    direction === ORIGINAL &&
    track.lastDirection === ORIGINAL &&
    header.sequence === (track.side(ORIGINAL).end - 1) >>> 0
  );
}

/** A SYN on a closed connection may start another, if the closing is known to be real. */
function mayReopen(track: TcpTrack, direction: Direction): boolean {
  const [a, b] = track.sides;
  return (
    ((a.flags | b.flags) & FLAG_CLOSE_INIT) !== 0 ||
    (track.lastDirection === direction && track.lastSegment === "rst")
  );
}

/**
 * A segment that changes nothing but is remembered: the ends may be in step when we are not. True when it is the
 * SYN-ACK to a SYN remembered like that, so that the entry falls in step again.
 */
function letThrough(track: TcpTrack, segment: SegmentOf, direction: Direction): boolean {
  const { header, kind } = segment;
  const answersSyn =
    kind === "synack" && track.lastSegment === "syn" && track.lastDirection !== direction;
  if (answersSyn && header.acknowledgment === track.lastEnd) {
    resynchronise(track, direction);
    return true;
  }
  const state = track.state;
  track.lastSegment = kind;
  track.lastDirection = direction;
  track.lastSequence = header.sequence;
  track.lastEnd = segmentEnd(header, segment.length);
  track.lastWindow = header.window;
  if (kind === "syn" && direction === ORIGINAL) {
    const seen = newSide();
    readSynOptions(header, seen);
    track.lastScale = seen.scale;
    track.lastFlags = seen.flags & (FLAG_WINDOW_SCALE | FLAG_SACK_PERM);
    if (state === TCP_LAST_ACK) track.lastFlags |= FLAG_EXPECT_CHALLENGE_ACK;
  }
  if (state === TCP_SYN_SENT && kind === "ack" && direction === REPLY)
    track.lastAck = header.acknowledgment;
  return false;
}

function resynchronise(track: TcpTrack, direction: Direction): void {
  const other = track.side(track.lastDirection);
  other.end = other.maxEnd = track.lastEnd;
  other.maxWindow = Math.max(track.lastWindow, 1);
  other.scale = track.lastScale;
  track.lastFlags &= ~FLAG_EXPECT_CHALLENGE_ACK;
  other.flags = track.lastFlags;
  track.sides[direction] = { ...newSide(), flags: track.sides[direction].flags & FLAG_BE_LIBERAL };
  track.state = TCP_SYN_SENT;
}

function isChallengeAck(track: TcpTrack, segment: SegmentOf, direction: Direction): boolean {
  return (
    track.state === TCP_LAST_ACK &&
    segment.kind === "ack" &&
    track.lastDirection !== direction &&
    track.lastSegment === "syn" &&
    (track.lastFlags & FLAG_EXPECT_CHALLENGE_ACK) !== 0
  );
}

/** A reset: must be where the other side has acknowledged to, to close an established connection. RFC 5961 §3. */
function judgeReset(
  entry: Connection,
  track: TcpTrack,
  segment: SegmentOf,
  packet: Tracked,
): Judgement {
  const { header } = segment;
  const { direction, table } = packet;
  const established = track.state === TCP_ESTABLISHED && (entry.status & IPS_ASSURED) !== 0;
  if (track.state >= TCP_FIN_WAIT && track.state <= TCP_CLOSE)
    return settle(entry, track, segment, packet, TCP_CLOSE);
  const peer = track.side(direction === ORIGINAL ? REPLY : ORIGINAL);
  if ((peer.flags & FLAG_MAXACK_SET) !== 0 && track.lastSegment !== "syn") {
    if (header.sequence === 0 && !established)
      return advance(entry, track, segment, packet, TCP_CLOSE);
    if (before(header.sequence, peer.maxAck) && table.settings.flags.tcp_ignore_invalid_rst === 0)
      return invalid("invalid rst");
    const continuesLast =
      track.lastSegment === "ack" &&
      track.lastDirection === direction &&
      header.sequence === track.lastEnd;
    const exact = !established || header.sequence === peer.maxAck || continuesLast;
    // An inexact reset may be answered by a challenge ACK, so the state stays; the timeout below is CLOSE's all the same.
    if (exact) return advance(entry, track, segment, packet, TCP_CLOSE);
    return answersLetThrough(entry, track, segment, direction)
      ? settle(entry, track, segment, packet, track.state)
      : advance(entry, track, segment, packet, track.state);
  }
  return answersLetThrough(entry, track, segment, direction)
    ? settle(entry, track, segment, packet, TCP_CLOSE)
    : advance(entry, track, segment, packet, TCP_CLOSE);
}

/** A reset that answers a SYN or an ACK which was let through unchecked: its sequence number cannot be checked either. */
function answersLetThrough(
  entry: Connection,
  track: TcpTrack,
  { header }: SegmentOf,
  direction: Direction,
): boolean {
  const toSyn = (entry.status & IPS_SEEN_REPLY) !== 0 && track.lastSegment === "syn";
  const toAck = (entry.status & IPS_ASSURED) === 0 && track.lastSegment === "ack";
  if (
    track.lastDirection !== direction &&
    (toSyn || toAck) &&
    header.acknowledgment === track.lastEnd
  )
    return true;
  const toChallenge =
    track.state === TCP_SYN_SENT && track.lastSegment === "ack" && track.lastDirection === REPLY;
  return toChallenge && direction === ORIGINAL && header.sequence === track.lastAck;
}
