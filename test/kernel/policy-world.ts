import fc from "fast-check";
import type { Namespace, Node, Pod } from "kubernetes-types/core/v1.js";
import type { NetworkPolicy, NetworkPolicyPeer } from "kubernetes-types/networking/v1.js";
import { isStrictSubset, parseCidr } from "../../src/kube/policy/cidr.js";
import { type ClusterWorld, loadWorld } from "../../src/lab/world.js";
import { randomNetworkPolicy } from "../kube/policy/random-world.js";

/*
 * Small clusters that stand on the real kernel: two nodes, four to six pods, up to four policies. Their addresses are those
 * that the blocks of random policies name.
 *
 *   n1 192.168.0.1  10.0.0.0/29  p0 p2 p4        n2 192.168.0.2  10.0.0.8/29  p1 p3 p5
 */

const labels = fc.dictionary(fc.constantFrom("app", "tier"), fc.constantFrom("x", "y", ""), {
  maxKeys: 2,
});
const ports = fc.constantFrom(
  [{ name: "http", containerPort: 80 }],
  [{ name: "http", containerPort: 81 }],
  [{ containerPort: 443 }],
  [{ name: "http", containerPort: 80 }, { containerPort: 81 }],
  [{ name: "dns", containerPort: 53, protocol: "UDP" as const }],
  [
    { name: "dns", containerPort: 53 },
    { name: "http", containerPort: 80 },
  ],
);
const pods = fc.array(fc.record({ namespace: fc.constantFrom("a", "b", "c"), labels, ports }), {
  minLength: 4,
  maxLength: 6,
});

const nodes: readonly Node[] = ["n1", "n2"].map((name, at) => ({
  metadata: { name },
  spec: { podCIDR: `10.0.0.${at * 8}/29` },
  status: { addresses: [{ type: "InternalIP", address: `192.168.0.${at + 1}` }] },
}));

export const randomCluster: fc.Arbitrary<ClusterWorld> = fc
  .record({
    namespaces: fc.tuple(labels, labels, labels),
    pods,
    policies: fc.array(randomNetworkPolicy, { minLength: 1, maxLength: 4 }),
  })
  .map((made) => {
    const namespaces = made.namespaces.map((own, at): Namespace => ({
      metadata: { name: "abc"[at] ?? "", labels: own },
    }));
    const objects = [
      ...nodes.map(typed("v1", "Node")),
      ...namespaces.map(typed("v1", "Namespace")),
      ...made.pods.map(podOf).map(typed("v1", "Pod")),
      ...made.policies.map(accepted).map(typed("networking.k8s.io/v1", "NetworkPolicy")),
    ];
    const text = objects.map((object) => JSON.stringify(object)).join("\n---\n");
    const world = loadWorld([{ file: "random.yaml", text }], "random");
    if (world.kind !== "cluster") throw new Error("no cluster");
    return world;
  });

function typed(apiVersion: string, kind: string): (object: object) => object {
  return (object) => ({ apiVersion, kind, ...object });
}

function podOf(made: typeof pods extends fc.Arbitrary<(infer T)[]> ? T : never, at: number): Pod {
  const ip = `10.0.0.${(at % 2) * 8 + 2 + Math.floor(at / 2)}`;
  return {
    metadata: { name: `p${at}`, namespace: made.namespace, labels: made.labels },
    spec: {
      nodeName: `n${(at % 2) + 1}`,
      containers: [{ name: "c", image: "c", ports: [...made.ports] }],
    },
    status: { phase: "Running", podIP: ip, podIPs: [{ ip }] },
  };
}

/** The policy as the API server takes it: no empty peers, and excepts inside their blocks. */
function accepted({ metadata, spec }: NetworkPolicy, at: number): NetworkPolicy {
  const ingress = spec?.ingress?.map((rule) => ({ ...rule, from: peersOf(rule.from) }));
  const egress = spec?.egress?.map((rule) => ({ ...rule, to: peersOf(rule.to) }));
  return {
    metadata: { ...metadata, name: `p${at}` },
    spec: {
      ...spec,
      podSelector: spec?.podSelector ?? {},
      ...(ingress === undefined ? {} : { ingress }),
      ...(egress === undefined ? {} : { egress }),
    },
  };
}

function peersOf(list: readonly NetworkPolicyPeer[] = []): NetworkPolicyPeer[] {
  return list
    .filter((peer) => Object.keys(peer).length > 0)
    .map((peer) => {
      if (peer.ipBlock === undefined) return peer;
      const { cidr, except = [] } = peer.ipBlock;
      return { ipBlock: { cidr, except: except.filter((text) => isInside(text, cidr)) } };
    });
}

function isInside(inner: string, outer: string): boolean {
  const [a, b] = [parseCidr(inner), parseCidr(outer)];
  return a !== undefined && b !== undefined && isStrictSubset(a, b);
}
