import { IPCT_ASSURED, IPCT_PROTOINFO, IPS_ASSURED } from "../../core/conntrack.js";
import {
  decodeSctp,
  SCTP_ABORT,
  SCTP_COOKIE_ACK,
  SCTP_COOKIE_ECHO,
  SCTP_DATA,
  SCTP_HEARTBEAT,
  SCTP_HEARTBEAT_ACK,
  SCTP_INIT,
  SCTP_INIT_ACK,
  SCTP_SHUTDOWN_ACK,
  SCTP_SHUTDOWN_COMPLETE,
  type SctpChunk,
  type SctpPacket,
} from "../../wire/sctp.js";
import type { Connection } from "./connection.js";
import {
  type ConntrackProtocol,
  type Judgement,
  type Tracked,
  VALID,
  invalid,
  refreshAndCount,
  timeoutsOf,
} from "./protocol.js";
import { nextSctpState, type SctpState } from "./sctp-states.js";
import type { TimeoutName } from "./settings.js";
import { type Direction, ORIGINAL, REPLY } from "./tuple.js";

/** The SCTP part of an entry. Tags and INITs by direction. Mirrors struct ip_ct_sctp. */
export class SctpTrack {
  state: SctpState = "NONE";
  /** It comes from a list of connections, which has states but no tags. */
  isListed = false;
  /** The tag that packets of each direction must carry. */
  readonly tags: [number, number] = [0, 0];
  readonly sawInit: [boolean, boolean] = [false, false];
  lastDirection: Direction = ORIGINAL;
  /** A HEARTBEAT with another tag went through: its answer may bring a new one. */
  heartbeatTagFailed = false;
}

const TIMEOUTS: Readonly<Record<SctpState, TimeoutName>> = {
  NONE: "sctp_timeout_closed",
  CLOSED: "sctp_timeout_closed",
  COOKIE_WAIT: "sctp_timeout_cookie_wait",
  COOKIE_ECHOED: "sctp_timeout_cookie_echoed",
  ESTABLISHED: "sctp_timeout_established",
  SHUTDOWN_SENT: "sctp_timeout_shutdown_sent",
  SHUTDOWN_RECD: "sctp_timeout_shutdown_recd",
  SHUTDOWN_ACK_SENT: "sctp_timeout_shutdown_ack_sent",
  HEARTBEAT_SENT: "sctp_timeout_heartbeat_sent",
};

/** SCTP. Mirrors net/netfilter/nf_conntrack_proto_sctp.c:nf_conntrack_sctp_packet(). */
export const sctp: ConntrackProtocol = {
  name: "sctp",
  allowClash: false,

  track(entry, packet) {
    const read = decodeSctp(packet.skb.frame.payload);
    if (read === undefined) return invalid("short packet");
    const checked = packet.hook === "PREROUTING" && packet.table.settings.flags.checksum === 1;
    if (checked && !read.isChecksumRight) return invalid("bad CRC");
    if (!isWellFormed(read)) return invalid("basic checks failed");
    if (!entry.confirmed) {
      const refused = pickUp(entry, read);
      if (refused !== undefined) return invalid(refused);
    }
    return entry.sctp === undefined
      ? invalid("no sctp state")
      : judge(entry, entry.sctp, read, packet);
  },
};

/** INIT, INIT ACK and SHUTDOWN COMPLETE stand alone, cookies first. Mirrors do_basic_checks(). */
function isWellFormed({ chunks }: SctpPacket): boolean {
  let alone = false;
  for (const [index, { type, length }] of chunks.entries()) {
    if (type === SCTP_INIT || type === SCTP_INIT_ACK || type === SCTP_SHUTDOWN_COMPLETE)
      alone = true;
    const first = alone || type === SCTP_COOKIE_ACK || type === SCTP_COOKIE_ECHO;
    if ((first && index > 0) || length === 0) return false;
  }
  return chunks.length > 0;
}

function has({ chunks }: SctpPacket, ...types: readonly number[]): boolean {
  return chunks.some(({ type }) => types.includes(type));
}

/** Starts the state of a new entry; says why the packet cannot start one. Mirrors sctp_new(). */
function pickUp(entry: Connection, packet: SctpPacket): string | undefined {
  if (has(packet, SCTP_ABORT, SCTP_SHUTDOWN_COMPLETE, SCTP_COOKIE_ACK)) return "out of the blue";
  const track = new SctpTrack();
  for (const { type, initiateTag } of packet.chunks) {
    const state = nextSctpState(ORIGINAL, "NONE", type);
    if (state === undefined || state === "NONE") return "not the start of an association";
    if (type === SCTP_INIT) {
      if (packet.verificationTag !== 0 || initiateTag === undefined) return "INIT with a tag";
      track.tags[REPLY] = initiateTag;
    } else if (type === SCTP_HEARTBEAT) {
      track.tags[ORIGINAL] = packet.verificationTag;
    } else if (type === SCTP_SHUTDOWN_ACK) {
      track.tags[REPLY] = packet.verificationTag;
    }
  }
  entry.sctp = track;
  return undefined;
}

