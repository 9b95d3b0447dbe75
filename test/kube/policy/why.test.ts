import { describe, expect, it } from "vitest";
import { connectivityMatrix } from "../../../src/kube/policy/matrix.js";
import { matrixText } from "../../../src/kube/policy/matrix-text.js";
import {
  resolveDestination,
  resolveSource,
  type Targets,
} from "../../../src/kube/policy/targets.js";
import { why, type WhyAnswer } from "../../../src/kube/policy/why.js";
import { whyText } from "../../../src/kube/policy/why-text.js";
import { apiPolicy, shop } from "./shop.js";

/** Asks about the first backend. */
function ask(targets: Targets, from: string, to: string, protocol = "TCP"): WhyAnswer {
  const source = resolveSource(targets, from);
  const { service, targets: found } = resolveDestination(targets, to, protocol, source);
  const [target] = found;
  if (target === undefined) throw new Error("no endpoint");
  const flow = {
    source,
    destination: target.endpoint,
    protocol: target.protocol,
    port: target.port,
  };
  return why(targets.world, flow, { service });
}

function policy(
  name: string,
  namespace: string,
  spec: string,
): { readonly file: string; readonly text: string } {
  const text = `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec:\n${spec.replaceAll(/^/gm, "  ")}\n`;
  return { file: `policies/${name}.yaml`, text };
}

