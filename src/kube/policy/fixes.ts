import type { NetworkPolicyPeer, NetworkPolicyPort } from "kubernetes-types/networking/v1.js";
import { assumedOrigin, type Loaded, namespaceOf } from "../objects.js";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.js";
import { formatAddress } from "./cidr.js";
import {
  asEdits,
  type Edit,
  patchesMake,
  type Size,
  type Step,
  withNewPolicy,
  withPodLabel,
  withPolicySpec,
} from "./edit.js";
import type { PolicyExplanation, RuleExplanation, SideExplanation } from "./explain.js";
import { isNear } from "./explain-clause.js";
import { clusterEdits } from "./fixes-cluster.js";
import { distinguishing } from "./distinguish.js";
import { Comparison, type Consequences } from "./opened-pairs.js";
import { isOnNode, judge, networkPolicyRef, rulesOf } from "./oracle.js";
import { insertEntry, insertItem, replaceScalar } from "./patch.js";
import { policyName } from "./reason-text.js";
import type { Direction, PolicyRef } from "./verdict.js";
import {
  addressOf,
  type Endpoint,
  type Flow,
  flowFamily,
  policyWorld,
  type PolicyObjects,
  type PolicyWorld,
} from "./world.js";
import { yamlLines } from "./yaml-lines.js";

/** A change after which the connection is allowed, as tried out. */
export interface Fix extends Consequences {
  /** `add a peer to rule 1 of shop/db-from-api`. */
  readonly title: string;
  /** How big an edit it is; the list begins with the smallest. */
  readonly cost: number;
  readonly steps: readonly Step[];
  /** The objects after it. */
  readonly objects: PolicyObjects;
}

/** How many fixes are worked out at most. */
export const FIXES = 5;

/**
 * The changes that would allow a denied connection, the smallest first. Each was applied to the objects and judged again,
 * and its text patch was read again by the loader; where both sides deny, each fix has an edit for both.
 */
export function findFixes(
  world: PolicyWorld,
  flow: Flow,
  sides: readonly SideExplanation[],
): readonly Fix[] {
  const denied = sides.filter(({ verdict }) => verdict.outcome === "deny");
  const perSide = denied.map((side) => editsFor(world, flow, side).slice(0, FIXES + 2));
  const combined = perSide.reduce<readonly (readonly Edit[])[]>(
    (all, edits) => all.flatMap((chosen) => edits.map((edit) => [...chosen, edit])),
    [[]],
  );
  const ordered = combined
    .filter((edits) => edits.length > 0)
    .toSorted((a, b) => costOf(a) - costOf(b));
  const comparison = new Comparison(world);
  const fixes: Fix[] = [];
  for (const edits of ordered) {
    if (fixes.length === FIXES) break;
    const fix = tryOut(world, flow, edits, comparison);
    if (fix !== undefined && !fixes.some((other) => other.title === fix.title)) fixes.push(fix);
  }
  return fixes.toSorted(
    (a, b) =>
      Number(a.closes > 0) - Number(b.closes > 0) || sizeOf(a) - sizeOf(b) || a.opens - b.opens,
  );
}

/** A small edit that opens every port is no small change. */
function sizeOf({ cost, allPorts }: Fix): number {
  return cost + (allPorts ? 2 : 0);
}

function costOf(edits: readonly Edit[]): number {
  return edits.reduce((sum, { cost }) => sum + cost, 0);
}

/** Applies edits and judges again; undefined for edits that do not help. */
function tryOut(
  world: PolicyWorld,
  flow: Flow,
  edits: readonly Edit[],
  comparison: Comparison,
): Fix | undefined {
  const objects = edits.reduce((before, edit) => edit.apply(before), world.objects);
  const after = policyWorld(objects, world.dialect);
  if (judge(after, sameFlow(after, flow)).outcome !== "allow") return undefined;
  const steps = edits.flatMap((edit) => edit.steps);
  if (!patchesMake(world.objects, objects, steps)) return undefined;
  const titles = edits.map(({ title }) => title);
  return {
    title: titles.join("; and "),
    cost: costOf(edits),
    steps,
    objects,
    ...comparison.with(after, flow),
  };
}

/** The flow between the endpoints of a changed world. */
export function sameFlow(world: PolicyWorld, flow: Flow): Flow {
  const find = (endpoint: Endpoint): Endpoint =>
    endpoint.kind === "pod" ? (world.podByKey.get(endpoint.key) ?? endpoint) : endpoint;
  return { ...flow, source: find(flow.source), destination: find(flow.destination) };
}

/** Candidates for one side, the smallest first. */
function editsFor(world: PolicyWorld, flow: Flow, side: SideExplanation): readonly Edit[] {
  const edits =
    side.verdict.reason.kind === "cluster-rule"
      ? [...clusterEdits(world, flow, side), ...overBaseline(world, flow, side)]
      : networkEdits(world, flow, side);
  return edits.toSorted((a, b) => a.cost - b.cost);
}

