import { formatIpv6, formatIpv6Prefix } from "../../wire/ip.js";
import { routeProtocolName, tableName } from "../fib-names.js";
import { RT_TABLE_LOCAL, RTPROT_BOOT } from "../fib-types.js";
import type { Fib6Nexthop, Fib6Route } from "./fib-types.js";

/** What a listing leaves out because its words say it already. */
export interface Route6Words {
  /** `table all`: every route outside of main names its table. */
  readonly withTable?: boolean | undefined;
  /** `show dev DEV`. */
  readonly withoutDevice?: boolean | undefined;
  readonly withoutProtocol?: boolean | undefined;
}

/** The lines of `ip -6 route show` for one route (iproute2 6.1), without newlines. */
export function formatRoute6Lines(route: Fib6Route, words: Route6Words = {}): readonly string[] {
  const single = route.nexthops.length === 1 ? route.nexthops[0] : undefined;
  const parts: string[] = [];
  if (route.type !== "unicast") parts.push(route.type);
  parts.push(formatDestination(route));
  if (single !== undefined) parts.push(...formatWay(single, words));
  if (words.withTable === true) parts.push(`table ${tableName(route.table)}`);
  if (route.protocol !== RTPROT_BOOT && words.withoutProtocol !== true)
    parts.push(`proto ${routeProtocolName(route.protocol)}`);
  if (route.source !== undefined) parts.push(`src ${formatIpv6(route.source)}`);
  parts.push(`metric ${route.metric}`);
  if (single !== undefined) parts.push(...formatFlags(single, route));
  else if (route.nexthops.every(({ dev }) => isLinkDown(dev))) parts.push("linkdown");
  if (route.expires !== undefined) parts.push(`expires ${secondsLeft(route)}sec`);
  if (route.mtu !== undefined) parts.push(`mtu ${route.mtu}`);
  if (route.advmss !== undefined) parts.push(`advmss ${route.advmss}`);
  if (route.hopLimit !== undefined) parts.push(`hoplimit ${route.hopLimit}`);
  parts.push(`pref ${route.pref}`);
  const lines = [parts.join(" ")];
  if (single === undefined)
    for (const nexthop of route.nexthops)
      lines.push(
        `\tnexthop ${[...formatWay(nexthop, {}), `weight ${nexthop.weight}`, ...formatFlags(nexthop, route)].join(" ")} `,
      );
  return lines;
}

/** One line for a trace: `2001:db8:2::/64 via 2001:db8:1::1 dev eth0 metric 1024 pref medium`. */
export function formatRoute6(route: Fib6Route): string {
  return formatRoute6Lines(route)
    .map((line) => line.trim())
    .join(" ");
}

/** Whole seconds until the route goes. */
function secondsLeft({ expires, nexthops }: Fib6Route): number {
  const now: number = nexthops[0]?.dev.ns.sim.queue.now ?? 0;
  return Math.max(Math.floor(((expires ?? now) - now) / 1_000_000), 0);
}

function formatDestination({ prefix }: Fib6Route): string {
  if (prefix.length === 0) return "default";
  return prefix.length === 128 ? formatIpv6(prefix.address) : formatIpv6Prefix(prefix);
}

function formatWay({ dev, gateway }: Fib6Nexthop, words: Route6Words): string[] {
  return [
    ...(gateway === undefined ? [] : [`via ${formatIpv6(gateway)}`]),
    ...(words.withoutDevice === true ? [] : [`dev ${dev.name}`]),
  ];
}

function formatFlags({ dev, onlink }: Fib6Nexthop, route: Fib6Route): string[] {
  const local = route.table === RT_TABLE_LOCAL && route.type !== "multicast";
  return [...(onlink ? ["onlink"] : []), ...(isLinkDown(dev) && !local ? ["linkdown"] : [])];
}

function isLinkDown(dev: Fib6Nexthop["dev"]): boolean {
  return dev.up && !dev.carrier;
}
