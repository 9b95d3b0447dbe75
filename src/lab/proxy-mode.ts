import type { TraceEvent } from "../core/trace.js";
import type { Cluster } from "../kube/cluster.js";
import { externalAddresses } from "../kube/external-routes.js";
import { keyOf } from "../kube/objects.js";
import { clusterIpsOf, nodeAddresses } from "../kube/own-addresses.js";
import { proxyConfigOfAnyMode } from "../kube/proxy/cluster-settings.js";
import { formatIp } from "../wire/ip.js";

/**
 * Where kube-proxy runs in a mode that is not modelled: the first packet to a Service that came to a node, in words. Packets
 * between pods go on without kube-proxy.
 */
export function proxyNotModelled(
  cluster: Cluster,
  events: readonly TraceEvent[],
): readonly string[] {
  const { mode } = proxyConfigOfAnyMode(cluster);
  if (mode === "iptables") return [];
  const nodes = new Set(cluster.nodes.map(({ name }) => name));
  const targets = serviceTargets(cluster);
  for (const event of events) {
    if (!nodes.has(event.ns)) continue;
    const service = targets.get(targetOf(event));
    if (service !== undefined)
      return [
        `kube-proxy mode "${mode}" is not modelled, so what ${event.ns} does with packets to Service ${service} is not known`,
      ];
  }
  return [];
}

/** What `check` says of a mode that is not modelled. */
export function proxyModeNotes(cluster: Cluster): readonly string[] {
  const { mode } = proxyConfigOfAnyMode(cluster);
  return mode === "iptables"
    ? []
    : [`kube-proxy mode "${mode}" is not modelled; packets to Services end UNKNOWN`];
}

/** `10.96.44.10 80`, and node ports of every node, by Service. */
function serviceTargets({ services, nodes }: Cluster): ReadonlyMap<string, string> {
  const targets = new Map<string, string>();
  for (const { object } of services) {
    const { ports = [] } = object.spec ?? {};
    for (const { port, nodePort } of ports) {
      for (const address of [...clusterIpsOf(object), ...externalAddresses(object)])
        targets.set(`${formatIp(address)} ${port}`, keyOf(object));
      if (nodePort !== undefined)
        for (const address of nodes.flatMap(nodeAddresses))
          targets.set(`${formatIp(address)} ${nodePort}`, keyOf(object));
    }
  }
  return targets;
}

function targetOf(event: TraceEvent): string {
  if (!("frame" in event)) return "";
  const { network, transport } = event.frame;
  const hasPorts = transport?.kind === "tcp" || transport?.kind === "udp";
  return (network?.kind === "ipv4" || network?.kind === "ipv6") && hasPorts
    ? `${formatIp(network.destination)} ${transport.destinationPort}`
    : "";
}
