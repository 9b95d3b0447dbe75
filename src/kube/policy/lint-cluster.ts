import { keyOf } from "../objects.js";
import { type ClusterPolicy, clusterTier } from "./cluster-policy.js";
import { type Finding, finding, type LintContext } from "./finding.js";
import { effectiveTypes, isolatingPolicies, podPeerMatches, rulesOf } from "./oracle.js";
import { directions } from "./verdict.js";
import type { PolicyWorld } from "./world.js";

/* The cluster-wide policies, and what the dialect's plugin does otherwise than the API. */

export function clusterFindings({ world }: LintContext): readonly Finding[] {
  const admin = clusterTier(world.objects, "Admin");
  const baseline = clusterTier(world.objects, "Baseline");
  return [
    ...samePriority(world, admin),
    ...samePriority(world, baseline),
    ...overridden(world, baseline),
    ...shadowed([...admin, ...baseline]),
    ...duplicateBaseline(world),
    ...divergence(world),
  ];
}

function title({ ref }: ClusterPolicy): string {
  return `${ref.kind} ${ref.key}`;
}

/** Two policies of one priority with a subject in common and different actions: which one wins is left open. Section 2.1. */
function samePriority(world: PolicyWorld, policies: readonly ClusterPolicy[]): readonly Finding[] {
  return policies.flatMap((policy, at) =>
    policies.slice(at + 1).flatMap((other) => {
      if (other.priority !== policy.priority || !shareSubject(world, policy, other)) return [];
      const actions = (each: ClusterPolicy): ReadonlySet<string> =>
        new Set(
          directions.flatMap((direction) =>
            (each.spec[direction] ?? []).map(({ action = "Deny" }) => action),
          ),
        );
      const all = new Set([...actions(policy), ...actions(other)]);
      if (all.size < 2) return [];
      const message = `it has priority ${policy.priority}, as ${title(policy)} has, for some of the same pods: which one is asked first is undefined`;
      return [
        finding(
          "warning",
          "same-priority",
          title(other),
          { origin: other.ref.loaded.origin, path: ["spec", "priority"] },
          message,
        ),
      ];
    }),
  );
}

function shareSubject(world: PolicyWorld, a: ClusterPolicy, b: ClusterPolicy): boolean {
  return world.pods.some(
    (pod) =>
      podPeerMatches(world, a.spec.subject ?? {}, pod) &&
      podPeerMatches(world, b.spec.subject ?? {}, pod),
  );
}

/** A v1 policy that isolates the pod makes the baseline silent. */
function overridden(world: PolicyWorld, policies: readonly ClusterPolicy[]): readonly Finding[] {
  return policies.flatMap((policy) =>
    directions.flatMap((direction) => {
      if ((policy.spec[direction] ?? []).length === 0) return [];
      const pods = world.pods.filter((pod) =>
        podPeerMatches(world, policy.spec.subject ?? {}, pod),
      );
      const silent = pods.filter((pod) => isolatingPolicies(world, pod, direction).length > 0);
      if (silent.length === 0) return [];
      const message = `its ${direction} rules have no effect on ${silent.length} of ${pods.length} pods, such as ${silent[0]?.key}: NetworkPolicies select them`;
      return [
        finding(
          "info",
          "baseline-overridden",
          title(policy),
          { origin: policy.ref.loaded.origin, path: ["spec", direction] },
          message,
        ),
      ];
    }),
  );
}

/** A rule after one of the same policy whose peers and ports are the same: it is never reached. */
function shadowed(policies: readonly ClusterPolicy[]): readonly Finding[] {
  return policies.flatMap((policy) =>
    directions.flatMap((direction) => {
      const rules = (policy.spec[direction] ?? []).map(({ from, to, ports, protocols }) => ({
        peers: (from ?? to ?? []).map((peer) => JSON.stringify(peer)),
        ports: JSON.stringify([ports ?? [], protocols ?? []]),
      }));
      return rules.flatMap((rule, at) => {
        const earlier = rules
          .slice(0, at)
          .findIndex(
            (other) =>
              (other.ports === rule.ports || other.ports === "[[],[]]") &&
              rule.peers.every((peer) => other.peers.includes(peer)),
          );
        if (earlier < 0 || rule.peers.length === 0) return [];
        const path = ["spec", direction, at];
        return [
          finding(
            "warning",
            "shadowed-cluster-rule",
            title(policy),
            { origin: policy.ref.loaded.origin, path },
            `rule ${at + 1} is never reached: rule ${earlier + 1} matches everything that it matches`,
          ),
        ];
      });
    }),
  );
}

function duplicateBaseline({ objects }: PolicyWorld): readonly Finding[] {
  return (objects.baselinePolicies ?? [])
    .slice(1)
    .map(({ object, origin }) =>
      finding(
        "error",
        "banp-duplicate",
        `BaselineAdminNetworkPolicy ${object.metadata?.name ?? ""}`,
        { origin, path: ["metadata", "name"] },
        "a cluster has at most one BaselineAdminNetworkPolicy",
      ),
    );
}

/** Rows of section 3.2 "differs from the API" that apply, under kube-router's dialect; and endPort without support. */
function divergence({ objects, dialect }: PolicyWorld): readonly Finding[] {
  return objects.networkPolicies.flatMap((policy) => {
    const at = (path: readonly (string | number)[]) => ({ origin: policy.origin, path });
    const name = `NetworkPolicy ${keyOf(policy.object)}`;
    const found: Finding[] = [];
    for (const direction of directions) {
      for (const [index, { ports, peers }] of rulesOf(policy.object, direction).entries()) {
        const range = ports.findIndex(({ endPort }) => endPort !== undefined);
        if (!dialect.endPort && range >= 0)
          found.push(
            finding(
              "warning",
              "endport-unsupported",
              name,
              at(["spec", direction, index, "ports", range, "endPort"]),
              "this dialect does not know endPort: only the first port is allowed",
            ),
          );
        if (dialect.name !== "kube-router") continue;
        const path = ["spec", direction, index];
        if (
          direction === "egress" &&
          peers.length === 0 &&
          ports.some(({ port }) => typeof port === "string")
        )
          found.push(
            finding(
              "warning",
              "plugin-divergence",
              name,
              at(path),
              "kube-router resolves the port name on the pods of this namespace and opens the number to every destination",
            ),
          );
        const blocks = peers.filter(({ ipBlock }) => ipBlock !== undefined);
        if (blocks.length > 1 && blocks.some(({ ipBlock }) => (ipBlock?.except ?? []).length > 0))
          found.push(
            finding(
              "warning",
              "plugin-divergence",
              name,
              at(path),
              "kube-router keeps the blocks of a rule in one set: an except of one peer also cuts the block of another",
            ),
          );
      }
    }
    if (dialect.name === "kube-router" && effectiveTypes(policy.object).length === 2) {
      const empty = directions.find((direction) => rulesOf(policy.object, direction).length === 0);
      const other = directions.find((direction) => rulesOf(policy.object, direction).length > 0);
      if (empty !== undefined && other !== undefined)
        found.push(
          finding(
            "warning",
            "plugin-divergence",
            name,
            at(["spec", other]),
            `kube-router enters the policy's chain for both directions: between its own pods the ${other} rules also allow ${empty}`,
          ),
        );
    }
    return found;
  });
}
