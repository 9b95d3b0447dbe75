import type { RouteEvent, TraceEvent } from "../../core/trace.js";
import type { Cluster } from "../../kube/cluster.js";
import { formatIpv4, type Ipv4, prefixContains } from "../../wire/ip.js";
import type { NodeRecord, RecordedRoute } from "./node-record.js";
import { prefixOf } from "./recorded-gaps.js";

/**
 * Where a node's recorded routes and addresses would have sent a packet otherwise than those that are built of them and of
 * objects, each once: such an answer is not certain. Reads the trace.
 */
export function routesThatDiffer(
  records: Iterable<NodeRecord>,
  cluster: Cluster,
  events: readonly TraceEvent[],
): readonly string[] {
  const found = new Set<string>();
  for (const record of records) {
    for (const event of events) {
      if (event.kind !== "route" || event.ns !== record.name) continue;
      const text = difference(record, cluster, event);
      if (text !== undefined) found.add(text);
    }
  }
  return [...found];
}

/** Policy rules that every Linux has. */
const USUAL_RULES: readonly number[] = [0, 32_766, 32_767];

function difference(record: NodeRecord, cluster: Cluster, event: RouteEvent): string | undefined {
  const header = event.frame.network;
  if (header?.kind !== "ipv4" || event.result === "broadcast" || event.result === "multicast")
    return undefined;
  const { destination } = header;
  const to = formatIpv4(destination);
  const own = ownAddress(record, destination);
  if (own !== undefined && own !== (event.result === "local"))
    return own
      ? `${to} is recorded as an address of ${record.name} itself, and its objects do not say so`
      : `${to} is not among the recorded addresses of ${record.name}`;
  if (event.result === "local") return undefined;
  // Other rules ask other tables: what these say is built, and what could not be is told as a gap.
  const hasOwnRules = (record.policyRules ?? []).some(
    ({ priority }) => !USUAL_RULES.includes(priority),
  );
  return record.routes === undefined || hasOwnRules
    ? undefined
    : routeDifference(record, cluster, event, destination);
}

/** Undefined where no addresses were recorded. Loopback is everybody's. */
function ownAddress({ links, hasAddresses }: NodeRecord, address: Ipv4): boolean | undefined {
  if (!hasAddresses || links === undefined || formatIpv4(address).startsWith("127."))
    return undefined;
  return links.some(({ addresses }) => addresses.some((one) => one.address === address));
}

function routeDifference(
  { name, routes = [] }: NodeRecord,
  cluster: Cluster,
  event: RouteEvent,
  destination: Ipv4,
): string | undefined {
  const to = formatIpv4(destination);
  const recorded = bestRoute(routes, destination);
  const built =
    event.result === "error"
      ? undefined
      : `${event.via === undefined ? "" : `via ${event.via} `}dev ${event.out ?? ""}`;
  const said = recorded === undefined ? "no route" : recorded.words.join(" ");
  const mine = built ?? "no route";
  if (recorded === undefined || recorded.type !== "unicast")
    return built === undefined
      ? undefined
      : `${name}'s recorded routes have ${said} to ${to}, and ${mine} is built`;
  if (built !== undefined && leadsAlike(recorded, event, cluster, name, destination))
    return undefined;
  const { file, line } = recorded.place;
  return `${name} recorded the route "${said}" for ${to} (${file}:${line}), and ${mine} is built`;
}

/** The same device and next hop; for a default route the device alone, for a pod of the node that no next hop is named. */
function leadsAlike(
  recorded: RecordedRoute,
  event: RouteEvent,
  cluster: Cluster,
  node: string,
  destination: Ipv4,
): boolean {
  const via = viaOf(recorded);
  const pod = cluster.pods.find(({ address }) => address === destination);
  if (pod?.node === node) return via === undefined && event.via === undefined;
  if (recorded.dev !== event.out) return false;
  return recorded.destination === "default" || via === event.via;
}

function viaOf({ words }: RecordedRoute): string | undefined {
  const at = words.indexOf("via");
  return at < 0 ? undefined : words[at + 1];
}

/** The longest prefix of the main table; among equals the lowest metric. */
function bestRoute(routes: readonly RecordedRoute[], destination: Ipv4): RecordedRoute | undefined {
  let best:
    | { readonly route: RecordedRoute; readonly length: number; readonly metric: number }
    | undefined;
  for (const route of routes) {
    if (route.table !== "main" && route.table !== "254") continue;
    const prefix = prefixOf(route.destination);
    if (prefix === undefined || !prefixContains(prefix, destination)) continue;
    const metric = Number(route.words[route.words.indexOf("metric") + 1]) || 0;
    const better =
      best === undefined ||
      prefix.length > best.length ||
      (prefix.length === best.length && metric < best.metric);
    if (better) best = { route, length: prefix.length, metric };
  }
  return best?.route;
}
