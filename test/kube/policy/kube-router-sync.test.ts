import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type KubeRouterText, renderKubeRouter } from "../../../src/kube/policy/kube-router.js";
import { renderKubeRouterSync, temporaryName } from "../../../src/kube/policy/kube-router-sync.js";
import { type PolicyObjects, policyWorld } from "../../../src/kube/policy/world.js";
import type { Simulation } from "../../../src/core/simulation.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";
import { randomObjects } from "./random-world.js";

/** Random worlds, each as kube-router writes it at a sync of its own. */
const texts = fc
  .sample(randomObjects, { numRuns: 60, seed: 5 })
  .map((objects, index) => rendered(objects, index))
  // An ipBlock with an except of the other family is one that the API does not store.
  .filter(({ ipset }) => !/^add \S+ \S*:/m.test(ipset.text))
  .slice(0, 24);

function rendered(objects: PolicyObjects, index: number): KubeRouterText {
  const nodes = new Set(objects.pods.map(({ object }) => object.spec?.nodeName ?? ""));
  return renderKubeRouter(policyWorld(objects), {
    node: { name: [...nodes].toSorted()[0] ?? "", addresses: [] },
    clusterCidrs: ["10.96.0.0/16"],
    version: String(index),
    jumps: "insert",
  });
}

function newNode(): Simulation {
  const sim = createLinux({ seed: 1 });
  sim.createNamespace("node");
  return sim;
}

function run(sim: Simulation, argv: readonly string[], stdin = ""): string {
  const { code, stdout, stderr } = runTool(sim, { ns: "node", argv, stdin });
  expect(`${argv.join(" ")}: ${code} ${stderr}`).toBe(`${argv.join(" ")}: 0 `);
  return stdout;
}

function load(sim: Simulation, { ipset, iptables }: KubeRouterText): void {
  run(sim, ["ipset", "restore"], ipset.text);
  run(sim, ["iptables-restore", "--noflush"], iptables.text);
}

/** Rules and sets as the tools save them, in an order that does not tell when a chain or set was made. */
function saved(sim: Simulation): readonly string[] {
  const rules = run(sim, ["iptables-save", "-t", "filter"]).split("\n");
  const chain = (line: string): string => /^(?::|-A )(\S+)/.exec(line)?.[1] ?? "";
  const sets = run(sim, ["ipset", "save"])
    .replaceAll(/ initval \S+| hashsize \d+/g, "")
    .split("\n");
  return [
    ...rules
      .filter((line) => /^[:-]/.test(line))
      .map((line, index) => [chain(line), index, line] as const)
      .toSorted(([a, m], [b, n]) => (a < b ? -1 : a > b ? 1 : m - n))
      .map(([, , line]) => line),
    ...sets.toSorted(),
  ];
}

describe("a later sync of kube-router", () => {
  it("comes to the rules and sets that a fresh node would get, for random worlds", () => {
    expect(texts).toHaveLength(24);
    for (const [index, before] of texts.entries()) {
      const after = texts[index + 1];
      if (after === undefined) break;
      const node = newNode();
      load(node, before);
      const sync = renderKubeRouterSync(before, after);
      if (sync.ipset.text !== "") run(node, ["ipset", "restore", "-exist"], sync.ipset.text);
      run(node, ["iptables-restore", "--noflush"], sync.iptables.text);
      for (const set of sync.destroyed) run(node, ["ipset", "destroy", set]);
      const fresh = newNode();
      load(fresh, after);
      expect(saved(node)).toEqual(saved(fresh));
    }
  });

  it("fills sets under the names that kube-router gives to temporary ones", () => {
    expect(temporaryName("hash:ip timeout 0")).toBe("TMP-PRBJ7ASFQM5DJR3Q");
    expect(temporaryName("hash:net timeout 0")).toBe("TMP-LP6R7TXZCLIUYMBN");
  });
});
