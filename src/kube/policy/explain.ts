import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type {
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "kubernetes-types/networking/v1.js";
import type { Place } from "../../base/errors.js";
import { editDistance } from "../../base/nearest.js";
import { type Loaded, namespaceOf } from "../objects.js";
import { labelOf, type Labels, matchesSelector } from "../selectors.js";
import { cidrContains, formatAddress, parseCidr } from "./cidr.js";
import {
  clusterPeerText,
  peerText,
  portRangeText,
  portText,
  ruleText,
  selectorText,
} from "./clause-text.js";
import { type ClusterPolicy, clusterTier, portsOf } from "./cluster-policy.js";
import { probeName } from "./matrix.js";
import {
  effectiveTypes,
  isolatingPolicies,
  isOnNode,
  judgeSide,
  networkPolicyRef,
  peerMatches,
  podPeerMatches,
  policySelects,
  portMatches,
  ruleEffect,
  rulesOf,
} from "./oracle.js";
import type { Direction, PolicyRef, RuleRef, SideVerdict } from "./verdict.js";
import {
  addressOf,
  type Endpoint,
  type Flow,
  flowFamily,
  type PodEndpoint,
  type PolicyWorld,
} from "./world.js";

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

/** A rule of a cluster-wide policy that was asked before the decision. */
export interface ClusterStep {
  readonly ref: RuleRef;
  readonly tier: "Admin" | "Baseline";
  readonly place: Place;
  readonly text: string;
  /** What it does to the flow; undefined when it does not match. */
  readonly effect: "Accept" | "Deny" | "Pass" | "unknown" | undefined;
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

export function explainSide(world: PolicyWorld, flow: Flow, direction: Direction): SideExplanation {
  const subject = direction === "egress" ? flow.source : flow.destination;
  const verdict = judgeSide(world, flow, direction);
  const asked =
    verdict.reason.kind !== "not-a-pod" &&
    verdict.reason.kind !== "self" &&
    verdict.reason.kind !== "own-node";
  if (subject.kind !== "pod" || !asked)
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

interface Failure {
  readonly failure: string;
  readonly cost: number;
}

function peerFailure(
  world: PolicyWorld,
  flow: Flow,
  other: Endpoint,
  own: string,
  { podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer,
): Failure {
  if (ipBlock !== undefined) return { failure: blockFailure(flow, other, ipBlock), cost: 3 };
  if (podSelector === undefined && namespaceSelector === undefined)
    return { failure: "the peer has no selector and no ipBlock, so it matches nobody", cost: 3 };
  if (other.kind !== "pod")
    return {
      failure: `${formatAddress(other.address)} is no pod; selectors match only pods`,
      cost: 3,
    };
  if (isOnNode(world, other))
    return { failure: `${other.name} uses the host network; selectors do not match it`, cost: 3 };
  const parts: Failure[] = [];
  if (podSelector !== undefined)
    parts.push(...labelFailures(other.name, other.labels, podSelector));
  const namespace = namespaceFailure(world, other, own, namespaceSelector);
  if (namespace !== undefined) parts.push(namespace);
  return {
    failure: joinFailures(other.name, parts),
    cost: Math.min(
      3,
      parts.reduce((sum, { cost }) => sum + cost, 0),
    ),
  };
}

/** `job-0 has app=job and is in namespace batch; this rule covers only shop`. */
function joinFailures(name: string, parts: readonly Failure[]): string {
  const text = parts.map(({ failure }) => failure).join(" and ");
  return text.startsWith("is in namespace") ? `${name} ${text}` : text;
}

function namespaceFailure(
  world: PolicyWorld,
  other: PodEndpoint,
  own: string,
  selector: LabelSelector | undefined,
): Failure | undefined {
  if (selector === undefined) {
    if (other.namespace === own) return undefined;
    return { failure: `is in namespace ${other.namespace}; this rule covers only ${own}`, cost: 2 };
  }
  const labels = world.namespaces.get(other.namespace) ?? {};
  if (matchesSelector(selector, labels)) return undefined;
  const anywhere = [...world.namespaces.values()].some((each) => matchesSelector(selector, each));
  const first = labelFailures(`namespace ${other.namespace}`, labels, selector)[0];
  const nobody = anywhere ? "" : "; no namespace matches";
  return {
    failure: `${first?.failure ?? `namespace ${other.namespace} does not match ${selectorText(selector)}`}${nobody}`,
    cost: first?.cost ?? 2,
  };
}

/** Every requirement that an object's labels fail: the value found, and the value wanted where the rule's text does not show it at once. */
function labelFailures(
  name: string,
  labels: Labels,
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
): readonly Failure[] {
  const failures: Failure[] = [];
  for (const [key, wanted] of Object.entries(matchLabels)) {
    const found = labelOf(labels, key);
    if (found === wanted) continue;
    failures.push(
      found === undefined
        ? { failure: `${name} has no label ${key}${likely(labels, key, wanted)}`, cost: 2 }
        : { failure: `${name} has ${key}=${found}`, cost: isNear(found, wanted) ? 1 : 3 },
    );
  }
  for (const { key, operator, values = [] } of matchExpressions) {
    const found = labelOf(labels, key);
    if (matchesSelector({ matchExpressions: [{ key, operator, values }] }, labels)) continue;
    if (found === undefined) failures.push({ failure: `${name} has no label ${key}`, cost: 2 });
    else
      failures.push({
        failure: `${name} has ${key}=${found}`,
        cost: operator === "In" && values.some((value) => isNear(found, value)) ? 1 : 3,
      });
  }
  return failures;
}

/** The same value under another key is likely what was meant. */
function likely(labels: Labels, key: string, wanted: string): string {
  const other = Object.entries(labels).find(([own, value]) => own !== key && value === wanted);
  return other === undefined ? "" : ` (it has ${other[0]}=${other[1]})`;
}

/** A slip of the fingers: case, or at most two edits of a word that is longer than that. */
export function isNear(a: string, b: string): boolean {
  return (
    a.toLowerCase() === b.toLowerCase() ||
    (Math.min(a.length, b.length) > 3 && editDistance(a, b) <= 2)
  );
}

function blockFailure(
  flow: Flow,
  other: Endpoint,
  { cidr, except = [] }: { readonly cidr: string; readonly except?: readonly string[] },
): string {
  const family = flowFamily(flow);
  const address = family === undefined ? undefined : addressOf(other, family);
  if (address === undefined) return "the two have no address of one family";
  const parsed = parseCidr(cidr);
  const shown = formatAddress(address);
  if (parsed === undefined) return `${cidr} is no CIDR`;
  if (!cidrContains(parsed, address)) return `${shown} is outside ${cidr}`;
  const hit = except.find((text) => {
    const block = parseCidr(text);
    return block !== undefined && cidrContains(block, address);
  });
  if (hit !== undefined) return `${shown} is in except ${hit}`;
  return `${shown} is a pod's address, which ipBlock does not match in this dialect`;
}

function explainPort(world: PolicyWorld, flow: Flow, port: NetworkPolicyPort): ClauseResult {
  const text = portText(port);
  if (portMatches(world, flow, port)) return { text, matches: true, failure: undefined, cost: 0 };
  return { text, matches: false, failure: portFailure(flow, port), cost: 1 };
}

function portFailure(flow: Flow, { protocol, port }: NetworkPolicyPort): string {
  const asked = probeName(flow);
  const wanted = protocol ?? "TCP";
  if (typeof port === "string") return namedPortFailure(flow, port, wanted);
  if (wanted !== flow.protocol)
    return `the rule says ${wanted}${protocol === undefined ? " (the default)" : ""}, the packet is ${asked}`;
  return `asked for ${asked}`;
}

function namedPortFailure({ destination, ...flow }: Flow, name: string, protocol: string): string {
  if (destination.kind !== "pod") return `port name ${name} means nothing outside pods`;
  const named = destination.ports.filter((port) => port.name === name);
  if (named.length === 0) {
    const others = destination.ports.flatMap((port) => port.name ?? []);
    return `${destination.name} declares no port named ${name}${others.length === 0 ? "" : ` (it declares ${others.join(", ")})`}`;
  }
  const numbers = named.map((port) => probeName({ protocol: port.protocol, port: port.number }));
  return `${name} is ${numbers.join(", ")} on ${destination.name} (the rule says ${protocol}), asked for ${probeName(flow)}`;
}

/** The rules of both tiers up to the decision, in the order they are asked. */
function clusterSteps(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  subject: PodEndpoint,
): readonly ClusterStep[] {
  const steps: ClusterStep[] = [];
  for (const tier of ["Admin", "Baseline"] as const) {
    const isolated = isolatingPolicies(world, subject, direction).length > 0;
    if (tier === "Baseline" && isolated) break;
    const end = walkSteps(
      world,
      flow,
      direction,
      clusterTier(world.objects, tier).filter(({ spec }) =>
        podPeerMatches(world, spec.subject ?? {}, subject),
      ),
      steps,
    );
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
  for (const { ref, tier, spec } of policies) {
    for (const [index, rule] of (spec[direction] ?? []).entries()) {
      const effect = ruleEffect(world, flow, direction, rule);
      const peers = (direction === "ingress" ? rule.from : rule.to) ?? [];
      const ports = portsOf(rule);
      const where = `${direction === "ingress" ? "from" : "to"} ${peers.map(clusterPeerText).join(" or ")}`;
      const text = `${rule.action ?? "Deny"} ${where}${ports === undefined ? "" : `, ${ports.map(portRangeText).join(" or ")}`}`;
      steps.push({
        ref: { policy: ref, direction, index },
        tier,
        place: ref.loaded.origin.placeOf(["spec", direction, index]),
        text,
        effect,
      });
      if (effect !== undefined) return effect;
    }
  }
  return undefined;
}
