import { deliver, drop } from "../core/drop.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SendResult } from "../core/errno.js";
import type { SkBuff } from "../core/skbuff.js";
import type { Timer } from "../sim/event-queue.js";
import type { Micros } from "../sim/time.js";

/** A fragment that waits, as it stood on the wire. */
export interface Piece<H> {
  readonly skb: SkBuff;
  readonly header: H;
  /** The bytes of the whole that it holds. */
  readonly start: number;
  readonly end: number;
  /** More pieces come behind it. */
  readonly more: boolean;
  /** In bytes, IP header included. */
  readonly size: number;
}

/** The pieces of one packet, in the order of their offsets. Mirrors struct inet_frag_queue. */
interface Queue<H> {
  pieces: readonly Piece<H>[];
  /** Where the packet's payload ends; undefined until the last piece has come. */
  end: number | undefined;
  readonly timer: Timer;
}

export interface FragmentLimits<H> {
  /** How long pieces wait for the others. */
  readonly lifetime: Micros;
  /** How many bytes may wait in all. */
  readonly memory: number;
  /** The function that a drop names. */
  readonly where: string;
  /** The time is over: the pieces are the caller's to end. */
  readonly expire: (pieces: readonly Piece<H>[]) => void;
}

/** The packets of one namespace of which only pieces have come. Mirrors struct fqdir. */
export class FragmentQueues<H> {
  readonly #byKey = new Map<string, Queue<H>>();
  #bytes = 0;

  /**
   * Takes a piece and gives all of them when nothing is missing, in order. Undefined while pieces are missing, or when the
   * piece was refused: it is dropped then, and with it all of a packet whose pieces overlap.
   */
  collect(
    key: string,
    piece: Piece<H>,
    limits: FragmentLimits<H>,
  ): readonly Piece<H>[] | undefined {
    if (this.#bytes + piece.size > limits.memory) {
      drop(piece.skb, "NOT_SPECIFIED", limits.where);
      return undefined;
    }
    const queue = this.#byKey.get(key) ?? this.#open(key, piece.skb, limits);
    if (!this.#insert(key, queue, piece, limits.where)) return undefined;
    this.#bytes += piece.size;
    if (!isComplete(queue)) return undefined;
    this.#close(key, queue);
    for (const other of queue.pieces) if (other.skb !== piece.skb) deliver(other.skb, "reassembly");
    return queue.pieces;
  }

  /** Gives up a packet one of whose pieces was wrong. */
  abandon(key: string, where: string): void {
    const queue = this.#byKey.get(key);
    if (queue === undefined) return;
    this.#close(key, queue);
    for (const piece of queue.pieces) drop(piece.skb, "NOT_SPECIFIED", where);
  }

  #open(key: string, skb: SkBuff, limits: FragmentLimits<H>): Queue<H> {
    const timer = skb.ns.sim.queue.after(limits.lifetime, "fragments expire", () => {
      const queue = this.#byKey.get(key);
      if (queue === undefined) return;
      this.#close(key, queue);
      limits.expire(queue.pieces);
    });
    const queue: Queue<H> = { pieces: [], end: undefined, timer };
    this.#byKey.set(key, queue);
    return queue;
  }

  #close(key: string, queue: Queue<H>): void {
    queue.timer.cancel();
    this.#byKey.delete(key);
    for (const piece of queue.pieces) this.#bytes -= piece.size;
  }

  /** False when the piece is refused. A repeated piece is dropped; one that overlaps others ends the whole packet. Mirrors inet_frag_queue_insert(). */
  #insert(key: string, queue: Queue<H>, piece: Piece<H>, where: string): boolean {
    const overlapping = queue.pieces.filter(
      (other) => other.start < piece.end && piece.start < other.end,
    );
    if (overlapping.some((other) => other.start <= piece.start && piece.end <= other.end)) {
      drop(piece.skb, "DUP_FRAG", where);
      return false;
    }
    const last = queue.pieces.at(-1)?.end ?? 0;
    const beyond = queue.end !== undefined && piece.end > queue.end;
    const ends =
      !piece.more && ((queue.end !== undefined && queue.end !== piece.end) || last > piece.end);
    if (overlapping.length > 0 || beyond || ends) {
      this.#close(key, queue);
      for (const other of queue.pieces) drop(other.skb, "NOT_SPECIFIED", where);
      drop(piece.skb, "NOT_SPECIFIED", where);
      return false;
    }
    if (!piece.more) queue.end = piece.end;
    const at = queue.pieces.findIndex((other) => other.start > piece.start);
    queue.pieces = at < 0 ? [...queue.pieces, piece] : queue.pieces.toSpliced(at, 0, piece);
    return true;
  }
}

function isComplete<H>(queue: Queue<H>): boolean {
  let at = 0;
  for (const piece of queue.pieces) {
    if (piece.start !== at) return false;
    at = piece.end;
  }
  return at === queue.end;
}

/** Into how many bytes each a packet was cut that connection tracking put together, not counting headers. Mirrors frag_list. */
const cutsOf: (ns: NetworkNamespace) => WeakMap<SkBuff, readonly number[]> = perNamespace(
  () => new WeakMap<SkBuff, readonly number[]>(),
);

/** Remembers how a packet was cut. */
export function rememberCuts<H>(skb: SkBuff, pieces: readonly Piece<H>[]): void {
  cutsOf(skb.ns).set(
    skb,
    pieces.map(({ start, end }) => end - start),
  );
}

/** Where a packet of `length` bytes is cut: as it came in when every piece fits into `room`, else into pieces of that size. */
export function cutPlaces(skb: SkBuff, length: number, room: number): readonly number[] {
  const cuts = skb.fragmentMaxSize > 0 ? cutsOf(skb.ns).get(skb) : undefined;
  const total = cuts?.reduce((sum, size) => sum + size, 0);
  if (cuts !== undefined && total === length && cuts.every((size) => size <= room)) {
    let at = 0;
    return cuts.map((size) => (at += size) - size);
  }
  return Array.from({ length: Math.ceil(length / room) }, (_, index) => index * room);
}

/** The bytes of a packet whose pieces are all there. */
export function joinPieces<H>(pieces: readonly Piece<H>[]): Uint8Array {
  const bytes = new Uint8Array(pieces.at(-1)?.end ?? 0);
  for (const piece of pieces)
    bytes.set(piece.skb.frame.payload.subarray(0, piece.end - piece.start), piece.start);
  return bytes;
}

/** Sends the pieces of a packet until one is refused: those behind it are lost. Mirrors the loops of ip_do_fragment() and ip6_fragment(). */
export function sendPieces(
  pieces: readonly SkBuff[],
  send: (piece: SkBuff) => SendResult,
  where: string,
): SendResult {
  let result: SendResult;
  for (const piece of pieces) {
    if (result === undefined) result = send(piece);
    else drop(piece, "NOT_SPECIFIED", where);
  }
  return result;
}