function networkEdits(world: PolicyWorld, flow: Flow, side: SideExplanation): readonly Edit[] {
  const { direction } = side;
  const peer = peerFor(world, flow, direction);
  const port = portFor(flow);
  const edits: Edit[] = [];
  for (const explained of side.policies) {
    const withRules = explained.rules.flatMap((rule) =>
      ruleEdits(world, flow, direction, explained, rule, peer, port),
    );
    edits.push(...withRules);
    if (peer !== undefined && port !== undefined && !withRules.some(({ cost }) => cost <= 3))
      edits.push(...addRule(explained.policy, direction, peer, port));
  }
  for (const { policy, rules } of side.dormant)
    if (rules.some(({ matches }) => matches)) edits.push(...addType(policy, direction));
  if (peer !== undefined && port !== undefined)
    edits.push(...newPolicy(world, side, direction, peer, port));
  return edits;
}

/** A NetworkPolicy speaks before the Baseline tier does; it also isolates its pods. */
function overBaseline(world: PolicyWorld, flow: Flow, side: SideExplanation): readonly Edit[] {
  const { reason } = side.verdict;
  const peer = peerFor(world, flow, side.direction);
  const port = portFor(flow);
  return reason.kind === "cluster-rule" &&
    reason.tier === "Baseline" &&
    peer !== undefined &&
    port !== undefined
    ? newPolicy(world, side, side.direction, peer, port)
    : [];
}

/** The peer that stands for the other end and for as few others as its labels allow. */
function peerFor(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
): NetworkPolicyPeer | undefined {
  const [own, other] =
    direction === "egress" ? [flow.source, flow.destination] : [flow.destination, flow.source];
  if (other.kind === "pod" && !isOnNode(world, other)) {
    const podSelector = { matchLabels: distinguishing(world, other) };
    if (own.kind === "pod" && own.namespace === other.namespace) return { podSelector };
    return {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": other.namespace } },
      podSelector,
    };
  }
  const family = flowFamily(flow);
  const address = family === undefined ? undefined : addressOf(other, family);
  return address === undefined
    ? undefined
    : { ipBlock: { cidr: `${formatAddress(address)}/${family === 4 ? 32 : 128}` } };
}

function portFor({ protocol, port }: Flow): NetworkPolicyPort | undefined {
  return port === undefined ? undefined : { protocol: protocol as "TCP" | "UDP" | "SCTP", port };
}

/** Edits inside a rule that matches in one half. */
function ruleEdits(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  { policy }: PolicyExplanation,
  rule: RuleExplanation,
  peer: NetworkPolicyPeer | undefined,
  port: NetworkPolicyPort | undefined,
): readonly Edit[] {
  const { index } = rule.ref;
  const name = `rule ${index + 1} of ${policyName(policy)}`;
  const list = direction === "ingress" ? "from" : "to";
  const edits: Edit[] = [];
  if (rule.peerMatches && !rule.portMatches && port !== undefined)
    edits.push(
      ...appendTo(policy, direction, index, "ports", port, {
        title: `add the port to ${name}`,
        cost: 1,
      }),
    );
  if (!rule.peerMatches && rule.portMatches) {
    edits.push(...slipEdits(world, flow, direction, policy, index));
    edits.push(...labelEdits(flow, direction, policy, index));
    if (peer !== undefined)
      edits.push(
        ...appendTo(policy, direction, index, list, peer, {
          title: `add a peer to ${name}`,
          cost: 3,
        }),
      );
  }
  return edits;
}

/** Adds to the peers or ports of a rule. */
function appendTo(
  { key, loaded }: PolicyRef,
  direction: Direction,
  index: number,
  list: "from" | "to" | "ports",
  item: object,
  size: Size,
): readonly Edit[] {
  const patch = insertItem(loaded.origin, ["spec", direction, index, list], item);
  return asEdits(size, patch, (objects) =>
    withPolicySpec(objects, key, (spec) => {
      const rules: readonly object[] = spec[direction] ?? [];
      const changed = rules.map((rule, at) =>
        at === index ? { ...rule, [list]: [...listOf(rule, list), item] } : rule,
      );
      return { ...spec, [direction]: changed };
    }),
  );
}

function listOf(rule: object, list: string): readonly unknown[] {
  const found: unknown = Object.entries(rule).find(([key]) => key === list)?.[1];
  return Array.isArray(found) ? found : [];
}

