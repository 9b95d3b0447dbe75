import { describe, expect, it } from "vitest";
import { dialectNamed } from "../../../src/kube/policy/dialect.js";
import { addressOf, policyWorld, type PolicyWorld } from "../../../src/kube/policy/world.js";
import { deviations } from "../../kernel/policy-deviations.js";
import {
  caseFile,
  endpointNamed,
  objectsOf,
  type PolicyCase,
  type Probe,
  probesOf,
} from "./cases.js";
import { onOneNode, PacketJudge } from "./packets.js";

/** Verdicts that are tried of each case, spread over all of it. `HOPWISE_POLICY_CASES=all` tries every one. */
const most = process.env["HOPWISE_POLICY_CASES"] === "all" ? Number.POSITIVE_INFINITY : 24;

/** Why a case or verdict says nothing about rendered rules. */
type Inapplicable =
  | "kube-router knows NetworkPolicy alone"
  | "a pod to itself never leaves its namespace"
  | "an end without an IPv4 address";

interface Sum {
  cases: number;
  verdicts: number;
  deviating: number;
}

const sums = new Map<string, Sum>();
const inapplicable = new Map<string, number>();
const deviating = new Map<string, number>();

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function isEnforced({ policies }: PolicyCase): boolean {
  return policies.every(({ kind }) => kind === "NetworkPolicy");
}

function whyInapplicable(world: PolicyWorld, { from, to }: Probe): Inapplicable | undefined {
  if (from === to) return "a pod to itself never leaves its namespace";
  const ends = [from, to].map((name) => endpointNamed(world, name));
  return ends.every((end) => addressOf(end, 4) !== undefined)
    ? undefined
    : "an end without an IPv4 address";
}

/** The verdicts of a case that packets through the rules do not give, where kube-router is not known to differ from the API. */
function differences(policyCase: PolicyCase, sum: Sum): readonly string[] {
  const world = policyWorld(onOneNode(objectsOf(policyCase)), dialectNamed("kube-router"));
  const judge = new PacketJudge(world);
  const probes = probesOf(policyCase).filter((probe) => {
    const why = whyInapplicable(world, probe);
    if (why !== undefined) count(inapplicable, why);
    return why === undefined;
  });
  const step = Math.max(1, probes.length / most);
  const tried = Array.from(
    { length: Math.ceil(probes.length / step) },
    (_, at) => probes[Math.floor(at * step)],
  );
  return tried.flatMap((probe) => {
    if (probe === undefined) return [];
    const { from, to, port, protocol, expected } = probe;
    const flow = {
      source: endpointNamed(world, from),
      destination: endpointNamed(world, to),
      port,
      protocol,
    };
    const outcome = judge.judge(flow);
    sum.verdicts++;
    if (outcome === expected) return [];
    const known = deviations.find(({ covers }) => covers(world, flow));
    if (known === undefined)
      return [`${from} -> ${to} ${protocol} ${port}: ${outcome}, not ${expected}`];
    count(deviating, known.name);
    sum.deviating++;
    return [];
  });
}

describe("packets through the rendered rules", () => {
  it(
    "agree with the recorded truth in every case that kube-router can enforce",
    { timeout: 300_000 },
    () => {
      for (const policyCase of caseFile.cases) {
        if (!isEnforced(policyCase)) {
          count(inapplicable, "kube-router knows NetworkPolicy alone");
          continue;
        }
        const origin = `${policyCase.origin.project} (${policyCase.origin.truth})`;
        const sum = sums.get(origin) ?? { cases: 0, verdicts: 0, deviating: 0 };
        sums.set(origin, sum);
        sum.cases++;
        const wrong = differences(policyCase, sum);
        expect({ id: policyCase.id, wrong }).toEqual({ id: policyCase.id, wrong: [] });
      }
    },
  );

  it("were tried for every origin, and what does not apply is listed by reason", () => {
    const lines = [...sums].map(
      ([origin, { cases, verdicts, deviating: known }]) =>
        `${origin}: ${cases} cases, ${verdicts} verdicts${known === 0 ? "" : `, ${known} as kube-router is known to differ`}`,
    );
    const told = (counts: Map<string, number>): string =>
      [...counts].map(([reason, number]) => `${reason} (${number})`).join("; ");
    console.log(
      `network-policy.json, packets through rules:\n  ${lines.join("\n  ")}\n  left out: ${told(inapplicable)}\n  kube-router differs from the API: ${told(deviating)}`,
    );
    const cases = [...sums.values()].reduce((sum, { cases: own }) => sum + own, 0);
    expect(cases).toBe(292);
    expect(inapplicable.get("kube-router knows NetworkPolicy alone")).toBe(183);
    expect(cases + 183).toBe(caseFile.cases.length);
  });
});
