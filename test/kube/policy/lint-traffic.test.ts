import { describe, expect, it } from "vitest";
import { buildCluster } from "../../../src/kube/cluster.js";
import { loadObjects } from "../../../src/kube/load.js";
import { parseDialect } from "../../../src/kube/policy/dialect.js";
import { lintPolicies } from "../../../src/kube/policy/lint.js";
import { targetsOf } from "../../../src/kube/policy/targets.js";
import { parseIpv4Prefix } from "../../../src/wire/ip.js";
import { apiPolicy, dbPolicy, shop } from "./shop.js";

const podCidr = parseIpv4Prefix("10.244.0.0/16");
const serviceCidr = parseIpv4Prefix("10.96.0.0/16");

function policy(spec: string, name = "p"): string {
  return `---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: ${name}, namespace: shop}\nspec: ${spec}\n`;
}

/** `id: message` of what is found under some ids in demo:shop with these objects besides. */
function found(ids: string, text: string, dialect = "default"): readonly string[] {
  const files = [{ file: "p.yaml", text }];
  const targets = shop(files, parseDialect(dialect));
  const ingresses = loadObjects(files).objects.Ingress;
  return lintPolicies({ ...targets, podCidr, serviceCidr, ingresses })
    .filter(({ id }) => ids.split(" ").includes(id))
    .map(({ id, object, message }) => `${id}: ${object}: ${message}`);
}

/** The same in a cluster of these objects alone. */
function alone(ids: string, text: string): readonly string[] {
  const cluster = buildCluster(loadObjects([{ file: "p.yaml", text }]));
  return lintPolicies(targetsOf(cluster))
    .filter(({ id }) => ids.split(" ").includes(id))
    .map(({ id, object, message }) => `${id}: ${object}: ${message}`);
}

const pod = (name: string, labels: string, rest: string): string =>
  `---\napiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: shop, labels: ${labels}}\nspec:\n  nodeName: worker-1\n  containers: [{name: c, image: c, ports: [${rest}]}]\nstatus: {phase: Running}\n`;

