import { describe, expect, it } from "vitest";
import type { InputText } from "../../../src/kube/load.js";
import type { Dialect } from "../../../src/kube/policy/dialect.js";
import { dialectNamed } from "../../../src/kube/policy/dialect.js";
import { resolveDestination, resolveSource } from "../../../src/kube/policy/targets.js";
import { why, type WhyAnswer } from "../../../src/kube/policy/why.js";
import { whyJson } from "../../../src/kube/policy/why-json.js";
import { assumptionText, fitLines, whyText, whyTexts } from "../../../src/kube/policy/why-text.js";
import { dbPolicy, shop } from "./shop.js";

const admin: InputText = {
  file: "admin.yaml",
  text: `apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: keep-batch-out}
spec:
  priority: 10
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}
  ingress:
    - name: batch may ask for metrics
      action: Allow
      from: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: batch}}}]
      ports: [{portNumber: {protocol: TCP, port: 9090}}]
    - action: Pass
      from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}]
    - name: no batch
      action: Deny
      from: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: batch}}}]
`,
};

const baseline: InputText = {
  file: "baseline.yaml",
  text: `apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: default}
spec:
  subject: {namespaces: {}}
  ingress:
    - action: Deny
      from: [{namespaces: {}}]
`,
};

const db: InputText = { file: "policies/db.yaml", text: dbPolicy };

function answers(
  texts: readonly InputText[],
  from: string,
  to: string,
  dialect?: Dialect,
): readonly WhyAnswer[] {
  const targets = shop(texts, dialect);
  const source = resolveSource(targets, from);
  const { service, targets: found } = resolveDestination(targets, to, "TCP", source);
  return found.map(({ endpoint, protocol, port }) =>
    why(targets.world, { source, destination: endpoint, protocol, port, service }, { service }),
  );
}

function ask(texts: readonly InputText[], from: string, to: string, dialect?: Dialect): WhyAnswer {
  const [answer] = answers(texts, from, to, dialect);
  if (answer === undefined) throw new Error("no endpoint");
  return answer;
}

describe("why, with cluster-wide policies", () => {
  it("names the rule that denies, its tier and priority, and the rule that nearly let it through", () => {
    expect(
      whyText(ask([admin, db], "batch/job-0", "shop/db:5432"))
        .slice(0, 9)
        .join("\n"),
    ).toBe(
      `DENIED  batch/job-0 -> shop/db-0 tcp/5432, ingress of shop/db-0 (worker-2)
  egress   batch/job-0  no policy selects it                              allowed
  ingress  shop/db-0    Admin tier: denied by keep-batch-out rule 3     ! DENIED
    AdminNetworkPolicy keep-batch-out  Admin tier, priority 10
                        admin.yaml:8:7  rule 1 "batch may ask for metrics": Allow from all pods of namespaces kubernetes.io/metadata.name=batch, tcp/9090
                        asked for tcp/5432
                        admin.yaml:14:7  rule 3 "no batch": Deny from all pods of namespaces kubernetes.io/metadata.name=batch
                        denied: no NetworkPolicy can undo it
FIX 1 of 3, smallest: opens 4 of 42 pod pairs, tcp/5432 only       (--fix 2 shows the next)`,
    );
  });

  it("proposes the port for the accepting rule, a rule before, and a policy of one priority before", () => {
    const { fixes } = ask([admin, db], "batch/job-0", "shop/db:5432");
    expect(fixes.map(({ title, opens }) => `${title}: ${opens}`)).toEqual([
      "add the port to rule 1 of AdminNetworkPolicy keep-batch-out: 4",
      "accept it before rule 3 of AdminNetworkPolicy keep-batch-out: 4",
      "a policy of its own, AdminNetworkPolicy allow-shop-db-0-ingress: 1",
    ]);
    const [step] = fixes[2]?.steps ?? [];
    expect(step?.kind === "new-file" ? step.lines.slice(3, 5) : []).toEqual([
      "spec:",
      "  priority: 9",
    ]);
  });

  it("follows Pass to the NetworkPolicies", () => {
    expect(whyText(ask([admin, db], "shop/web-0", "shop/db:5432")).slice(2, 7)).toEqual([
      "  ingress  shop/db-0    1 policy selects it, 0 of its 1 rules match     ! DENIED",
      "    AdminNetworkPolicy keep-batch-out  Admin tier, priority 10",
      "                        admin.yaml:12:7  rule 2: Pass from pods app=web of all namespaces",
      "                        passed on to the NetworkPolicies",
      "    shop/db-from-api    policies/db.yaml:12:9  from podSelector app=api, port 5432",
    ]);
  });

  it("asks the Baseline tier only where no NetworkPolicy selects the pod", () => {
    const lines = whyText(ask([baseline, db], "batch/job-0", "shop/web:80"));
    expect(lines.slice(2, 6)).toEqual([
      "  ingress  shop/web-0   Baseline tier: denied by default rule 1         ! DENIED",
      "    BaselineAdminNetworkPolicy default  Baseline tier",
      "                        baseline.yaml:7:7  rule 1: Deny from all pods of all namespaces",
      "                        denied: a NetworkPolicy would be asked first, and none selects the pod",
    ]);
    expect(ask([baseline, db], "shop/api-0", "shop/db:5432").verdict.outcome).toBe("allow");
  });

  it("says that it is left open which of two policies of one priority wins", () => {
    const rival = {
      file: "rival.yaml",
      text: `apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: rival}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {}}
  ingress: [{action: Accept, from: [{namespaces: {}}]}]
`,
    };
    expect(whyText(ask([admin, rival], "batch/job-0", "shop/db:5432")).join("\n")).toContain(
      "AdminNetworkPolicy keep-batch-out rule 3 and ClusterNetworkPolicy rival rule 1 have one priority and disagree",
    );
  });

  it("has the whole walk in JSON", () => {
    const { sides } = whyJson(ask([admin, db], "batch/job-0", "shop/db:5432"));
    expect(
      sides[1]?.cluster.map(({ rule, name, effect, failures }) => [rule, name, effect, failures]),
    ).toEqual([
      [1, "batch may ask for metrics", null, ["asked for tcp/5432"]],
      [2, null, null, ["job-0 has app=job"]],
      [3, "no batch", "Deny", []],
    ]);
  });
});

