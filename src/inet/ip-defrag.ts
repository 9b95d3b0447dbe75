import { deliver, drop } from "../core/drop.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import type { Timer } from "../sim/event-queue.js";
import { seconds } from "../sim/time.js";
import { decodeTransport, type Frame, ipLength } from "../wire/frame.js";
import { ICMP_TIME_EXCEEDED } from "../wire/icmp.js";
import { type Ipv4Header, ipv4HeaderLength } from "../wire/ipv4.js";
import { icmpSend } from "./icmp.js";
import { routeInput } from "./route-input.js";
import { ipv4Sysctls } from "./sysctls.js";

/** Who waits for the pieces: local delivery and connection tracking keep apart what they collect. Mirrors enum ip_defrag_users. */
export type DefragUser = "local" | "conntrack-in" | "conntrack-out";

const ICMP_EXC_FRAGTIME = 1;
const MAX_PACKET = 65_535;

/** A fragment that waits, as it stood on the wire. */
interface Piece {
  readonly skb: SkBuff;
  readonly header: Ipv4Header;
  readonly start: number;
  readonly end: number;
  readonly size: number;
}

/** The pieces of one packet, in the order of their offsets. Mirrors struct ipq. */
interface Queue {
  pieces: readonly Piece[];
  /** Where the packet's payload ends; undefined until the last piece has come. */
  end: number | undefined;
  readonly timer: Timer;
}

/** The packets of one namespace of which only pieces have come. Mirrors struct fqdir. */
class Queues {
  readonly byKey = new Map<string, Queue>();
  bytes = 0;
}

const queuesOf: (ns: NetworkNamespace) => Queues = perNamespace(() => new Queues());

/**
 * Takes a fragment and gives the whole packet back when nothing is missing: the skb that came last, with the frame of all.
 * Undefined while pieces are missing, or when the fragment was refused (it is dropped then). What is incomplete after
 * `ipfrag_time` is given up. Mirrors net/ipv4/ip_fragment.c:ip_defrag().
 */
export function ipDefrag(skb: SkBuff, user: DefragUser): SkBuff | undefined {
  const { network } = skb.frame;
  if (network?.kind !== "ipv4") return skb;
  const queues = queuesOf(skb.ns);
  const piece = pieceOf(skb, network);
  if (piece === undefined) return undefined;
  if (queues.bytes + piece.size > ipv4Sysctls(skb.ns).get("net.ipv4.ipfrag_high_thresh")) {
    drop(skb, "NOT_SPECIFIED", "ip_defrag");
    return undefined;
  }
  const key = `${user} ${network.source} ${network.destination} ${network.protocol} ${network.id}`;
  const queue = queues.byKey.get(key) ?? open(skb, user, key, queues);
  if (!insert(queue, piece, () => close(queues, key, queue))) return undefined;
  queues.bytes += piece.size;
  if (!isComplete(queue)) return undefined;
  close(queues, key, queue);
  for (const other of queue.pieces) if (other.skb !== skb) deliver(other.skb, "reassembly");
  return reassemble(skb, queue, user);
}

/** Whether a packet is a piece of a larger one is asked with `isFragment` (wire/ipv4.ts). Mirrors the checks of ip_frag_queue(). */
function pieceOf(skb: SkBuff, header: Ipv4Header): Piece | undefined {
  const start = header.fragmentOffset;
  const present = skb.frame.payload.length;
  // A piece that is not the last has to end at a multiple of 8: what is more is cut off.
  const end = start + (header.moreFragments ? present & ~7 : present);
  if (end <= start || end + ipv4HeaderLength(header) > MAX_PACKET) {
    drop(skb, "NOT_SPECIFIED", "ip_defrag");
    return undefined;
  }
  return { skb, header, start, end, size: ipLength(skb.frame) };
}

