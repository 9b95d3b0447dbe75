import type { Node, Pod } from "kubernetes-types/core/v1.js";
import type { NetworkPolicy, NetworkPolicySpec } from "kubernetes-types/networking/v1.js";
import { describe, expect, it } from "vitest";
import type { ClusterNetworkPolicy } from "../../../src/kube/policy/api.js";
import { parseAddress } from "../../../src/kube/policy/cidr.js";
import {
  type Dialect,
  defaultDialect,
  describeDialect,
  dialectNamed,
} from "../../../src/kube/policy/dialect.js";
import { judge } from "../../../src/kube/policy/oracle.js";
import { reasonText } from "../../../src/kube/policy/reason-text.js";
import type { Verdict } from "../../../src/kube/policy/verdict.js";
import {
  type Endpoint,
  type Flow,
  policyWorld,
  type PolicyWorld,
} from "../../../src/kube/policy/world.js";
import { loaded } from "./cases.js";

function pod(
  name: string,
  ip: string,
  extra: { readonly host?: boolean; readonly node?: string } = {},
): Pod {
  return {
    metadata: { name, namespace: "n", labels: { app: name } },
    spec: { nodeName: extra.node ?? "one", hostNetwork: extra.host ?? false, containers: [] },
    status: { podIP: ip },
  };
}

const nodes: readonly Node[] = [
  {
    metadata: { name: "one" },
    status: { addresses: [{ type: "InternalIP", address: "192.168.0.1" }] },
  },
  {
    metadata: { name: "two" },
    status: { addresses: [{ type: "InternalIP", address: "192.168.0.2" }] },
  },
];

interface Made {
  readonly spec?: NetworkPolicySpec;
  readonly cluster?: readonly ClusterNetworkPolicy[];
  readonly dialect?: Partial<Dialect>;
}

function world({ spec, cluster = [], dialect = {} }: Made): PolicyWorld {
  const policy: NetworkPolicy = {
    metadata: { name: "p", namespace: "n" },
    ...(spec === undefined ? {} : { spec }),
  };
  const pods = [
    pod("a", "10.0.0.1"),
    pod("b", "10.0.0.2"),
    pod("h", "192.168.0.1", { host: true }),
  ];
  return policyWorld(
    {
      namespaces: [],
      nodes: nodes.map(loaded),
      pods: pods.map(loaded),
      networkPolicies: spec === undefined ? [] : [loaded(policy)],
      clusterPolicies: cluster.map(loaded),
    },
    { ...defaultDialect, ...dialect },
  );
}

function end(from: PolicyWorld, name: string): Endpoint {
  const found = from.podByKey.get(`n/${name}`);
  const address = parseAddress(name);
  if (found !== undefined) return found;
  if (address === undefined) throw new Error(name);
  return { kind: "address", address };
}

function verdict(made: Made, from: string, to: string, extra: Partial<Flow> = {}): Verdict {
  const all = world(made);
  return judge(all, {
    source: end(all, from),
    destination: end(all, to),
    protocol: "TCP",
    port: 80,
    ...extra,
  });
}

/** Every pod of the namespace isolated both ways, nothing allowed. */
const nothing: NetworkPolicySpec = { podSelector: {}, policyTypes: ["Ingress", "Egress"] };

describe("special endpoints", () => {
  it("a pod reaches its own address, and through a Service only by a rule", () => {
    expect(verdict({ spec: nothing }, "a", "a").outcome).toBe("allow");
    expect(verdict({ spec: nothing, dialect: { selfTraffic: "evaluate" } }, "a", "a").outcome).toBe(
      "deny",
    );
    expect(verdict({ spec: nothing }, "a", "a", { hairpin: true }).outcome).toBe("deny");
    expect(
      verdict({ spec: nothing, dialect: { hairpin: "allow" } }, "a", "a", { hairpin: true })
        .outcome,
    ).toBe("allow");
  });

  it("the pod's own node always gets in, another node does not", () => {
    expect(reasonText(verdict({ spec: nothing }, "192.168.0.1", "a").ingress.reason)).toBe(
      "node one is the pod's own",
    );
    expect(verdict({ spec: nothing }, "192.168.0.2", "a").outcome).toBe("deny");
    expect(
      verdict({ spec: nothing, dialect: { ingressFromOwnNode: "evaluate" } }, "192.168.0.1", "a")
        .outcome,
    ).toBe("deny");
  });

  it("traffic to the own node is judged like any other unless the dialect lets it pass", () => {
    expect(verdict({ spec: nothing }, "a", "192.168.0.1").outcome).toBe("deny");
    expect(
      verdict({ spec: nothing, dialect: { egressToOwnNode: "allow" } }, "a", "192.168.0.1").outcome,
    ).toBe("allow");
  });

  it("a pod of the host network is its node: never isolated, never selected, unless the dialect says otherwise", () => {
    const fromAll: NetworkPolicySpec = {
      podSelector: {},
      ingress: [{ from: [{ podSelector: {} }] }],
    };
    expect(verdict({ spec: nothing }, "192.168.0.2", "h").outcome).toBe("allow");
    expect(
      verdict({ spec: nothing, dialect: { hostNetworkPods: "pod" } }, "192.168.0.2", "h").outcome,
    ).toBe("deny");
    expect(
      verdict({ spec: fromAll, dialect: { ingressFromOwnNode: "evaluate" } }, "h", "a").outcome,
    ).toBe("deny");
    expect(
      verdict(
        { spec: fromAll, dialect: { ingressFromOwnNode: "evaluate", hostNetworkPods: "pod" } },
        "h",
        "a",
      ).outcome,
    ).toBe("allow");
  });
});