describe("lint of who really comes", () => {
  it("tells that a NodePort Service shows the address of a node", () => {
    const rule =
      "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: CIDR}}]}]}";
    expect(found("client-ip-behind-snat", policy(rule.replace("CIDR", "203.0.113.0/24")))).toEqual([
      "client-ip-behind-snat: NetworkPolicy shop/p: clients that come by Service shop/web (NodePort) may show the address of a node, which 203.0.113.0/24 leaves out",
    ]);
    // The nodes' addresses are in it, and no Service of that kind leads to db.
    expect(found("client-ip-behind-snat", policy(rule.replace("CIDR", "192.168.0.0/16")))).toEqual(
      [],
    );
    const db = rule.replace("CIDR", "203.0.113.0/24").replace("app: web", "app: db");
    expect(found("client-ip-behind-snat", policy(db))).toEqual([]);
  });

  it("tells that no selector reaches the API server", () => {
    const rule =
      "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}}], ports: [{port: PORT}]}]}";
    expect(found("apiserver-by-selector", policy(rule.replace("PORT", "443")))).toEqual([
      "apiserver-by-selector: NetworkPolicy shop/p: no pod that it selects serves 443; the API server, if it is meant, is on nodes, which selectors do not reach",
    ]);
    expect(found("apiserver-by-selector", policy(rule.replace("PORT", "53")))).toEqual([]);
  });

  it("tells that the other side of a rule does not let it", () => {
    const egress =
      "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: PEER}}}]}]}";
    expect(found("one-sided", `${dbPolicy}${policy(egress.replace("PEER", "db"))}`)).toEqual([
      "one-sided: NetworkPolicy shop/p: rule 1 lets shop/web-0 and shop/db-0 talk, and the policies for ingress of shop/db-0 do not",
    ]);
    expect(found("one-sided", `${apiPolicy}${policy(egress.replace("PEER", "api"))}`)).toEqual([]);
  });

  it("tells that the controller does not reach the backend of an Ingress", () => {
    const ingress = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`;
    const controller = pod("ctl", "{app.kubernetes.io/name: ingress-nginx}", "{containerPort: 80}");
    const rule =
      "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: PEER}}]}]}";
    const world = (peer: string): string =>
      `${ingress}${controller}${policy(rule.replace("PEER", peer))}`;
    expect(found("ingress-controller-blocked", world("{app: api}"))).toEqual([
      "ingress-controller-blocked: Ingress shop/shop: its backend shop/web-0 does not admit the controller shop/ctl: requests time out",
    ]);
    const admitted = world("{app.kubernetes.io/name: ingress-nginx}");
    expect(found("ingress-controller-blocked", admitted)).toEqual([]);
  });

  it("tells that the API server does not reach a webhook", () => {
    const hook = `${pod("hook", "{app: hook}", "{containerPort: 9443}")}---
apiVersion: v1
kind: Service
metadata: {name: hook-webhook, namespace: shop}
spec: {selector: {app: hook}, ports: [{port: 443, targetPort: 9443}]}
`;
    const rule = "{podSelector: {matchLabels: {app: hook}}, ingress: [{from: [PEER]}]}";
    const world = (peer: string): string => `${hook}${policy(rule.replace("PEER", peer))}`;
    expect(found("probe-from-other-node", world("{podSelector: {}}"))).toEqual([
      "probe-from-other-node: Pod shop/hook: the API server, which calls webhooks from a node, cannot reach its port 9443: only the pod's own node may without a rule",
    ]);
    expect(found("probe-from-other-node", world("{ipBlock: {cidr: 192.168.10.0/24}}"))).toEqual([]);
  });

  it("tells that Prometheus does not reach what asks to be scraped", () => {
    const scraped = pod("m", "{app: m}", "{containerPort: 9100}").replace(
      "labels:",
      'annotations: {prometheus.io/scrape: "true"}, labels:',
    );
    const world = (peer: string): string =>
      `${scraped}${pod("prom", "{app: prometheus}", "{containerPort: 9090}")}${policy(`{podSelector: {matchLabels: {app: m}}, ingress: [{from: [{podSelector: {matchLabels: {app: ${peer}}}}]}]}`)}`;
    expect(found("probe-from-other-node", world("web"))).toEqual([
      "probe-from-other-node: Pod shop/m: Prometheus cannot reach its port 9100: only the pod's own node may without a rule",
    ]);
    expect(found("probe-from-other-node", world("prometheus"))).toEqual([]);
  });

  it("tells that the own node and the pod itself are never kept away", () => {
    const except = (block: string): string =>
      policy(
        `{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [${block}]}}]}]}`,
      );
    expect(found("own-node-expected-blocked", except("192.168.10.0/24"))).toEqual([
      "own-node-expected-blocked: NetworkPolicy shop/p: 192.168.10.0/24 holds node worker-1, which always reaches the pods that run on it",
    ]);
    expect(found("own-node-expected-blocked", except("203.0.113.0/24"))).toEqual([]);
    const others = (selected: string): string =>
      policy(
        `{podSelector: {matchLabels: {app: ${selected}}}, ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db]}, {key: app, operator: Exists}]}}]}]}`,
      );
    expect(found("self-expected-blocked", others("db"))).toEqual([
      "self-expected-blocked: NetworkPolicy shop/p: it leaves out pods such as shop/db-0 itself, and a pod always reaches its own address",
    ]);
    expect(found("self-expected-blocked", others("web"))).toEqual([]);
  });
});

describe("lint of what says nothing", () => {
  it("tells policies that together change nothing", () => {
    const open = policy("{podSelector: {}, ingress: [{}]}");
    expect(
      found("vacuous", `${open}${policy("{podSelector: {matchLabels: {app: db}}}", "q")}`),
    ).toEqual([
      "vacuous: NetworkPolicy shop/p: all 2 policies together change nothing: every pod may do what it could without",
    ]);
    expect(found("vacuous", dbPolicy)).toEqual([]);
  });

  it("tells a rule that another one of the policy holds", () => {
    const rules = (second: string): string =>
      policy(
        `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 80, endPort: 90}]}, {from: [{ipBlock: {cidr: 10.1.0.0/16}}], ports: [${second}]}]}`,
      );
    expect(found("redundant-rule", rules("{port: 85}"))).toEqual([
      "redundant-rule: NetworkPolicy shop/p: rule 2 adds nothing: rule 1 allows all of it",
    ]);
    expect(found("redundant-rule", rules("{port: 85, protocol: UDP}"))).toEqual([]);
    expect(found("redundant-rule", rules("{port: 85, endPort: 91}"))).toEqual([]);
  });

  it("tells Pass as the last word of a tier", () => {
    const admin = (name: string, priority: number, action: string): string =>
      `---\napiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: ${name}}\nspec: {priority: ${priority}, subject: {namespaces: {}}, ingress: [{action: ${action}, from: [{namespaces: {}}]}]}\n`;
    expect(found("pass-without-effect", admin("a", 1, "Pass"))).toEqual([
      "pass-without-effect: AdminNetworkPolicy a: rule 1 passes what no later rule of the Admin tier would decide: it changes nothing",
    ]);
    expect(found("pass-without-effect", admin("a", 1, "Pass") + admin("b", 2, "Deny"))).toEqual([]);
  });
});

describe("lint of what a cluster or plugin cannot do", () => {
  it("tells everybody in one family where pods have both", () => {
    const world = (ips: string, block: string): string =>
      pod("two", "{app: two}", "{containerPort: 80}").replace(
        "{phase: Running}",
        `{phase: Running, podIP: 10.244.1.77, podIPs: [${ips}]}`,
      ) + policy(`{podSelector: {matchLabels: {app: two}}, ingress: [{from: [${block}]}]}`);
    const any = "{ipBlock: {cidr: 0.0.0.0/0}}";
    const both = "{ip: 10.244.1.77}, {ip: fd00::77}";
    expect(found("ipv4-only-any", world(both, any))).toEqual([
      "ipv4-only-any: NetworkPolicy shop/p: 0.0.0.0/0 is all of IPv4, and pods here have IPv6 addresses too",
    ]);
    expect(found("ipv4-only-any", world(both, `${any}, {ipBlock: {cidr: "::/0"}}`))).toEqual([]);
    expect(found("ipv4-only-any", world("{ip: 10.244.1.77}", any))).toEqual([]);
  });

  it("tells SCTP and ranges that the dialect does not know", () => {
    const sctp = policy(
      "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 80, endPort: 81, protocol: SCTP}]}]}",
    );
    expect(
      found("sctp-unsupported endport-unsupported", sctp, "default,sctp=false,endPort=false"),
    ).toEqual([
      "endport-unsupported: NetworkPolicy shop/p: this dialect does not know endPort: only the first port is allowed",
      "sctp-unsupported: NetworkPolicy shop/p: this dialect does not know SCTP: the entry matches nothing",
    ]);
    expect(found("sctp-unsupported endport-unsupported", sctp)).toEqual([]);
  });

  it("tells a namespace that policies cannot choose by a label", () => {
    const world = (labels: string): string =>
      `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop${labels}}\n${pod("a", "{app: a}", "{containerPort: 80}")}${policy("{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}}]}]}")}`;
    expect(alone("namespace-unlabelled", world(""))).toEqual([
      "namespace-unlabelled: Namespace shop: it has no label but the automatic one, and policies choose namespaces by others, such as team",
    ]);
    expect(alone("namespace-unlabelled", world(", labels: {team: b}"))).toEqual([]);
  });

  it("tells that nobody enforces", () => {
    const world = (...names: readonly string[]): string =>
      [
        ...names.map((name) => pod(name, "{app: net}", "{containerPort: 80}")),
        policy("{podSelector: {}}"),
      ].join("");
    expect(alone("no-enforcer", world("kube-flannel-x7"))).toEqual([
      "no-enforcer: NetworkPolicy shop/p: nobody enforces policies here: shop/kube-flannel-x7 carries packets and looks at none of the 1",
    ]);
    expect(alone("no-enforcer", world("kube-flannel-x7", "kube-router-9z"))).toEqual([]);
    expect(alone("no-enforcer", world("web"))).toEqual([]);
  });
});

it("lint is silent about demo:shop and its two policies", () => {
  const targets = shop();
  expect(lintPolicies({ ...targets, podCidr, serviceCidr })).toEqual([]);
});
