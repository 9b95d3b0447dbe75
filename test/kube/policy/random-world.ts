import fc from "fast-check";
import type { Namespace, Node, Pod } from "kubernetes-types/core/v1.js";
import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.js";
import type {
  AdminNetworkPolicy,
  BaselineAdminNetworkPolicy,
  ClusterNetworkPolicy,
  ClusterPeer,
  ClusterRule,
} from "../../../src/kube/policy/api.js";
import { type Dialect, defaultDialect } from "../../../src/kube/policy/dialect.js";
import type { PolicyObjects } from "../../../src/kube/policy/world.js";
import { loaded } from "./cases.js";

/*
 * Small worlds in which everything meets: few labels, few addresses, few ports, so that policies match often.
 */

const namespaces = ["a", "b", "c"];
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined });
const labels = fc.dictionary(fc.constantFrom("app", "tier"), fc.constantFrom("x", "y", ""), {
  maxKeys: 2,
});
const expression = fc.oneof(
  fc.record({
    key: fc.constantFrom("app", "tier"),
    operator: fc.constantFrom("In", "NotIn"),
    values: fc.uniqueArray(fc.constantFrom("x", "y"), { minLength: 1 }),
  }),
  fc.record({
    key: fc.constantFrom("app", "tier"),
    operator: fc.constantFrom("Exists", "DoesNotExist"),
  }),
);

/** Without the fields that are undefined, as an object from a file is. */
function trim<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

const selector: fc.Arbitrary<LabelSelector> = fc
  .record({
    matchLabels: maybe(labels),
    matchExpressions: maybe(fc.array(expression, { maxLength: 2 })),
  })
  .map(trim) as fc.Arbitrary<LabelSelector>;
const namespaceSelector: fc.Arbitrary<LabelSelector> = fc.oneof(
  selector,
  fc
    .constantFrom(...namespaces)
    .map((name) => ({ matchLabels: { "kubernetes.io/metadata.name": name } })),
);
const cidr = fc.constantFrom(
  "10.0.0.0/8",
  "10.0.0.0/30",
  "10.0.0.4/30",
  "10.0.0.5/32",
  "0.0.0.0/0",
  "192.168.0.0/24",
  "203.0.113.0/24",
  "fd00::/64",
  "::/0",
  "fd00::4/126",
);
const ipBlock = fc.record({ cidr, except: maybe(fc.array(cidr, { maxLength: 2 })) });
const peer = fc
  .oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        podSelector: maybe(selector),
        namespaceSelector: maybe(namespaceSelector),
      }),
    },
    { weight: 2, arbitrary: fc.record({ ipBlock }) },
  )
  .map(trim);
const protocol = fc.constantFrom("TCP", "UDP", "SCTP");
const port = fc
  .oneof(
    fc.record({ protocol: maybe(protocol), port: maybe(fc.constantFrom(80, 81, 443)) }),
    fc.record({ protocol: maybe(protocol), port: fc.constantFrom("http", "dns") }),
    fc.record({
      protocol: maybe(protocol),
      port: fc.constant(80),
      endPort: fc.constantFrom(80, 81, 500),
    }),
  )
  .map(trim);
const ports = maybe(fc.array(port, { maxLength: 2 }));
const peers = maybe(fc.array(peer, { maxLength: 2 }));

const networkPolicy: fc.Arbitrary<NetworkPolicy> = fc
  .record({
    namespace: fc.constantFrom(...namespaces),
    podSelector: selector,
    policyTypes: maybe(fc.subarray(["Ingress", "Egress"])),
    ingress: maybe(fc.array(fc.record({ from: peers, ports }), { maxLength: 2 })),
    egress: maybe(fc.array(fc.record({ to: peers, ports }), { maxLength: 2 })),
  })
  .map(
    ({ namespace, ...spec }) => trim({ metadata: { name: "p", namespace }, spec }) as NetworkPolicy,
  );

