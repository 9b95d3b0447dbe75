import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import { randomBetween } from "../../base/random.js";
import { decodeIpPacket, type Frame, isIcmp } from "../../wire/frame.js";
import { isIcmpv6Error } from "../../wire/icmpv6.js";
import { foldAddress, IPV6_ANY, type Ipv6 } from "../../wire/ip.js";
import { isUsable, scoreOf } from "./fib-table.js";
import type { Fib6Nexthop, Fib6Route, Flow6Key } from "./fib-types.js";
import { ipv6Sysctls } from "./sysctls.js";

/** What rules and hashes look at. */
export interface Flow6Fields {
  readonly source: Ipv6;
  readonly destination: Ipv6;
  readonly flowLabel: number;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

const NO_FLOW: Flow6Fields = {
  source: IPV6_ANY,
  destination: IPV6_ANY,
  flowLabel: 0,
  protocol: 0,
  sourcePort: 0,
  destinationPort: 0,
};

/** The fields of a packet. */
export function flow6Of({ network, transport }: Frame): Flow6Fields {
  if (network?.kind !== "ipv6") return NO_FLOW;
  const { source, destination, flowLabel, protocol } = network;
  const ports = transport === undefined || isIcmp(transport) ? NO_FLOW : transport;
  const { sourcePort, destinationPort } = ports;
  return { source, destination, flowLabel, protocol, sourcePort, destinationPort };
}

/** An ICMPv6 error goes the way of the packet it is about. Mirrors net/ipv6/route.c:ip6_multipath_l3_keys(). */
export function hashedFlow6(frame: Frame): Flow6Fields {
  const { transport } = frame;
  if (transport?.kind !== "icmpv6" || !isIcmpv6Error(transport.type)) return flow6Of(frame);
  const inner = decodeIpPacket(frame.payload);
  return inner.ok && inner.value.network?.kind === "ipv6" ? flow6Of(inner.value) : flow6Of(frame);
}

/** The key of one namespace's hashes. Differs: the kernel's is a siphash; which way a flow takes is chance in both. */
const keyOf: (ns: NetworkNamespace) => { readonly key: number } = perNamespace((ns) => ({
  key: randomBetween(ns.sim.random, 0, 0xffff_ffff),
}));

/** 31 bits that say which way a flow takes. Mirrors net/ipv6/route.c:rt6_multipath_hash(). */
export function multipath6Hash(ns: NetworkNamespace, flow: Flow6Fields): number {
  const policy = ipv6Sysctls(ns).get("net.ipv6.fib_multipath_hash_policy");
  const words =
    policy === 1
      ? [flow.protocol, flow.sourcePort, flow.destinationPort]
      : [flow.flowLabel, flow.protocol];
  let hash = keyOf(ns).key;
  for (const word of [foldAddress(flow.source), foldAddress(flow.destination), ...words]) {
    hash = Math.imul(hash ^ word, 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  return (hash >>> 1) & 0x7fff_ffff;
}

/**
 * The way whose share of the hash's range holds it; where that one will not do, the one that speaks most for itself.
 * Mirrors fib6_select_path().
 */
export function selectNexthop6(
  route: Fib6Route,
  hash: number,
  key: Flow6Key,
): Fib6Nexthop | undefined {
  const hashed = hashedNexthop(route, hash);
  if (hashed !== undefined && scoreOf(hashed, route, key) >= 0) return hashed;
  let best = hashed;
  for (const nexthop of route.nexthops)
    if (best === undefined || scoreOf(nexthop, route, key) > scoreOf(best, route, key))
      best = nexthop;
  return best;
}

/** Mirrors rt6_upper_bound_set(). */
function hashedNexthop(route: Fib6Route, hash: number): Fib6Nexthop | undefined {
  const usable = route.nexthops.filter(isUsable);
  const total = usable.reduce((sum, { weight }) => sum + weight, 0);
  let weight = 0;
  for (const nexthop of usable) {
    weight += nexthop.weight;
    if (hash <= Math.round((weight * 0x8000_0000) / total) - 1) return nexthop;
  }
  return usable[0];
}
