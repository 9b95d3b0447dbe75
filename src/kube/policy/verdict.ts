import type { NetworkPolicy } from "kubernetes-types/networking/v1.js";
import type { Loaded } from "../objects.js";
import type { ClusterWidePolicy } from "./api.js";

export type Direction = "ingress" | "egress";

export const directions: readonly Direction[] = ["egress", "ingress"];

/** A policy of any kind. */
export interface PolicyRef {
  readonly kind:
    | "NetworkPolicy"
    | "AdminNetworkPolicy"
    | "BaselineAdminNetworkPolicy"
    | "ClusterNetworkPolicy";
  /** `shop/db-from-api`; a cluster-wide policy has only its name. */
  readonly key: string;
  readonly loaded: Loaded<NetworkPolicy> | Loaded<ClusterWidePolicy>;
}

/** A rule of a policy; `index` counts from 0, people count from 1. */
export interface RuleRef {
  readonly policy: PolicyRef;
  readonly direction: Direction;
  readonly index: number;
}

/** Why one side says what it says. */
export type Reason =
  /** The endpoint is no pod that policy governs. */
  | { readonly kind: "not-a-pod"; readonly what: "address" | "node" | "host-network pod" }
  /** A pod may always reach itself. */
  | { readonly kind: "self" }
  | { readonly kind: "own-node"; readonly node: string }
  /** No policy of any kind has a say. */
  | { readonly kind: "no-policy" }
  /** Cluster-wide policies select the pod, none of their rules match, and no NetworkPolicy isolates it. */
  | { readonly kind: "default" }
  | { readonly kind: "allowed-by"; readonly rule: RuleRef }
  /** Isolated, and no rule of the isolating policies matches. */
  | { readonly kind: "denied-no-rule"; readonly policies: readonly PolicyRef[] }
  | {
      readonly kind: "cluster-rule";
      readonly action: "Accept" | "Deny";
      readonly tier: Tier;
      readonly rule: RuleRef;
    }
  /** A protocol that policies cannot name, and the dialect decides. */
  | { readonly kind: "other-protocol"; readonly policies: readonly PolicyRef[] }
  /** It hangs on something that the world does not say. */
  | { readonly kind: "unknown"; readonly rule: RuleRef; readonly missing: string };

export type Tier = "Admin" | "Baseline";

/** What one side says. */
export interface SideVerdict {
  readonly outcome: "allow" | "deny" | "unknown";
  readonly reason: Reason;
  /** Two cluster-wide policies of one priority disagree; the API leaves open which one wins. */
  readonly ambiguous?: readonly RuleRef[];
}

/** Both sides are needed; both are always computed. */
export interface Verdict {
  readonly outcome: "allow" | "deny" | "unknown";
  readonly egress: SideVerdict;
  readonly ingress: SideVerdict;
}

export function joinSides(egress: SideVerdict, ingress: SideVerdict): Verdict {
  const outcomes = [egress.outcome, ingress.outcome];
  const outcome = outcomes.includes("deny")
    ? "deny"
    : outcomes.includes("unknown")
      ? "unknown"
      : "allow";
  return { outcome, egress, ingress };
}