describe("an answer about a Service", () => {
  it("says once what holds for several of its pods", () => {
    const lines = whyTexts(answers([admin], "batch/job-0", "shop/api:80"));
    expect(lines.filter((line) => line.startsWith("DENIED"))).toHaveLength(1);
    expect(lines.at(-1)).toBe("the same for shop/api-1 (worker-2)");
  });

  it("says apart what does not", () => {
    const api = {
      file: "policies/api.yaml",
      text: `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec: {podSelector: {matchLabels: {app: api}}, policyTypes: [Ingress]}
`,
    };
    const lines = whyTexts(answers([api], "worker-1", "shop/api:80"));
    expect(lines.filter((line) => /^(ALLOWED|DENIED)/.test(line))).toEqual([
      "ALLOWED  192.168.10.11 -> shop/api-0 tcp/8080",
      "DENIED  192.168.10.11 -> shop/api-1 tcp/8080, ingress of shop/api-1 (worker-2)",
    ]);
  });
});

describe("an answer in a narrow terminal", () => {
  const lines = whyText(ask([db], "batch/job-0", "shop/db:5432"), { fix: 2 });

  it("goes on below where the text began, and loses no word", () => {
    const narrow = fitLines(lines, 80);
    expect(narrow.filter((line) => line.length > 80 && !line.startsWith("  +"))).toEqual([]);
    expect(narrow.join(" ").split(/\s+/)).toEqual(lines.join(" ").split(/\s+/));
    expect(narrow.slice(2, 7)).toEqual([
      "  ingress  shop/db-0    1 policy selects it, 0 of its 1 rules match     ! DENIED",
      "    shop/db-from-api    policies/db.yaml:12:9  from podSelector app=api, port",
      "                        5432",
      "                        job-0 has app=job and is in namespace batch; this rule",
      "                        covers only shop",
    ]);
  });

  it("leaves a patch whole, as it is copied", () => {
    const patch = lines.filter((line) => line.startsWith("  +"));
    expect(fitLines(lines, 40).filter((line) => line.startsWith("  +"))).toEqual(patch);
  });
});

describe("the dialect of an answer", () => {
  it("is stated, with what a refused client sees", () => {
    const [web, to] = ["shop/web-0", "shop/db:5432"];
    expect(assumptionText([ask([db], web, to)])).toBe(
      "dialect default: the verdict hangs on none of its switches; the client sees a timeout, as nothing comes back",
    );
    expect(assumptionText([ask([db], web, to, dialectNamed("kube-router"))])).toBe(
      "dialect kube-router: the verdict hangs on none of its switches; the client sees connection refused at once",
    );
  });

  it("names the switches without which the verdict would be another", () => {
    expect(assumptionText([ask([db], "worker-2", "shop/db:5432")])).toBe(
      "dialect default: the verdict hangs on: a node reaches its own pods",
    );
  });

  it("may look before the Service is translated, at its address, port and selector", () => {
    const egress = {
      file: "policies/web.yaml",
      text: `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-out, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 80}]}]
`,
    };
    const outcome = (name: string): string | undefined =>
      answers([egress], "shop/web-0", "shop/api:80", dialectNamed(name))[0]?.verdict.outcome;
    // The Service's port is 80, the pods' is 8080.
    expect(outcome("default")).toBe("deny");
    expect(outcome("aws-vpc-cni")).toBe("allow");
    const answer = ask([egress], "shop/web-0", "shop/api:80", dialectNamed("aws-vpc-cni"));
    expect(answer.hangsOn).toEqual(["services"]);
  });
});
