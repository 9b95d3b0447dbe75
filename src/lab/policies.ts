import type { Cluster } from "../kube/cluster.js";
import type { Dialect } from "../kube/policy/dialect.js";
import { policyObjectsOf, policyWorld, type PolicyWorld } from "../kube/policy/world.js";
import { nameOf } from "../kube/objects.js";
import type { ClusterWorld } from "./world.js";

/**
 * Policies that no rules are rendered for: kube-router knows NetworkPolicy alone. Where there are others, a packet's
 * answer is not certain; `hopwise why` judges them.
 */
export function policiesNotRendered({ objects }: Cluster): readonly string[] {
  const others = [
    ...objects.AdminNetworkPolicy,
    ...objects.BaselineAdminNetworkPolicy,
    ...objects.ClusterNetworkPolicy,
  ];
  return others.map(
    ({ object, origin }) =>
      `${object.kind ?? "policy"} ${nameOf(object)} (${origin.file}:${origin.line}) is not turned into rules; hopwise why judges it`,
  );
}

/** What the policy evaluators see of a world. */
export function policyWorldOf({ cluster }: ClusterWorld, dialect?: Dialect): PolicyWorld {
  return policyWorld(policyObjectsOf(cluster), dialect);
}
