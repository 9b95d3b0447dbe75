import type {
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "kubernetes-types/networking/v1.js";
import type { Place } from "../../base/errors.js";
import { type Loaded, namespaceOf } from "../objects.js";
import { peerText, portText, ruleText } from "./clause-text.js";
import { peerFailure, portFailure } from "./explain-clause.js";
import { clusterSteps, type ClusterStep } from "./explain-cluster.js";
import {
  effectiveTypes,
  isolatingPolicies,
  judgeSide,
  networkPolicyRef,
  peerMatches,
  policySelects,
  portMatches,
  rulesOf,
} from "./oracle.js";
import type { Direction, PolicyRef, RuleRef, SideVerdict } from "./verdict.js";
import { asSeen, type Endpoint, type Flow, type PolicyWorld } from "./world.js";

export type { ClusterStep } from "./explain-cluster.js";

/** One peer or port of a rule, against one flow. */
export interface ClauseResult {
  /** The clause: `podSelector app=api`. */
  readonly text: string;
  readonly matches: boolean;
  /** Value found and value wanted, in words; undefined when it matches. */
  readonly failure: string | undefined;
  /** How many edits away it is: 0 matches, 1 a typo or a port, 2 a missing label, 3 another peer. */
  readonly cost: number;
}

export interface RuleExplanation {
  readonly ref: RuleRef;
  readonly place: Place;
  /** `from podSelector app=api, port 5432`. */
  readonly text: string;
  readonly matches: boolean;
  readonly peerMatches: boolean;
  readonly portMatches: boolean;
  readonly peers: readonly ClauseResult[];
  readonly ports: readonly ClauseResult[];
  /** The nearest failing clause of peers and of ports; empty when the rule matches. */
  readonly failures: readonly string[];
  readonly cost: number;
}

export interface PolicyExplanation {
  readonly policy: PolicyRef;
  readonly place: Place;
  /** Nearest first. */
  readonly rules: readonly RuleExplanation[];
}

export interface SideExplanation {
  readonly direction: Direction;
  readonly subject: Endpoint;
  readonly verdict: SideVerdict;
  /** The policies that isolate the subject, the nearest to a match first. */
  readonly policies: readonly PolicyExplanation[];
  readonly cluster: readonly ClusterStep[];
  /** Policies that select it and have rules for this direction, which is not among their types. */
  readonly dormant: readonly PolicyExplanation[];
}

export function explainSide(
  world: PolicyWorld,
  asked: Flow,
  direction: Direction,
): SideExplanation {
  const flow = asSeen(world, asked, direction);
  const subject = direction === "egress" ? flow.source : flow.destination;
  const verdict = judgeSide(world, flow, direction);
  const governed =
    verdict.reason.kind !== "not-a-pod" &&
    verdict.reason.kind !== "self" &&
    verdict.reason.kind !== "own-node";
  if (subject.kind !== "pod" || !governed)
    return { direction, subject, verdict, policies: [], cluster: [], dormant: [] };
  const explain = (policy: Loaded<NetworkPolicy>): PolicyExplanation =>
    explainPolicy(world, flow, direction, policy);
  const policies = isolatingPolicies(world, subject, direction).map(explain);
  const dormant = world.objects.networkPolicies.filter(
    (policy) =>
      policySelects(policy, subject) &&
      !effectiveTypes(policy.object).includes(direction) &&
      rulesOf(policy.object, direction).length > 0,
  );
  return {
    direction,
    subject,
    verdict,
    policies: policies.toSorted((a, b) => costOf(a) - costOf(b)),
    cluster: clusterSteps(world, flow, direction, subject),
    dormant: dormant.map(explain),
  };
}

/** Policies without a rule are the farthest away. */
function costOf({ rules }: PolicyExplanation): number {
  return rules[0]?.cost ?? 100;
}

export function explainPolicy(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  policy: Loaded<NetworkPolicy>,
): PolicyExplanation {
  const ref = networkPolicyRef(policy);
  const rules = rulesOf(policy.object, direction).map(
    ({ peers, ports }, index): RuleExplanation => {
      const peerResults = peers.map((peer) => explainPeer(world, flow, direction, policy, peer));
      const portResults = ports.map((port) => explainPort(world, flow, port));
      const peerFits = peers.length === 0 || peerResults.some(({ matches }) => matches);
      const portFits = ports.length === 0 || portResults.some(({ matches }) => matches);
      const nearestPeer = peerFits ? undefined : nearestOf(peerResults);
      const nearestPort = portFits ? undefined : nearestOf(portResults);
      return {
        ref: { policy: ref, direction, index },
        place: policy.origin.placeOf(["spec", direction, index]),
        text: ruleText(direction, peers, ports),
        matches: peerFits && portFits,
        peerMatches: peerFits,
        portMatches: portFits,
        peers: peerResults,
        ports: portResults,
        failures: [nearestPeer?.failure, nearestPort?.failure].filter((text) => text !== undefined),
        cost: (nearestPeer?.cost ?? 0) + (nearestPort?.cost ?? 0),
      };
    },
  );
  return {
    policy: ref,
    place: policy.origin.placeOf(["metadata", "name"]),
    rules: rules.toSorted((a, b) => a.cost - b.cost),
  };
}

function nearestOf(results: readonly ClauseResult[]): ClauseResult | undefined {
  return results.toSorted((a, b) => a.cost - b.cost)[0];
}

function explainPeer(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  policy: Loaded<NetworkPolicy>,
  peer: NetworkPolicyPeer,
): ClauseResult {
  const text = peerText(peer);
  if (peerMatches(world, flow, direction, policy, peer))
    return { text, matches: true, failure: undefined, cost: 0 };
  const other = direction === "egress" ? flow.destination : flow.source;
  return {
    text,
    matches: false,
    ...peerFailure(world, flow, other, namespaceOf(policy.object), peer),
  };
}

function explainPort(world: PolicyWorld, flow: Flow, port: NetworkPolicyPort): ClauseResult {
  const text = portText(port);
  if (portMatches(world, flow, port)) return { text, matches: true, failure: undefined, cost: 0 };
  return { text, matches: false, failure: portFailure(flow, port), cost: 1 };
}
