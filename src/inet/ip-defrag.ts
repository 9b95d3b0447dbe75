import { drop } from "../core/drop.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { seconds } from "../sim/time.js";
import { decodeTransport, type Frame, ipLength } from "../wire/frame.js";
import { ICMP_TIME_EXCEEDED } from "../wire/icmp.js";
import { type Ipv4Header, ipv4HeaderLength } from "../wire/ipv4.js";
import { FragmentQueues, joinPieces, type Piece, rememberCuts } from "./fragment-queue.js";
import { icmpSend } from "./icmp.js";
import { routeInput } from "./route-input.js";
import { ipv4Sysctls } from "./sysctls.js";

/** Who waits for the pieces: local delivery and connection tracking keep apart what they collect. Mirrors enum ip_defrag_users. */
export type DefragUser = "local" | "conntrack-in" | "conntrack-out";

const ICMP_EXC_FRAGTIME = 1;
const MAX_PACKET = 65_535;

const queuesOf: (ns: NetworkNamespace) => FragmentQueues<Ipv4Header> = perNamespace(
  () => new FragmentQueues<Ipv4Header>(),
);

/**
 * Takes a fragment and gives the whole packet back when nothing is missing: the skb that came last, with the frame of all.
 * Undefined while pieces are missing, or when the fragment was refused (it is dropped then). What is incomplete after
 * `ipfrag_time` is given up. Mirrors net/ipv4/ip_fragment.c:ip_defrag().
 */
export function ipDefrag(skb: SkBuff, user: DefragUser): SkBuff | undefined {
  const { network } = skb.frame;
  if (network?.kind !== "ipv4") return skb;
  const piece = pieceOf(skb, network);
  if (piece === undefined) return undefined;
  const key = `${user} ${network.source} ${network.destination} ${network.protocol} ${network.id}`;
  const pieces = queuesOf(skb.ns).collect(key, piece, {
    lifetime: seconds(ipv4Sysctls(skb.ns).get("net.ipv4.ipfrag_time")),
    memory: ipv4Sysctls(skb.ns).get("net.ipv4.ipfrag_high_thresh"),
    where: "ip_defrag",
    expire: (expired) => expire(expired, user),
  });
  return pieces === undefined ? undefined : reassemble(skb, pieces, user);
}

/** Whether a packet is a piece of a larger one is asked with `isFragment` (wire/ipv4.ts). Mirrors the checks of ip_frag_queue(). */
function pieceOf(skb: SkBuff, header: Ipv4Header): Piece<Ipv4Header> | undefined {
  const start = header.fragmentOffset;
  const present = skb.frame.payload.length;
  // A piece that is not the last has to end at a multiple of 8: what is more is cut off.
  const end = start + (header.moreFragments ? present & ~7 : present);
  if (end <= start || end + ipv4HeaderLength(header) > MAX_PACKET) {
    drop(skb, "NOT_SPECIFIED", "ip_defrag");
    return undefined;
  }
  const more = header.moreFragments;
  return { skb, header, start, end, more, size: ipLength(skb.frame) };
}

/** Mirrors ip_frag_reasm(): DF comes back when the largest piece had it, and is then cut around by the same sizes. */
function reassemble(skb: SkBuff, pieces: readonly Piece<Ipv4Header>[], user: DefragUser): SkBuff {
  const first = pieces[0]?.header;
  if (first === undefined) return skb;
  const bytes = joinPieces(pieces);
  const largest = Math.max(...pieces.map((piece) => piece.size));
  const dontFragment = pieces.some((piece) => piece.header.dontFragment && piece.size === largest);
  const header: Ipv4Header = { ...first, dontFragment, moreFragments: false, fragmentOffset: 0 };
  const frame: Frame = { link: skb.frame.link, network: header, ...decodeTransport(header, bytes) };
  skb.frame = frame;
  skb.fragmentMaxSize = largest;
  skb.fragmentsHadDf = dontFragment;
  // Mirrors nf_ct_ipv4_gather_frags(): a router that had to look inside may cut the packet again.
  if (user !== "local") {
    skb.ignoreDf = true;
    rememberCuts(skb, pieces);
  }
  return skb;
}

/** The sender is told when the first piece had come and the packet was for this host. Mirrors ip_expire(). */
function expire(pieces: readonly Piece<Ipv4Header>[], user: DefragUser): void {
  const [head] = pieces;
  if (head?.start === 0 && head.skb.inDev !== undefined) {
    const { skb } = head;
    skb.dev = skb.inDev;
    if (skb.route === undefined) routeInput(skb);
    if (skb.route !== undefined && (user === "local" || skb.route.type === "local"))
      icmpSend(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME);
  }
  for (const piece of pieces) drop(piece.skb, "FRAG_REASM_TIMEOUT", "ip_expire");
}
