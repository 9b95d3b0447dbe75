import { IPS_SEQ_ADJUST } from "../../core/conntrack.js";
import type { Frame } from "../../wire/frame.js";
import { get32, put32 } from "../../wire/bytes.js";
import type { TcpHeader } from "../../wire/tcp.js";
import type { Connection } from "./connection.js";
import { after, before, forEachOption, OPTION_SACK } from "./tcp-track.js";
import { type Direction, ORIGINAL, REPLY } from "./tuple.js";

/** How far the sequence numbers of one direction moved, before and after the last change. Mirrors struct nf_ct_seqadj. */
interface Shift {
  /** The sequence number of the segment that was changed last. */
  position: number;
  before: number;
  after: number;
}

/** NAT made a segment longer or shorter: the numbers of all later ones move. Mirrors struct nf_conn_seqadj. */
export class SequenceAdjust {
  readonly sides: readonly [Shift, Shift] = [
    { position: 0, before: 0, after: 0 },
    { position: 0, before: 0, after: 0 },
  ];
}

/** Moves all numbers of `direction` by `offset` from now on. Mirrors nf_ct_seqadj_init(). */
export function startAdjusting(entry: Connection, direction: Direction, offset: number): void {
  if (offset >>> 0 === 0) return;
  entry.status |= IPS_SEQ_ADJUST;
  const extensions = entry.extend();
  extensions.sequenceAdjust ??= new SequenceAdjust();
  const shift = extensions.sequenceAdjust.sides[direction];
  shift.before = shift.after = offset >>> 0;
}

/** Notes that the data of the segment at `sequence` grew by `growth` bytes, once. Mirrors nf_ct_seqadj_set(). */
export function noteGrowth(
  entry: Connection,
  direction: Direction,
  sequence: number,
  growth: number,
): void {
  if (growth === 0) return;
  entry.status |= IPS_SEQ_ADJUST;
  const extensions = entry.extend();
  extensions.sequenceAdjust ??= new SequenceAdjust();
  const shift = extensions.sequenceAdjust.sides[direction];
  // The same segment again is a retransmission.
  if (shift.before !== shift.after && !before(shift.position, sequence)) return;
  shift.position = sequence;
  shift.before = shift.after;
  shift.after += growth;
}

/** How far numbers of `direction` at `sequence` are moved. Mirrors nf_ct_seq_offset(). */
export function sequenceOffset(entry: Connection, direction: Direction, sequence: number): number {
  const shift = entry.ext?.sequenceAdjust?.sides[direction];
  if (shift === undefined) return 0;
  return after(sequence, shift.position) ? shift.after : shift.before;
}

/** The segment with its numbers as the receiver counts. Mirrors nf_ct_seq_adjust(). */
export function adjustSegment(frame: Frame, adjust: SequenceAdjust, direction: Direction): Frame {
  const { transport } = frame;
  if (transport?.kind !== "tcp") return frame;
  const own = adjust.sides[direction];
  const peer = adjust.sides[direction === ORIGINAL ? REPLY : ORIGINAL];
  const moved = after(transport.sequence, own.position) ? own.after : own.before;
  const sequence = (transport.sequence + moved) >>> 0;
  const acknowledgment = movedBack(transport.acknowledgment, peer);
  const options = adjustSack(transport, peer);
  return { ...frame, transport: { ...transport, sequence, acknowledgment, options } };
}

/** A number of the other direction as its sender counts. */
function movedBack(sequence: number, shift: Shift): number {
  const isLater = after((sequence - shift.before) >>> 0, shift.position);
  return (sequence - (isLater ? shift.after : shift.before)) >>> 0;
}

/** Mirrors nf_ct_sack_adjust(). */
function adjustSack({ options }: TcpHeader, peer: Shift): Uint8Array {
  let adjusted = options;
  forEachOption(options, (kind, at, length) => {
    if (kind !== OPTION_SACK || length < 10 || (length - 2) % 8 !== 0) return;
    if (adjusted === options) adjusted = options.slice();
    for (let edge = at + 2; edge < at + length; edge += 4)
      put32(adjusted, edge, movedBack(get32(options, edge), peer));
  });
  return adjusted;
}
