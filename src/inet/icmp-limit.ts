import { randomBetween } from "../base/random.js";
import type { NetDevice } from "../core/device.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { type Micros, milliseconds, seconds } from "../sim/time.js";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED } from "../wire/icmp.js";
import type { Ipv4 } from "../wire/ip.js";
import { inetPeers } from "./inet-peer.js";
import { ipv4Sysctls } from "./sysctls.js";

/** The last type that has a bit in `icmp_ratemask`. */
const NR_ICMP_TYPES = 18;

/** The messages of one namespace in all. Mirrors net->ipv4.icmp_global_credit. */
class GlobalBucket {
  credit = 0;
  stamp = -seconds(1) as Micros;
}

const bucketOf: (ns: NetworkNamespace) => GlobalBucket = perNamespace(() => new GlobalBucket());

/** Whether a message is of a kind that is limited. Mirrors net/ipv4/icmp.c:icmpv4_mask_allow(). */
export function isLimited(ns: NetworkNamespace, type: number, code: number): boolean {
  if (type > NR_ICMP_TYPES || (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED))
    return false;
  return ((1 << type) & ipv4Sysctls(ns).get("net.ipv4.icmp_ratemask")) !== 0;
}

/** Whether the namespace may send one more. Mirrors icmp_global_allow(). */
export function allowGlobally(ns: NetworkNamespace): boolean {
  const bucket = bucketOf(ns);
  if (bucket.credit > 0) return true;
  const { now } = ns.sim.queue;
  const passed = Math.min(now - bucket.stamp, seconds(1));
  if (passed < milliseconds(20)) return false;
  const sysctls = ipv4Sysctls(ns);
  const earned = Math.floor((sysctls.get("net.ipv4.icmp_msgs_per_sec") * passed) / seconds(1));
  if (earned === 0) return false;
  bucket.stamp = now;
  bucket.credit = Math.min(bucket.credit + earned, sysctls.get("net.ipv4.icmp_msgs_burst"));
  return bucket.credit > 0;
}

/** Whether this address may be sent one more; pays for it. Mirrors icmpv4_xrlim_allow(). */
export function allowPeer(ns: NetworkNamespace, address: Ipv4, out: NetDevice): boolean {
  if (out.isLoopback) return true;
  if (
    !inetPeers(ns).allowError(address, milliseconds(ipv4Sysctls(ns).get("net.ipv4.icmp_ratelimit")))
  )
    return false;
  spendGlobally(ns);
  return true;
}

/** A random price keeps observers from counting what we send to others. Both families pay. Mirrors icmp_global_consume(). */
export function spendGlobally(ns: NetworkNamespace): void {
  bucketOf(ns).credit -= randomBetween(ns.sim.random, 0, 2);
}
