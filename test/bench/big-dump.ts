/** How large a cluster is. */
export interface DumpSize {
  readonly nodes: number;
  readonly podsPerNode: number;
  readonly services: number;
  readonly policies: number;
}

/** A cluster as `kubectl get -A -o json` prints it: one List, with the fields that such output always has. */
export function bigDump({ nodes, podsPerNode, services, policies }: DumpSize): string {
  const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n);
  const pods = nodes * podsPerNode;
  const items = [
    ...numbers(Math.ceil(services / 10)).map(namespace),
    ...numbers(nodes).map(node),
    ...numbers(pods).map((n) => pod(n, podsPerNode, services)),
    ...numbers(services).map(service),
    ...numbers(services).map((n) => slice(n, services, pods, podsPerNode)),
    ...numbers(policies).map((n) => policy(n, services)),
  ];
  return JSON.stringify({ apiVersion: "v1", kind: "List", items }, undefined, 4);
}

const created = "2026-01-01T00:00:00Z";
const uid = (kind: number, n: number): string =>
  `${kind.toString(16).padStart(8, "0")}-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
const ns = (service: number): string => `ns-${Math.floor(service / 10)}`;
/** The 24 bits of a node's podCIDR: 10.64.0.0/24 and up. */
const podNetwork = (n: number): string => `10.${64 + (n >> 8)}.${n & 255}`;
const podAddress = (n: number, podsPerNode: number): string =>
  `${podNetwork(Math.floor(n / podsPerNode))}.${2 + (n % podsPerNode)}`;

function namespace(n: number): object {
  const name = `ns-${n}`;
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name,
      uid: uid(1, n),
      creationTimestamp: created,
      labels: { "kubernetes.io/metadata.name": name, team: `t${n % 12}` },
    },
    spec: { finalizers: ["kubernetes"] },
    status: { phase: "Active" },
  };
}

function node(n: number): object {
  const name = `node-${n}`;
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      uid: uid(2, n),
      creationTimestamp: created,
      labels: { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": `z${n % 3}` },
    },
    spec: { podCIDR: `${podNetwork(n)}.0/24`, podCIDRs: [`${podNetwork(n)}.0/24`] },
    status: {
      addresses: [
        { type: "InternalIP", address: `172.16.${n >> 8}.${n & 255}` },
        { type: "Hostname", address: name },
      ],
      conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }],
      nodeInfo: { kernelVersion: "6.18.0", kubeletVersion: "v1.34.0", operatingSystem: "linux" },
    },
  };
}

function pod(n: number, podsPerNode: number, services: number): object {
  const app = n % services;
  const address = podAddress(n, podsPerNode);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `app-${app}-${n}`,
      namespace: ns(app),
      uid: uid(3, n),
      creationTimestamp: created,
      labels: { app: `app-${app}`, "pod-template-hash": String(n % 7) },
    },
    spec: {
      nodeName: `node-${Math.floor(n / podsPerNode)}`,
      serviceAccountName: "default",
      restartPolicy: "Always",
      dnsPolicy: "ClusterFirst",
      containers: [
        {
          name: "app",
          image: "registry.example/app:1",
          ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
          env: [{ name: "LEVEL", value: "info" }],
          resources: { requests: { cpu: "100m", memory: "64Mi" } },
        },
      ],
    },
    status: {
      phase: "Running",
      hostIP: "172.16.0.1",
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [
        { type: "Ready", status: "True", lastTransitionTime: created },
        { type: "PodScheduled", status: "True", lastTransitionTime: created },
      ],
    },
  };
}

function service(n: number): object {
  const clusterIP = `10.97.${n >> 8}.${n & 255}`;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: `app-${n}`, namespace: ns(n), uid: uid(4, n), creationTimestamp: created },
    spec: {
      type: "ClusterIP",
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: ["IPv4"],
      selector: { app: `app-${n}` },
      ports: [{ name: "http", port: 80, targetPort: "http", protocol: "TCP" }],
    },
    status: { loadBalancer: {} },
  };
}

/** The pods n, n + services, n + 2 * services … are its endpoints. */
function slice(n: number, services: number, pods: number, podsPerNode: number): object {
  const endpoints = [];
  for (let at = n; at < pods; at += services) {
    endpoints.push({
      addresses: [podAddress(at, podsPerNode)],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `node-${Math.floor(at / podsPerNode)}`,
      targetRef: { kind: "Pod", name: `app-${n}-${at}`, namespace: ns(n), uid: uid(3, at) },
    });
  }
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    addressType: "IPv4",
    metadata: {
      name: `app-${n}-abcde`,
      namespace: ns(n),
      uid: uid(5, n),
      creationTimestamp: created,
      labels: { "kubernetes.io/service-name": `app-${n}` },
    },
    endpoints,
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  };
}

function policy(n: number, services: number): object {
  const app = (n * 5) % services;
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: {
      name: `policy-${n}`,
      namespace: ns(app),
      uid: uid(6, n),
      creationTimestamp: created,
    },
    spec: {
      podSelector: { matchLabels: { app: `app-${app}` } },
      policyTypes: ["Ingress"],
      ingress: [
        {
          from: [{ namespaceSelector: { matchLabels: { team: `t${n % 12}` } } }],
          ports: [{ port: 8080, protocol: "TCP" }],
        },
      ],
    },
  };
}
