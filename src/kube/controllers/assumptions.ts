import type { ConfigMap, Node, Service } from "kubernetes-types/core/v1.js";
import type { Deployment } from "kubernetes-types/apps/v1.js";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";
import type { Ipv4Prefix, Ipv6Prefix } from "../../wire/ip.js";
import { type LoadResult, type Note, noteAt } from "../load.js";
import { assumedOrigin, keyOf, type Loaded, nameOf, namespaceOf } from "../objects.js";
import { serviceAddress } from "./service-ips.js";

/* What a cluster has and manifests do not say. Each thing that is made up here has a note. */

/** The nodes of a world without Node objects, and their addresses. */
const defaultNodes = [
  { name: "cp-1", address: "192.168.10.10", address6: "fd00:10::10", controlPlane: true },
  { name: "worker-1", address: "192.168.10.11", address6: "fd00:10::11", controlPlane: false },
  { name: "worker-2", address: "192.168.10.12", address6: "fd00:10::12", controlPlane: false },
] as const;

const CONTROL_PLANE = "node-role.kubernetes.io/control-plane";

/**
 * The given nodes; without any, those that the pods name; without those, a control plane and two workers. A node
 * without an InternalIP of one of the cluster's families gets one.
 */
export function assumeNodes(
  objects: LoadResult["objects"],
  notes: Note[],
  families: readonly (4 | 6)[] = [4],
): readonly Loaded<Node>[] {
  const given = objects.Node;
  const named = [
    ...new Set(objects.Pod.flatMap(({ object }) => object.spec?.nodeName ?? [])),
  ].toSorted();
  const known = new Set(given.map(({ object }) => nameOf(object)));
  const missing = named.filter((name) => name !== "" && !known.has(name));
  if (missing.length > 0) {
    notes.push({
      text: `nodes assumed: ${missing.join(", ")} (pods name them, no Node object does)`,
    });
    const hostIps = new Map(
      objects.Pod.map(({ object }) => [object.spec?.nodeName ?? "", object.status?.hostIP]),
    );
    const made = missing.map((name) => nodeObject(name, oneOrNone(hostIps.get(name)), false));
    return withAddresses([...given, ...made], notes, families);
  }
  if (given.length > 0) return withAddresses(given, notes, families);
  const made = defaultNodes.map((node) => ({
    ...node,
    addresses: families.map((family) => (family === 4 ? node.address : node.address6)),
  }));
  const shown = made.map(({ name, addresses }) => `${name} ${addresses.join(" ")}`).join(", ");
  notes.push({ text: `nodes assumed: ${shown} (no Node objects)` });
  return made.map(({ name, addresses, controlPlane }) => nodeObject(name, addresses, controlPlane));
}

function oneOrNone(address: string | undefined): readonly string[] {
  return address === undefined ? [] : [address];
}

function nodeObject(
  name: string,
  internal: readonly string[],
  controlPlane: boolean,
): Loaded<Node> {
  const taints = controlPlane ? [{ key: CONTROL_PLANE, effect: "NoSchedule" }] : [];
  const labels = {
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": "linux",
    ...(controlPlane ? { [CONTROL_PLANE]: "" } : {}),
  };
  const addresses = internal.map((address) => ({ type: "InternalIP", address }));
  const object: Node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels },
    spec: { taints },
    status: { addresses },
  };
  return { object, origin: assumedOrigin("no Node object") };
}

/** The node's own IPv4 address, as text. */
export function internalIp(node: Node, family: 4 | 6 = 4): string | undefined {
  return node.status?.addresses?.find(
    ({ type, address }) => type === "InternalIP" && address.includes(":") === (family === 6),
  )?.address;
}

export function isControlPlane(node: Node): boolean {
  const labels = node.metadata?.labels ?? {};
  return CONTROL_PLANE in labels || "node-role.kubernetes.io/master" in labels;
}