/** Chunks whose tag is looked at by themselves. RFC 9260 §8.5.1. */
const OWN_TAG_RULES = [
  SCTP_INIT,
  SCTP_SHUTDOWN_COMPLETE,
  SCTP_COOKIE_ECHO,
  SCTP_ABORT,
  SCTP_SHUTDOWN_ACK,
  SCTP_HEARTBEAT,
  SCTP_HEARTBEAT_ACK,
] as const;

function judge(
  entry: Connection,
  track: SctpTrack,
  packet: SctpPacket,
  tracked: Tracked,
): Judgement {
  const { direction } = tracked;
  if (!has(packet, ...OWN_TAG_RULES) && packet.verificationTag !== track.tags[direction])
    return invalid("verification tag check failed");
  let ignored = false;
  for (const chunk of packet.chunks) {
    const tag = checkTag(track, packet, chunk, direction, ignored);
    if (tag === "refuse") return invalid(`verification tag of chunk ${chunk.type}`);
    if (tag === "ignore") {
      ignored = true;
      continue;
    }
    const before = track.state;
    const state = nextSctpState(direction, before, chunk.type);
    if (state === undefined) return invalid(`chunk ${chunk.type} in state ${before}`);
    if (!noteInit(track, chunk, direction)) return invalid("INIT ACK of another association");
    // A repeated INIT must not keep an entry alive for whoever uses the port again.
    if (chunk.type === SCTP_INIT && state === "CLOSED" && before === "CLOSED" && entry.confirmed)
      ignored = true;
    track.state = state;
    if (before === state) continue;
    entry.events |= IPCT_PROTOINFO;
    if (state !== "ESTABLISHED") continue;
    entry.status |= IPS_ASSURED;
    entry.events |= IPCT_ASSURED;
  }
  if (ignored) return VALID;
  refreshAndCount(entry, timeoutsOf(entry, tracked.table)[TIMEOUTS[track.state]], tracked);
  return VALID;
}

function otherWay(direction: Direction): Direction {
  return direction === ORIGINAL ? REPLY : ORIGINAL;
}

const FLAG_T = 1;

/** The special cases of the verification tag. RFC 9260 §8.5.1. */
function checkTag(
  track: SctpTrack,
  packet: SctpPacket,
  { type, flags }: SctpChunk,
  direction: Direction,
  ignored: boolean,
): "accept" | "refuse" | "ignore" {
  const { verificationTag: tag } = packet;
  const own = track.tags[direction];
  switch (type) {
    case SCTP_INIT:
      return tag === 0 ? "accept" : "refuse";
    case SCTP_ABORT:
    case SCTP_SHUTDOWN_COMPLETE:
      return tag === ((flags & FLAG_T) === 0 ? own : track.tags[otherWay(direction)])
        ? "accept"
        : "refuse";
    case SCTP_COOKIE_ECHO:
      return tag === own ? "accept" : "refuse";
    case SCTP_HEARTBEAT:
    case SCTP_HEARTBEAT_ACK:
      return checkHeartbeat(track, packet, type, direction, ignored);
    default:
      return "accept";
  }
}

/** A path that comes up again may have a peer that was started anew: its tag is taken over when both sides agree. */
function checkHeartbeat(
  track: SctpTrack,
  packet: SctpPacket,
  type: number,
  direction: Direction,
  ignored: boolean,
): "accept" | "refuse" | "ignore" {
  const { verificationTag: tag } = packet;
  if (track.tags[direction] === 0) {
    track.tags[direction] = tag;
    return "accept";
  }
  if (tag === track.tags[direction]) {
    track.heartbeatTagFailed = false;
    return "accept";
  }
  if (has(packet, SCTP_DATA) || ignored) return "refuse";
  if (type === SCTP_HEARTBEAT) {
    track.heartbeatTagFailed = true;
    track.lastDirection = direction;
    return "ignore";
  }
  if (!track.heartbeatTagFailed || track.lastDirection === direction) return "refuse";
  track.heartbeatTagFailed = false;
  track.tags[direction] = tag;
  track.tags[otherWay(direction)] = 0;
  return "accept";
}

/** Remembers the tag that INIT and INIT ACK ask for; false for an INIT ACK that answers another INIT. */
function noteInit(
  track: SctpTrack,
  { type, initiateTag }: SctpChunk,
  direction: Direction,
): boolean {
  const other = otherWay(direction);
  if (type === SCTP_INIT) {
    if (initiateTag === undefined) return false;
    if (track.sawInit[direction] && track.sawInit[other]) track.sawInit[other] = false;
    track.sawInit[direction] = true;
    track.tags[other] = initiateTag;
    return true;
  }
  if (type !== SCTP_INIT_ACK) return true;
  if (initiateTag === undefined) return false;
  const known = track.tags[other];
  const differs = known !== initiateTag;
  if (!track.sawInit[other] && known !== 0 && differs) return false;
  if (track.sawInit[direction] && track.sawInit[other] && differs) return false;
  track.tags[other] = initiateTag;
  return true;
}
