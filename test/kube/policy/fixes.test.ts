import fc from "fast-check";
import { dump } from "js-yaml";
import { describe, expect, it } from "vitest";
import { type InputText, loadObjects } from "../../../src/kube/load.js";
import { explainSide } from "../../../src/kube/policy/explain.js";
import { findFixes, type Fix, sameFlow } from "../../../src/kube/policy/fixes.js";
import { dialectNamed } from "../../../src/kube/policy/dialect.js";
import { effectiveTypes, isOnNode, judge } from "../../../src/kube/policy/oracle.js";
import type { ClusterRule } from "../../../src/kube/policy/api.js";
import { validatePolicies } from "../../../src/kube/policy/validate.js";
import { directions } from "../../../src/kube/policy/verdict.js";
import { endpointName } from "../../../src/kube/policy/why-text.js";
import { applyPatches, type TextPatch } from "../../../src/kube/policy/patch.js";
import {
  addressOf,
  type Flow,
  type PolicyObjects,
  policyWorld,
  type PolicyWorld,
} from "../../../src/kube/policy/world.js";
import { deviations } from "../../kernel/policy-deviations.js";
import { onOneNode, PacketJudge } from "./packets.js";
import { randomObjects } from "./random-world.js";

/** The policies as a file, in blocks or in flow style or as JSON, read back by the loader. */
function throughText(objects: PolicyObjects, style: "block" | "flow" | "json"): PolicyObjects {
  const typed = (
    kind: string,
    version: string,
    list: readonly { readonly object: object }[] = [],
  ): readonly object[] => list.map(({ object }) => ({ apiVersion: version, kind, ...object }));
  const v1alpha1 = "policy.networking.k8s.io/v1alpha1";
  const items = [
    ...typed("NetworkPolicy", "networking.k8s.io/v1", objects.networkPolicies),
    ...typed("AdminNetworkPolicy", v1alpha1, objects.adminPolicies),
    ...typed("BaselineAdminNetworkPolicy", v1alpha1, objects.baselinePolicies),
    ...typed("ClusterNetworkPolicy", "policy.networking.k8s.io/v1alpha2", objects.clusterPolicies),
  ];
  if (items.length === 0) return objects;
  const yaml = (item: object): string => dump(item, style === "flow" ? { flowLevel: 2 } : {});
  const text =
    style === "json"
      ? JSON.stringify({ apiVersion: "v1", kind: "List", items }, undefined, 2)
      : items.map(yaml).join("---\n");
  return { ...objects, ...policiesOf([{ file: "policies.yaml", text }]) };
}

/** Baseline rules of v1alpha1 have no Pass. */
function withoutBaselinePass(objects: PolicyObjects): PolicyObjects {
  const plain = (rules: readonly ClusterRule[] = []): readonly ClusterRule[] =>
    rules.filter(({ action }) => action !== "Pass");
  const baselinePolicies = objects.baselinePolicies?.map(({ object, origin }) => ({
    object: {
      ...object,
      spec: {
        ...object.spec,
        ingress: plain(object.spec?.ingress),
        egress: plain(object.spec?.egress),
      },
    },
    origin,
  }));
  return { ...objects, baselinePolicies: baselinePolicies ?? [] };
}

/** The policies of all kinds in texts. */
function policiesOf(texts: readonly InputText[]): Omit<PolicyObjects, "namespaces" | "pods"> {
  const found = loadObjects(texts).objects;
  return {
    networkPolicies: found.NetworkPolicy,
    adminPolicies: found.AdminNetworkPolicy,
    baselinePolicies: found.BaselineAdminNetworkPolicy,
    clusterPolicies: found.ClusterNetworkPolicy,
  };
}

/** A fix as the user would apply it: by its steps, not by its objects. */
function applied(before: PolicyObjects, { steps, objects }: Fix): PolicyObjects {
  const all = [
    ...before.networkPolicies,
    ...(before.adminPolicies ?? []),
    ...(before.baselinePolicies ?? []),
    ...(before.clusterPolicies ?? []),
  ];
  const text = all[0]?.origin.source?.text ?? "";
  const patches = steps.filter(
    (step): step is TextPatch & { kind: "patch" } => step.kind === "patch",
  );
  const files = [...steps].flatMap((step) =>
    step.kind === "new-file" ? [step.lines.join("\n")] : [],
  );
  const texts = [applyPatches(text, patches), ...files].map((each, at) => ({
    file: `${at}.yaml`,
    text: each,
  }));
  const policies = policiesOf(texts.filter((each) => each.text !== ""));
  return { ...before, pods: objects.pods, ...policies };
}

function openPairs(world: PolicyWorld, { protocol, port }: Flow): ReadonlySet<string> {
  const pods = world.pods.filter((pod) => !isOnNode(world, pod));
  return new Set(
    pods.flatMap((source) =>
      pods.flatMap((destination) =>
        source !== destination &&
        judge(world, { source, destination, protocol, port }).outcome === "allow"
          ? [`${source.key} ${destination.key}`]
          : [],
      ),
    ),
  );
}

/** How many fixes are tried as packets. */
const PACKETS = 40;

