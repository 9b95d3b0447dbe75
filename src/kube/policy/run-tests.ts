import { UserError } from "../../base/errors.js";
import type { RuleExplanation } from "./explain.js";
import { judge } from "./oracle.js";
import { policyName, reasonText } from "./reason-text.js";
import { resolveDestination, resolveSource, type Target, type Targets } from "./targets.js";
import type { Outcome, ReachTest, TestFile } from "./test-file.js";
import { why, type WhyAnswer } from "./why.js";
import { endpointName } from "./why-text.js";

/** What trying a test gave. */
export interface Observation {
  readonly outcome: Outcome;
  /** `shop/db-0 ingress`: where it ended, unless it was delivered. */
  readonly at: string | undefined;
  /** `denied by shop/db-from-api`: for a test that expected it. */
  readonly by: string | undefined;
  /** The whole reason, for a test that fails. */
  readonly reasons: readonly string[];
}

export interface TestResult {
  readonly test: ReachTest;
  readonly observed: Observation;
  readonly status: "passed" | "failed" | "unknown";
}

export interface TestRun {
  readonly file: string;
  readonly results: readonly TestResult[];
  readonly passed: number;
  readonly failed: number;
  /** Of the failed, or allowed by `allowUnknown`: those without a certain answer. */
  readonly unknown: number;
}

/** Tries the tests of a file, each with `probe`: what policies say (`policyProbe`), or packets. */
export function runTests(
  { file, tests }: TestFile,
  probe: (test: ReachTest) => Observation,
): TestRun {
  const results = tests.map((test): TestResult => {
    const observed = probe(test);
    const status =
      observed.outcome === test.expect
        ? "passed"
        : observed.outcome === "UNKNOWN"
          ? "unknown"
          : "failed";
    return { test, observed, status };
  });
  const count = (status: TestResult["status"]): number =>
    results.filter((result) => result.status === status).length;
  return {
    file,
    results,
    passed: count("passed"),
    failed: count("failed"),
    unknown: count("unknown"),
  };
}

/**
 * Answers tests by what the policies say about every backend of the destination. `podName` turns the names of workloads
 * into those of their pods.
 */
export function policyProbe(
  targets: Targets,
  podName: (text: string) => string = (text) => text,
): (test: ReachTest) => Observation {
  return (test) => {
    const source = placed(test.placeOf.from, () => resolveSource(targets, podName(test.from)));
    const destination = placed(test.placeOf.to, () =>
      resolveDestination(targets, podName(test.to), test.protocol, source),
    );
    if (destination.targets.length === 0)
      return {
        outcome: "NO-ENDPOINT",
        at: destination.name,
        by: undefined,
        reasons: [`${destination.name} has no ready endpoint`],
      };
    const flowTo = ({ endpoint, protocol, port }: Target) => ({
      source,
      destination: endpoint,
      protocol,
      port,
      hairpin: destination.service !== undefined && endpoint === source,
      service: destination.service,
    });
    const verdicts = destination.targets.map((target) => ({
      target,
      verdict: judge(targets.world, flowTo(target)),
    }));
    const bad = verdicts.find(({ verdict }) => verdict.outcome !== "allow");
    if (bad === undefined)
      return {
        outcome: "DELIVERED",
        at: undefined,
        by: undefined,
        reasons: allowedBecause(verdicts[0]?.verdict),
      };
    const mixed = verdicts.some(({ verdict }) => verdict.outcome !== bad.verdict.outcome);
    const answer = why(targets.world, flowTo(bad.target), {
      service: destination.service,
      fixes: false,
    });
    const outcome = mixed ? "PARTLY" : bad.verdict.outcome === "deny" ? "DENIED" : "UNKNOWN";
    return { outcome, ...describeRefusal(answer), reasons: refusalReasons(answer, test) };
  };
}

function allowedBecause(verdict: ReturnType<typeof judge> | undefined): readonly string[] {
  return verdict === undefined
    ? []
    : [
        `egress ${reasonText(verdict.egress.reason)}`,
        `ingress ${reasonText(verdict.ingress.reason)}`,
      ];
}

/** Puts the place in the test file on an error about one of its words. */
function placed<T>(place: ReachTest["place"], resolve: () => T): T {
  try {
    return resolve();
  } catch (error) {
    if (!(error instanceof UserError) || error.details.place !== undefined) throw error;
    throw new UserError(error.code, error.message, { ...error.details, place });
  }
}

function describeRefusal({ sides, verdict }: WhyAnswer): Pick<Observation, "at" | "by"> {
  const side = sides.find((each) => each.verdict.outcome === verdict.outcome);
  if (side === undefined) return { at: undefined, by: undefined };
  return {
    at: `${endpointName(side.subject)} ${side.direction}`,
    by: reasonText(side.verdict.reason),
  };
}

/** The nearest rule of each refusing side, and the command that says more. */
function refusalReasons({ sides, traps }: WhyAnswer, test: ReachTest): readonly string[] {
  const reasons = sides
    .filter(({ verdict }) => verdict.outcome !== "allow")
    .map(({ policies, verdict, cluster, direction }) => {
      const nearest = policies.flatMap(({ rules }) => rules)[0];
      if (verdict.reason.kind === "denied-no-rule" && nearest !== undefined)
        return ruleReason(nearest);
      const place =
        verdict.reason.kind === "cluster-rule" ? cluster.at(-1)?.place : policies[0]?.place;
      const what =
        verdict.reason.kind === "denied-no-rule"
          ? `${verdict.reason.policies.map(policyName).join(", ")} has no ${direction} rules`
          : reasonText(verdict.reason);
      return place === undefined ? what : `${place.file}:${place.line}:${place.column} ${what}`;
    });
  const command = `hopwise why ${test.from} ${test.to}${test.protocol === "TCP" ? "" : ` --proto ${test.protocol.toLowerCase()}`}`;
  return [`${reasons.join("; ")}; run: ${command}`, ...traps];
}

/** `policies/db.yaml:12:9 allows only app=api`. */
function ruleReason({ place, peers, ports, peerMatches, portMatches }: RuleExplanation): string {
  const failing = [...(peerMatches ? [] : peers), ...(portMatches ? [] : ports)].map(({ text }) =>
    text.replace(/^podSelector /, ""),
  );
  return `${place.file}:${place.line}:${place.column} allows only ${failing.join(" or ")}`;
}
