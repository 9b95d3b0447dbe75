import { jhash2, reciprocalScale, swapBytes } from "../../base/jhash.js";
import type { Tuple } from "../../core/conntrack.js";
import { type Ipv4, type Ipv6, addToIpv4, ipv6FromWords, ipv6Words } from "../../wire/ip.js";
import { type NatKind, type NatRange, withNatAddress } from "./range.js";

/**
 * The tuple with an address of the range: a hash of source and destination picks it, so the same two ends always get the
 * same one. Mirrors net/netfilter/nf_nat_core.c:find_best_ips_proto(), on a little-endian machine.
 */
export function chooseAddress(tuple: Tuple, range: NatRange, kind: NatKind, zone: number): Tuple {
  const { addresses } = range;
  if (addresses === undefined) return tuple;
  const { low, high } = addresses;
  if (low === high) return withNatAddress(tuple, kind, low);
  const { source, destination } = tuple;
  const persistent = range.persistent === true;
  const isSource = kind === "SRC";
  if (typeof source === "number")
    return typeof low === "number" && typeof high === "number" && typeof destination === "number"
      ? withNatAddress(tuple, kind, choose4(low, high, { source, destination, zone, persistent }))
      : tuple;
  return typeof low === "bigint" && typeof high === "bigint" && typeof destination === "bigint"
    ? withNatAddress(
        tuple,
        kind,
        choose6(low, high, { source, destination, zone, persistent }, isSource),
      )
    : tuple;
}

/** What the choice depends on. */
interface Ends<A> {
  readonly source: A;
  readonly destination: A;
  readonly zone: number;
  readonly persistent: boolean;
}

function choose4(low: Ipv4, high: Ipv4, ends: Ends<Ipv4>): Ipv4 {
  const seed = ends.persistent ? 0 : swapBytes(ends.destination) ^ ends.zone;
  const hash = jhash2([swapBytes(ends.source), 0, 0, 0], seed);
  return addToIpv4(low, reciprocalScale(hash, high - low + 1));
}

/**
 * Word by word: after the first one that is below the range's end, the rest may be anything. Each word of the destination
 * turns the hash on: where it is the destination that changes, what was just chosen.
 */
function choose6(low: Ipv6, high: Ipv6, ends: Ends<Ipv6>, isSource: boolean): Ipv6 {
  const to = ipv6Words(ends.destination).map(swapBytes);
  const seed = ends.persistent ? 0 : (to[3] ?? 0) ^ ends.zone;
  let hash = jhash2(ipv6Words(ends.source).map(swapBytes), seed);
  const highest = ipv6Words(high);
  let free = false;
  const words = ipv6Words(low).map((least, index) => {
    const most = highest[index] ?? 0;
    const distance = free ? 0xffff_ffff : (most - least + 1) >>> 0;
    const word = ((free ? 0 : least) + reciprocalScale(hash, distance)) >>> 0;
    if (word !== most) free = true;
    if (!ends.persistent) hash = (hash ^ (isSource ? (to[index] ?? 0) : swapBytes(word))) >>> 0;
    return word;
  });
  return ipv6FromWords(words);
}
