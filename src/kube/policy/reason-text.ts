import type { PolicyRef, Reason, RuleRef } from "./verdict.js";

/** `shop/api-from-web`, `ClusterNetworkPolicy deny-all`. */
export function policyName({ kind, key }: PolicyRef): string {
  return kind === "NetworkPolicy" ? key : `${kind} ${key}`;
}

/** `shop/api-from-web rule 1`. */
export function ruleName({ policy, index }: RuleRef): string {
  return `${policyName(policy)} rule ${index + 1}`;
}

/** Why a side says what it says, in a few words. */
export function reasonText(reason: Reason): string {
  switch (reason.kind) {
    case "not-a-pod":
      return reason.what === "address"
        ? "outside the cluster: no policy governs it"
        : `a ${reason.what}: no policy governs it`;
    case "self":
      return "a pod may always reach itself";
    case "own-node":
      return `node ${reason.node} is the pod's own`;
    case "no-policy":
      return "no policy selects it";
    case "default":
      return "no rule of a cluster-wide policy matches";
    case "allowed-by":
      return `allowed by ${ruleName(reason.rule)}`;
    case "denied-no-rule":
      return `denied by ${reason.policies.map(policyName).join(", ")}`;
    case "cluster-rule":
      return `${reason.action === "Accept" ? "accepted" : "denied"} by ${ruleName(reason.rule)}`;
    case "other-protocol":
      return "the dialect decides about protocols that policies cannot name";
    case "unknown":
      return `not known: ${ruleName(reason.rule)} hangs on ${reason.missing}`;
    default:
      return reason satisfies never;
  }
}
