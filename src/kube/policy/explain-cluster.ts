import type { Place } from "../../base/errors.js";
import type { ClusterPeer, ClusterRule } from "./api.js";
import { clusterPeerText, portRangeText } from "./clause-text.js";
import { type ClusterPolicy, clusterTier, portsOf, type PortRange } from "./cluster-policy.js";
import { type Failure, labelFailures, namedPortFailure, networkFailure } from "./explain-clause.js";
import { probeName } from "./matrix.js";
import {
  clusterPeerMatches,
  clusterPortMatches,
  isKnownPeer,
  isolatingPolicies,
  isOnNode,
  podPeerMatches,
  ruleEffect,
} from "./oracle.js";
import type { Direction, RuleRef, Tier } from "./verdict.js";
import type { Endpoint, Flow, PodEndpoint, PolicyWorld } from "./world.js";

/** A rule of a cluster-wide policy that was asked before the decision. */
export interface ClusterStep {
  readonly ref: RuleRef;
  readonly tier: Tier;
  /** Lower is asked earlier. */
  readonly priority: number;
  readonly place: Place;
  /** What the rule calls itself. */
  readonly name: string | undefined;
  readonly action: "Accept" | "Deny" | "Pass";
  /** `Deny from namespaces team=batch, tcp/80`. */
  readonly text: string;
  /** What it does to the flow; undefined when it does not match. */
  readonly effect: "Accept" | "Deny" | "Pass" | "unknown" | undefined;
  readonly peerMatches: boolean;
  readonly portMatches: boolean;
  /** The nearest failing clause of peers and of ports; empty when the rule matches. */
  readonly failures: readonly string[];
  readonly cost: number;
}

/** The rules of both tiers up to the decision, in the order they are asked. */
export function clusterSteps(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  subject: PodEndpoint,
): readonly ClusterStep[] {
  const steps: ClusterStep[] = [];
  for (const tier of ["Admin", "Baseline"] as const) {
    const isolated = isolatingPolicies(world, subject, direction).length > 0;
    if (tier === "Baseline" && isolated) break;
    const policies = clusterTier(world.objects, tier).filter(({ spec }) =>
      podPeerMatches(world, spec.subject ?? {}, subject),
    );
    const end = walkSteps(world, flow, direction, policies, steps);
    if (end === "Accept" || end === "Deny" || end === "unknown") break;
  }
  return steps;
}

function walkSteps(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  policies: readonly ClusterPolicy[],
  steps: ClusterStep[],
): ClusterStep["effect"] {
  for (const policy of policies) {
    for (const [index, rule] of (policy.spec[direction] ?? []).entries()) {
      const step = explainRule(world, flow, direction, policy, rule, index);
      steps.push(step);
      if (step.effect !== undefined) return step.effect;
    }
  }
  return undefined;
}

function explainRule(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  { ref, tier, priority }: ClusterPolicy,
  rule: ClusterRule,
  index: number,
): ClusterStep {
  const effect = ruleEffect(world, flow, direction, rule);
  const peers = (direction === "ingress" ? rule.from : rule.to) ?? [];
  const ports = portsOf(rule);
  const peerFits = peers.some((peer) => clusterPeerMatches(world, flow, direction, peer));
  const portFits =
    ports === undefined || ports.some((port) => clusterPortMatches(world, flow, port));
  const failing =
    effect !== undefined
      ? []
      : [
          ...(peerFits
            ? []
            : nearest(peers.map((peer) => peerFailure(world, flow, direction, peer)))),
          ...(portFits ? [] : nearest((ports ?? []).map((port) => portFailure(flow, port)))),
        ];
  const action = rule.action === "Allow" ? "Accept" : (rule.action ?? "Deny");
  const word = direction === "ingress" ? "from" : "to";
  const where = `${word} ${peers.map(clusterPeerText).join(" or ")}`;
  const which = ports === undefined ? "" : `, ${ports.map(portRangeText).join(" or ")}`;
  return {
    ref: { policy: ref, direction, index },
    tier,
    priority,
    place: ref.loaded.origin.placeOf(["spec", direction, index]),
    name: rule.name,
    action,
    text: `${rule.action ?? "Deny"} ${where}${which}`,
    effect,
    peerMatches: peerFits,
    portMatches: portFits,
    failures: failing.map(({ failure }) => failure),
    cost: failing.reduce((sum, { cost }) => sum + cost, 0),
  };
}

function nearest(failures: readonly Failure[]): readonly Failure[] {
  return failures.toSorted((a, b) => a.cost - b.cost).slice(0, 1);
}

function peerFailure(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  peer: ClusterPeer,
): Failure {
  const other = direction === "egress" ? flow.destination : flow.source;
  if (!isKnownPeer(peer))
    return {
      failure: "the peer has no field that hopwise knows, so the rule accepts nothing",
      cost: 3,
    };
  if (peer.networks !== undefined)
    return { failure: networkFailure(flow, other, peer.networks), cost: 3 };
  if (peer.nodes !== undefined)
    return { failure: `${nameOf(other)} is no node that matches`, cost: 3 };
  if (peer.domainNames !== undefined)
    return { failure: `${nameOf(other)} is a pod, which domain names do not match`, cost: 3 };
  if (other.kind !== "pod")
    return { failure: `${nameOf(other)} is no pod; selectors match only pods`, cost: 3 };
  if (isOnNode(world, other))
    return { failure: `${other.name} uses the host network; selectors do not match it`, cost: 3 };
  const labels = world.namespaces.get(other.namespace) ?? {};
  const failures = [
    ...labelFailures(other.name, other.labels, peer.pods?.podSelector ?? {}),
    ...labelFailures(
      `namespace ${other.namespace}`,
      labels,
      peer.namespaces ?? peer.pods?.namespaceSelector ?? {},
    ),
  ];
  return {
    failure: failures.map(({ failure }) => failure).join(" and "),
    cost: Math.min(
      3,
      failures.reduce((sum, { cost }) => sum + cost, 0),
    ),
  };
}

function nameOf(endpoint: Endpoint): string {
  return endpoint.kind === "pod" ? endpoint.name : "it";
}

function portFailure(flow: Flow, port: PortRange): Failure {
  if (port.kind === "named")
    return { failure: namedPortFailure(flow, port.name, port.protocol), cost: 1 };
  const wrong =
    port.protocol === flow.protocol
      ? `asked for ${probeName(flow)}`
      : `the rule says ${port.protocol}, the packet is ${probeName(flow)}`;
  return { failure: wrong, cost: 1 };
}
