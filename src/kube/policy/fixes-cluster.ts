import { assumedOrigin, type Loaded } from "../objects.js";
import type {
  AdminNetworkPolicy,
  ClusterNetworkPolicy,
  ClusterPeer,
  ClusterRule,
  ClusterSpec,
} from "./api.js";
import { formatAddress } from "./cidr.js";
import { distinguishing } from "./distinguish.js";
import { asEdits, type Edit, withClusterRules } from "./edit.js";
import type { SideExplanation } from "./explain.js";
import type { ClusterStep } from "./explain-cluster.js";
import { isOnNode } from "./oracle.js";
import { insertItem } from "./patch.js";
import { policyName } from "./reason-text.js";
import type { Direction, PolicyRef } from "./verdict.js";
import {
  addressOf,
  type Endpoint,
  type Flow,
  flowFamily,
  type PodEndpoint,
  type PolicyObjects,
  type PolicyWorld,
} from "./world.js";
import { yamlLines } from "./yaml-lines.js";

/** Everything that an edit of cluster-wide policies is made of. */
interface Wanted {
  readonly world: PolicyWorld;
  readonly direction: Direction;
  /** The other end, and as few besides as its labels allow. */
  readonly peer: ClusterPeer;
  readonly protocol: string;
  readonly port: number;
}

/** Changes to cluster-wide policies that may let a flow through which one of their rules denies. */
export function clusterEdits(
  world: PolicyWorld,
  flow: Flow,
  side: SideExplanation,
): readonly Edit[] {
  const { direction, subject, cluster } = side;
  const deciding = cluster.at(-1);
  const peer = peerFor(world, flow, direction);
  if (deciding === undefined || peer === undefined || flow.port === undefined) return [];
  const wanted = { world, direction, peer, protocol: flow.protocol, port: flow.port };
  return [
    ...cluster
      .filter(({ action, effect }) => action === "Accept" && effect === undefined)
      .flatMap((step) => widenRule(wanted, step)),
    ...acceptBefore(wanted, deciding),
    ...(subject.kind === "pod" ? policyBefore(wanted, deciding, subject) : []),
  ];
}

/** An accepting rule comes before and lacks the port, or the peer. */
function widenRule(
  wanted: Wanted,
  { ref, peerMatches, portMatches }: ClusterStep,
): readonly Edit[] {
  const { policy, index } = ref;
  const { direction, peer } = wanted;
  const name = `rule ${index + 1} of ${policyName(policy)}`;
  if (peerMatches && !portMatches) {
    const [list, item] = portOf(policy, wanted);
    return appendTo(policy, direction, index, list, item, {
      title: `add the port to ${name}`,
      cost: 1,
    });
  }
  if (peerMatches || !portMatches) return [];
  const list = direction === "ingress" ? "from" : "to";
  return appendTo(policy, direction, index, list, peer, {
    title: `add a peer to ${name}`,
    cost: 3,
  });
}

function appendTo(
  policy: PolicyRef,
  direction: Direction,
  index: number,
  list: "from" | "to" | "ports" | "protocols",
  item: object,
  size: Pick<Edit, "title" | "cost">,
): readonly Edit[] {
  const patch = insertItem(policy.loaded.origin, ["spec", direction, index, list], item);
  return asEdits(size, patch, (objects) =>
    withClusterRules(objects, policy, direction, (rules) =>
      rules.map((rule, at) =>
        at === index ? { ...rule, [list]: [...(rule[list] ?? []), item] } : rule,
      ),
    ),
  );
}

/** A rule that accepts, before the one that denies. */
function acceptBefore(wanted: Wanted, { ref }: ClusterStep): readonly Edit[] {
  const { policy, index } = ref;
  const { direction } = wanted;
  const rule = acceptingRule(policy, wanted);
  const patch = insertItem(policy.loaded.origin, ["spec", direction], rule, index);
  const title = `accept it before rule ${index + 1} of ${policyName(policy)}`;
  return asEdits({ title, cost: 4 }, patch, (objects) =>
    withClusterRules(objects, policy, direction, (rules) => rules.toSpliced(index, 0, rule)),
  );
}

/** A policy of its own for the subject alone, one priority before the one that denies. */
function policyBefore(
  wanted: Wanted,
  { ref: { policy }, tier, priority }: ClusterStep,
  subject: PodEndpoint,
): readonly Edit[] {
  if (policy.kind === "BaselineAdminNetworkPolicy" || priority === 0) return [];
  const { world, direction } = wanted;
  const name = `allow-${subject.namespace}-${subject.name}-${direction}`.slice(0, 240);
  const spec: ClusterSpec = {
    subject: podPeer(world, subject),
    [direction]: [acceptingRule(policy, wanted)],
  };
  const newer = policy.kind === "ClusterNetworkPolicy";
  const head = {
    apiVersion: `policy.networking.k8s.io/${newer ? "v1alpha2" : "v1alpha1"}`,
    kind: policy.kind,
    metadata: { name },
  };
  const object = newer
    ? ({ ...head, spec: { tier, priority: priority - 1, ...spec } } satisfies ClusterNetworkPolicy)
    : ({ ...head, spec: { priority: priority - 1, ...spec } } satisfies AdminNetworkPolicy);
  return [
    {
      title: `a policy of its own, ${policy.kind} ${name}`,
      cost: 5,
      steps: [{ kind: "new-file", lines: yamlLines(object) }],
      apply: (objects) => withClusterPolicy(objects, object, newer),
    },
  ];
}

function withClusterPolicy(
  objects: PolicyObjects,
  object: AdminNetworkPolicy & ClusterNetworkPolicy,
  newer: boolean,
): PolicyObjects {
  const loaded: Loaded<typeof object> = { object, origin: assumedOrigin("proposed as a fix") };
  return newer
    ? { ...objects, clusterPolicies: [...(objects.clusterPolicies ?? []), loaded] }
    : { ...objects, adminPolicies: [...(objects.adminPolicies ?? []), loaded] };
}

function acceptingRule(policy: PolicyRef, wanted: Wanted): ClusterRule {
  const [list, item] = portOf(policy, wanted);
  return {
    action: policy.kind === "ClusterNetworkPolicy" ? "Accept" : "Allow",
    [wanted.direction === "ingress" ? "from" : "to"]: [wanted.peer],
    [list]: [item],
  };
}

/** The list that a kind keeps ports in, and the entry for the flow's. */
function portOf(
  { kind }: PolicyRef,
  { protocol, port }: Wanted,
): readonly ["ports" | "protocols", object] {
  return kind === "ClusterNetworkPolicy"
    ? ["protocols", { [protocol.toLowerCase()]: { destinationPort: { number: port } } }]
    : ["ports", { portNumber: { protocol, port } }];
}

function peerFor(world: PolicyWorld, flow: Flow, direction: Direction): ClusterPeer | undefined {
  const other: Endpoint = direction === "egress" ? flow.destination : flow.source;
  if (other.kind === "pod" && !isOnNode(world, other)) return podPeer(world, other);
  const family = flowFamily(flow);
  const address = family === undefined ? undefined : addressOf(other, family);
  if (address === undefined || direction === "ingress") return undefined;
  return { networks: [`${formatAddress(address)}/${family === 4 ? 32 : 128}`] };
}

function podPeer(world: PolicyWorld, pod: PodEndpoint): ClusterPeer {
  return {
    pods: {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": pod.namespace } },
      podSelector: { matchLabels: distinguishing(world, pod) },
    },
  };
}
