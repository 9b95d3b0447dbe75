import type { ContainerPort, Namespace, Node, Pod } from "kubernetes-types/core/v1.js";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.js";
import type { IpAddress } from "../../wire/ip.js";
import type { Cluster } from "../cluster.js";
import { keyOf, type Loaded, nameOf, namespaceOf } from "../objects.js";
import type { Labels } from "../selectors.js";
import type {
  AdminNetworkPolicy,
  BaselineAdminNetworkPolicy,
  ClusterNetworkPolicy,
} from "./api.js";
import { familyOf, parseAddress } from "./cidr.js";
import { type Dialect, defaultDialect } from "./dialect.js";

/** The objects that policy looks at. */
export interface PolicyObjects {
  readonly namespaces: readonly Loaded<Namespace>[];
  readonly nodes?: readonly Loaded<Node>[];
  readonly pods: readonly Loaded<Pod>[];
  readonly networkPolicies: readonly Loaded<NetworkPolicy>[];
  readonly adminPolicies?: readonly Loaded<AdminNetworkPolicy>[];
  readonly baselinePolicies?: readonly Loaded<BaselineAdminNetworkPolicy>[];
  readonly clusterPolicies?: readonly Loaded<ClusterNetworkPolicy>[];
}

/** A port that a container declares. */
export interface DeclaredPort {
  readonly name: string | undefined;
  readonly protocol: string;
  readonly number: number;
}

export interface PodEndpoint {
  readonly kind: "pod";
  /** `shop/web-0`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly addresses: readonly IpAddress[];
  /** The node's name. */
  readonly node: string | undefined;
  readonly hostNetwork: boolean;
  readonly ports: readonly DeclaredPort[];
  readonly loaded: Loaded<Pod>;
}

/** Anything that is no pod: a node, or something outside the cluster. */
export interface AddressEndpoint {
  readonly kind: "address";
  readonly address: IpAddress;
}

export type Endpoint = PodEndpoint | AddressEndpoint;

export interface NodeEndpoint {
  readonly name: string;
  readonly labels: Labels;
  readonly addresses: readonly IpAddress[];
}

/** The world as policy sees it: pods that run, the labels of their namespaces, the nodes, all policies, the dialect. */
export interface PolicyWorld {
  readonly objects: PolicyObjects;
  readonly dialect: Dialect;
  readonly pods: readonly PodEndpoint[];
  readonly podByKey: ReadonlyMap<string, PodEndpoint>;
  /** Who owns an address. Two pods never do: the one that has not ended wins, then the earlier. */
  readonly podByAddress: ReadonlyMap<IpAddress, PodEndpoint>;
  readonly namespaces: ReadonlyMap<string, Labels>;
  readonly nodes: readonly NodeEndpoint[];
  readonly nodeByAddress: ReadonlyMap<IpAddress, NodeEndpoint>;
}

/**
 * One attempt to open a connection as policy sees it: after the Service was translated. `port` is undefined for
 * protocols without ports. `hairpin`: the pod reached itself through a Service.
 */
export interface Flow {
  readonly source: Endpoint;
  readonly destination: Endpoint;
  /** `TCP`, `UDP`, `SCTP`, or another that policies cannot name, such as `ICMP`. */
  readonly protocol: string;
  readonly port: number | undefined;
  /** Which addresses of two dual-stack pods talk; IPv4 when both have one. */
  readonly family?: 4 | 6;
  readonly hairpin?: boolean;
  /** The Service that was asked, for dialects that look before it is translated. */
  readonly service?: ServiceEnd | undefined;
}

/** A Service as egress policy sees it that looks before translation: a pod with the labels that it selects by. */
export interface ServiceEnd {
  readonly endpoint: PodEndpoint;
  readonly port: number;
}

export function policyWorld(
  objects: PolicyObjects,
  dialect: Dialect = defaultDialect,
): PolicyWorld {
  const pods = objects.pods.filter(({ object }) => isGoverned(object)).map(podEndpoint);
  const nodes = (objects.nodes ?? []).map(({ object }) => nodeEndpoint(object));
  const podByAddress = new Map<IpAddress, PodEndpoint>();
  for (const pod of pods) {
    if (pod.hostNetwork) continue;
    for (const address of pod.addresses)
      if (!podByAddress.has(address)) podByAddress.set(address, pod);
  }
  return {
    objects,
    dialect,
    pods,
    podByKey: new Map(pods.map((pod) => [pod.key, pod])),
    podByAddress,
    namespaces: namespaceLabels(objects),
    nodes,
    nodeByAddress: new Map(
      nodes.flatMap((node) => node.addresses.map((address) => [address, node] as const)),
    ),
  };
}

