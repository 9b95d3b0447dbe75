import type { IpFamily } from "./addresses.js";
import { categorizeEndpoints, type Categories, type NodeEndpoint } from "./categorize.js";
import { compareText, endpointsByPort, type Endpoint } from "./endpoints.js";
import type { ProxyNode } from "./node.js";
import type { ProxyNote, ProxyObjects } from "./objects.js";
import { externallyReachable, servicePorts, type ServicePort } from "./service-port.js";

/** What kube-proxy knows from the API, in one family and before it looks at its own node. */
export interface ServiceObjects {
  readonly family: IpFamily;
  /** Sorted by name, then protocol: kube-proxy itself walks them in no order. */
  readonly ports: readonly ServicePort[];
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  readonly notes: readonly ProxyNote[];
}

/** What meets a packet to a service: `no local endpoints` means there are some elsewhere that the policy forbids. */
export type Reach = "endpoints" | "no endpoints" | "no local endpoints";

/** One service port on one node. */
export interface PortState extends Categories {
  readonly port: ServicePort;
  /** For traffic to the cluster IP. */
  readonly internal: Reach;
  /** For traffic from outside to a node port, an external IP or a load balancer. */
  readonly external: Reach;
}

/** All service ports on one node, in one family: what every proxy mode renders. */
export interface ServiceState {
  readonly family: IpFamily;
  readonly ports: readonly PortState[];
  /** Endpoints over all service ports, ready or not. */
  readonly totalEndpoints: number;
  readonly notes: readonly ProxyNote[];
}

/** The feature gates that change which endpoints are used. */
export interface EndpointGates {
  /** Node hints count; on by default since 1.34. */
  readonly preferSameTrafficDistribution: boolean;
}

/** Reads Services and EndpointSlices. Throws UserError for what the Kubernetes API would not have stored. */
export function serviceObjects(objects: ProxyObjects, family: IpFamily): ServiceObjects {
  const notes: ProxyNote[] = [];
  const ports = servicePorts(objects, family, notes).toSorted(
    (a, b) => compareText(a.name, b.name) || compareText(a.protocol, b.protocol),
  );
  return { family, ports, endpoints: endpointsByPort(objects, family, notes), notes };
}

/** How the services look from one node. */
export function serviceState(
  objects: ServiceObjects,
  node: Pick<ProxyNode, "name" | "labels">,
  gates: EndpointGates = { preferSameTrafficDistribution: true },
): ServiceState {
  const topology = {
    nodeName: node.name,
    zone: node.labels["topology.kubernetes.io/zone"] ?? "",
    nodeHints: gates.preferSameTrafficDistribution,
  };
  let totalEndpoints = 0;
  const ports = objects.ports.map((port) => {
    const endpoints = seenFrom(node.name, objects.endpoints.get(port.key) ?? []);
    totalEndpoints += endpoints.length;
    const policy = { ...port, externallyReachable: externallyReachable(port) };
    const chosen = categorizeEndpoints(endpoints, policy, topology);
    return { port, ...chosen, ...reachOf(port, chosen) };
  });
  return { family: objects.family, ports, totalEndpoints, notes: objects.notes };
}

/** Marks the node's own endpoints. Of several with one address and port the last local one wins, or else the first. */
function seenFrom(nodeName: string, endpoints: readonly Endpoint[]): NodeEndpoint[] {
  const seen: NodeEndpoint[] = [];
  for (const endpoint of endpoints) {
    const isLocal = endpoint.nodeName !== "" && endpoint.nodeName === nodeName;
    if (seen.at(-1)?.text !== endpoint.text) seen.push(asSeen(endpoint, isLocal));
    else if (isLocal) seen[seen.length - 1] = asSeen(endpoint, isLocal);
  }
  return seen;
}

/** Field by field: there are many of them, and spreading is slow. */
function asSeen(endpoint: Endpoint, isLocal: boolean): NodeEndpoint {
  return {
    address: endpoint.address,
    port: endpoint.port,
    text: endpoint.text,
    nodeName: endpoint.nodeName,
    ready: endpoint.ready,
    serving: endpoint.serving,
    terminating: endpoint.terminating,
    zoneHints: endpoint.zoneHints,
    nodeHints: endpoint.nodeHints,
    object: endpoint.object,
    isLocal,
  };
}

function reachOf(
  port: ServicePort,
  { usable, local }: Categories,
): Pick<PortState, "internal" | "external"> {
  const reach = (policyLocal: boolean): Reach => {
    if (!usable) return "no endpoints";
    return policyLocal && (local ?? []).length === 0 ? "no local endpoints" : "endpoints";
  };
  return { internal: reach(port.internalPolicyLocal), external: reach(port.externalPolicyLocal) };
}
