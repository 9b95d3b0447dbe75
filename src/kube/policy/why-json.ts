import type { Place } from "../../base/errors.js";
import type { Dialect } from "./dialect.js";
import type { PolicyExplanation, SideExplanation } from "./explain.js";
import type { ClusterStep } from "./explain-cluster.js";
import type { Fix } from "./fixes.js";
import { policyName, reasonText, ruleName } from "./reason-text.js";
import { endpointName } from "./why-text.js";
import type { WhyAnswer } from "./why.js";

/** An answer as plain data, with everything that the text says. */
export interface WhyJson {
  readonly verdict: "ALLOWED" | "DENIED" | "UNKNOWN";
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly port: number | null;
  readonly dialect: string;
  /** Every switch of the dialect, and those without which the verdict would be another. */
  readonly switches: Omit<Dialect, "name">;
  readonly hangsOn: readonly string[];
  readonly sides: readonly SideJson[];
  readonly traps: readonly string[];
  readonly fixes: readonly (Pick<Fix, "title" | "opens" | "closes" | "pairs" | "steps"> & {
    readonly ports: readonly string[] | "all";
  })[];
}

interface SideJson {
  readonly direction: "ingress" | "egress";
  readonly subject: string;
  readonly outcome: "allow" | "deny" | "unknown";
  readonly reason: string;
  /** What decided: `no-policy`, `allowed-by`, `denied-no-rule`, `cluster-rule`, … */
  readonly code: string;
  readonly policies: readonly PolicyJson[];
  readonly cluster: readonly ClusterStepJson[];
  /** Policies with rules for this direction that their types leave out. */
  readonly dormant: readonly string[];
  /** Rules of one priority that disagree. */
  readonly ambiguous: readonly string[];
}

interface PolicyJson {
  readonly policy: string;
  readonly place: Place;
  readonly rules: readonly {
    readonly rule: number;
    readonly place: Place;
    readonly text: string;
    readonly matches: boolean;
    readonly peers: readonly ClauseJson[];
    readonly ports: readonly ClauseJson[];
  }[];
}

interface ClauseJson {
  readonly text: string;
  readonly matches: boolean;
  readonly failure: string | null;
}

interface ClusterStepJson {
  readonly policy: string;
  readonly rule: number;
  readonly name: string | null;
  readonly tier: "Admin" | "Baseline";
  readonly priority: number;
  readonly place: Place;
  readonly text: string;
  readonly effect: string | null;
  readonly failures: readonly string[];
}

export function whyJson(answer: WhyAnswer): WhyJson {
  const { flow, verdict, sides, traps, fixes, dialect, hangsOn } = answer;
  const { name, ...switches } = dialect;
  return {
    verdict: ({ allow: "ALLOWED", deny: "DENIED", unknown: "UNKNOWN" } as const)[verdict.outcome],
    source: endpointName(flow.source),
    destination: endpointName(flow.destination),
    protocol: flow.protocol,
    port: flow.port ?? null,
    dialect: name,
    switches,
    hangsOn,
    sides: sides.map(sideJson),
    traps,
    fixes: fixes.map(({ title, opens, closes, pairs, steps, ports, allPorts }) => ({
      title,
      opens,
      closes,
      pairs,
      ports: allPorts ? "all" : ports,
      steps,
    })),
  };
}

function sideJson({
  direction,
  subject,
  verdict,
  policies,
  cluster,
  dormant,
}: SideExplanation): SideJson {
  return {
    direction,
    subject: endpointName(subject),
    outcome: verdict.outcome,
    reason: reasonText(verdict.reason),
    code: verdict.reason.kind,
    policies: policies.map(policyJson),
    cluster: cluster.map(stepJson),
    dormant: dormant.map(({ policy }) => policyName(policy)),
    ambiguous: (verdict.ambiguous ?? []).map(ruleName),
  };
}

function policyJson({ policy, place, rules }: PolicyExplanation): PolicyJson {
  const clause = ({
    text,
    matches,
    failure,
  }: PolicyExplanation["rules"][number]["peers"][number]): ClauseJson => ({
    text,
    matches,
    failure: failure ?? null,
  });
  return {
    policy: policyName(policy),
    place,
    rules: rules.map(({ ref, place: own, text, matches, peers, ports }) => ({
      rule: ref.index + 1,
      place: own,
      text,
      matches,
      peers: peers.map(clause),
      ports: ports.map(clause),
    })),
  };
}

function stepJson({
  ref,
  name,
  tier,
  priority,
  place,
  text,
  effect,
  failures,
}: ClusterStep): ClusterStepJson {
  return {
    policy: policyName(ref.policy),
    rule: ref.index + 1,
    name: name ?? null,
    tier,
    priority,
    place,
    text,
    effect: effect ?? null,
    failures,
  };
}
