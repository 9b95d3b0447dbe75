import type { ClusterWorld } from "../../src/lab/world.js";
import { loadWorld } from "../../src/lab/world.js";

const node = (number: number): string => `
apiVersion: v1
kind: Node
metadata: {name: worker-${number}}
spec: {podCIDR: 10.244.${number}.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.10.1${number}}]}
---`;

const pod = (name: string, on: number, port: number, protocol = "TCP"): string => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: ${name.replace(/-\d$/, "")}}}
spec:
  nodeName: worker-${on}
  containers: [{name: c, ports: [{containerPort: ${port}, protocol: ${protocol}}]}]
---`;

/**
 * The smallest cluster in which the scenarios can be told: two nodes, a client, an API and a database with a policy, no
 * DNS, so that a scenario is built on the real kernel in a few seconds.
 */
export function smallShop(more = ""): ClusterWorld {
  const text = `${node(1)}${node(2)}${pod("web-0", 1, 8080)}${pod("api-0", 1, 8080)}${pod("db-0", 2, 5432)}
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec: {clusterIP: 10.96.0.10, selector: {k8s-app: none}, ports: [{name: dns, port: 53, protocol: UDP}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-from-api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432}]}]
---${more}
`;
  const world = loadWorld([{ file: "small-shop.yaml", text }], "small shop");
  if (world.kind !== "cluster") throw new Error("small shop is a cluster");
  return world;
}
