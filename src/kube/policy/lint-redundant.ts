import type { NetworkPolicyPeer, NetworkPolicyPort } from "kubernetes-types/networking/v1.js";
import { keyOf, nameOf } from "../objects.js";
import { cidrContains, parseCidr } from "./cidr.js";
import { type ClusterPolicy, clusterTier } from "./cluster-policy.js";
import { type Finding, finding, type LintContext } from "./finding.js";
import {
  effectiveTypes,
  isolatingPolicies,
  type PlainRule,
  podPeerMatches,
  rulesOf,
} from "./oracle.js";
import { directions, type Direction } from "./verdict.js";
import type { PolicyWorld } from "./world.js";

/* What policies say twice, or say without any effect. */

export function redundancyFindings({ world }: LintContext): readonly Finding[] {
  return [
    ...redundantRules(world),
    ...vacuous(world),
    ...passesWithoutEffect(world, clusterTier(world.objects, "Admin")),
    ...passesWithoutEffect(world, clusterTier(world.objects, "Baseline")),
    ...ipv4Only(world),
    ...unsupportedSctp(world),
    ...unlabelledNamespaces(world),
    ...nobodyEnforces(world),
  ];
}

/** A rule of which another of the same policy says everything. */
function redundantRules({ objects }: PolicyWorld): readonly Finding[] {
  return objects.networkPolicies.flatMap(({ object, origin }) =>
    directions.flatMap((direction) => {
      if (!effectiveTypes(object).includes(direction)) return [];
      const rules = rulesOf(object, direction);
      return rules.flatMap((rule, index) => {
        const other = rules.findIndex(
          (each, at) => at !== index && says(each, rule) && (at < index || !says(rule, each)),
        );
        return other < 0
          ? []
          : [
              finding(
                "info",
                "redundant-rule",
                `NetworkPolicy ${keyOf(object)}`,
                { origin, path: ["spec", direction, index] },
                `rule ${index + 1} adds nothing: rule ${other + 1} allows all of it`,
              ),
            ];
      });
    }),
  );
}

function says(wide: PlainRule, narrow: PlainRule): boolean {
  const peers =
    wide.peers.length === 0 ||
    (narrow.peers.length > 0 &&
      narrow.peers.every((peer) => wide.peers.some((each) => coversPeer(each, peer))));
  const ports =
    wide.ports.length === 0 ||
    (narrow.ports.length > 0 &&
      narrow.ports.every((port) => wide.ports.some((each) => coversPort(each, port))));
  return peers && ports;
}

function coversPeer(wide: NetworkPolicyPeer, narrow: NetworkPolicyPeer): boolean {
  if (JSON.stringify(wide) === JSON.stringify(narrow)) return true;
  const [outer, inner] = [wide.ipBlock, narrow.ipBlock].map((block) =>
    parseCidr(block?.cidr ?? ""),
  );
  return (
    outer !== undefined &&
    inner !== undefined &&
    (wide.ipBlock?.except ?? []).length === 0 &&
    outer.family === inner.family &&
    outer.length <= inner.length &&
    cidrContains(outer, inner.address)
  );
}

function coversPort(wide: NetworkPolicyPort, narrow: NetworkPolicyPort): boolean {
  if ((wide.protocol ?? "TCP") !== (narrow.protocol ?? "TCP")) return false;
  if (wide.port === undefined) return true;
  if (typeof wide.port === "string" || typeof narrow.port !== "number")
    return wide.port === narrow.port;
  return narrow.port >= wide.port && (narrow.endPort ?? narrow.port) <= (wide.endPort ?? wide.port);
}

/** Every pod that is isolated is opened again, so that all policies together change nothing. */
function vacuous(world: PolicyWorld): readonly Finding[] {
  const {
    networkPolicies,
    adminPolicies = [],
    baselinePolicies = [],
    clusterPolicies = [],
  } = world.objects;
  const [first] = networkPolicies;
  const others = adminPolicies.length + baselinePolicies.length + clusterPolicies.length;
  if (first === undefined || others > 0) return [];
  const isolations = world.pods.flatMap((pod) =>
    directions.map((direction) => ({
      direction,
      isolating: isolatingPolicies(world, pod, direction),
    })),
  );
  const isolated = isolations.filter(({ isolating }) => isolating.length > 0);
  const open = isolated.every(({ direction, isolating }) =>
    isolating.some(({ object }) =>
      rulesOf(object, direction).some(({ peers, ports }) => peers.length + ports.length === 0),
    ),
  );
  if (isolated.length === 0 || !open) return [];
  const count = networkPolicies.length;
  return [
    finding(
      "info",
      "vacuous",
      `NetworkPolicy ${keyOf(first.object)}`,
      { origin: first.origin, path: ["metadata", "name"] },
      `${count === 1 ? "the only policy changes" : `all ${count} policies together change`} nothing: every pod may do what it could without`,
    ),
  ];
}

