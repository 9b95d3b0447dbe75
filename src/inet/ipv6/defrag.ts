import { drop } from "../../core/drop.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { type Micros, seconds } from "../../sim/time.js";
import { isHeaderCut } from "../../wire/first-fragment.js";
import { decodeTransport, encodeWithExtensions, ipLength } from "../../wire/frame.js";
import {
  ICMPV6_EXC_FRAGTIME,
  ICMPV6_HDR_FIELD,
  ICMPV6_HDR_INCOMP,
  ICMPV6_PARAMPROB,
  ICMPV6_TIME_EXCEED,
} from "../../wire/icmpv6.js";
import { isIpv6LinkLocal, isIpv6Multicast } from "../../wire/ip.js";
import { decodeExtensions, extensionsLength } from "../../wire/ipv6-extension.js";
import { fragmentExtension, IPV6_HLEN, type Ipv6Header, isIpv6Fragment } from "../../wire/ipv6.js";
import { FragmentQueues, joinPieces, type Piece, rememberCuts } from "../fragment-queue.js";
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
 * Mirrors net/ipv6/reassembly.c:ipv6_frag_rcv() and net/ipv6/netfilter/nf_conntrack_reasm.c:nf_ct_frag6_gather().
 */
export function ip6Defrag(skb: SkBuff, user: Defrag6User): SkBuff | undefined {
  const { network } = skb.frame;
  const fragment = network?.kind === "ipv6" ? fragmentExtension(network) : undefined;
  if (network?.kind !== "ipv6" || fragment === undefined) return skb;
  const isLocal = user === "local";
  const isWhole = !isIpv6Fragment(network);
  if (isWhole && isLocal) return skb;
  const start = fragment.fragmentOffset;
  if (start === 0 && lacksHeaders(skb, network))
    return isLocal ? refuse(skb, ICMPV6_HDR_INCOMP, 0) : skb;
  if (isWhole) return withoutFragmentHeader(skb, network);
  const end = start + skb.frame.payload.length;
  const before = IPV6_HLEN + extensionsLength(network.extensions);
  if (end > MAX_PAYLOAD)
    return isLocal
      ? refuse(skb, ICMPV6_HDR_FIELD, before - 8 + OFFSET_IN_HEADER)
      : dropped(skb, user);
  const { source, destination } = network;
  const scoped = isIpv6LinkLocal(destination) || isIpv6Multicast(destination);
  const key = `${user} ${source} ${destination} ${fragment.id} ${scoped ? (skb.dev?.name ?? "") : ""}`;
  const more = fragment.moreFragments;
  if (more && skb.frame.payload.length % 8 !== 0) {
    if (isLocal) return refuse(skb, ICMPV6_HDR_FIELD, PAYLOAD_LENGTH_AT);
    // Connection tracking lets such a piece go on as it is: whom it is for is to answer.
    queuesOf(skb.ns).abandon(key, "nf_ct_frag6_queue");
    return skb;
  }
  if (end === start) return dropped(skb, user);
  const piece = { skb, header: network, start, end, more, size: ipLength(skb.frame) };
  const pieces = queuesOf(skb.ns).collect(key, piece, {
    ...limitsOf(skb.ns, user),
    where: isLocal ? "ipv6_frag_rcv" : "nf_ct_frag6_gather",
    expire,
  });
  return pieces === undefined ? undefined : reassemble(skb, pieces, user);
}

/** Connection tracking takes a packet in one piece for a reassembled one. RFC 6946. */
function withoutFragmentHeader(skb: SkBuff, network: Ipv6Header): SkBuff {
  skb.fragmentMaxSize = ipLength(skb.frame);
  skb.ignoreDf = true;
  const extensions = network.extensions.filter(({ kind }) => kind !== "fragment");
  skb.frame = { ...skb.frame, network: { ...network, extensions } };
  return skb;
}

/** A first piece has to hold all headers: connection tracking leaves others to whom they are for. RFC 8200 §4.5. */
function lacksHeaders(skb: SkBuff, network: Ipv6Header): boolean {
  const at = network.extensions.findIndex(({ kind }) => kind === "fragment");
  const behind = network.extensions.slice(at + 1);
  return isHeaderCut(behind[0]?.type ?? network.protocol, encodeWithExtensions(skb.frame, behind));
}

function refuse(skb: SkBuff, code: number, pointer: number): undefined {
  icmp6Send(skb, ICMPV6_PARAMPROB, code, pointer);
  drop(skb, "NOT_SPECIFIED", "ipv6_frag_rcv");
  return undefined;
}

/** How long pieces wait, and how many bytes of them. */
function limitsOf(
  ns: NetworkNamespace,
  user: Defrag6User,
): { readonly lifetime: Micros; readonly memory: number } {
  const knobs = ipv6Sysctls(ns);
  if (user === "local")
    return {
      lifetime: seconds(knobs.get("net.ipv6.ip6frag_time")),
      memory: knobs.get("net.ipv6.ip6frag_high_thresh"),
    };
  const { timeout, highThreshold } = conntrackFragments6(ns);
  return { lifetime: seconds(timeout), memory: highThreshold };
}

/** The knobs `net.netfilter.nf_conntrack_frag6_…`: in seconds and bytes. */
interface ConntrackFragments6 {
  timeout: number;
  highThreshold: number;
  lowThreshold: number;
}

export const conntrackFragments6: (ns: NetworkNamespace) => ConntrackFragments6 = perNamespace(
  () => ({ timeout: 60, highThreshold: 4_194_304, lowThreshold: 3_145_728 }),
);

function dropped(skb: SkBuff, user: Defrag6User): undefined {
  if (user === "local") drop(skb, "NOT_SPECIFIED", "ipv6_frag_rcv");
  else drop(skb, "NETFILTER_DROP", "nf_hook_slow");
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
  if (user !== "local") {
    skb.ignoreDf = true;
    rememberCuts(skb, pieces);
  }
  return skb;
}

/** The sender is told when the first piece had come, also by a router. Mirrors ip6frag_expire_frag_queue(). */
function expire(pieces: readonly Piece<Ipv6Header>[]): void {
  const [head] = pieces;
  if (head?.start === 0) {
    head.skb.dev = head.skb.inDev;
    icmp6Send(head.skb, ICMPV6_TIME_EXCEED, ICMPV6_EXC_FRAGTIME);
  }
  for (const piece of pieces) drop(piece.skb, "FRAG_REASM_TIMEOUT", "ip6frag_expire_frag_queue");
}