function open(skb: SkBuff, user: DefragUser, key: string, queues: Queues): Queue {
  const lifetime = seconds(ipv4Sysctls(skb.ns).get("net.ipv4.ipfrag_time"));
  const timer = skb.ns.sim.queue.after(lifetime, "fragments expire", () => {
    const queue = queues.byKey.get(key);
    if (queue === undefined) return;
    close(queues, key, queue);
    expire(queue, user);
  });
  const queue: Queue = { pieces: [], end: undefined, timer };
  queues.byKey.set(key, queue);
  return queue;
}

function close(queues: Queues, key: string, queue: Queue): void {
  queue.timer.cancel();
  queues.byKey.delete(key);
  for (const piece of queue.pieces) queues.bytes -= piece.size;
}

/** False when the piece is refused. A repeated piece is dropped; one that overlaps others ends the whole packet. Mirrors inet_frag_queue_insert(). */
function insert(queue: Queue, piece: Piece, abandon: () => void): boolean {
  const overlapping = queue.pieces.filter(
    (other) => other.start < piece.end && piece.start < other.end,
  );
  if (overlapping.some((other) => other.start <= piece.start && piece.end <= other.end)) {
    drop(piece.skb, "DUP_FRAG", "ip_defrag");
    return false;
  }
  const last = queue.pieces.at(-1)?.end ?? 0;
  const beyond = queue.end !== undefined && piece.end > queue.end;
  const ends =
    !piece.header.moreFragments &&
    ((queue.end !== undefined && queue.end !== piece.end) || last > piece.end);
  if (overlapping.length > 0 || beyond || ends) {
    abandon();
    for (const other of queue.pieces) drop(other.skb, "NOT_SPECIFIED", "ip_defrag");
    drop(piece.skb, "NOT_SPECIFIED", "ip_defrag");
    return false;
  }
  if (!piece.header.moreFragments) queue.end = piece.end;
  const at = queue.pieces.findIndex((other) => other.start > piece.start);
  queue.pieces = at < 0 ? [...queue.pieces, piece] : queue.pieces.toSpliced(at, 0, piece);
  return true;
}

function isComplete(queue: Queue): boolean {
  let at = 0;
  for (const piece of queue.pieces) {
    if (piece.start !== at) return false;
    at = piece.end;
  }
  return at === queue.end;
}

/** Mirrors ip_frag_reasm(): DF comes back when the largest piece had it, and is then cut around by the same sizes. */
function reassemble(skb: SkBuff, queue: Queue, user: DefragUser): SkBuff {
  const first = queue.pieces[0]?.header;
  if (first === undefined) return skb;
  const bytes = new Uint8Array(queue.end ?? 0);
  for (const piece of queue.pieces)
    bytes.set(piece.skb.frame.payload.subarray(0, piece.end - piece.start), piece.start);
  const largest = Math.max(...queue.pieces.map((piece) => piece.size));
  const dontFragment = queue.pieces.some(
    (piece) => piece.header.dontFragment && piece.size === largest,
  );
  const header: Ipv4Header = { ...first, dontFragment, moreFragments: false, fragmentOffset: 0 };
  const frame: Frame = { link: skb.frame.link, network: header, ...decodeTransport(header, bytes) };
  skb.frame = frame;
  skb.fragmentMaxSize = largest;
  // Mirrors nf_ct_ipv4_gather_frags(): a router that had to look inside may cut the packet again.
  if (user !== "local") skb.ignoreDf = true;
  return skb;
}

/** The sender is told when the first piece had come and the packet was for this host. Mirrors ip_expire(). */
function expire(queue: Queue, user: DefragUser): void {
  const [head] = queue.pieces;
  if (head?.start === 0 && head.skb.inDev !== undefined) {
    const { skb } = head;
    skb.dev = skb.inDev;
    if (skb.route === undefined) routeInput(skb);
    if (skb.route !== undefined && (user === "local" || skb.route.type === "local"))
      icmpSend(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME);
  }
  for (const piece of queue.pieces) drop(piece.skb, "FRAG_REASM_TIMEOUT", "ip_expire");
}
