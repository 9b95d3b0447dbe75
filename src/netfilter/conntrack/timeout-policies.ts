import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { Timeouts } from "./settings.js";

/** Times that `-j CT --timeout NAME` gives connections of one protocol. Mirrors struct ctnl_timeout. */
export interface TimeoutPolicy {
  readonly name: string;
  readonly family: "ipv4" | "ipv6";
  /** The IP protocol; 255 for all that have no tracker of their own. */
  readonly protocol: number;
  /** Changed when the policy is. */
  readonly timeouts: Timeouts;
}

/** IPPROTO_RAW: how a policy of the generic tracker tells its protocol. */
export const GENERIC_PROTOCOL = 255;

/** The policies of a namespace, by name. Mirrors net/netfilter/nfnetlink_cttimeout.c. */
export const timeoutPolicies: (ns: NetworkNamespace) => Map<string, TimeoutPolicy> = perNamespace(
  () => new Map<string, TimeoutPolicy>(),
);
