import type { Service } from "kubernetes-types/core/v1.js";
import { sha256 } from "../base/sha256.js";
import { formatIp, type IpAddress, parseIpv4, parseIpv6 } from "../wire/ip.js";
import type { Cluster, ClusterNode } from "./cluster.js";
import { nodeAddresses, ofFamily } from "./own-addresses.js";
import { keyOf, type Loaded, namespaceOf } from "./objects.js";

/*
 * What leads outside traffic to a Service's load-balancer and external addresses: objects do not say. The router between
 * nodes is taken to send each address to one node, the one that MetalLB in layer 2 mode would elect.
 */

/** An address of a Service that nodes capture and that no node has, and the node that outside traffic to it enters by. */
export interface ExternalRoute {
  readonly address: IpAddress;
  readonly node: ClusterNode;
  readonly service: Loaded<Service>;
}

type Parts = Pick<Cluster, "nodes" | "services" | "endpointSlices">;

/** The routes of a cluster in the order of its Services; an address that two Services name counts once. */
export function findExternalRoutes(cluster: Parts): readonly ExternalRoute[] {
  const own = new Set(cluster.nodes.flatMap(nodeAddresses));
  const serving = servingNodes(cluster);
  const found = new Map<IpAddress, ExternalRoute>();
  for (const service of cluster.services) {
    for (const address of externalAddresses(service.object)) {
      if (own.has(address) || found.has(address)) continue;
      const node = electedNode(cluster.nodes, service.object, serving, address);
      if (node !== undefined) found.set(address, { address, node, service });
    }
  }
  return [...found.values()];
}

/** Load-balancer addresses that nodes capture, then external IPs. Behind ipMode `Proxy` stands a machine of its own. */
export function externalAddresses({ spec, status }: Service): readonly IpAddress[] {
  const ingress = spec?.type === "LoadBalancer" ? (status?.loadBalancer?.ingress ?? []) : [];
  const captured = ingress
    .filter(({ ipMode = "VIP" }) => ipMode === "VIP")
    .map(({ ip = "" }) => ip);
  return [...captured, ...(spec?.externalIPs ?? [])].flatMap(
    (text) => parseIpv4(text) ?? parseIpv6(text) ?? [],
  );
}

const EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers";

/**
 * Of the nodes that may announce the address the first by the hash of `node#address`: with externalTrafficPolicy Local
 * those with ready endpoints, else all workers, else all.
 */
function electedNode(
  nodes: readonly ClusterNode[],
  service: Service,
  serving: ReadonlyMap<string, ReadonlySet<string>>,
  address: IpAddress,
): ClusterNode | undefined {
  const family = typeof address === "bigint" ? 6 : 4;
  const reachable = nodes.filter((node) => ofFamily(nodeAddresses(node), family) !== undefined);
  const workers = reachable.filter(
    ({ controlPlane, loaded }) =>
      !controlPlane && !(EXCLUDED in (loaded.object.metadata?.labels ?? {})),
  );
  const candidates = workers.length > 0 ? workers : reachable;
  const local =
    service.spec?.externalTrafficPolicy === "Local" ? serving.get(keyOf(service)) : undefined;
  const here = candidates.filter(({ name }) => local?.has(name) === true);
  let best: { readonly node: ClusterNode; readonly hash: string } | undefined;
  for (const node of here.length > 0 ? here : candidates) {
    const hash = String.fromCharCode(...sha256(`${node.name}#${formatIp(address)}`));
    if (best === undefined || hash < best.hash) best = { node, hash };
  }
  return best?.node;
}

/** By Service, the nodes with a ready endpoint. */
function servingNodes({ endpointSlices }: Parts): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const { object } of endpointSlices) {
    const service = object.metadata?.labels?.["kubernetes.io/service-name"] ?? "";
    const key = `${namespaceOf(object)}/${service}`;
    const nodes = found.get(key) ?? new Set<string>();
    found.set(key, nodes);
    for (const { conditions, nodeName } of object.endpoints ?? [])
      if (nodeName !== undefined && conditions?.ready !== false) nodes.add(nodeName);
  }
  return found;
}

/** What was assumed of a cluster, without where traffic enters to other addresses than the one that is asked for. */
export function notesTowards(
  { notes, externalRoutes }: Cluster,
  address: IpAddress | undefined,
): readonly string[] {
  const others = new Set(
    externalRoutes.filter((route) => route.address !== address).map(describeRoute),
  );
  return notes.map(({ text }) => text).filter((text) => !others.has(text));
}

/** `203.0.113.10 of Service shop/web enters at worker-1`: the text of an assumption. */
export function describeRoute({ address, node, service }: ExternalRoute): string {
  return `outside traffic to ${formatIp(address)} of Service ${keyOf(service.object)} is taken to enter at node ${node.name}`;
}