const podPeer = fc.oneof(
  fc.record({ namespaces: namespaceSelector }),
  fc.record({ pods: fc.record({ namespaceSelector, podSelector: selector }) }),
);
const ingressPeer: fc.Arbitrary<ClusterPeer> = fc.oneof(
  { weight: 12, arbitrary: podPeer },
  { weight: 1, arbitrary: fc.constant({}) },
);
const egressPeer: fc.Arbitrary<ClusterPeer> = fc.oneof(
  { weight: 6, arbitrary: ingressPeer },
  { weight: 3, arbitrary: fc.record({ networks: fc.array(cidr, { minLength: 1, maxLength: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ nodes: selector }) },
);
const adminPort = fc.oneof(
  fc.record({ portNumber: fc.record({ protocol, port: fc.constantFrom(80, 81) }) }),
  fc.record({
    portRange: fc.record({ protocol, start: fc.constant(80), end: fc.constantFrom(81, 500) }),
  }),
  fc.record({ namedPort: fc.constantFrom("http", "dns") }),
);
const clusterProtocol = fc.oneof(
  fc.record({
    tcp: fc.record({ destinationPort: fc.record({ number: fc.constantFrom(80, 443) }) }),
  }),
  fc.record({ udp: fc.constant({}) }),
  fc.record({ destinationNamedPort: fc.constantFrom("http", "dns") }),
);
const byName = (generation: 1 | 2): fc.Arbitrary<ClusterRule> =>
  fc.constant({
    action: generation === 1 ? "Allow" : "Accept",
    to: [{ domainNames: ["example.com"] }],
  });

function rules(generation: 1 | 2, direction: "from" | "to"): fc.Arbitrary<readonly ClusterRule[]> {
  const action = fc.constantFrom(generation === 1 ? "Allow" : "Accept", "Deny", "Pass");
  const each = fc.array(direction === "from" ? ingressPeer : egressPeer, {
    minLength: 1,
    maxLength: 2,
  });
  const rule =
    generation === 1
      ? fc.record({
          action,
          [direction]: each,
          ports: maybe(fc.array(adminPort, { minLength: 1, maxLength: 2 })),
        })
      : fc.record({
          action,
          [direction]: each,
          protocols: maybe(fc.array(clusterProtocol, { minLength: 1, maxLength: 2 })),
        });
  const plain = rule.map((value) => trim(value) as ClusterRule);
  return fc.array(
    direction === "to"
      ? fc.oneof({ weight: 9, arbitrary: plain }, { weight: 1, arbitrary: byName(generation) })
      : plain,
    { maxLength: 3 },
  );
}

const clusterSpec = (generation: 1 | 2) => ({
  subject: podPeer,
  ingress: rules(generation, "from"),
  egress: rules(generation, "to"),
});
const priority = fc.integer({ min: 0, max: 3 });
const admin: fc.Arbitrary<AdminNetworkPolicy> = fc
  .record({ name: fc.constantFrom("m", "n"), spec: fc.record({ ...clusterSpec(1), priority }) })
  .map(({ name, spec }) => ({ metadata: { name }, spec }));
const baseline: fc.Arbitrary<BaselineAdminNetworkPolicy> = fc
  .record(clusterSpec(1))
  .map((spec) => ({ metadata: { name: "default" }, spec }));
const both: fc.Arbitrary<ClusterNetworkPolicy> = fc
  .record({
    name: fc.constantFrom("k", "o"),
    spec: fc.record({
      ...clusterSpec(2),
      priority,
      tier: fc.constantFrom("Admin" as const, "Baseline" as const),
    }),
  })
  .map(({ name, spec }) => ({ metadata: { name }, spec }));

const containerPort = fc.oneof(
  fc.record({ name: fc.constant("http"), containerPort: fc.constantFrom(80, 81) }),
  fc.record({
    name: fc.constant("dns"),
    containerPort: fc.constant(53),
    protocol: fc.constantFrom("TCP", "UDP"),
  }),
);
const families = fc.constantFrom(4, 4, 4, 6, 46, 0);
const pod = fc.record({
  namespace: fc.constantFrom(...namespaces),
  labels,
  ports: fc.array(containerPort, { maxLength: 2 }),
  families,
  hostNetwork: fc.boolean(),
  node: fc.constantFrom("n1", "n2"),
  rare: fc.nat(9),
});

function makePod(
  {
    namespace,
    labels: given,
    ports: declared,
    families: kind,
    hostNetwork,
    node,
    rare,
  }: typeof pod extends fc.Arbitrary<infer T> ? T : never,
  at: number,
): Pod {
  const host = hostNetwork && rare < 3;
  const four = host ? `192.168.0.${node === "n1" ? 1 : 2}` : `10.0.0.${at + 1}`;
  const podIPs = [
    ...(kind === 4 || kind === 46 ? [{ ip: four }] : []),
    ...(kind === 6 || kind === 46 ? [{ ip: `fd00::${at + 1}` }] : []),
  ];
  return {
    metadata: { name: `p${at}`, namespace, labels: given },
    spec: { nodeName: node, hostNetwork: host, containers: [{ name: "c", ports: [...declared] }] },
    status: { phase: rare === 9 ? "Succeeded" : "Running", podIPs },
  };
}

const node = (name: string, last: number, labelled: Record<string, string>): Node => ({
  metadata: { name, labels: labelled },
  status: { addresses: [{ type: "InternalIP", address: `192.168.0.${last}` }] },
});
const nodes = [node("n1", 1, { app: "x" }), node("n2", 2, { tier: "y" })];

const namespaceList: fc.Arbitrary<readonly Namespace[]> = fc
  .tuple(labels, labels)
  .map(([a, b]) => [
    { metadata: { name: "a", labels: a } },
    { metadata: { name: "b", labels: b } },
  ]);

export const randomObjects: fc.Arbitrary<PolicyObjects> = fc
  .record({
    namespaces: namespaceList,
    pods: fc.array(pod, { minLength: 2, maxLength: 7 }),
    networkPolicies: fc.array(networkPolicy, { maxLength: 4 }),
    adminPolicies: fc.array(admin, { maxLength: 2 }),
    baselinePolicies: fc.array(baseline, { maxLength: 1 }),
    clusterPolicies: fc.array(both, { maxLength: 2 }),
  })
  .map((made) => ({
    namespaces: made.namespaces.map(loaded),
    nodes: nodes.map(loaded),
    pods: made.pods.map((each, at) => loaded(makePod(each, at))),
    networkPolicies: made.networkPolicies.map((policy, at) =>
      loaded({ ...policy, metadata: { ...policy.metadata, name: `p${at}` } }),
    ),
    adminPolicies: made.adminPolicies.map(loaded),
    baselinePolicies: made.baselinePolicies.map(loaded),
    clusterPolicies: made.clusterPolicies.map(loaded),
  }));

export const randomNetworkPolicy: fc.Arbitrary<NetworkPolicy> = networkPolicy;

export const randomDialect: fc.Arbitrary<Dialect> = fc
  .record({
    ipBlockMatchesPods: fc.boolean(),
    selfTraffic: fc.constantFrom("allow" as const, "evaluate" as const),
    ingressFromOwnNode: fc.constantFrom("allow" as const, "evaluate" as const),
    egressToOwnNode: fc.constantFrom("allow" as const, "evaluate" as const),
    hostNetworkPods: fc.constantFrom("node-address" as const, "pod" as const),
    otherProtocols: fc.constantFrom(
      "rule-without-ports" as const,
      "allow" as const,
      "deny" as const,
    ),
    endPort: fc.boolean(),
    sctp: fc.boolean(),
  })
  .map((switches) => ({ ...defaultDialect, ...switches, name: "random" }));
