import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { buildCluster } from "../../../src/kube/cluster.js";
import { loadObjects } from "../../../src/kube/load.js";
import { lintPolicies } from "../../../src/kube/policy/lint.js";
import { resolveDestination, targetsOf, type Targets } from "../../../src/kube/policy/targets.js";
import { validatePolicies } from "../../../src/kube/policy/validate.js";
import { why, type WhyAnswer } from "../../../src/kube/policy/why.js";
import { whyText } from "../../../src/kube/policy/why-text.js";
import type { PodEndpoint } from "../../../src/kube/policy/world.js";

/** Google's Online Boutique with its 13 policies. */
const directory = new URL("../../golden/worlds/online-boutique/", import.meta.url);

/** Who calls whom in the application, by its own diagram and environment variables. */
const calls: readonly (readonly [string, readonly string[]])[] = [
  [
    "frontend",
    [
      "adservice",
      "cartservice",
      "checkoutservice",
      "currencyservice",
      "productcatalogservice",
      "recommendationservice",
      "shippingservice",
    ],
  ],
  [
    "checkoutservice",
    [
      "cartservice",
      "currencyservice",
      "emailservice",
      "paymentservice",
      "productcatalogservice",
      "shippingservice",
    ],
  ],
  ["recommendationservice", ["productcatalogservice"]],
  ["cartservice", ["redis-cart"]],
  ["loadgenerator", ["frontend"]],
];

function boutique(): Targets {
  const files = [
    "kubernetes-manifests.yaml",
    ...readdirSync(new URL("network-policies/", directory)).map(
      (file) => `network-policies/${file}`,
    ),
  ];
  const texts = files
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => ({ file, text: readFileSync(new URL(file, directory), "utf8") }));
  return targetsOf(buildCluster(loadObjects(texts)));
}

function call(targets: Targets, from: string, to: string): readonly WhyAnswer[] {
  const source = targets.world.pods.find(
    ({ labels }): boolean => labels["app"] === from,
  ) as PodEndpoint;
  const service = targets.services.find(({ object }) => object.metadata?.name === to);
  const port = service?.object.spec?.ports?.[0]?.port ?? 0;
  const destination = resolveDestination(targets, `svc:default/${to}:${port}`);
  return destination.targets.map(({ endpoint, protocol, port: number }) =>
    why(
      targets.world,
      { source, destination: endpoint, protocol, port: number },
      { service: destination.service },
    ),
  );
}

describe("Online Boutique under its 13 policies", () => {
  it("delivers every call that the application makes", () => {
    const targets = boutique();
    expect(targets.world.objects.networkPolicies).toHaveLength(13);
    const verdicts = calls.flatMap(([from, all]) =>
      all.flatMap((to) =>
        call(targets, from, to).map(({ verdict }) => `${from} -> ${to}: ${verdict.outcome}`),
      ),
    );
    expect(verdicts).toHaveLength(16);
    expect(verdicts.filter((line) => !line.endsWith(": allow"))).toEqual([]);
  });

  it("denies redis-cart to the frontend, and names the policy", () => {
    const [answer] = call(boutique(), "frontend", "redis-cart");
    if (answer === undefined) throw new Error("no endpoint");
    const lines = whyText(answer);
    expect(lines[0]).toMatch(
      /^DENIED {2}default\/frontend-\S+ -> default\/redis-cart-\S+ tcp\/6379, ingress of default\/redis-cart-/,
    );
    expect(
      lines.some(
        (line) =>
          line.includes("default/redis-cart") &&
          line.includes(
            "network-policies/network-policy-redis.yaml:27:5  from podSelector app=cartservice, port 6379",
          ),
      ),
    ).toBe(true);
    expect(answer.fixes[0]).toMatchObject({
      title: "add a peer to rule 1 of default/redis-cart",
      opens: 1,
    });
  });

  it("has policies that the API server takes, and findings only of what is so", () => {
    const targets = boutique();
    expect(validatePolicies(targets.world.objects)).toEqual([]);
    expect([...new Set(lintPolicies(targets).map(({ id }) => id))]).toEqual(["missing-namespace"]);
  });
});
