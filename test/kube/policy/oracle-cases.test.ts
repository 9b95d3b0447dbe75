import { describe, expect, it } from "vitest";
import { judge } from "../../../src/kube/policy/oracle.js";
import { policyWorld } from "../../../src/kube/policy/world.js";
import { caseFile, endpointNamed, objectsOf, type PolicyCase, probesOf } from "./cases.js";

/** The verdicts of a case that differ, as text; and how many there are. */
function differences(policyCase: PolicyCase): {
  readonly wrong: readonly string[];
  readonly count: number;
} {
  const world = policyWorld(objectsOf(policyCase));
  const probes = probesOf(policyCase);
  const wrong = probes.flatMap(({ from, to, port, protocol, expected }) => {
    const flow = {
      source: endpointNamed(world, from),
      destination: endpointNamed(world, to),
      port,
      protocol,
    };
    const { outcome } = judge(world, flow);
    return outcome === expected
      ? []
      : [`${from} -> ${to} ${protocol} ${port}: ${outcome}, not ${expected}`];
  });
  return { wrong, count: probes.length };
}

describe("the oracle agrees with the recorded truth", () => {
  const counts = new Map<string, { cases: number; verdicts: number }>();
  it.each(caseFile.cases)("$id: $title", (policyCase) => {
    const { wrong, count } = differences(policyCase);
    expect(wrong).toEqual([]);
    expect(count).toBeGreaterThan(0);
    const origin = `${policyCase.origin.project} (${policyCase.origin.truth})`;
    const sum = counts.get(origin) ?? { cases: 0, verdicts: 0 };
    counts.set(origin, { cases: sum.cases + 1, verdicts: sum.verdicts + count });
  });

  it("in every case of every origin", () => {
    const lines = [...counts].map(
      ([origin, { cases, verdicts }]) => `${origin}: ${cases} cases, ${verdicts} verdicts`,
    );
    console.log(`network-policy.json, oracle:\n  ${lines.join("\n  ")}`);
    expect([...counts.values()].reduce((sum, { cases }) => sum + cases, 0)).toBe(475);
    expect([...counts.values()].reduce((sum, { verdicts }) => sum + verdicts, 0)).toBe(127_277);
  });
});