/** The part of a cluster that policy looks at. */
export function policyObjectsOf(cluster: Cluster): PolicyObjects {
  return {
    namespaces: cluster.namespaces,
    nodes: cluster.nodes.map(({ loaded }) => loaded),
    pods: cluster.pods.map(({ loaded }) => loaded),
    networkPolicies: cluster.objects.NetworkPolicy,
    adminPolicies: cluster.objects.AdminNetworkPolicy,
    baselinePolicies: cluster.objects.BaselineAdminNetworkPolicy,
    clusterPolicies: cluster.objects.ClusterNetworkPolicy,
  };
}

/** A pod that ran to its end is nobody's endpoint; kube-router also knows the phase `Completed`. */
function isGoverned(pod: Pod): boolean {
  const phase: string | undefined = pod.status?.phase;
  return phase !== "Succeeded" && phase !== "Failed" && phase !== "Completed";
}

function podEndpoint(loaded: Loaded<Pod>): PodEndpoint {
  const { object } = loaded;
  const { spec, status } = object;
  const texts = [status?.podIP, ...(status?.podIPs ?? []).map(({ ip }) => ip)];
  const addresses = texts.flatMap((text) => (text === undefined ? [] : (parseAddress(text) ?? [])));
  return {
    kind: "pod",
    key: keyOf(object),
    namespace: namespaceOf(object),
    name: nameOf(object),
    labels: object.metadata?.labels ?? {},
    addresses: [...new Set(addresses)],
    node: spec?.nodeName,
    hostNetwork: spec?.hostNetwork === true,
    ports: declaredPorts(object),
    loaded,
  };
}

/** Ports of all containers that serve: the plain ones and the init containers that are restarted for ever. */
function declaredPorts({ spec }: Pod): readonly DeclaredPort[] {
  const sidecars = (spec?.initContainers ?? []).filter(
    ({ restartPolicy }) => restartPolicy === "Always",
  );
  return [...(spec?.containers ?? []), ...sidecars].flatMap(({ ports = [] }) =>
    ports.map(({ name, protocol = "TCP", containerPort }: ContainerPort) => ({
      name,
      protocol,
      number: containerPort,
    })),
  );
}

function nodeEndpoint(node: Node): NodeEndpoint {
  const addresses = (node.status?.addresses ?? []).flatMap(
    ({ address }) => parseAddress(address) ?? [],
  );
  return { name: nameOf(node), labels: node.metadata?.labels ?? {}, addresses };
}

/** The labels of every namespace, also of those that only a pod or policy names, with the label that the API server adds. */
function namespaceLabels(objects: PolicyObjects): ReadonlyMap<string, Labels> {
  const labels = new Map<string, Labels>();
  const add = (name: string, given: Labels): void => {
    labels.set(name, { ...given, "kubernetes.io/metadata.name": name });
  };
  for (const { object } of objects.namespaces) add(nameOf(object), object.metadata?.labels ?? {});
  for (const { object } of [...objects.pods, ...objects.networkPolicies]) {
    const name = namespaceOf(object);
    if (!labels.has(name)) add(name, {});
  }
  return labels;
}

/** The endpoint behind an address: the pod that has it, else the address itself. */
export function endpointOf(world: PolicyWorld, address: IpAddress): Endpoint {
  return world.podByAddress.get(address) ?? { kind: "address", address };
}

/** The flow as a side sees it: egress of some dialects looks before the Service is translated. Section 1.10. */
export function asSeen(
  { dialect }: PolicyWorld,
  flow: Flow,
  direction: "ingress" | "egress",
): Flow {
  const { service } = flow;
  return direction === "egress" && service !== undefined && dialect.services === "original"
    ? { ...flow, destination: service.endpoint, port: service.port }
    : flow;
}

/** The address family of a flow; undefined when the two have none in common (a pod without an address). */
export function flowFamily({ source, destination, family }: Flow): 4 | 6 | undefined {
  if (family !== undefined) return family;
  const both = ([4, 6] as const).filter(
    (each) => addressOf(source, each) !== undefined && addressOf(destination, each) !== undefined,
  );
  return both[0];
}

/** The address of an endpoint in a family. */
export function addressOf(endpoint: Endpoint, family: 4 | 6): IpAddress | undefined {
  if (endpoint.kind === "pod")
    return endpoint.addresses.find((address) => familyOf(address) === family);
  return familyOf(endpoint.address) === family ? endpoint.address : undefined;
}
