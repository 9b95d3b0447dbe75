import { type Ipv4Prefix, formatIpv4, formatIpv4Prefix } from "../wire/ip.js";
import { routeProtocolName, scopeName, tableName } from "./fib-names.js";
import {
  type FibNexthop,
  type FibRoute,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RTPROT_BOOT,
} from "./fib-types.js";

/**
 * The lines of `ip route show` for one route, without newlines. iproute2 6.1 ends each with a blank.
 * `withTable` is for `table all`, where every route outside of main names its table.
 */
export function formatRouteLines(route: FibRoute, withTable = false): readonly string[] {
  const [only] = route.nexthops;
  const single = route.nexthops.length === 1 ? only : undefined;
  const words: string[] = [];
  if (route.type !== "unicast") words.push(route.type);
  words.push(formatDestination(route.prefix));
  if (route.tos !== 0) words.push(`tos 0x${route.tos.toString(16).padStart(2, "0")}`);
  if (single !== undefined) words.push(...formatWay(single));
  if (withTable) words.push(`table ${tableName(route.table)}`);
  if (route.protocol !== RTPROT_BOOT) words.push(`proto ${routeProtocolName(route.protocol)}`);
  if (route.scope !== RT_SCOPE_UNIVERSE) words.push(`scope ${scopeName(route.scope)}`);
  if (route.source !== undefined) words.push(`src ${formatIpv4(route.source)}`);
  if (route.metric !== 0) words.push(`metric ${route.metric}`);
  if (single !== undefined) words.push(...formatFlags(single));
  else if (route.nexthops.length > 1 && route.nexthops.every(isLinkDown)) words.push("linkdown");
  if (single !== undefined) words.push(...formatRealms(single));
  if (route.mtu !== undefined) words.push(`mtu ${route.mtuLock ? "lock " : ""}${route.mtu}`);
  if (route.advmss !== undefined) words.push(`advmss ${route.advmss}`);
  const lines = [`${words.join(" ")} `];
  if (route.nexthops.length > 1) {
    for (const nexthop of route.nexthops) {
      lines.push(
        `\tnexthop ${[...formatWay(nexthop, formatRealms(nexthop)), `weight ${nexthop.weight}`, ...formatFlags(nexthop)].join(" ")} `,
      );
    }
  }
  return lines;
}

/** One line for a trace: `10.244.2.0/24 via 172.18.0.3 dev eth0`. */
export function formatRoute(route: FibRoute): string {
  return formatRouteLines(route)
    .map((line) => line.trim())
    .join(" ");
}

function formatDestination(prefix: Ipv4Prefix): string {
  if (prefix.length === 0) return "default";
  return prefix.length === 32 ? formatIpv4(prefix.address) : formatIpv4Prefix(prefix);
}

/** The realms of one of several ways stand between gateway and device. */
function formatWay(nexthop: FibNexthop, realms: readonly string[] = []): string[] {
  const words: string[] = [];
  if (nexthop.gateway !== undefined) words.push(`via ${formatIpv4(nexthop.gateway)}`);
  words.push(...realms);
  if (nexthop.dev !== undefined) words.push(`dev ${nexthop.dev.name}`);
  return words;
}

/** `realm 5`, `realms 3/7`. */
function formatRealms({ realms }: FibNexthop): string[] {
  if (realms === 0) return [];
  const [from, to] = [realms >>> 16, realms & 0xffff];
  const name = (realm: number): string => (realm === 0 ? "cosmos" : String(realm));
  return from === 0 ? ["realm", name(to)] : ["realms", `${name(from)}/${name(to)}`];
}

function formatFlags(nexthop: FibNexthop): string[] {
  const words: string[] = [];
  if (nexthop.dead) words.push("dead");
  if (nexthop.onlink) words.push("onlink");
  if (isLinkDown(nexthop)) words.push("linkdown");
  return words;
}

/** Routes of local addresses (scope nowhere) do not care for the link. */
function isLinkDown({ dev, dead, scope }: FibNexthop): boolean {
  return dead || (dev !== undefined && scope !== RT_SCOPE_NOWHERE && dev.up && !dev.carrier);
}
