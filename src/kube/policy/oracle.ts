import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type {
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "kubernetes-types/networking/v1.js";
import { keyOf, type Loaded, namespaceOf } from "../objects.js";
import { matchesSelector } from "../selectors.js";
import type { ClusterPeer, ClusterPodPeer, ClusterRule } from "./api.js";
import { cidrContains, parseCidr } from "./cidr.js";
import { type ClusterPolicy, clusterTier, portsOf, type PortRange } from "./cluster-policy.js";
import {
  directions,
  type Direction,
  joinSides,
  type PolicyRef,
  type Reason,
  type RuleRef,
  type SideVerdict,
  type Tier,
  type Verdict,
} from "./verdict.js";
import {
  addressOf,
  asSeen,
  type Endpoint,
  type Flow,
  flowFamily,
  type PodEndpoint,
  type PolicyWorld,
} from "./world.js";

/*
 * The slow, obvious evaluator: the API's words one after the other, nothing compiled and nothing remembered. The fast one
 * (evaluate.ts) is compared with it. spec/network-policy.md sections 1.2 to 1.12 and 2.
 */

/** Whether a new connection is allowed, and what decides on each side. */
export function judge(world: PolicyWorld, flow: Flow): Verdict {
  return joinSides(judgeSide(world, flow, "egress"), judgeSide(world, flow, "ingress"));
}

/** One side: egress at the source, ingress at the destination. */
export function judgeSide(world: PolicyWorld, asked: Flow, direction: Direction): SideVerdict {
  const flow = asSeen(world, asked, direction);
  const exempt = exemption(world, flow, direction);
  if (exempt !== undefined) return { outcome: "allow", reason: exempt };
  const subject = direction === "egress" ? flow.source : flow.destination;
  if (subject.kind !== "pod")
    return { outcome: "allow", reason: { kind: "not-a-pod", what: "address" } };
  const admin = walkTier(world, flow, direction, subject, "Admin");
  if (admin.decided !== undefined) return admin.decided;
  const isolating = isolatingPolicies(world, subject, direction);
  if (isolating.length > 0)
    return { ...judgeIsolated(world, flow, direction, isolating), ...admin.note };
  const baseline = walkTier(world, flow, direction, subject, "Baseline");
  if (baseline.decided !== undefined) return { ...admin.note, ...baseline.decided };
  const reason: Reason = { kind: admin.selected || baseline.selected ? "default" : "no-policy" };
  return { outcome: "allow", reason, ...admin.note, ...baseline.note };
}

/** Who is never asked: endpoints that are no pods, the pod itself, its own node. Sections 1.4 and 1.9. */
export function exemption(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
): Reason | undefined {
  const { source, destination, hairpin = false } = flow;
  const { dialect } = world;
  const [subject, other] = direction === "egress" ? [source, destination] : [destination, source];
  if (subject.kind === "address") {
    return {
      kind: "not-a-pod",
      what: world.nodeByAddress.has(subject.address) ? "node" : "address",
    };
  }
  if (isOnNode(world, subject)) return { kind: "not-a-pod", what: "host-network pod" };
  if (other.kind === "pod" && other.key === subject.key) {
    const allowed = hairpin ? dialect.hairpin === "allow" : dialect.selfTraffic === "allow";
    if (allowed) return { kind: "self" };
  }
  const node = nodeNameOf(world, other);
  if (node !== undefined && node === subject.node) {
    const rule = direction === "ingress" ? dialect.ingressFromOwnNode : dialect.egressToOwnNode;
    if (rule === "allow") return { kind: "own-node", node };
  }
  return undefined;
}

/** A pod of the host network is its node, unless the dialect says otherwise. */
export function isOnNode(world: PolicyWorld, endpoint: Endpoint): boolean {
  return (
    endpoint.kind === "pod" &&
    endpoint.hostNetwork &&
    world.dialect.hostNetworkPods === "node-address"
  );
}

/** The node that an endpoint is, if it is one. */
function nodeNameOf(world: PolicyWorld, endpoint: Endpoint): string | undefined {
  if (endpoint.kind === "address") return world.nodeByAddress.get(endpoint.address)?.name;
  return isOnNode(world, endpoint) ? endpoint.node : undefined;
}

/** The types in force: what is written, else Ingress, and Egress if there are egress rules. Section 1.2. */
export function effectiveTypes({ spec }: NetworkPolicy): readonly Direction[] {
  const written: readonly string[] = spec?.policyTypes ?? [];
  if (written.length > 0)
    return directions.filter((each) => written.some((type) => type.toLowerCase() === each));
  return (spec?.egress ?? []).length > 0 ? ["egress", "ingress"] : ["ingress"];
}

export function policySelects({ object }: Loaded<NetworkPolicy>, pod: PodEndpoint): boolean {
  return (
    pod.namespace === namespaceOf(object) &&
    matchesSelector(object.spec?.podSelector ?? {}, pod.labels)
  );
}

/** The policies that isolate a pod in a direction: they select it and have the type in force. */
export function isolatingPolicies(
  world: PolicyWorld,
  pod: PodEndpoint,
  direction: Direction,
): readonly Loaded<NetworkPolicy>[] {
  return world.objects.networkPolicies.filter(
    (policy) => policySelects(policy, pod) && effectiveTypes(policy.object).includes(direction),
  );
}

export function networkPolicyRef(loaded: Loaded<NetworkPolicy>): PolicyRef {
  return { kind: "NetworkPolicy", key: keyOf(loaded.object), loaded };
}

function judgeIsolated(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  isolating: readonly Loaded<NetworkPolicy>[],
): SideVerdict {
  const policies = isolating.map(networkPolicyRef);
  if (!isNamed(world, flow.protocol) && world.dialect.otherProtocols !== "rule-without-ports") {
    return { outcome: world.dialect.otherProtocols, reason: { kind: "other-protocol", policies } };
  }
  for (const policy of isolating) {
    for (const [index, { peers, ports }] of rulesOf(policy.object, direction).entries()) {
      const peerFits =
        peers.length === 0 ||
        peers.some((peer) => peerMatches(world, flow, direction, policy, peer));
      const portFits = ports.length === 0 || ports.some((port) => portMatches(world, flow, port));
      if (peerFits && portFits) {
        return {
          outcome: "allow",
          reason: {
            kind: "allowed-by",
            rule: { policy: networkPolicyRef(policy), direction, index },
          },
        };
      }
    }
  }
  return { outcome: "deny", reason: { kind: "denied-no-rule", policies } };
}

/** Whether rules can name a protocol, as far as the dialect goes. */
export function isNamed({ dialect }: PolicyWorld, protocol: string): boolean {
  return protocol === "TCP" || protocol === "UDP" || (protocol === "SCTP" && dialect.sctp);
}

/** A rule of either direction in one shape. */
export interface PlainRule {
  readonly peers: readonly NetworkPolicyPeer[];
  readonly ports: readonly NetworkPolicyPort[];
}

/** The rules of a direction; an absent list and an empty one are the same. Section 1.5. */
export function rulesOf({ spec }: NetworkPolicy, direction: Direction): readonly PlainRule[] {
  if (direction === "ingress") {
    return (spec?.ingress ?? []).map(({ from = [], ports = [] }) => ({ peers: from, ports }));
  }
  return (spec?.egress ?? []).map(({ to = [], ports = [] }) => ({ peers: to, ports }));
}

/** Whether the other end is one of a peer. Presence of a selector counts, and an empty one matches all. Sections 1.5 to 1.7. */
export function peerMatches(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  policy: Loaded<NetworkPolicy>,
  peer: NetworkPolicyPeer,
): boolean {
  const other = direction === "egress" ? flow.destination : flow.source;
  if (peer.ipBlock !== undefined) return blockMatches(world, flow, other, peer.ipBlock);
  if (peer.podSelector === undefined && peer.namespaceSelector === undefined) return false;
  if (other.kind !== "pod" || isOnNode(world, other)) return false;
  const inNamespace =
    peer.namespaceSelector === undefined
      ? other.namespace === namespaceOf(policy.object)
      : matchesSelector(peer.namespaceSelector, world.namespaces.get(other.namespace));
  return (
    inNamespace &&
    (peer.podSelector === undefined || matchesSelector(peer.podSelector, other.labels))
  );
}

function blockMatches(
  world: PolicyWorld,
  flow: Flow,
  other: Endpoint,
  block: { readonly cidr?: string; readonly except?: readonly string[] },
): boolean {
  if (other.kind === "pod" && !isOnNode(world, other) && !world.dialect.ipBlockMatchesPods)
    return false;
  return (
    inCidr(flow, other, block.cidr ?? "") &&
    !(block.except ?? []).some((except) => inCidr(flow, other, except))
  );
}

function inCidr(flow: Flow, endpoint: Endpoint, text: string): boolean {
  const cidr = parseCidr(text);
  const family = flowFamily(flow);
  const address = family === undefined ? undefined : addressOf(endpoint, family);
  return cidr !== undefined && address !== undefined && cidrContains(cidr, address);
}

/** Whether the destination port is one of an entry of `ports`. Section 1.8. */
export function portMatches(world: PolicyWorld, flow: Flow, port: NetworkPolicyPort): boolean {
  const protocol = port.protocol ?? "TCP";
  if (protocol !== flow.protocol || flow.port === undefined) return false;
  if (!isNamed(world, protocol)) return false;
  if (port.port === undefined) return true;
  if (typeof port.port === "string") return declares(world, flow, port.port, protocol);
  const last = world.dialect.endPort ? (port.endPort ?? port.port) : port.port;
  return flow.port >= port.port && flow.port <= last;
}

/** Whether the destination is a pod with a container port of this name, this number and this protocol (or any). */
function declares(
  world: PolicyWorld,
  { destination, port, protocol }: Flow,
  name: string,
  wanted: string | undefined,
): boolean {
  if (destination.kind !== "pod" || isOnNode(world, destination)) return false;
  return destination.ports.some(
    (declared) =>
      declared.name === name &&
      declared.number === port &&
      declared.protocol === (wanted ?? protocol),
  );
}

interface TierWalk {
  readonly decided: SideVerdict | undefined;
  /** Whether any policy of the tier has the pod as its subject. */
  readonly selected: boolean;
  readonly note: { readonly ambiguous?: readonly RuleRef[] };
}

/** Walks a tier of cluster-wide policies: by priority, then name; the first rule that matches decides. Section 2.1. */
function walkTier(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  subject: PodEndpoint,
  tier: Tier,
): TierWalk {
  const policies = clusterTier(world.objects, tier).filter(({ spec }) =>
    podPeerMatches(world, spec.subject ?? {}, subject),
  );
  const hits = policies.flatMap((policy) => firstHit(world, flow, direction, policy) ?? []);
  const [first] = hits;
  if (first === undefined) return { decided: undefined, selected: policies.length > 0, note: {} };
  const rivals = hits.filter(
    ({ policy, effect }) => policy.priority === first.policy.priority && effect !== first.effect,
  );
  const note = rivals.length === 0 ? {} : { ambiguous: [first, ...rivals].map(({ rule }) => rule) };
  if (first.effect === "Pass") return { decided: undefined, selected: true, note };
  if (first.effect === "unknown") {
    const missing = `which addresses the domain names of the rule stand for`;
    return {
      decided: {
        outcome: "unknown",
        reason: { kind: "unknown", rule: first.rule, missing },
        ...note,
      },
      selected: true,
      note,
    };
  }
  const reason: Reason = { kind: "cluster-rule", action: first.effect, tier, rule: first.rule };
  return {
    decided: { outcome: first.effect === "Accept" ? "allow" : "deny", reason, ...note },
    selected: true,
    note,
  };
}

interface Hit {
  readonly policy: ClusterPolicy;
  readonly rule: RuleRef;
  readonly effect: "Accept" | "Deny" | "Pass" | "unknown";
}

function firstHit(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  policy: ClusterPolicy,
): Hit | undefined {
  for (const [index, rule] of (policy.spec[direction] ?? []).entries()) {
    const effect = ruleEffect(world, flow, direction, rule);
    if (effect !== undefined)
      return { policy, effect, rule: { policy: policy.ref, direction, index } };
  }
  return undefined;
}

/** What a rule does to a flow; undefined when it does not match. */
export function ruleEffect(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  rule: ClusterRule,
): Hit["effect"] | undefined {
  const peers = (direction === "egress" ? rule.to : rule.from) ?? [];
  const action = rule.action === "Allow" ? "Accept" : (rule.action ?? "Deny");
  if (peers.some((peer) => !isKnownPeer(peer))) return action === "Accept" ? undefined : "Deny";
  const ports = portsOf(rule);
  if (ports !== undefined && !ports.some((port) => clusterPortMatches(world, flow, port)))
    return undefined;
  if (peers.some((peer) => clusterPeerMatches(world, flow, direction, peer))) return action;
  const other = direction === "egress" ? flow.destination : flow.source;
  const byName = peers.some(({ domainNames }) => domainNames !== undefined);
  return byName && (other.kind === "address" || isOnNode(world, other)) ? "unknown" : undefined;
}

/** A peer with fields that we do not know arrives empty and fails closed. Section 2.2. */
export function isKnownPeer(peer: ClusterPeer): boolean {
  const { namespaces, pods, nodes, networks, domainNames } = peer;
  if (namespaces !== undefined) return isSelector(namespaces);
  return (pods ?? nodes ?? networks ?? domainNames) !== undefined;
}

/** The `namespaces` of old v1alpha1 manifests (sameLabels, notSameLabels, namespaceSelector) is no selector. */
function isSelector(selector: LabelSelector): boolean {
  return Object.keys(selector).every((key) => key === "matchLabels" || key === "matchExpressions");
}

/** Whether the other end is one of a cluster-wide rule's peers. */
export function clusterPeerMatches(
  world: PolicyWorld,
  flow: Flow,
  direction: Direction,
  peer: ClusterPeer,
): boolean {
  const other = direction === "egress" ? flow.destination : flow.source;
  if (peer.networks !== undefined)
    return peer.networks.some((network) => inCidr(flow, other, network));
  if (peer.nodes !== undefined) return nodesMatch(world, flow, other, peer.nodes);
  return other.kind === "pod" && !isOnNode(world, other) && podPeerMatches(world, peer, other);
}

function nodesMatch(
  world: PolicyWorld,
  flow: Flow,
  other: Endpoint,
  selector: LabelSelector,
): boolean {
  if (other.kind === "pod" && !isOnNode(world, other)) return false;
  const family = flowFamily(flow);
  const address = family === undefined ? undefined : addressOf(other, family);
  const node = address === undefined ? undefined : world.nodeByAddress.get(address);
  return node !== undefined && matchesSelector(selector, node.labels);
}

/** Subjects and pod peers of cluster-wide policies. A selector that was left out is the empty one, as it is no pointer in the API. */
export function podPeerMatches(
  world: PolicyWorld,
  { namespaces, pods }: ClusterPodPeer,
  pod: PodEndpoint,
): boolean {
  const labels = world.namespaces.get(pod.namespace);
  if (namespaces !== undefined)
    return isSelector(namespaces) && matchesSelector(namespaces, labels);
  return (
    pods !== undefined &&
    matchesSelector(pods.namespaceSelector ?? {}, labels) &&
    matchesSelector(pods.podSelector ?? {}, pod.labels)
  );
}

/** Whether the destination port is one of a cluster-wide rule's. */
export function clusterPortMatches(world: PolicyWorld, flow: Flow, port: PortRange): boolean {
  if (port.kind === "named") return declares(world, flow, port.name, undefined);
  return (
    flow.protocol === port.protocol &&
    flow.port !== undefined &&
    flow.port >= port.first &&
    flow.port <= port.last
  );
}
