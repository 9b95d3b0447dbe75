import type { LabelSelector, ObjectMeta } from "kubernetes-types/meta/v1.js";

/*
 * The shapes of policy.networking.k8s.io, which kubernetes-types lacks: v1alpha1 (AdminNetworkPolicy,
 * BaselineAdminNetworkPolicy) and v1alpha2 (ClusterNetworkPolicy).
 */

/** `AdminNetworkPolicy`, v1alpha1: the admin tier, in the order of `priority`. */
export interface AdminNetworkPolicy {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: ObjectMeta;
  readonly spec?: ClusterSpec & { readonly priority?: number };
}

/** `BaselineAdminNetworkPolicy`, v1alpha1: at most one, named `default`. */
export interface BaselineAdminNetworkPolicy {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: ObjectMeta;
  readonly spec?: ClusterSpec;
}

/** `ClusterNetworkPolicy`, v1alpha2: both tiers in one kind. */
export interface ClusterNetworkPolicy {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: ObjectMeta;
  readonly spec?: ClusterSpec & {
    readonly tier?: "Admin" | "Baseline";
    readonly priority?: number;
  };
}

export type ClusterWidePolicy =
  | AdminNetworkPolicy
  | BaselineAdminNetworkPolicy
  | ClusterNetworkPolicy;

/** What the three kinds share. */
export interface ClusterSpec {
  readonly subject?: ClusterPodPeer;
  readonly ingress?: readonly ClusterRule[];
  readonly egress?: readonly ClusterRule[];
}

/** `Allow` is v1alpha1's word and `Accept` v1alpha2's for the same. */
export type ClusterAction = "Allow" | "Accept" | "Deny" | "Pass";

export interface ClusterRule {
  readonly name?: string;
  readonly action?: ClusterAction;
  readonly from?: readonly ClusterPeer[];
  readonly to?: readonly ClusterPeer[];
  /** v1alpha1. */
  readonly ports?: readonly AdminPort[];
  /** v1alpha2. */
  readonly protocols?: readonly ClusterProtocol[];
}

/** Exactly one of the two. */
export interface ClusterPodPeer {
  readonly namespaces?: LabelSelector;
  readonly pods?: {
    readonly namespaceSelector?: LabelSelector;
    readonly podSelector?: LabelSelector;
  };
}

/** Exactly one of the five; the last three are for egress alone. */
export interface ClusterPeer extends ClusterPodPeer {
  readonly nodes?: LabelSelector;
  readonly networks?: readonly string[];
  readonly domainNames?: readonly string[];
}

/** Exactly one of the three. */
export interface AdminPort {
  readonly portNumber?: { readonly protocol?: string; readonly port?: number };
  readonly portRange?: {
    readonly protocol?: string;
    readonly start?: number;
    readonly end?: number;
  };
  readonly namedPort?: string;
}

export interface DestinationPort {
  readonly number?: number;
  readonly range?: { readonly start?: number; readonly end?: number };
}

/** Exactly one of the four. A protocol without `destinationPort` means all of its ports. */
export interface ClusterProtocol {
  readonly tcp?: { readonly destinationPort?: DestinationPort };
  readonly udp?: { readonly destinationPort?: DestinationPort };
  readonly sctp?: { readonly destinationPort?: DestinationPort };
  readonly destinationNamedPort?: string;
}
