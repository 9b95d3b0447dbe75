import type { NetworkPolicyPort } from "kubernetes-types/networking/v1.js";
import {
  effectiveTypes,
  peerMatches,
  type PlainRule,
  policySelects,
  rulesOf,
} from "../../src/kube/policy/oracle.js";
import type { Direction } from "../../src/kube/policy/verdict.js";
import type { Flow, PodEndpoint, PolicyWorld } from "../../src/kube/policy/world.js";

/** Where kube-router's rules are known not to say what the API says. spec/network-policy.md section 3.2. */
export interface Deviation {
  readonly name: string;
  readonly reason: string;
  readonly covers: (world: PolicyWorld, flow: Flow) => boolean;
}

export const deviations: readonly Deviation[] = [
  {
    name: "both types in one chain",
    reason:
      "a policy of both types that selects both pods has one chain: its rules for one direction allow the other as well",
    covers: ({ objects }, { source, destination }) =>
      objects.networkPolicies.some(
        (policy) =>
          effectiveTypes(policy.object).length === 2 &&
          source.kind === "pod" &&
          destination.kind === "pod" &&
          policySelects(policy, source) &&
          policySelects(policy, destination),
      ),
  },
  {
    name: "names that nobody declares",
    reason: "a rule with peers whose port names none of the pods declares opens all their ports",
    covers: (world, flow) =>
      someRule(
        world,
        flow,
        ({ peers, ports }, direction, fits) =>
          peers.length > 0 &&
          ports.length > 0 &&
          ports.every(({ port }) => typeof port === "string") &&
          !ports.some((port) => holdersOf(direction, fits).some(declares(port))),
      ),
  },
  {
    name: "egress to a name",
    reason:
      "without peers a name is looked up in the policy's own namespace and its number opened for every address; for an ipBlock it is left out",
    covers: (world, flow) =>
      someRule(
        world,
        flow,
        ({ peers, ports }, direction) =>
          direction === "egress" &&
          ports.some(({ port }) => typeof port === "string") &&
          (peers.length === 0 || peers.some(({ ipBlock }) => ipBlock !== undefined)),
      ),
  },
  {
    name: "blocks share their excepts",
    reason:
      "all blocks of a rule are in one set, where an except of one hides the same part of another",
    covers: (world, flow) =>
      someRule(world, flow, ({ peers }) => {
        const blocks = peers.filter(({ ipBlock }) => ipBlock !== undefined);
        return (
          blocks.length > 1 && blocks.some(({ ipBlock }) => (ipBlock?.except ?? []).length > 0)
        );
      }),
  },
];

/** Pods that a rule of a policy is about: those it names as peers, and those it selects. */
interface Fits {
  readonly peers: readonly PodEndpoint[];
  readonly selected: readonly PodEndpoint[];
}

function someRule(
  world: PolicyWorld,
  flow: Flow,
  holds: (rule: PlainRule, direction: Direction, fits: Fits) => boolean,
): boolean {
  return (["egress", "ingress"] as const).some((direction) => {
    const subject = direction === "egress" ? flow.source : flow.destination;
    if (subject.kind !== "pod") return false;
    return world.objects.networkPolicies
      .filter((policy) => policySelects(policy, subject))
      .some((policy) =>
        rulesOf(policy.object, direction).some((rule) =>
          holds(rule, direction, {
            selected: world.pods.filter((pod) => policySelects(policy, pod)),
            peers: world.pods.filter((pod) =>
              rule.peers.some(
                (peer) =>
                  peer.ipBlock === undefined &&
                  peerMatches(
                    world,
                    { ...flow, [direction === "egress" ? "destination" : "source"]: pod },
                    direction,
                    policy,
                    peer,
                  ),
              ),
            ),
          }),
        ),
      );
  });
}

function holdersOf(direction: Direction, { peers, selected }: Fits): readonly PodEndpoint[] {
  return direction === "ingress" ? selected : peers;
}

function declares({ port, protocol = "TCP" }: NetworkPolicyPort): (pod: PodEndpoint) => boolean {
  return ({ ports }) => ports.some((own) => own.name === port && own.protocol === protocol);
}
