import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { type Frame, decodeIpPacket, isIcmp } from "../wire/frame.js";
import {
  ICMP_DEST_UNREACH,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
} from "../wire/icmp.js";
import { IPV4_ANY, type Ipv4 } from "../wire/ip.js";
import { devConf } from "./devconf.js";
import type { FibNexthop, FibRoute } from "./fib-types.js";
import { selectSource } from "./source-address.js";
import { ipv4Sysctls } from "./sysctls.js";

/** What a multipath hash looks at. */
export interface FlowFields {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** The key of the hash: chosen once a namespace. */
const hashKey: (ns: NetworkNamespace) => { readonly key: number } = perNamespace((ns) => ({
  key: Math.floor(ns.sim.random() * 0x1_0000_0000) >>> 0,
}));

/** Bits of `fib_multipath_hash_fields`. Mirrors FIB_MULTIPATH_HASH_FIELD_*. */
const FIELD_SOURCE = 1;
const FIELD_DESTINATION = 2;
const FIELD_PROTOCOL = 4;
const FIELD_SOURCE_PORT = 16;
const FIELD_DESTINATION_PORT = 32;

/**
 * The 31-bit hash of a flow under `fib_multipath_hash_policy`. Differs: not the kernel's siphash, so another path may be
 * chosen; which packets go together is the same. Mirrors net/ipv4/route.c:fib_multipath_hash().
 */
export function multipathHash(ns: NetworkNamespace, flow: FlowFields): number {
  const sysctls = ipv4Sysctls(ns);
  const policy = sysctls.get("net.ipv4.fib_multipath_hash_policy");
  const fields =
    policy === 1
      ? 0x37
      : policy === 3
        ? sysctls.get("net.ipv4.fib_multipath_hash_fields")
        : FIELD_SOURCE | FIELD_DESTINATION;
  const seed = sysctls.get("net.ipv4.fib_multipath_hash_seed");
  let hash = seed === 0 ? hashKey(ns).key : seed;
  if ((fields & FIELD_SOURCE) !== 0) hash = mix(hash, flow.source);
  if ((fields & FIELD_DESTINATION) !== 0) hash = mix(hash, flow.destination);
  if ((fields & FIELD_PROTOCOL) !== 0) hash = mix(hash, flow.protocol);
  if ((fields & FIELD_SOURCE_PORT) !== 0) hash = mix(hash, flow.sourcePort);
  if ((fields & FIELD_DESTINATION_PORT) !== 0) hash = mix(hash, flow.destinationPort);
  return mix(hash, 0) >>> 1;
}

/** The fields of a received packet; an ICMP error goes the way of the packet it is about. Mirrors ip_multipath_l3_keys(). */
export function flowOf(frame: Frame): FlowFields {
  const { network, transport } = frame;
  if (network?.kind !== "ipv4") return NO_FLOW;
  if (transport?.kind === "icmp" && QUOTING.has(transport.type)) {
    const inner = decodeIpPacket(frame.payload);
    if (inner.ok && inner.value.network?.kind === "ipv4")
      return { ...NO_FLOW, ...addressesIn(inner.value.network), protocol: network.protocol };
  }
  const ports = transport === undefined || isIcmp(transport) ? NO_FLOW : transport;
  return {
    source: network.source,
    destination: network.destination,
    protocol: network.protocol,
    sourcePort: ports.sourcePort,
    destinationPort: ports.destinationPort,
  };
}

/** What policy rules may ask of a received packet beside its addresses; zeros for an ARP request. Mirrors fib4_rules_early_flow_dissect(). */
export function rulePortsOf(frame: Frame | undefined): RulePorts {
  return frame === undefined ? NO_FLOW : flowOf(frame);
}

/** The part of a flow that policy rules select by and routes do not. */
type RulePorts = Pick<FlowFields, "protocol" | "sourcePort" | "destinationPort">;

const QUOTING: ReadonlySet<number> = new Set([
  ICMP_DEST_UNREACH,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  ICMP_PARAMETERPROB,
]);
const NO_FLOW: FlowFields = {
  source: IPV4_ANY,
  destination: IPV4_ANY,
  protocol: 0,
  sourcePort: 0,
  destinationPort: 0,
};

function addressesIn(network: { readonly source: Ipv4; readonly destination: Ipv4 }): {
  readonly source: Ipv4;
  readonly destination: Ipv4;
} {
  return { source: network.source, destination: network.destination };
}

/**
 * The index of the nexthop a hash falls to, by weight; one whose address is the packet's source is preferred.
 * `first` is taken when none fits. Mirrors net/ipv4/fib_semantics.c:fib_select_multipath().
 */
export function selectNexthop(route: FibRoute, first: number, hash: number, source: Ipv4): number {
  let total = 0;
  for (const nexthop of route.nexthops) if (isUsable(nexthop)) total += nexthop.weight;
  let selected = first;
  let best = 0;
  let sum = 0;
  for (const [index, nexthop] of route.nexthops.entries()) {
    if (!isUsable(nexthop) || nexthop.dev === undefined) continue;
    sum += nexthop.weight;
    const bound = Math.round((sum * 0x8000_0000) / total) - 1;
    const own =
      source !== IPV4_ANY &&
      selectSource(nexthop.dev, nexthop.gateway ?? IPV4_ANY, route.scope) === source;
    const score = (own ? 2 : 0) + (hash <= bound ? 1 : 0);
    if (score <= best) continue;
    selected = index;
    best = score;
    if (score === 3 || (source === IPV4_ANY && score === 1)) break;
  }
  return selected;
}

function isUsable({ dead, dev }: FibNexthop): boolean {
  return (
    !dead && dev !== undefined && (dev.carrier || devConf(dev).ignore_routes_with_linkdown === 0)
  );
}

function mix(hash: number, value: number): number {
  let z = Math.imul(hash ^ value, 0x9e37_79b1);
  z = Math.imul(z ^ (z >>> 15), 0x85eb_ca6b);
  return (z ^ (z >>> 13)) >>> 0;
}