describe("why, on demo:shop", () => {
  it("prints S2 of the UX specification", () => {
    expect(whyText(ask(shop(), "batch/job-0", "shop/db:5432")).join("\n")).toBe(
      `DENIED  batch/job-0 -> shop/db-0 tcp/5432, ingress of shop/db-0 (worker-2)
  egress   batch/job-0  no policy selects it                              allowed
  ingress  shop/db-0    1 policy selects it, 0 of its 1 rules match     ! DENIED
    shop/db-from-api    policies/db.yaml:12:9  from podSelector app=api, port 5432
                        job-0 has app=job and is in namespace batch; this rule covers only shop
FIX 1 of 2, smallest: opens 1 of 42 pod pairs, tcp/5432 only       (--fix 2 shows the other)
  policies/db.yaml, after line 13:
  +        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: batch}}
  +          podSelector: {matchLabels: {app: job}}`,
    );
  });

  it("shows a policy of its own as the other fix", () => {
    expect(
      whyText(ask(shop(), "batch/job-0", "shop/db:5432"), { fix: 2 })
        .slice(5)
        .join("\n"),
    ).toBe(
      `FIX 2 of 2: opens 1 of 42 pod pairs, tcp/5432 only                 (--fix 1 shows the other)
  a new file:
  +apiVersion: networking.k8s.io/v1
  +kind: NetworkPolicy
  +metadata: {name: allow-db-0-ingress, namespace: shop}
  +spec:
  +  podSelector: {matchLabels: {app: db}}
  +  policyTypes: [Ingress]
  +  ingress:
  +    - from:
  +        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: batch}}
  +          podSelector: {matchLabels: {app: job}}
  +      ports:
  +        - {protocol: TCP, port: 5432}`,
    );
  });

  it("names the rule that allows", () => {
    expect(whyText(ask(shop(), "shop/web-0", "http://api.shop"))).toEqual([
      "ALLOWED  shop/web-0 -> shop/api-0 tcp/8080",
      "  egress   shop/web-0   no policy selects it                              allowed",
      "  ingress  shop/api-0   allowed by shop/api-from-web rule 1               allowed",
      "    shop/api-from-web   policies/api.yaml:10:7  from podSelector app=web, port 8080",
    ]);
  });

  it("tells that the port of the Service is not the port of the pod", () => {
    const text = apiPolicy.replace("8080", "80");
    const answer = ask(shop([{ file: "policies/api.yaml", text }]), "shop/web-0", "shop/api:80");
    expect(answer.traps).toEqual([
      "you asked for port 80 of Service shop/api; policy sees 8080, the port of the pod; rule 1 of shop/api-from-web allows 80",
    ]);
    expect(answer.fixes[0]?.title).toBe("add the port to rule 1 of shop/api-from-web");
    expect(answer.fixes[0]?.opens).toBe(2);
  });

  it("tells that names will not resolve when egress leaves DNS out", () => {
    const answer = ask(
      shop([
        policy(
          "web-out",
          "shop",
          "podSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]\negress: [{to: [{podSelector: {}}]}]",
        ),
      ]),
      "shop/web-0",
      "shop/api:80",
    );
    expect(answer.verdict.outcome).toBe("allow");
    expect(answer.traps).toEqual([
      "egress of shop/web-0 does not reach UDP 53 of the DNS pods: names will not resolve",
    ]);
  });

  it("tells that DNS over TCP alone was a protocol left out", () => {
    const answer = ask(
      shop([
        policy(
          "web-out",
          "shop",
          "podSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]\negress: [{ports: [{port: 53}]}]",
        ),
      ]),
      "shop/web-0",
      "shop/api:80",
    );
    expect(answer.traps).toEqual([
      "egress of shop/web-0 does not reach UDP 53 of the DNS pods: names will not resolve (TCP 53 is allowed: protocol was left out, and means TCP)",
    ]);
  });

  it("repairs a slip of the fingers in place", () => {
    const text = apiPolicy
      .replace("podSelector: {matchLabels: {app: web}}}", "")
      .replace(
        "- podSelector: {matchLabels: {app: web}}",
        "- {namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dsn}}}",
      );
    const answer = ask(
      shop([{ file: "policies/api.yaml", text }]),
      "kube-system/coredns-0",
      "shop/api:80",
    );
    expect(whyText(answer).slice(3)).toEqual([
      "    shop/api-from-web   policies/api.yaml:10:7  from namespaceSelector {} and podSelector k8s-app=kube-dsn, port 8080",
      "                        coredns-0 has k8s-app=kube-dns",
      "FIX 1 of 3, smallest: opens 4 of 42 pod pairs, tcp/8080 only       (--fix 2 shows the next)",
      "  policies/api.yaml, instead of line 11:",
      "  +        - {namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}",
    ]);
  });

  it("proposes the label that a pod lacks", () => {
    const text = apiPolicy.replace("{app: web}", "{tier: front}");
    const answer = ask(shop([{ file: "policies/api.yaml", text }]), "shop/web-0", "shop/api:80");
    expect(answer.sides[1]?.policies[0]?.rules[0]?.failures).toEqual(["web-0 has no label tier"]);
    expect(answer.fixes[0]).toMatchObject({
      title: "label shop/web-0 with tier=front, as rule 1 of shop/api-from-web wants",
      steps: [{ kind: "command", line: "kubectl label pod -n shop web-0 tier=front" }],
      opens: 2,
    });
  });

  it("proposes an edit for each side when both deny", () => {
    const deny = policy("deny-all", "shop", "podSelector: {}\npolicyTypes: [Ingress, Egress]");
    const answer = ask(shop([deny]), "shop/web-0", "shop/db:5432");
    expect(whyText(answer).slice(0, 9)).toEqual([
      "DENIED  shop/web-0 -> shop/db-0 tcp/5432, egress of shop/web-0 (worker-1) and ingress of shop/db-0 (worker-2)",
      "  egress   shop/web-0   1 policy selects it and has no rules            ! DENIED",
      "    shop/deny-all       policies/deny-all.yaml:3:12  has no egress rules: it allows nothing",
      "  ingress  shop/db-0    1 policy selects it and has no rules            ! DENIED",
      "    shop/deny-all       policies/deny-all.yaml:3:12  has no ingress rules: it allows nothing",
      "note: egress of shop/web-0 does not reach UDP 53 of the DNS pods: names will not resolve",
      "FIX 1 of 4, smallest: opens 1 of 42 pod pairs, tcp/5432 only       (--fix 2 shows the next)",
      "  policies/deny-all.yaml, after line 6:",
      "  +  egress:",
    ]);
    expect(answer.fixes[0]?.steps).toHaveLength(2);
  });

  it("says what failed in each clause, the value found and the value wanted", () => {
    const spec = `podSelector: {matchLabels: {app: db}}
ingress:
- from:
  - namespaceSelector: {matchLabels: {team: data}}
  - ipBlock: {cidr: 10.244.0.0/16, except: [10.244.2.0/24]}
  ports:
  - {port: pg}
- from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [api, web]}]}}]
  ports: [{port: 5432, protocol: UDP}]`;
    const { sides } = ask(shop([policy("db", "shop", spec)]), "batch/job-0", "shop/db:5432");
    const [, ingress] = sides;
    const rules = (ingress?.policies[0]?.rules ?? []).toSorted((a, b) => a.ref.index - b.ref.index);
    expect(rules.map(({ text }) => text)).toEqual([
      "from namespaceSelector team=data or ipBlock 10.244.0.0/16 except 10.244.2.0/24, port pg",
      "from podSelector app in (api, web), udp port 5432",
    ]);
    expect(
      rules.map(({ peers, ports }) => [...peers, ...ports].map(({ failure }) => failure)),
    ).toEqual([
      [
        "namespace batch has no label team; no namespace matches",
        "10.244.2.7 is in except 10.244.2.0/24",
        "db-0 declares no port named pg",
      ],
      [
        "job-0 has app=job and is in namespace batch; this rule covers only shop",
        "the rule says UDP, the packet is tcp/5432",
      ],
    ]);
  });
});

describe("the matrix of demo:shop", () => {
  it("is S8 of the UX specification", () => {
    expect(
      matrixText(connectivityMatrix(shop().world, { namespaces: ["shop", "batch"] })).join("\n"),
    ).toBe(
      `from \\ to        shop/api-0  shop/api-1  shop/db-0  shop/web-0
batch/job-0      X           X           X          .
shop/api-0       -           X           .          .
shop/api-1       X           -           .          .
shop/db-0        X           X           -          .
shop/web-0       .           .           X          -
16 pairs x declared ports: 8 delivered, 8 denied, 0 dropped, 0 unknown`,
    );
  });
});
