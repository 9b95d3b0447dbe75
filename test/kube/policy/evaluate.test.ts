import fc from "fast-check";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.js";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../../src/kube/policy/cidr.js";
import {
  type CompiledWorld,
  compileWorld,
  reach,
  verdictBetween,
} from "../../../src/kube/policy/evaluate.js";
import { judge } from "../../../src/kube/policy/oracle.js";
import { type PolicyObjects, policyWorld } from "../../../src/kube/policy/world.js";
import { caseFile, loaded, objectsOf, type PolicyCase, probesOf } from "./cases.js";
import { randomDialect, randomNetworkPolicy, randomObjects } from "./random-world.js";

const probes = [
  { protocol: "TCP", port: 80 },
  { protocol: "TCP", port: 81 },
  { protocol: "UDP", port: 53 },
  { protocol: "SCTP", port: 443 },
  { protocol: "ICMP", port: undefined },
];

const outside = ["203.0.113.9", "192.168.0.1", "192.168.0.2", "fd00::5", "2001:db8::1"].flatMap(
  (text) => parseAddress(text) ?? [],
);

/** Every pair of endpoints on every probe, as text. */
function differences(compiled: CompiledWorld): readonly string[] {
  const { endpoints } = compiled.members;
  const names = endpoints.map((endpoint) =>
    endpoint.kind === "pod" ? endpoint.key : String(endpoint.address),
  );
  return probes.flatMap((probe) => {
    const result = reach(compiled, probe);
    return endpoints.flatMap((source, i) =>
      endpoints.flatMap((destination, j) => {
        if (source.kind === "address" && i === j) return [];
        const slow = judge(compiled.world, { source, destination, ...probe }).outcome;
        const fast = verdictBetween(result, i, j);
        return slow === fast
          ? []
          : [`${names[i]} -> ${names[j]} ${probe.protocol} ${probe.port}: ${fast}, oracle ${slow}`];
      }),
    );
  });
}

function caseDifferences(policyCase: PolicyCase): readonly string[] {
  const world = policyWorld(objectsOf(policyCase));
  const expected = probesOf(policyCase);
  const names = new Set(expected.flatMap(({ from, to }) => [from, to]));
  const addresses = [...names]
    .filter((name) => !world.podByKey.has(name))
    .flatMap((name) => parseAddress(name) ?? []);
  const compiled = compileWorld(world, { addresses });
  const numberOf = (name: string): number =>
    compiled.numbers.get(name) ?? compiled.numbers.get(String(parseAddress(name))) ?? -1;
  const results = new Map<string, ReturnType<typeof reach>>();
  return expected.flatMap(({ from, to, port, protocol, expected: wanted }) => {
    const key = `${protocol} ${port}`;
    const result = results.get(key) ?? reach(compiled, { protocol, port });
    results.set(key, result);
    const found = verdictBetween(result, numberOf(from), numberOf(to));
    return found === wanted ? [] : [`${from} -> ${to} ${key}: ${found}, not ${wanted}`];
  });
}

describe("the fast evaluator", () => {
  it("agrees with the recorded truth in every case", () => {
    const counts = new Map<string, { cases: number; verdicts: number }>();
    for (const policyCase of caseFile.cases) {
      expect({ id: policyCase.id, wrong: caseDifferences(policyCase) }).toEqual({
        id: policyCase.id,
        wrong: [],
      });
      const origin = `${policyCase.origin.project} (${policyCase.origin.truth})`;
      const sum = counts.get(origin) ?? { cases: 0, verdicts: 0 };
      counts.set(origin, {
        cases: sum.cases + 1,
        verdicts: sum.verdicts + probesOf(policyCase).length,
      });
    }
    const lines = [...counts].map(
      ([origin, { cases, verdicts }]) => `${origin}: ${cases} cases, ${verdicts} verdicts`,
    );
    console.log(`network-policy.json, fast evaluator:\n  ${lines.join("\n  ")}`);
    expect([...counts.values()].reduce((sum, { cases }) => sum + cases, 0)).toBe(475);
    expect([...counts.values()].reduce((sum, { verdicts }) => sum + verdicts, 0)).toBe(127_277);
  });

  it("agrees with the oracle in random worlds under random dialects", () => {
    fc.assert(
      fc.property(randomObjects, randomDialect, (objects, dialect) => {
        const compiled = compileWorld(policyWorld(objects, dialect), { addresses: outside });
        expect(differences(compiled)).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  it("agrees with the oracle after an edit, when it takes over what it knew before", () => {
    fc.assert(
      fc.property(randomObjects, randomNetworkPolicy, fc.nat(5), (objects, policy, at) => {
        const before = compileWorld(policyWorld(objects), { addresses: outside });
        const earlier = probes.map((probe) => reach(before, probe));
        const edited = withPolicy(objects, policy, at);
        const after = compileWorld(policyWorld(edited), { addresses: outside, previous: before });
        const fresh = compileWorld(policyWorld(edited), { addresses: outside });
        for (const [index, probe] of probes.entries()) {
          const quick = reach(after, probe, earlier[index]);
          const slow = reach(fresh, probe);
          for (let i = 0; i < fresh.members.endpoints.length; i++)
            for (let j = 0; j < fresh.members.endpoints.length; j++)
              expect(verdictBetween(quick, i, j)).toBe(verdictBetween(slow, i, j));
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** The world with one policy replaced, or one more. */
function withPolicy(objects: PolicyObjects, policy: NetworkPolicy, at: number): PolicyObjects {
  const networkPolicies = [...objects.networkPolicies];
  networkPolicies[Math.min(at, networkPolicies.length)] = loaded({
    ...policy,
    metadata: { name: `p${at}`, namespace: "a" },
  });
  return { ...objects, networkPolicies };
}
