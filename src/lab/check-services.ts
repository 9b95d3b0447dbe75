import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";
import type { Cluster } from "../kube/cluster.js";
import { keyOf, type Loaded, namespaceOf, nameOf } from "../kube/objects.js";
import type { CheckNote } from "./check.js";
import { portNotes, slicesByService } from "./service-notes.js";

/** Services and EndpointSlices that lead nowhere: no mistake to the API, and seldom meant. */
export function checkServices(cluster: Cluster): readonly CheckNote[] {
  return [...portsWithoutEndpoints(cluster), ...slicesWithoutService(cluster)];
}

function portsWithoutEndpoints(cluster: Cluster): readonly CheckNote[] {
  const slices = slicesByService(cluster);
  return cluster.services.flatMap(({ object, origin }) => {
    if (object.spec?.type === "ExternalName" || origin.assumed !== undefined) return [];
    return (object.spec?.ports ?? []).flatMap((port, index) =>
      portNotes(cluster, object, port, slices).map((text) => ({
        what: "warning" as const,
        text,
        place: origin.placeOf(["spec", "ports", index]),
      })),
    );
  });
}

function slicesWithoutService(cluster: Cluster): readonly CheckNote[] {
  const services = new Set(cluster.services.map(({ object }) => keyOf(object)));
  return cluster.endpointSlices.flatMap((slice) => {
    const text = orphanText(slice, services);
    return text === undefined
      ? []
      : [{ what: "warning" as const, text, place: slice.origin.placeOf(["metadata"]) }];
  });
}

function orphanText(
  { object }: Loaded<EndpointSlice>,
  services: ReadonlySet<string>,
): string | undefined {
  const service = object.metadata?.labels?.["kubernetes.io/service-name"];
  const name = `EndpointSlice ${namespaceOf(object)}/${nameOf(object)}`;
  if (service === undefined)
    return `${name} has no label kubernetes.io/service-name: no Service has its endpoints`;
  const key = `${namespaceOf(object)}/${service}`;
  return services.has(key)
    ? undefined
    : `${name} is for Service ${key}, which is not there: kube-proxy makes no rules of it`;
}
