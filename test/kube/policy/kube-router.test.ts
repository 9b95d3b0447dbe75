import { readFileSync } from "node:fs";
import type { Pod } from "kubernetes-types/core/v1.js";
import type { NetworkPolicy, NetworkPolicySpec } from "kubernetes-types/networking/v1.js";
import { describe, expect, it } from "vitest";
import { type KubeRouterConfig, renderKubeRouter } from "../../../src/kube/policy/kube-router.js";
import { type PolicyWorld, policyWorld } from "../../../src/kube/policy/world.js";
import { loaded } from "./cases.js";

/** A golden file without its first line, which says where it is from. */
function golden(name: string): string {
  return readFileSync(new URL(`../../golden/${name}`, import.meta.url), "utf8").replace(
    /^#.*\n/,
    "",
  );
}

function pod(
  name: string,
  ip: string,
  ports: readonly { readonly name: string; readonly containerPort: number }[] = [],
): Pod {
  return {
    metadata: { name, namespace: "default", labels: { app: name } },
    spec: { nodeName: "node", containers: [{ name: "c", ports: [...ports] }] },
    status: { podIP: ip, podIPs: [{ ip }], hostIP: "192.168.0.1" },
  };
}

function policy(name: string, spec: NetworkPolicySpec): NetworkPolicy {
  return { metadata: { name, namespace: "default" }, spec };
}

function world(pods: readonly Pod[], policies: readonly NetworkPolicy[]): PolicyWorld {
  return policyWorld({
    namespaces: [],
    pods: pods.map(loaded),
    networkPolicies: policies.map(loaded),
  });
}

const config: KubeRouterConfig = {
  node: { name: "node", addresses: ["192.168.0.1"] },
  clusterCidrs: ["10.43.0.0/16"],
  version: "1700000000000000000",
};

const sample = world(
  [
    pod("web", "10.42.0.10", [{ name: "metrics", containerPort: 9090 }]),
    pod("client", "10.42.0.11"),
  ],
  [
    policy("web-ingress", {
      podSelector: { matchLabels: { app: "web" } },
      policyTypes: ["Ingress"],
      ingress: [
        {
          from: [{ podSelector: { matchLabels: { app: "client" } } }],
          ports: [{ port: 8080 }, { port: "metrics" }],
        },
        {
          from: [{ ipBlock: { cidr: "203.0.113.0/24", except: ["203.0.113.8/29"] } }],
          ports: [{ port: 8000, endPort: 8010 }],
        },
      ],
    }),
    policy("client-egress", {
      podSelector: { matchLabels: { app: "client" } },
      policyTypes: ["Egress"],
      egress: [{ ports: [{ port: 53, protocol: "UDP" }, { port: 53 }] }],
    }),
  ],
);

describe("kube-router", () => {
  it("writes the filter table of the golden sample, line by line", () => {
    expect(renderKubeRouter(sample, config).iptables.text).toBe(golden("kube-router-filter.txt"));
  });

  it("writes the sets of the golden sample", () => {
    expect(renderKubeRouter(sample, config).ipset.text).toBe(golden("kube-router-sets.txt"));
  });

  it("says for every line why it is there, and names the policy and rule", () => {
    const { iptables, ipset } = renderKubeRouter(sample, config);
    expect(iptables.origins).toHaveLength(iptables.text.trimEnd().split("\n").length);
    expect(ipset.origins).toHaveLength(ipset.text.trimEnd().split("\n").length);
    const line = iptables.text.split("\n").findIndex((text) => text.includes("ingress cidr"));
    expect(iptables.origins[line]).toEqual({
      by: "kube-router",
      objects: [
        {
          kind: "NetworkPolicy",
          namespace: "default",
          name: "web-ingress",
          path: ["spec", "ingress", 1],
        },
      ],
      why: "NetworkPolicy default/web-ingress ingress rule 2",
    });
  });

  it("gives the sets the names of a live node", () => {
    const live = world(
      [
        {
          ...pod("whoami", "10.95.0.9"),
          metadata: { name: "whoami", namespace: "default", labels: { app: "whoami" } },
        },
      ],
      [
        policy("whoami", {
          podSelector: { matchLabels: { app: "whoami" } },
          policyTypes: ["Ingress"],
          ingress: [
            {
              from: [
                { podSelector: { matchLabels: { app: "nobody" } } },
                { ipBlock: { cidr: "10.95.0.239/32" } },
              ],
            },
          ],
        }),
        policy("debug", {
          podSelector: { matchLabels: { app: "debug" } },
          policyTypes: ["Egress"],
          egress: [{ to: [{ podSelector: { matchLabels: { app: "whoami" } } }] }],
        }),
      ],
    );
    const lines = renderKubeRouter(live, config).ipset.text.split("\n");
    const names = lines.flatMap((line) => /^create (\S+)/.exec(line)?.[1] ?? []);
    expect(names).toEqual([
      "KUBE-DST-IZ5JGF4W6BKI7CEV",
      "KUBE-DST-P226T6HGLTLDGDLC",
      "KUBE-SRC-C2EUPKL23CCP4COF",
      "KUBE-SRC-KLLOHJLFVAV654Z2",
    ]);
    expect(lines).toContain("add KUBE-SRC-KLLOHJLFVAV654Z2 10.95.0.239 timeout 0");
  });

  it("gives the IPv6 sets the names of a live node", () => {
    const dual: Pod = {
      ...pod("whoami", "10.95.0.9"),
      status: {
        podIP: "10.95.0.9",
        podIPs: [{ ip: "10.95.0.9" }, { ip: "fd00::9" }],
        hostIP: "192.168.0.1",
      },
    };
    const live = world(
      [dual],
      [
        policy("whoami", {
          podSelector: { matchLabels: { app: "whoami" } },
          policyTypes: ["Ingress"],
          ingress: [{ from: [{ ipBlock: { cidr: "10.95.0.239/32" } }] }],
        }),
        policy("debug", {
          podSelector: { matchLabels: { app: "debug" } },
          policyTypes: ["Egress"],
          egress: [{ to: [{ podSelector: { matchLabels: { app: "whoami" } } }] }],
        }),
      ],
    );
    const { ipset, iptables } = renderKubeRouter(live, {
      ...config,
      family: "IPv6",
      clusterCidrs: [],
    });
    expect(ipset.text.split("\n").flatMap((line) => /^create (\S+)/.exec(line)?.[1] ?? [])).toEqual(
      [
        "inet6:KUBE-DST-GZIEGRFLGG6BN3N7",
        "inet6:KUBE-DST-KSECZGZUJPU4SKA3",
        "inet6:KUBE-SRC-VY6KNKQ4BF6Y4J2K",
      ],
    );
    expect(iptables.text).toContain("-d fd00::9/128 -m comment");
  });

  it("opens all ports where only names that nobody declares are given, as kube-router does", () => {
    const leaky = world(
      [pod("web", "10.42.0.10"), pod("client", "10.42.0.11")],
      [
        policy("p", {
          podSelector: { matchLabels: { app: "web" } },
          ingress: [
            {
              from: [{ podSelector: { matchLabels: { app: "client" } } }],
              ports: [{ port: "nothing" }],
            },
          ],
        }),
      ],
    );
    const rules = renderKubeRouter(leaky, config)
      .iptables.text.split("\n")
      .filter((line) => line.includes("ingress pods"));
    expect(rules).toHaveLength(2);
    expect(rules.some((line) => line.includes("--dport"))).toBe(false);
  });
});
