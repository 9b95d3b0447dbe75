import { nameHash } from "../proxy/names.js";

/*
 * Names of kube-router's chains and sets: hashes over their parts without separators. Mirrors
 * pkg/controllers/netpol/utils.go and policy.go of cloudnativelabs/kube-router.
 */

/** The family as kube-router writes it into what it hashes. */
export type Family = "IPv4" | "IPv6";

export function podChain(namespace: string, pod: string, version: string): string {
  return `KUBE-POD-FW-${hash(namespace, pod, version)}`;
}

export function policyChain(
  namespace: string,
  policy: string,
  version: string,
  family: Family,
): string {
  return `KUBE-NWPLCY-${hash(namespace, policy, version, family)}`;
}

/** Which addresses a set holds, from the side of the packet where it is looked up. */
export interface SetName {
  readonly side: "SRC" | "DST";
  readonly namespace: string;
  readonly policy: string;
  readonly family: Family;
  /** Empty for the pods that the policy selects; else the rule and what of it. */
  readonly part: string;
}

/** IPv6 sets have a prefix of their own, as names are shared between the families. */
export function setName({ side, namespace, policy, family, part }: SetName): string {
  const tail = part === "" ? family : part.replace("%", family);
  return `${family === "IPv6" ? "inet6:" : ""}KUBE-${side}-${hash(namespace, policy, tail)}`;
}

/** What of a rule a set holds; `%` stands where the family goes. Rules count from 0. */
export function rulePart(
  direction: "ingress" | "egress",
  rule: number,
  what: "pod" | "ipblock",
): string {
  return `${direction}rule${rule}%${what}`;
}

export function namedPortPart(direction: "ingress" | "egress", rule: number, port: number): string {
  return `${direction}rule${rule}${port}%namedport`;
}

/** The identifier at the end of a positioned rule's comment: over its chain and the arguments before it was added. */
export function ruleIdentifier(chain: string, args: readonly string[]): string {
  return hash(chain, ...args);
}

function hash(...parts: readonly string[]): string {
  return nameHash(parts.join(""), 16);
}