function withAddresses(
  nodes: readonly Loaded<Node>[],
  notes: Note[],
  families: readonly (4 | 6)[],
): readonly Loaded<Node>[] {
  const used = new Set(
    nodes.flatMap(({ object }) => (object.status?.addresses ?? []).map(({ address }) => address)),
  );
  const next = { 4: 10, 6: 10 };
  return nodes.map((loaded) => {
    const { origin } = loaded;
    let object = labelled(loaded.object);
    for (const family of families) {
      if (internalIp(object, family) !== undefined) continue;
      const prefix = family === 4 ? "192.168.10." : "fd00:10::";
      while (used.has(`${prefix}${next[family]}`)) next[family]++;
      const address = `${prefix}${next[family]++}`;
      used.add(address);
      notes.push(noteAt(`Node ${nameOf(object)}: InternalIP assumed: ${address}`, origin));
      const addresses = [...(object.status?.addresses ?? []), { type: "InternalIP", address }];
      object = { ...object, status: { ...object.status, addresses } };
    }
    return { object, origin };
  });
}

/** With the labels that every kubelet gives its node. */
function labelled(node: Node): Node {
  const own = { "kubernetes.io/hostname": nameOf(node), "kubernetes.io/os": "linux" };
  return { ...node, metadata: { ...node.metadata, labels: { ...own, ...node.metadata?.labels } } };
}

/** Namespaces that exist: those given, those of every cluster, those that objects are in. */
export function impliedNamespaces(
  objects: LoadResult["objects"],
): LoadResult["objects"]["Namespace"] {
  const found = new Map(objects.Namespace.map((loaded) => [nameOf(loaded.object), loaded]));
  const { Node: _nodes, Namespace: _namespaces, IngressClass: _classes, ...namespaced } = objects;
  const names = new Set(["default", "kube-system"]);
  for (const list of Object.values(namespaced))
    for (const { object } of list) names.add(namespaceOf(object));
  for (const name of names) {
    if (found.has(name)) continue;
    const labels = { "kubernetes.io/metadata.name": name };
    const object = { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } } as const;
    found.set(name, { object, origin: assumedOrigin("objects are in it") });
  }
  return [...found.values()].map(({ object, origin }) => {
    const labels = { "kubernetes.io/metadata.name": nameOf(object), ...object.metadata?.labels };
    return { object: { ...object, metadata: { ...object.metadata, labels } }, origin };
  });
}

/** The API server's Service, which every cluster has. */
export function assumeApiService(
  services: readonly Loaded<Service>[],
  cidr: Ipv4Prefix | Ipv6Prefix,
  notes: Note[],
): readonly Loaded<Service>[] {
  if (services.some(({ object }) => keyOf(object) === "default/kubernetes")) return [];
  const clusterIP = serviceAddress(cidr, 1);
  const shown = clusterIP.includes(":") ? `[${clusterIP}]` : clusterIP;
  notes.push({ text: `Service default/kubernetes assumed: ${shown}:443` });
  const spec = {
    clusterIP,
    clusterIPs: [clusterIP],
    ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: 6443 }],
  };
  const metadata = {
    name: "kubernetes",
    namespace: "default",
    labels: { component: "apiserver", provider: "kubernetes" },
  };
  return [
    {
      object: { apiVersion: "v1", kind: "Service", metadata, spec },
      origin: assumedOrigin("every cluster has it"),
    },
  ];
}

/** The slice that the API server writes for itself: the control plane's nodes. */
export function assumeApiSlice(
  slices: readonly Loaded<EndpointSlice>[],
  nodes: readonly Loaded<Node>[],
  family: 4 | 6,
): readonly Loaded<EndpointSlice>[] {
  const name = "kubernetes.io/service-name";
  if (
    slices.some(
      ({ object }) =>
        namespaceOf(object) === "default" && object.metadata?.labels?.[name] === "kubernetes",
    )
  )
    return [];
  const addresses = nodes
    .filter(({ object }) => isControlPlane(object))
    .flatMap(({ object }) => internalIp(object, family) ?? []);
  const object: EndpointSlice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "kubernetes", namespace: "default", labels: { [name]: "kubernetes" } },
    addressType: `IPv${family}`,
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ports: [{ name: "https", port: 6443, protocol: "TCP" }],
  };
  return [{ object, origin: assumedOrigin("the API server writes it") }];
}

