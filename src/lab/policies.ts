import type { TraceEvent } from "../core/trace.js";
import type { Cluster, ClusterPod } from "../kube/cluster.js";
import { keyOf, namespaceOf } from "../kube/objects.js";
import { matchesSelector } from "../kube/selectors.js";
import { formatIpv4 } from "../wire/ip.js";

/**
 * NetworkPolicies are not enforced yet: one that selects the sender (egress) or the receiver (ingress) of this request
 * could change the answer, so there is no certain one. Each is named with what it would decide.
 */
export function policiesInTheWay(
  cluster: Cluster,
  sender: ClusterPod | undefined,
  events: readonly TraceEvent[],
): readonly string[] {
  const receivers = new Set(
    events.flatMap((event) =>
      "packet" in event && event.frame.network?.kind === "ipv4"
        ? [event.frame.network.destination]
        : [],
    ),
  );
  const reached = cluster.pods.filter(
    (pod) =>
      pod !== sender && pod.address !== undefined && !pod.hostNetwork && receivers.has(pod.address),
  );
  return cluster.objects.NetworkPolicy.flatMap(({ object, origin }) => {
    const types = object.spec?.policyTypes ?? [
      "Ingress",
      ...(object.spec?.egress === undefined ? [] : ["Egress"]),
    ];
    const selects = (pod: ClusterPod): boolean =>
      pod.namespace === namespaceOf(object) &&
      !pod.hostNetwork &&
      matchesSelector(object.spec?.podSelector, pod.loaded.object.metadata?.labels);
    const where = `${origin.file}:${origin.line}`;
    const told = (direction: string, pod: ClusterPod): string =>
      `NetworkPolicy ${keyOf(object)} (${where}) selects ${pod.key} (${formatIpv4(pod.address ?? cluster.networks.pods.prefix.address)}) for ${direction}, and policies are not enforced yet`;
    if (types.includes("Egress") && sender !== undefined && selects(sender))
      return [told("egress", sender)];
    const receiver = types.includes("Ingress") ? reached.find(selects) : undefined;
    return receiver === undefined ? [] : [told("ingress", receiver)];
  });
}