/** Pairs that the rules let through, between pods that have IPv4 addresses of their own. */
function passingPairs(objects: PolicyObjects, { protocol, port }: Flow): ReadonlySet<string> {
  const world = policyWorld(onOneNode(objects), dialectNamed("kube-router"));
  const judges = new PacketJudge(world);
  const pods = world.pods.filter((pod) => !pod.hostNetwork && addressOf(pod, 4) !== undefined);
  return new Set(
    pods.flatMap((source) =>
      pods
        .filter((destination) => destination !== source)
        .filter((destination) => judges.judge({ source, destination, protocol, port }) === "allow")
        .map((destination) => `${source.key} ${destination.key}`),
    ),
  );
}

/** Policies that kube-router enforces as the API says, between these two. */
function isPlain(objects: PolicyObjects, flow: Flow): boolean {
  const { adminPolicies = [], baselinePolicies = [], clusterPolicies = [] } = objects;
  const world = policyWorld(objects, dialectNamed("kube-router"));
  const same = sameFlow(world, flow);
  return (
    adminPolicies.length + baselinePolicies.length + clusterPolicies.length === 0 &&
    [flow.source, flow.destination].every(
      (end) => end.kind === "pod" && !end.hostNetwork && addressOf(end, 4) !== undefined,
    ) &&
    !deviations.some(({ covers }) => covers(world, same))
  );
}

describe("fixes", () => {
  it("each makes a denied connection allowed, and opens no more pairs than it said", () => {
    let pairs = 0;
    let fixed = 0;
    let fixes = 0;
    const worlds = fc.sample(
      fc.tuple(
        randomObjects,
        fc.constantFrom("block" as const, "flow" as const, "json" as const),
        fc.constantFrom(80, 81),
      ),
      { numRuns: 200, seed: 7 },
    );
    for (const [objects, style, port] of worlds) {
      const before = throughText(withoutBaselinePass(objects), style);
      const world = policyWorld(before);
      const denied = world.pods
        .flatMap((source) =>
          world.pods.map((destination): Flow => ({ source, destination, protocol: "TCP", port })),
        )
        .filter((flow) => judge(world, flow).outcome === "deny");
      for (const flow of denied.slice(0, 3)) {
        pairs++;
        const sides = (["egress", "ingress"] as const).map((direction) =>
          explainSide(world, flow, direction),
        );
        const found = findFixes(world, flow, sides);
        if (found.length > 0) fixed++;
        const open = openPairs(world, flow);
        for (const fix of found) {
          fixes++;
          const after = policyWorld(applied(before, fix));
          expect(judge(after, sameFlow(after, flow)).outcome, fix.title).toBe("allow");
          const now = openPairs(after, flow);
          expect([...now].filter((pair) => !open.has(pair)).length, fix.title).toBeLessThanOrEqual(
            fix.opens,
          );
          expect([...open].filter((pair) => !now.has(pair)).length, fix.title).toBeLessThanOrEqual(
            fix.closes,
          );
        }
      }
    }
    console.log(
      `fixes: ${pairs} denied pairs, ${fixed} with a fix, ${fixes} fixes applied from their patches`,
    );
    expect(pairs).toBeGreaterThanOrEqual(200);
    expect(fixed / pairs).toBeGreaterThan(0.9);
  });

  it("let packets through that the rules refused, and no more pairs than they said", () => {
    let tried = 0;
    let pairs = 0;
    for (const objects of fc.sample(randomObjects, { numRuns: 300, seed: 11 })) {
      if (tried >= PACKETS) break;
      const plain = { ...objects, adminPolicies: [], baselinePolicies: [], clusterPolicies: [] };
      const before = throughText(plain, "block");
      // Rules are rendered of what the API server takes.
      if (validatePolicies(before).length > 0) continue;
      const world = policyWorld(before);
      const flow = world.pods
        .flatMap((source) =>
          world.pods.map((destination): Flow => ({
            source,
            destination,
            protocol: "TCP",
            port: 80,
          })),
        )
        .find((each) => judge(world, each).outcome === "deny" && isPlain(before, each));
      if (flow === undefined) continue;
      const name = `${endpointName(flow.source)} ${endpointName(flow.destination)}`;
      const open = passingPairs(before, flow);
      expect(open.has(name)).toBe(false);
      const sides = directions.map((direction) => explainSide(world, flow, direction));
      for (const fix of findFixes(world, flow, sides)) {
        const after = applied(before, fix);
        if (!isPlain(after, flow)) continue;
        tried++;
        const now = passingPairs(after, flow);
        expect(now.has(name), fix.title).toBe(true);
        const opened = [...now].filter((pair) => !open.has(pair));
        pairs += opened.length;
        // Where a policy of both types lets its pods out and in, kube-router opens more than the API says.
        if (!after.networkPolicies.some(({ object }) => effectiveTypes(object).length === 2))
          expect(opened.length, fix.title).toBeLessThanOrEqual(fix.opens);
      }
    }
    console.log(`fixes as packets: ${tried} applied, ${pairs} pairs opened`);
    expect(tried).toBeGreaterThanOrEqual(PACKETS);
  });
});
