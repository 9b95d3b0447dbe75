import { drop } from "../../core/drop.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { seconds } from "../../sim/time.js";
import { decodeTransport, ipLength } from "../../wire/frame.js";
import {
  ICMPV6_EXC_FRAGTIME,
  ICMPV6_HDR_FIELD,
  ICMPV6_PARAMPROB,
  ICMPV6_TIME_EXCEED,
} from "../../wire/icmpv6.js";
import { isIpv6LinkLocal, isIpv6Multicast } from "../../wire/ip.js";
import { decodeExtensions, extensionsLength } from "../../wire/ipv6-extension.js";
import { fragmentExtension, IPV6_HLEN, type Ipv6Header } from "../../wire/ipv6.js";
import { FragmentQueues, joinPieces, type Piece } from "../fragment-queue.js";
import { icmp6Send } from "./icmp.js";
import { ipv6Sysctls } from "./sysctls.js";

/** Who waits for the pieces: local delivery and connection tracking keep apart what they collect. */
export type Defrag6User = "local" | "conntrack-in" | "conntrack-out";

const MAX_PAYLOAD = 65_535;
/** Where the payload length stands, and the place of a fragment. */
const PAYLOAD_LENGTH_AT = 4;
const OFFSET_IN_HEADER = 2;

const queuesOf: (ns: NetworkNamespace) => FragmentQueues<Ipv6Header> = perNamespace(
  () => new FragmentQueues<Ipv6Header>(),
);

/**
 * Takes a fragment and gives the whole packet back when nothing is missing: the skb that came last, with the frame of all.
 * Undefined while pieces are missing, or when the fragment was refused (it is dropped then).
 * Mirrors net/ipv6/reassembly.c:ipv6_frag_rcv().
 */
export function ip6Defrag(skb: SkBuff, user: Defrag6User): SkBuff | undefined {
  const { network } = skb.frame;
  const fragment = network?.kind === "ipv6" ? fragmentExtension(network) : undefined;
  if (network?.kind !== "ipv6" || fragment === undefined) return skb;
  const start = fragment.fragmentOffset;
  const end = start + skb.frame.payload.length;
  const before = IPV6_HLEN + extensionsLength(network.extensions);
  if (end > MAX_PAYLOAD) return refuse(skb, before - 8 + OFFSET_IN_HEADER);
  if (fragment.moreFragments && skb.frame.payload.length % 8 !== 0)
    return refuse(skb, PAYLOAD_LENGTH_AT);
  if (end === start) {
    drop(skb, "NOT_SPECIFIED", "ipv6_frag_rcv");
    return undefined;
  }
  const { source, destination } = network;
  const scoped = isIpv6LinkLocal(destination) || isIpv6Multicast(destination);
  const key = `${user} ${source} ${destination} ${fragment.id} ${scoped ? (skb.dev?.name ?? "") : ""}`;
  const more = fragment.moreFragments;
  const piece = { skb, header: network, start, end, more, size: ipLength(skb.frame) };
  const pieces = queuesOf(skb.ns).collect(key, piece, {
    lifetime: seconds(ipv6Sysctls(skb.ns).get("net.ipv6.ip6frag_time")),
    memory: ipv6Sysctls(skb.ns).get("net.ipv6.ip6frag_high_thresh"),
    where: "ipv6_frag_rcv",
    expire: (expired) => expire(expired, user),
  });
  return pieces === undefined ? undefined : reassemble(skb, pieces, user);
}

function refuse(skb: SkBuff, pointer: number): undefined {
  icmp6Send(skb, ICMPV6_PARAMPROB, ICMPV6_HDR_FIELD, pointer);
  drop(skb, "NOT_SPECIFIED", "ipv6_frag_rcv");
  return undefined;
}

/** Mirrors ip6_frag_reasm(): the first piece's headers count, without the fragment header. */
function reassemble(skb: SkBuff, pieces: readonly Piece<Ipv6Header>[], user: Defrag6User): SkBuff {
  const first = pieces[0]?.header;
  if (first === undefined) return skb;
  const kept = first.extensions.filter(({ kind }) => kind !== "fragment");
  const rest = decodeExtensions(first.protocol, joinPieces(pieces));
  const header: Ipv6Header = {
    ...first,
    protocol: rest.protocol,
    extensions: [...kept, ...rest.extensions],
  };
  skb.frame = {
    link: skb.frame.link,
    network: header,
    ...decodeTransport(header, rest.payload),
  };
  skb.fragmentMaxSize = Math.max(...pieces.map(({ size }) => size));
  // A router that had to look inside may cut the packet again. Mirrors nf_ct_frag6_gather().
  if (user !== "local") skb.ignoreDf = true;
  return skb;
}

/** The sender is told when the first piece had come. Mirrors ip6frag_expire_frag_queue(). */
function expire(pieces: readonly Piece<Ipv6Header>[], user: Defrag6User): void {
  const [head] = pieces;
  if (head?.start === 0 && user === "local") {
    head.skb.dev = head.skb.inDev;
    icmp6Send(head.skb, ICMPV6_TIME_EXCEED, ICMPV6_EXC_FRAGTIME);
  }
  for (const piece of pieces) drop(piece.skb, "FRAG_REASM_TIMEOUT", "ip6frag_expire_frag_queue");
}