describe("what the dialect decides", () => {
  it("protocols that policies cannot name match rules without ports, or what the dialect says", () => {
    const open: NetworkPolicySpec = { podSelector: {}, ingress: [{}] };
    const tcp: NetworkPolicySpec = { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] };
    const ping = { protocol: "ICMP", port: undefined };
    expect(verdict({ spec: open }, "a", "b", ping).outcome).toBe("allow");
    expect(verdict({ spec: tcp }, "a", "b", ping).outcome).toBe("deny");
    expect(
      verdict({ spec: tcp, dialect: { otherProtocols: "allow" } }, "a", "b", ping).outcome,
    ).toBe("allow");
    expect(
      verdict({ spec: open, dialect: { otherProtocols: "deny" } }, "a", "b", ping).outcome,
    ).toBe("deny");
  });

  it("ipBlock matches pods, and endPort is known", () => {
    const block: NetworkPolicySpec = {
      podSelector: {},
      ingress: [
        { from: [{ ipBlock: { cidr: "10.0.0.0/24" } }], ports: [{ port: 79, endPort: 81 }] },
      ],
    };
    expect(verdict({ spec: block }, "a", "b").outcome).toBe("allow");
    expect(verdict({ spec: block, dialect: { ipBlockMatchesPods: false } }, "a", "b").outcome).toBe(
      "deny",
    );
    expect(verdict({ spec: block, dialect: { endPort: false } }, "a", "b").outcome).toBe("deny");
  });

  it("a dialect says what it does otherwise than the default", () => {
    expect(describeDialect(defaultDialect)).toEqual([]);
    expect(describeDialect(dialectNamed("kube-router") ?? defaultDialect)).toEqual([
      "ICMP and other protocols are allowed",
      "refused clients get an ICMP error",
    ]);
  });
});

describe("cluster-wide policies", () => {
  const rule = (
    name: string,
    priority: number,
    action: "Accept" | "Deny" | "Pass",
    tier: "Admin" | "Baseline" = "Admin",
  ): ClusterNetworkPolicy => ({
    metadata: { name },
    spec: {
      tier,
      priority,
      subject: { namespaces: {} },
      ingress: [{ action, from: [{ namespaces: {} }] }],
    },
  });

  it("Pass skips the rest of its tier", () => {
    expect(
      verdict({ cluster: [rule("x", 1, "Pass"), rule("y", 2, "Deny")] }, "a", "b").outcome,
    ).toBe("allow");
    expect(
      verdict({ cluster: [rule("x", 1, "Pass"), rule("y", 2, "Accept")], spec: nothing }, "a", "b")
        .ingress.outcome,
    ).toBe("deny");
  });

  it("one side is marked where two of one priority disagree, and names decide", () => {
    const { ingress } = verdict(
      { cluster: [rule("y", 1, "Deny"), rule("x", 1, "Accept")] },
      "a",
      "b",
    );
    expect(ingress.outcome).toBe("allow");
    expect(ingress.ambiguous?.map(({ policy }) => policy.key)).toEqual(["x", "y"]);
    expect(
      verdict({ cluster: [rule("y", 1, "Deny"), rule("x", 2, "Accept")] }, "a", "b").ingress
        .ambiguous,
    ).toBeUndefined();
  });

  it("the baseline is asked only where no NetworkPolicy isolates the pod", () => {
    const ingressOnly: NetworkPolicySpec = { podSelector: {}, ingress: [{}] };
    expect(verdict({ cluster: [rule("x", 1, "Deny", "Baseline")] }, "a", "b").outcome).toBe("deny");
    expect(
      verdict({ cluster: [rule("x", 1, "Deny", "Baseline")], spec: ingressOnly }, "a", "b").outcome,
    ).toBe("allow");
  });

  it("a peer of an unknown kind fails closed: Accept matches nobody, Pass denies everybody", () => {
    const odd = (action: "Accept" | "Pass"): ClusterNetworkPolicy => ({
      metadata: { name: "o" },
      spec: {
        tier: "Admin",
        priority: 1,
        subject: { namespaces: {} },
        ingress: [{ action, from: [{}] }],
      },
    });
    expect(verdict({ cluster: [odd("Accept"), rule("z", 2, "Deny")] }, "a", "b").outcome).toBe(
      "deny",
    );
    expect(verdict({ cluster: [odd("Pass")] }, "a", "b").outcome).toBe("deny");
  });

  it("a rule about domain names leaves the outside unknown, and says which rule", () => {
    const names: ClusterNetworkPolicy = {
      metadata: { name: "names" },
      spec: {
        tier: "Admin",
        priority: 1,
        subject: { namespaces: {} },
        egress: [
          { action: "Accept", to: [{ domainNames: ["example.com"] }] },
          { action: "Deny", to: [{ networks: ["0.0.0.0/0"] }] },
        ],
      },
    };
    const outside = verdict({ cluster: [names] }, "a", "203.0.113.9");
    expect(outside.outcome).toBe("unknown");
    expect(reasonText(outside.egress.reason)).toBe(
      "not known: ClusterNetworkPolicy names rule 1 hangs on which addresses the domain names of the rule stand for",
    );
    expect(verdict({ cluster: [names] }, "a", "b").outcome).toBe("deny");
  });
});
