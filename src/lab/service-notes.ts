import type { Service } from "kubernetes-types/core/v1.js";
import type { Cluster } from "../kube/cluster.js";
import { keyOf, namespaceOf } from "../kube/objects.js";
import { matchesMap } from "../kube/selectors.js";

/** Why a port of a Service leads nowhere, in words; nothing where it has a ready endpoint. */
export function endpointNotes(
  cluster: Cluster,
  key: string | undefined,
  port: number,
): readonly string[] {
  const found = cluster.services.find(({ object }) => keyOf(object) === key);
  const wanted = found?.object.spec?.ports?.find((one) => one.port === port);
  if (found === undefined || wanted === undefined) return [];
  const { object: service } = found;
  const slices = cluster.endpointSlices.filter(
    ({ object }) =>
      `${namespaceOf(object)}/${object.metadata?.labels?.["kubernetes.io/service-name"] ?? ""}` ===
      key,
  );
  const endpoints = slices.flatMap(({ object }) => object.endpoints ?? []);
  const withPort = slices
    .filter(({ object }) =>
      (object.ports ?? []).some(({ name = "" }) => name === (wanted.name ?? "")),
    )
    .flatMap(({ object }) => object.endpoints ?? []);
  const ready = withPort.filter(({ conditions }) => conditions?.ready !== false);
  if (ready.length > 0) return [];
  const what = `Service ${key} has no endpoint for port ${port}`;
  if (withPort.length > 0)
    return [`${what} that is ready: ${plural(withPort.length, "pod")}, none of them ready`];
  if (endpoints.length > 0 && typeof wanted.targetPort === "string")
    return [
      `${what}: none of its ${plural(endpoints.length, "pod")} has a port named "${wanted.targetPort}"`,
    ];
  return [`${what}: ${selectorText(cluster, service)}`];
}

function selectorText(cluster: Cluster, service: Service): string {
  const pairs = Object.entries(service.spec?.selector ?? {});
  if (pairs.length === 0) return "it has no selector, and no EndpointSlice names it";
  const labels = pairs.map(([name, value]) => `${name}=${value}`).join(",");
  const namespace = namespaceOf(service);
  const fitting = cluster.pods.filter(
    (pod) =>
      pod.namespace === namespace &&
      matchesMap(service.spec?.selector ?? {}, pod.loaded.object.metadata?.labels),
  );
  if (fitting.length === 0) return `no pod in namespace ${namespace} has the labels ${labels}`;
  return `${plural(fitting.length, "pod")} in namespace ${namespace} with the labels ${labels}, none with an address`;
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
