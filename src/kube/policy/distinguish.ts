import type { Labels } from "../selectors.js";
import type { PodEndpoint, PolicyWorld } from "./world.js";

/** Labels that controllers write and that change with every rollout or pod. */
const volatile = new Set([
  "pod-template-hash",
  "controller-revision-hash",
  "pod-template-generation",
  "statefulset.kubernetes.io/pod-name",
  "apps.kubernetes.io/pod-index",
  "controller-uid",
  "batch.kubernetes.io/controller-uid",
]);

/** Labels that people name their workloads with, the usual ones first. */
const usual = [
  "app.kubernetes.io/name",
  "app",
  "k8s-app",
  "name",
  "app.kubernetes.io/component",
  "component",
];

/**
 * The labels that tell a pod from the others of its namespace with as few words as possible: one label if no other does
 * better, else all that last. Empty for a pod without labels that last.
 */
export function distinguishing(world: PolicyWorld, pod: PodEndpoint): Record<string, string> {
  const lasting = Object.entries(pod.labels).filter(([key]) => !volatile.has(key));
  const neighbours = world.pods.filter(({ namespace }) => namespace === pod.namespace);
  const sharing = (labels: Labels): number =>
    neighbours.filter((other) =>
      Object.entries(labels).every(([key, value]) => other.labels[key] === value),
    ).length;
  const best = sharing(Object.fromEntries(lasting));
  const ranked = lasting.toSorted(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const one = ranked.find(([key, value]) => sharing({ [key]: value }) === best);
  return Object.fromEntries(one === undefined ? lasting : [one]);
}

function rank(key: string): number {
  const at = usual.indexOf(key);
  return at < 0 ? usual.length : at;
}
