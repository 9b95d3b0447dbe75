/* A small cluster with IPv6: two nodes, three pods, and Services of every kind with one endpoint at most. */

interface Text {
  readonly file: string;
  readonly text: string;
}

/** The cluster with both families, IPv4 first, or with IPv6 alone. */
export function familiesWorld(families: "both" | "v6"): readonly Text[] {
  const v4 = families === "both";
  const node = (name: string, host: number): string =>
    object("Node", name, {
      status: {
        addresses: [
          ...(v4 ? [{ type: "InternalIP", address: `192.168.10.${host}` }] : []),
          { type: "InternalIP", address: `fd00:10::${host}` },
        ],
      },
    });
  const pod = (name: string, on: string): string =>
    object("Pod", name, {
      spec: {
        nodeName: on,
        containers: [
          {
            name: "c",
            ports: [
              { name: "http", containerPort: 80 },
              { name: "dns", containerPort: 5353, protocol: "UDP" },
            ],
          },
        ],
      },
    });
  const service = (name: string, host: number, spec: object, status: object = {}): string =>
    object("Service", name, {
      spec: {
        clusterIP: v4 ? `10.96.0.${host}` : `fd00:10:96::${host}`,
        clusterIPs: [...(v4 ? [`10.96.0.${host}`] : []), `fd00:10:96::${host}`],
        ipFamilyPolicy: v4 ? "RequireDualStack" : "SingleStack",
        ports: [
          { name: "http", port: 80, targetPort: 80, ...spec },
          { name: "dns", port: 53, targetPort: 5353, protocol: "UDP" },
        ],
        ...("nodePort" in spec ? { type: "LoadBalancer" } : {}),
        selector: { app: name },
      },
      status,
    });
  const networking = {
    podSubnet: [...(v4 ? ["10.244.0.0/16"] : []), "fd00:10:244::/56"].join(","),
    serviceSubnet: [...(v4 ? ["10.96.0.0/16"] : []), "fd00:10:96::/112"].join(","),
  };
  const texts = [
    JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "kubeadm-config", namespace: "kube-system" },
      data: { ClusterConfiguration: JSON.stringify({ networking }) },
    }),
    node("a", 11),
    node("b", 12),
    pod("client", "a"),
    pod("web", "b"),
    pod("beside", "b"),
    service(
      "web",
      50,
      { nodePort: 30_080 },
      { loadBalancer: { ingress: [{ ip: "2001:db8:5::80" }] } },
    ),
    service("empty", 51, {}),
  ];
  return [{ file: "world.yaml", text: texts.join("\n---\n") }];
}

function object(kind: string, name: string, more: object): string {
  const metadata = { name, labels: { app: name } };
  return JSON.stringify({ apiVersion: "v1", kind, metadata, ...more });
}

/** kindnet's CNI configuration, which says nothing of a node's own blocks. */
export const kindnetOf: readonly Text[] = [
  {
    file: "kindnet.yaml",
    text: JSON.stringify({
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata: { name: "kindnet", namespace: "kube-system" },
      spec: {
        selector: { matchLabels: { app: "kindnet" } },
        template: {
          metadata: { labels: { app: "kindnet" } },
          spec: { hostNetwork: true, containers: [{ name: "kindnet-cni" }] },
        },
      },
    }),
  },
];

/** flannel with both families, or with IPv6 alone. */
export function flannelOf(backend: "host-gw" | "vxlan", ipv6Only = false): readonly Text[] {
  const net = {
    ...(ipv6Only ? { EnableIPv4: false } : { Network: "10.244.0.0/16" }),
    EnableIPv6: true,
    IPv6Network: "fd00:10:244::/56",
    Backend: { Type: backend },
  };
  return [
    {
      file: "flannel.yaml",
      text: JSON.stringify({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "kube-flannel-cfg", namespace: "kube-flannel" },
        data: { "net-conf.json": JSON.stringify(net) },
      }),
    },
  ];
}
