import type { RouteEvent, TraceEvent } from "../core/trace.js";
import { calicoDestinations, calicoWay } from "../kube/calico.js";
import type { Cluster } from "../kube/cluster.js";
import { dialectNamed } from "../kube/policy/dialect.js";
import { judge } from "../kube/policy/oracle.js";
import { reasonText } from "../kube/policy/reason-text.js";
import {
  endpointOf,
  policyObjectsOf,
  policyWorld,
  type PolicyWorld,
} from "../kube/policy/world.js";
import { sameSegment } from "../kube/nodes.js";
import { formatIpv4, type Ipv4, prefixContains } from "../wire/ip.js";

/**
 * What of a Calico network was on the way of packets and is not built, each once: IPIP tunnels, and Felix's chains where the
 * evaluator says that they would refuse a connection. Reads the trace.
 */
export function calicoDoubts(cluster: Cluster, events: readonly TraceEvent[]): readonly string[] {
  if (cluster.network.kind !== "calico") return [];
  const routed = routedOnNodes(cluster, events);
  return [...tunnelsMet(cluster, routed), ...policiesMet(cluster, routed)];
}

/** What a node looked up a route for, with the packet as it was then: destinations are translated, sources not yet. */
interface Routed {
  readonly node: string;
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly event: RouteEvent;
}

function routedOnNodes({ nodes }: Cluster, events: readonly TraceEvent[]): readonly Routed[] {
  const names = new Set(nodes.map(({ name }) => name));
  return events.flatMap((event) => {
    if (event.kind !== "route" || !names.has(event.ns)) return [];
    const header = event.frame.network;
    if (header?.kind !== "ipv4") return [];
    const { source, destination } = header;
    return [{ node: event.ns, source, destination, event }];
  });
}

function tunnelsMet(cluster: Cluster, routed: readonly Routed[]): readonly string[] {
  const { network, nodes } = cluster;
  if (network.kind !== "calico" || network.pools.every(({ ipip }) => ipip === "Never")) return [];
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const destinations = calicoDestinations(network, cluster);
  const found = new Set<string>();
  for (const { node, destination } of routed) {
    const [held] = destinations
      .filter(({ to }) => prefixContains(to, destination))
      .toSorted((a, b) => b.to.length - a.to.length);
    const [here, there] = [byName.get(node), byName.get(held?.node ?? "")];
    if (here === undefined || there === undefined || here === there) continue;
    if (calicoWay(held?.pool, sameSegment(cluster, here, there)) === "ipip")
      found.add(
        `Calico's IPIP tunnel from ${node} to ${there.name} is not modelled (pool ${held?.pool?.name ?? ""}, ipipMode ${held?.pool?.ipip ?? ""})`,
      );
  }
  return [...found];
}

/** Connections that the policies refuse, by the evaluator: the packets went on, because Felix's chains are not there. */
function policiesMet(cluster: Cluster, routed: readonly Routed[]): readonly string[] {
  if (cluster.objects.NetworkPolicy.length === 0) return [];
  const world = policyWorld(policyObjectsOf(cluster), dialectNamed("calico"));
  const begun = new Set<string>();
  const found = new Set<string>();
  for (const { source, destination, event } of routed) {
    const { protocol, from, to } = portsOf(event);
    const key = (a: Ipv4, aPort: number, b: Ipv4, bPort: number): string =>
      `${protocol} ${a}:${aPort} ${b}:${bPort}`;
    if (begun.has(key(destination, to, source, from))) continue;
    const own = key(source, from, destination, to);
    if (begun.has(own)) continue;
    begun.add(own);
    const text = refusal(world, { source, destination, protocol, port: to });
    if (text !== undefined) found.add(text);
  }
  return [...found];
}

interface Attempt {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly protocol: string;
  readonly port: number;
}

function refusal(
  world: PolicyWorld,
  { source, destination, protocol, port }: Attempt,
): string | undefined {
  const [from, to] = [endpointOf(world, source), endpointOf(world, destination)];
  if (from.kind !== "pod" && to.kind !== "pod") return undefined;
  const ported = protocol === "TCP" || protocol === "UDP";
  const flow = { source: from, destination: to, protocol, port: ported ? port : undefined };
  const { outcome, egress, ingress } = judge(world, flow);
  if (outcome === "allow") return undefined;
  const side = egress.outcome === "allow" ? ingress : egress;
  const name = (end: typeof from, address: Ipv4): string =>
    end.kind === "pod" ? end.key : formatIpv4(address);
  const what = `${name(from, source)} to ${name(to, destination)}${ported ? ` ${protocol} ${port}` : ` ${protocol}`}`;
  return `Calico's own policy chains are not rendered, and the evaluator says of ${what}: ${reasonText(side.reason)}; hopwise why tells more`;
}

function portsOf({ frame }: RouteEvent): {
  readonly protocol: string;
  readonly from: number;
  readonly to: number;
} {
  const { transport } = frame;
  if (transport?.kind === "tcp" || transport?.kind === "udp")
    return {
      protocol: transport.kind.toUpperCase(),
      from: transport.sourcePort,
      to: transport.destinationPort,
    };
  return { protocol: "ICMP", from: 0, to: 0 };
}
