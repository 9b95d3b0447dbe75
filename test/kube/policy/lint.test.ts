import { describe, expect, it } from "vitest";
import { parseIpv4Prefix } from "../../../src/wire/ip.js";
import { dialectNamed } from "../../../src/kube/policy/dialect.js";
import { lintPolicies } from "../../../src/kube/policy/lint.js";
import { shop } from "./shop.js";

/** A NetworkPolicy `shop/p` with this spec, in one line of flow style or several. */
function policy(spec: string, metadata = "{name: p, namespace: shop}"): string {
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: ${metadata}\nspec:\n${spec.replaceAll(/^/gm, "  ")}\n`;
}

/** `line:column id: message | help` of everything found in a policy. */
function lint(
  text: string,
  options: { readonly verbose?: boolean; readonly dialect?: string } = {},
): readonly string[] {
  const targets = shop(
    [{ file: "p.yaml", text }],
    options.dialect === undefined ? undefined : dialectNamed(options.dialect),
  );
  const podCidr = parseIpv4Prefix("10.244.0.0/16");
  const serviceCidr = parseIpv4Prefix("10.96.0.0/16");
  return lintPolicies({ ...targets, podCidr, serviceCidr, verbose: options.verbose ?? false })
    .filter(({ place }) => place.file === "p.yaml")
    .map(
      ({ id, message, help, place }) =>
        `${place.line}:${place.column} ${id}: ${message}${help === undefined ? "" : ` | ${help}`}`,
    );
}

const cases: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "a policy that selects a pod and allows one port",
    "podSelector: {matchLabels: {app: db}}\ningress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432}]}]",
    [],
  ],
  [
    "a selector with a slip",
    "podSelector: {matchLabels: {app: bd}}",
    ["5:3 selects-no-pod: no pod of namespace shop matches app=bd | did you mean app=db?"],
  ],
  [
    "a selector of another namespace",
    "podSelector: {matchLabels: {k8s-app: kube-dns}}",
    [
      "5:3 selects-no-pod: no pod of namespace shop matches k8s-app=kube-dns | pods of namespace kube-system match",
    ],
  ],
  [
    "a peer that is in another namespace",
    "podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: job}}}]}]",
    [
      "6:22 same-namespace-peer: a podSelector alone looks only in shop, where nothing matches; pods of batch do | add namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: batch}} beside podSelector",
    ],
  ],
  [
    "a namespace selected by a label it does not have",
    "podSelector: {}\ningress: [{from: [{namespaceSelector: {matchLabels: {name: batch}}}]}]",
    [
      "6:22 namespace-label-missing: no namespace matches name=batch | namespace batch exists: write kubernetes.io/metadata.name: batch",
    ],
  ],
  [
    "a named port that nobody declares",
    "podSelector: {matchLabels: {app: db}}\ningress: [{ports: [{port: pg}]}]",
    [
      "6:22 named-port-undeclared: no pod that it could reach declares a TCP port named pg: it matches nothing (kube-router opens all ports)",
    ],
  ],
  [
    "the port of the Service",
    "podSelector: {matchLabels: {app: api}}\ningress: [{ports: [{port: 80}]}]",
    [
      "6:22 service-port-used: 80 is the port of Service shop/api; policy sees the port of the pod, 8080 | write 8080",
    ],
  ],
  [
    "rules of a type that is not in force",
    "podSelector: {matchLabels: {app: db}}\npolicyTypes: [Ingress]\ningress: [{}]\negress: [{}]",
    [
      "3:12 vacuous: the only policy changes nothing: every pod may do what it could without",
      "8:3 rules-without-type: the 1 egress rule has no effect: policyTypes leaves Egress out | add Egress to policyTypes",
    ],
  ],
  [
    "egress rules without types",
    "podSelector: {matchLabels: {app: db}}\negress: [{}]",
    [
      "4:1 implicit-ingress-deny: without policyTypes this policy denies all ingress too, although it has only egress rules | write policyTypes: [Egress]",
    ],
  ],
  [
    "an empty egress without types",
    "podSelector: {matchLabels: {app: db}}\negress: []",
    [
      "6:3 empty-egress-ignored: egress: [] without policyTypes does not isolate egress | write policyTypes: [Ingress, Egress]",
    ],
  ],
  [
    "two peers that were meant as one",
    "podSelector: {}\ningress:\n- from:\n  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: batch}}\n  - podSelector: {matchLabels: {app: api}}",
    [
      "9:7 and-or-dash: two peers: all pods of the namespaces, or these pods of the policy's own namespace | take the dash before podSelector away to mean these pods of those namespaces",
    ],
  ],
  [
    "ports with a dash of their own",
    "podSelector: {}\ningress:\n- from: [{podSelector: {matchLabels: {app: api}}}]\n- ports: [{port: 8080}]",
    [
      "8:5 ports-own-rule: rule 1 has only from and rule 2 only ports: all ports of those peers, and these ports from anyone | take the dash before ports away to make it one rule",
    ],
  ],
  [
    "a port and its protocol apart",
    "podSelector: {}\ningress: [{ports: [{port: 8080}, {protocol: UDP}]}]",
    [
      "6:36 port-protocol-split: this entry allows all UDP ports | take the dash away to make it port 8080 with protocol UDP",
    ],
  ],
  [
    "an empty port",
    "podSelector: {}\ningress: [{ports: [{}]}]",
    [
      "6:22 tcp-only-empty-port: an empty port entry allows all TCP ports, and no UDP or SCTP | leave ports out to allow everything",
    ],
  ],
  [
    "DNS without UDP",
    "podSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]\negress: [{ports: [{port: 53}]}]",
    [
      "4:1 egress-without-dns: egress of shop/web-0 is isolated and nothing lets DNS out: names will not resolve | allow UDP and TCP 53 to the DNS pods: namespaceSelector kubernetes.io/metadata.name: kube-system and podSelector k8s-app: kube-dns in one peer",
      "7:21 dns-tcp-only: TCP 53 is allowed and UDP 53 is not: names will not resolve | protocol was left out: add protocol: UDP",
    ],
  ],
  [
    "a Service address",
    "podSelector: {matchLabels: {app: web}}\ningress: [{from: [{ipBlock: {cidr: 10.96.44.20/32}}]}]",
    [
      "6:32 ipblock-is-service-range: 10.96.44.20/32 is in the Service range: policy sees the address of the pod, after translation | select the pods behind the Service",
    ],
  ],
  [
    "a pod address",
    "podSelector: {matchLabels: {app: web}}\ningress: [{from: [{ipBlock: {cidr: 10.244.1.0/24}}]}]",
    [
      "6:32 ipblock-is-pod-range: 10.244.1.0/24 is in the pod range: pods change their addresses, and plugins differ | use selectors",
    ],
  ],
  [
    "host bits",
    "podSelector: {matchLabels: {app: db}}\ningress: [{from: [{ipBlock: {cidr: 203.0.113.9/24}}]}]",
    ["6:32 ipblock-host-bits: 203.0.113.9 has bits beyond /24: it means 203.0.113.0/24"],
  ],
  [
    "an except that another peer opens again",
    "podSelector: {matchLabels: {app: db}}\ningress: [{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.8/29]}}, {ipBlock: {cidr: 203.0.0.0/16}}]}]",
    [
      "6:63 except-reopened: 203.0.113.8/29 is allowed by ingress rule 1 of shop/p: except denies nothing",
    ],
  ],
  [
    "NotIn alone",
    "podSelector: {}\ningress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db]}]}}]}]",
    [
      "6:22 notin-matches-missing: NotIn also matches what has no label app | add {key: app, operator: Exists} to require the label",
    ],
  ],
  [
    "a port name for addresses",
    "podSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]\negress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: http}]}, {}]",
    [
      "3:12 vacuous: the only policy changes nothing: every pod may do what it could without",
      "7:12 redundant-rule: rule 1 adds nothing: rule 2 allows all of it",
      "7:62 named-port-external: port name http means nothing for addresses: the rule can match only pods that ipBlock happens to cover | write the number",
    ],
  ],
];

describe("lint", () => {
  it.each(cases)("of %s", (_title, spec, expected) => {
    expect(lint(policy(spec))).toEqual(expected);
  });

  it("of a policy without a namespace, and of a namespace that does not exist", () => {
    expect(lint(policy("podSelector: {}", "{name: p}"))).toEqual(
      [
        "3:1 selects-no-pod: namespace default has no pods",
        "3:1 missing-namespace: the policy names no namespace: it lands in default, or in the current one of kubectl",
      ].toSorted((a, b) => (a < b ? -1 : 1)),
    );
    expect(lint(policy("podSelector: {}", "{name: p, namespace: shpo}"))).toEqual([
      "3:21 selects-no-pod: namespace shpo has no pods | did you mean shop?",
    ]);
  });

  it("says more when asked: what is allowed to all, what is redundant, who is unprotected", () => {
    const ids = lint(
      policy("podSelector: {matchLabels: {app: db}}\ningress: [{ports: [{port: 5432}]}, {}]"),
      { verbose: true },
    ).map((line) => line.split(" ")[1]);
    expect(ids).toEqual([
      "vacuous:",
      "missing-policy-types:",
      "redundant-rule:",
      "missing-protocol:",
      "allow-all:",
    ]);
  });

  it("names the ways in which kube-router differs, under its dialect", () => {
    const spec =
      "podSelector: {matchLabels: {app: api}}\npolicyTypes: [Ingress, Egress]\ningress: [{from: [{podSelector: {}}]}]";
    expect(
      lint(policy(spec), { dialect: "kube-router" }).filter((line) => line.includes("plugin")),
    ).toEqual([
      "7:3 plugin-divergence: kube-router enters the policy's chain for both directions: between its own pods the ingress rules also allow egress",
    ]);
    expect(lint(policy(spec)).filter((line) => line.includes("plugin"))).toEqual([]);
  });
});

describe("lint of cluster-wide policies", () => {
  const admin = (name: string, priority: number, action: string, rules = 1): string =>
    `apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: ${name}}\nspec:\n  priority: ${priority}\n  subject: {namespaces: {}}\n  ingress:\n${`  - {action: ${action}, from: [{namespaces: {}}]}\n`.repeat(rules)}`;

  it("tells two of one priority that disagree, and a rule that is never reached", () => {
    expect(lint(`${admin("a", 5, "Allow")}---\n${admin("b", 5, "Deny", 2)}`)).toEqual([
      "14:3 same-priority: it has priority 5, as AdminNetworkPolicy a has, for some of the same pods: which one is asked first is undefined",
      "18:5 shadowed-cluster-rule: rule 2 is never reached: rule 1 matches everything that it matches",
    ]);
    expect(lint(`${admin("a", 5, "Allow")}---\n${admin("b", 6, "Deny")}`)).toEqual([]);
  });

  it("tells where a NetworkPolicy makes the baseline silent", () => {
    const baseline =
      "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: BaselineAdminNetworkPolicy\nmetadata: {name: default}\nspec:\n  subject: {namespaces: {}}\n  ingress:\n  - {action: Deny, from: [{namespaces: {}}]}\n";
    expect(lint(`${baseline}---\n${policy("podSelector: {matchLabels: {app: db}}")}`)).toEqual([
      "6:3 baseline-overridden: its ingress rules have no effect on 1 of 7 pods, such as shop/db-0: NetworkPolicies select them",
    ]);
  });
});