/** A label value in a peer that nobody has and that is a slip away from what the other end has. */
function slipEdits(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  { key, loaded }: PolicyRef,
  index: number,
): readonly Edit[] {
  const other = direction === "egress" ? flow.destination : flow.source;
  if (other.kind !== "pod") return [];
  const peers = rulesOf(loaded.object as NetworkPolicy, direction)[index]?.peers ?? [];
  return peers.flatMap((peer, at) =>
    Object.entries(peer.podSelector?.matchLabels ?? {}).flatMap(([label, wanted]) => {
      const found = other.labels[label];
      const used = world.pods.some(({ labels }) => labels[label] === wanted);
      if (found === undefined || found === wanted || used || !isNear(found, wanted)) return [];
      const list = direction === "ingress" ? "from" : "to";
      const path = ["spec", direction, index, list, at, "podSelector", "matchLabels", label];
      const fixed: NetworkPolicyPeer = {
        ...peer,
        podSelector: {
          ...peer.podSelector,
          matchLabels: { ...peer.podSelector?.matchLabels, [label]: found },
        },
      };
      const size = {
        title: `write ${label}=${found} instead of ${label}=${wanted} in rule ${index + 1} of ${key}`,
        cost: 1,
      };
      return asEdits(size, replaceScalar(loaded.origin, path, found), (objects) =>
        withPolicySpec(objects, key, (spec) => ({
          ...spec,
          [direction]: (spec[direction] ?? []).map((rule: object, n) =>
            n === index
              ? { ...rule, [list]: listOf(rule, list).map((old, m) => (m === at ? fixed : old)) }
              : rule,
          ),
        })),
      );
    }),
  );
}

/** The other end lacks one label that a peer of the rule asks for. */
function labelEdits(
  flow: Flow,
  direction: Direction,
  { key, loaded }: PolicyRef,
  index: number,
): readonly Edit[] {
  const other = direction === "egress" ? flow.destination : flow.source;
  if (other.kind !== "pod") return [];
  const peers = rulesOf(loaded.object as NetworkPolicy, direction)[index]?.peers ?? [];
  return peers.flatMap(({ podSelector }) => {
    const lacking = Object.entries(podSelector?.matchLabels ?? {}).filter(
      ([label, value]) => other.labels[label] !== value,
    );
    const [only] = lacking;
    if (only === undefined || lacking.length > 1 || Object.hasOwn(other.labels, only[0])) return [];
    const [label, value] = only;
    const line = `kubectl label pod -n ${other.namespace} ${other.name} ${label}=${value}`;
    const title = `label ${other.key} with ${label}=${value}, as rule ${index + 1} of ${key} wants`;
    return [
      {
        title,
        cost: 2,
        steps: [{ kind: "command", line }],
        apply: (objects) => withPodLabel(objects, other.key, label, value),
      } satisfies Edit,
    ];
  });
}

/** One more rule in a policy that isolates the pod. */
function addRule(
  { key, loaded }: PolicyRef,
  direction: Direction,
  peer: NetworkPolicyPeer,
  port: NetworkPolicyPort,
): readonly Edit[] {
  const rule =
    direction === "ingress" ? { from: [peer], ports: [port] } : { to: [peer], ports: [port] };
  const { spec } = loaded.object as NetworkPolicy;
  const patch =
    spec?.[direction] === undefined
      ? insertEntry(loaded.origin, ["spec"], direction, [rule])
      : insertItem(loaded.origin, ["spec", direction], rule);
  return asEdits({ title: `add a rule to ${key}`, cost: 4 }, patch, (objects) =>
    withPolicySpec(objects, key, (old) => ({
      ...old,
      [direction]: [...(old[direction] ?? []), rule],
    })),
  );
}

/** A policy whose rules would allow it, but whose types leave the direction out. */
function addType({ key, loaded }: PolicyRef, direction: Direction): readonly Edit[] {
  const type = direction === "ingress" ? "Ingress" : "Egress";
  const patch = insertItem(loaded.origin, ["spec", "policyTypes"], type);
  return asEdits({ title: `add ${type} to the policyTypes of ${key}`, cost: 2 }, patch, (objects) =>
    withPolicySpec(objects, key, (spec) => ({
      ...spec,
      policyTypes: [...(spec.policyTypes ?? []), type],
    })),
  );
}

/** A policy of its own, for the subject alone as far as its labels allow. */
function newPolicy(
  world: PolicyWorld,
  { subject }: SideExplanation,
  direction: Direction,
  peer: NetworkPolicyPeer,
  port: NetworkPolicyPort,
): readonly Edit[] {
  if (subject.kind !== "pod") return [];
  const taken = new Set(
    world.objects.networkPolicies
      .filter(({ object }) => namespaceOf(object) === subject.namespace)
      .map(({ object }) => object.metadata?.name),
  );
  const base = `allow-${subject.name}-${direction}`.slice(0, 240);
  let name = base;
  for (let number = 2; taken.has(name); number++) name = `${base}-${number}`;
  const rule =
    direction === "ingress"
      ? { ingress: [{ from: [peer], ports: [port] }] }
      : { egress: [{ to: [peer], ports: [port] }] };
  const object: NetworkPolicy = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace: subject.namespace },
    spec: {
      podSelector: { matchLabels: { ...distinguishing(world, subject) } },
      policyTypes: [direction === "ingress" ? "Ingress" : "Egress"],
      ...rule,
    },
  };
  const policy: Loaded<NetworkPolicy> = { object, origin: assumedOrigin("proposed as a fix") };
  const title = `a policy of its own, ${policyName(networkPolicyRef(policy))}`;
  return [
    {
      title,
      cost: 5,
      steps: [{ kind: "new-file", lines: yamlLines(object) }],
      apply: (objects) => withNewPolicy(objects, policy),
    },
  ];
}