/** The label of the cluster's DNS. */
const DNS_LABEL = { "k8s-app": "kube-dns" };

/** The cluster's DNS Service, as kubelet is told about it. */
export function findDnsService(services: readonly Loaded<Service>[]): Loaded<Service> | undefined {
  const system = services.filter(({ object }) => namespaceOf(object) === "kube-system");
  return (
    system.find(({ object }) => object.metadata?.labels?.["k8s-app"] === "kube-dns") ??
    system.find(({ object }) => nameOf(object) === "kube-dns")
  );
}

/** kubeadm's Corefile. */
export const DEFAULT_COREFILE = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
`;

/** What kubeadm installs for DNS, as far as the objects have no DNS of their own. */
export function assumeDns(
  objects: LoadResult["objects"],
  cidr: Ipv4Prefix | Ipv6Prefix,
  domain: string,
  notes: Note[],
): {
  readonly services: readonly Loaded<Service>[];
  readonly deployments: readonly Loaded<Deployment>[];
  readonly configMaps: readonly Loaded<ConfigMap>[];
} {
  const origin = assumedOrigin("kubeadm installs it");
  const inSystem = ({ object }: Loaded<Deployment | ConfigMap>): boolean =>
    keyOf(object) === "kube-system/coredns";
  const services: Loaded<Service>[] = [];
  const deployments: Loaded<Deployment>[] = [];
  const configMaps: Loaded<ConfigMap>[] = [];
  const service = findDnsService(objects.Service);
  if (service === undefined) {
    services.push({ object: dnsService(serviceAddress(cidr, 10)), origin });
    notes.push({ text: `Service kube-system/kube-dns assumed: ${serviceAddress(cidr, 10)}` });
  }
  const served = [...objects.Pod, ...objects.Deployment].some(
    ({ object }) =>
      namespaceOf(object) === "kube-system" && object.metadata?.labels?.["k8s-app"] === "kube-dns",
  );
  if (
    !served &&
    !objects.Deployment.some(inSystem) &&
    service?.object.spec?.selector === undefined
  ) {
    deployments.push({ object: coredns(), origin });
    notes.push({ text: "Deployment kube-system/coredns assumed: 2 replicas" });
  }
  if (!objects.ConfigMap.some(inSystem)) {
    const Corefile = DEFAULT_COREFILE.replaceAll("cluster.local", () => domain);
    const metadata = { name: "coredns", namespace: "kube-system" };
    configMaps.push({
      object: { apiVersion: "v1", kind: "ConfigMap", metadata, data: { Corefile } },
      origin,
    });
    notes.push({ text: "ConfigMap kube-system/coredns assumed: kubeadm's Corefile" });
  }
  return { services, deployments, configMaps };
}

function dnsService(clusterIP: string): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "kube-dns", namespace: "kube-system", labels: DNS_LABEL },
    spec: {
      clusterIP,
      clusterIPs: [clusterIP],
      selector: DNS_LABEL,
      ports: [
        { name: "dns", port: 53, protocol: "UDP", targetPort: 53 },
        { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: 53 },
        { name: "metrics", port: 9153, protocol: "TCP", targetPort: 9153 },
      ],
    },
  };
}

function coredns(): Deployment {
  const ports = [
    { name: "dns", containerPort: 53, protocol: "UDP" },
    { name: "dns-tcp", containerPort: 53, protocol: "TCP" },
    { name: "metrics", containerPort: 9153, protocol: "TCP" },
  ];
  const spec = {
    containers: [{ name: "coredns", image: "registry.k8s.io/coredns/coredns:v1.12.1", ports }],
    dnsPolicy: "Default",
    tolerations: [
      { key: "CriticalAddonsOnly", operator: "Exists" },
      { key: CONTROL_PLANE, effect: "NoSchedule" },
    ],
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "coredns", namespace: "kube-system", labels: DNS_LABEL },
    spec: {
      replicas: 2,
      selector: { matchLabels: DNS_LABEL },
      template: { metadata: { labels: DNS_LABEL }, spec },
    },
  };
}
