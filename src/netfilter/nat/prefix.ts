import type { Verdict } from "../../core/hooks.js";
import { writeInPlace } from "../../core/simulation.js";
import type { SkBuff } from "../../core/skbuff.js";
import { icmp6Send } from "../../inet/ipv6/icmp.js";
import { type Frame, withDestination, withSource } from "../../wire/frame.js";
import { ICMPV6_HDR_FIELD, ICMPV6_PARAMPROB, isIcmpv6Error } from "../../wire/icmpv6.js";
import {
  getIpv6,
  type Ipv6,
  type Ipv6Prefix,
  ipv6PrefixContains,
  ipv6Words,
  mapIpv6Prefix,
  putIpv6,
} from "../../wire/ip.js";
import { IPV6_HLEN } from "../../wire/ipv6.js";

/** One prefix for another, with no connection: what checksums cover keeps its sum. RFC 6296. */
export interface PrefixChange {
  readonly from: Ipv6Prefix;
  readonly to: Ipv6Prefix;
  /** What one word of every address is changed by, in one's complement. */
  readonly adjustment: number;
}

/** Mirrors net/ipv6/netfilter/ip6t_NPT.c:ip6t_npt_checkentry(). Both prefixes have at most 64 bits. */
export function prefixChange(from: Ipv6Prefix, to: Ipv6Prefix): PrefixChange {
  return { from, to, adjustment: fold(sumOf(from.address) + (0xffff ^ sumOf(to.address))) };
}

/** The address under the other prefix; undefined when none of its words can take the difference. Mirrors ip6t_npt_map_pfx(). */
export function mapPrefix({ from, to, adjustment }: PrefixChange, address: Ipv6): Ipv6 | undefined {
  const length = Math.max(from.length, to.length);
  const mapped = mapIpv6Prefix(address, { address: to.address, length });
  const words = wordsOf(mapped);
  const at = length <= 48 ? 3 : words.findIndex((word, index) => index > 3 && word !== 0xffff);
  const before = words[at];
  if (before === undefined) return undefined;
  const sum = fold(before + adjustment);
  const after = sum === 0xffff ? 0 : sum;
  return (mapped ^ (BigInt(before ^ after) << BigInt(112 - 16 * at))) as Ipv6;
}

const ADDRESS_AT = { source: 8, destination: 24 } as const;

/**
 * Puts a packet's source (SNPT) or destination (DNPT) under the other prefix, whatever it was; the packet that an error
 * quotes has its opposite end changed when it has the prefix. What a bridge floods changes at its other ports as well, since
 * nothing makes the bytes writable. Mirrors ip6t_snpt_tg() and ip6t_dnpt_tg().
 */
export function translatePrefix(
  skb: SkBuff,
  change: PrefixChange,
  side: "source" | "destination",
): Verdict | undefined {
  const { network } = skb.frame;
  if (network?.kind !== "ipv6") return undefined;
  const mapped = mapPrefix(change, network[side]);
  if (mapped === undefined) {
    icmp6Send(skb, ICMPV6_PARAMPROB, ICMPV6_HDR_FIELD, ADDRESS_AT[side]);
    return { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" };
  }
  const frame =
    side === "source" ? withSource(skb.frame, mapped) : withDestination(skb.frame, mapped);
  const kept = keepChecksum(frame, sumOf(mapped) - sumOf(network[side]));
  writeInPlace(skb, translateBounced(kept, change, side === "source" ? "destination" : "source"));
  return undefined;
}

/** Nobody touches the transport checksum: an address that did not have the prefix leaves it wrong by the difference. */
function keepChecksum(frame: Frame, difference: number): Frame {
  const { transport } = frame;
  const off = ((difference % 0xffff) + 0xffff) % 0xffff;
  if (transport === undefined || off === 0) return frame;
  if (transport.kind === "udp" && transport.noChecksum === true) return frame;
  const error = ((transport.checksumError ?? 0) + off) % 0xffff;
  return { ...frame, transport: { ...transport, checksumError: error === 0 ? undefined : error } };
}

/** Mirrors icmpv6_bounced_ipv6hdr(): extension headers before the error hide what it quotes. */
function translateBounced(
  frame: Frame,
  change: PrefixChange,
  side: "source" | "destination",
): Frame {
  const { network, transport, payload } = frame;
  const isError = transport?.kind === "icmpv6" && isIcmpv6Error(transport.type);
  const isPlain = network?.kind === "ipv6" && network.extensions.length === 0;
  if (!isError || !isPlain || payload.length < IPV6_HLEN) return frame;
  const at = ADDRESS_AT[side];
  const address = getIpv6(payload, at);
  const mapped = ipv6PrefixContains(change.from, address) ? mapPrefix(change, address) : undefined;
  if (mapped === undefined) return frame;
  const bytes = payload.slice();
  putIpv6(bytes, at, mapped);
  return { ...frame, payload: bytes };
}

/** The eight words of 16 bits. */
function wordsOf(address: Ipv6): readonly number[] {
  return ipv6Words(address).flatMap((word) => [word >>> 16, word & 0xffff]);
}

function sumOf(address: Ipv6): number {
  return fold(wordsOf(address).reduce((sum, word) => sum + word, 0));
}

function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}
