import { jhash2, reciprocalScale, swapBytes } from "../../base/jhash.js";
import type { Tuple } from "../../core/conntrack.js";
import { addToIpv4 } from "../../wire/ip.js";
import { type NatKind, type NatRange, withNatAddress } from "./range.js";

/**
 * The tuple with an address of the range: a hash of source and destination picks it, so the same two ends always get the
 * same one. Mirrors net/netfilter/nf_nat_core.c:find_best_ips_proto(), on a little-endian machine.
 */
export function chooseAddress(tuple: Tuple, range: NatRange, kind: NatKind, zone: number): Tuple {
  const { addresses } = range;
  if (addresses === undefined) return tuple;
  const { low, high } = addresses;
  // A range of IPv6 addresses is chosen from word by word; until it is modelled its first address is taken.
  if (low === high || typeof low !== "number" || typeof high !== "number")
    return withNatAddress(tuple, kind, low);
  const { source, destination } = tuple;
  if (typeof source !== "number" || typeof destination !== "number")
    return withNatAddress(tuple, kind, low);
  const seed = range.persistent === true ? 0 : swapBytes(destination) ^ zone;
  const hash = jhash2([swapBytes(source), 0, 0, 0], seed);
  return withNatAddress(tuple, kind, addToIpv4(low, reciprocalScale(hash, high - low + 1)));
}
