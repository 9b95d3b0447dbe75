import fc from "fast-check";
import { dump } from "js-yaml";
import { describe, expect, it } from "vitest";
import { loadObjects } from "../../../src/kube/load.js";
import { explainSide } from "../../../src/kube/policy/explain.js";
import { findFixes, type Fix, sameFlow } from "../../../src/kube/policy/fixes.js";
import { isOnNode, judge } from "../../../src/kube/policy/oracle.js";
import { applyPatches, type TextPatch } from "../../../src/kube/policy/patch.js";
import {
  type Flow,
  type PolicyObjects,
  policyWorld,
  type PolicyWorld,
} from "../../../src/kube/policy/world.js";
import { randomObjects } from "./random-world.js";

/** The policies as a file, in blocks or in flow style or as JSON, read back by the loader. */
function throughText(objects: PolicyObjects, style: "block" | "flow" | "json"): PolicyObjects {
  const items = [
    ...objects.networkPolicies.map(({ object }) => ({
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      ...object,
    })),
    ...(objects.adminPolicies ?? []).map(({ object }) => ({
      apiVersion: "policy.networking.k8s.io/v1alpha1",
      kind: "AdminNetworkPolicy",
      ...object,
    })),
  ];
  if (items.length === 0) return objects;
  const yaml = (item: object): string => dump(item, style === "flow" ? { flowLevel: 2 } : {});
  const text =
    style === "json"
      ? JSON.stringify({ apiVersion: "v1", kind: "List", items }, undefined, 2)
      : items.map(yaml).join("---\n");
  const found = loadObjects([{ file: "policies.yaml", text }]).objects;
  return {
    ...objects,
    networkPolicies: found.NetworkPolicy,
    adminPolicies: found.AdminNetworkPolicy,
  };
}

/** A fix as the user would apply it: by its steps, not by its objects. */
function applied(before: PolicyObjects, { steps, objects }: Fix): PolicyObjects {
  const text =
    before.networkPolicies[0]?.origin.source?.text ??
    before.adminPolicies?.[0]?.origin.source?.text ??
    "";
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
  const found = loadObjects(texts.filter((each) => each.text !== "")).objects;
  return {
    ...before,
    pods: objects.pods,
    networkPolicies: found.NetworkPolicy,
    adminPolicies: found.AdminNetworkPolicy,
  };
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
      { numRuns: 320, seed: 7 },
    );
    for (const [objects, style, port] of worlds) {
      const before = throughText({ ...objects, baselinePolicies: [], clusterPolicies: [] }, style);
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
});
