import type { SendState, SentSegment, TcpConnection } from "./tcp-connection.js";
import type { SackBlock } from "./tcp-options.js";
import { currentMss, sendFrom } from "./tcp-output.js";
import { advance, distance, isAfter, isBefore } from "./tcp-sequence.js";

/** Takes out what an acknowledgment covers; what it covers in part is shortened. Mirrors tcp_clean_rtx_queue(). */
export function takeAcknowledged(out: SendState, acknowledgment: number): readonly SentSegment[] {
  const done = out.flight.filter(({ end }) => !isAfter(end, acknowledgment));
  out.flight = out.flight.slice(done.length);
  const [first] = out.flight;
  if (first !== undefined && isBefore(first.start, acknowledgment)) first.start = acknowledgment;
  return done;
}

/** Marks what the peer has behind a hole; the segments that are news. Mirrors tcp_sacktag_write_queue(), for whole segments. */
export function markSacked(out: SendState, blocks: readonly SackBlock[]): readonly SentSegment[] {
  const fresh = out.flight.filter(
    ({ start, end, sacked }) =>
      !sacked && blocks.some((block) => !isBefore(start, block.start) && !isAfter(end, block.end)),
  );
  for (const segment of fresh) {
    segment.sacked = true;
    segment.lost = false;
  }
  return fresh;
}

/** The first block of an option may tell of bytes that came twice (RFC 2883). Mirrors tcp_check_dsack(). */
export function isDuplicate(blocks: readonly SackBlock[], acknowledgment: number): boolean {
  const [first, second] = blocks;
  if (first === undefined) return false;
  if (isBefore(first.start, acknowledgment)) return true;
  return (
    second !== undefined && !isAfter(first.end, second.end) && !isBefore(first.start, second.start)
  );
}

/** Sends a segment once more, with what follows it if both fit into one. Mirrors __tcp_retransmit_skb() and tcp_retrans_try_collapse(). */
export function resend(connection: TcpConnection, segment: SentSegment): void {
  const { out, ns } = connection;
  const most = currentMss(connection);
  if (bytesOf(segment) > most) cutToSize(out, most);
  const at = out.flight.indexOf(segment);
  let length = bytesOf(segment);
  for (let next = out.flight[at + 1]; next !== undefined; next = out.flight[at + 1]) {
    const more = bytesOf(next);
    if (segment.fin || next.sacked || length >= most || length + more > most) break;
    length += more;
    segment.end = next.end;
    segment.fin = next.fin;
    out.flight = out.flight.toSpliced(at + 1, 1);
  }
  sendFrom(connection, segment.start, length, segment.fin);
  segment.sentAt = ns.sim.queue.now;
  segment.order = out.count++;
  segment.wasResent = true;
}

/** Cuts what is larger than `most` bytes; the first piece of a segment stays the same object. Mirrors tcp_fragment(). */
export function cutToSize(out: SendState, most: number): void {
  out.flight = out.flight.flatMap((segment) => {
    const pieces = [segment];
    for (let last = segment; bytesOf(last) > most;) {
      const rest = { ...last, start: advance(last.start, most) };
      last.end = rest.start;
      last.fin = false;
      pieces.push(rest);
      last = rest;
    }
    return pieces;
  });
}

function bytesOf({ start, end, fin }: SentSegment): number {
  return distance(start, end) - (fin ? 1 : 0);
}