/** Pass as the last word that anybody of the tier has: without the rule it would be the same. */
function passesWithoutEffect(
  world: PolicyWorld,
  policies: readonly ClusterPolicy[],
): readonly Finding[] {
  return policies.flatMap((policy, at) =>
    directions.flatMap((direction) => {
      const rules = policy.spec[direction] ?? [];
      const last = rules.findLastIndex(({ action }) => action !== "Pass");
      const later = policies
        .slice(at + 1)
        .some((other) => hasDecision(other, direction) && shareSubject(world, policy, other));
      if (later) return [];
      return rules.flatMap((_, index) =>
        index <= last
          ? []
          : [
              finding(
                "info",
                "pass-without-effect",
                `${policy.ref.kind} ${policy.ref.key}`,
                { origin: policy.ref.loaded.origin, path: ["spec", direction, index] },
                `rule ${index + 1} passes what no later rule of the ${policy.tier} tier would decide: it changes nothing`,
              ),
            ],
      );
    }),
  );
}

function hasDecision({ spec }: ClusterPolicy, direction: Direction): boolean {
  return (spec[direction] ?? []).some(({ action }) => action !== "Pass");
}

function shareSubject(world: PolicyWorld, a: ClusterPolicy, b: ClusterPolicy): boolean {
  return world.pods.some(
    (pod) =>
      podPeerMatches(world, a.spec.subject ?? {}, pod) &&
      podPeerMatches(world, b.spec.subject ?? {}, pod),
  );
}

/** Everybody in one family, in a cluster that has both. */
function ipv4Only(world: PolicyWorld): readonly Finding[] {
  const dual = world.pods.some(
    ({ addresses }) =>
      addresses.some((address) => typeof address === "number") &&
      addresses.some((address) => typeof address !== "number"),
  );
  if (!dual) return [];
  return world.objects.networkPolicies.flatMap(({ object, origin }) =>
    directions.flatMap((direction) =>
      rulesOf(object, direction).flatMap(({ peers }, index) => {
        const any = peers.findIndex(({ ipBlock }) => ipBlock?.cidr === "0.0.0.0/0");
        if (any < 0 || peers.some(({ ipBlock }) => ipBlock?.cidr === "::/0")) return [];
        const list = direction === "ingress" ? "from" : "to";
        return [
          finding(
            "warning",
            "ipv4-only-any",
            `NetworkPolicy ${keyOf(object)}`,
            { origin, path: ["spec", direction, index, list, any, "ipBlock", "cidr"] },
            "0.0.0.0/0 is all of IPv4, and pods here have IPv6 addresses too",
            `leave ${list} out to mean everybody, or add ::/0`,
          ),
        ];
      }),
    ),
  );
}

function unsupportedSctp({ objects, dialect }: PolicyWorld): readonly Finding[] {
  if (dialect.sctp) return [];
  return objects.networkPolicies.flatMap(({ object, origin }) =>
    directions.flatMap((direction) =>
      rulesOf(object, direction).flatMap(({ ports }, index) => {
        const at = ports.findIndex(({ protocol }) => protocol === "SCTP");
        return at < 0
          ? []
          : [
              finding(
                "warning",
                "sctp-unsupported",
                `NetworkPolicy ${keyOf(object)}`,
                { origin, path: ["spec", direction, index, "ports", at, "protocol"] },
                "this dialect does not know SCTP: the entry matches nothing",
              ),
            ];
      }),
    ),
  );
}

/** Policies ask for labels of namespaces, and one with pods has none to ask for. */
function unlabelledNamespaces({ objects, pods }: PolicyWorld): readonly Finding[] {
  const asked = objects.networkPolicies.flatMap(({ object }) =>
    directions.flatMap((direction) =>
      rulesOf(object, direction).flatMap(({ peers }) =>
        peers.flatMap(({ namespaceSelector }) => Object.keys(namespaceSelector?.matchLabels ?? {})),
      ),
    ),
  );
  const key = asked.find((each) => each !== "kubernetes.io/metadata.name");
  if (key === undefined) return [];
  return objects.namespaces.flatMap(({ object, origin }) => {
    const name = nameOf(object);
    const own = Object.keys(object.metadata?.labels ?? {}).filter(
      (each) => each !== "kubernetes.io/metadata.name",
    );
    if (
      own.length > 0 ||
      name.startsWith("kube-") ||
      !pods.some(({ namespace }) => namespace === name)
    )
      return [];
    return [
      finding(
        "info",
        "namespace-unlabelled",
        `Namespace ${name}`,
        { origin, path: ["metadata"] },
        `it has no label but the automatic one, and policies choose namespaces by others, such as ${key}`,
        `kubectl label namespace ${name} ${key}=…, or select it by kubernetes.io/metadata.name`,
      ),
    ];
  });
}

/** Agents that enforce policies, and networks that do not, by the names of their pods. */
const enforcers =
  /^(kube-router|calico-node|canal|cilium|antrea-agent|weave-net|kube-network-policies|kindnet|ovnkube|aws-node|azure-npm|romana)/;
const plain = /^(kube-flannel|flannel)/;

/** A network that enforces nothing, and nobody else who would. */
function nobodyEnforces({ objects, pods }: PolicyWorld): readonly Finding[] {
  const [first] = objects.networkPolicies;
  const network = pods.find(({ name }) => plain.test(name));
  if (first === undefined || network === undefined || pods.some(({ name }) => enforcers.test(name)))
    return [];
  return [
    finding(
      "warning",
      "no-enforcer",
      `NetworkPolicy ${keyOf(first.object)}`,
      { origin: first.origin, path: ["metadata", "name"] },
      `nobody enforces policies here: ${network.key} carries packets and looks at none of the ${objects.networkPolicies.length}`,
      "hopwise answers as if kube-router ran on every node",
    ),
  ];
}
