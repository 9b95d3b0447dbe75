import type { Service } from "kubernetes-types/core/v1.js";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";
import { keyOf, type Loaded, type Origin } from "../objects.js";
import type { ObjectRef, ProxyObjects } from "./objects.js";

/** Loaded objects as kube-proxy's input: what is wrong in them is reported where it stands in the user's text. */
export function proxyObjects(
  services: readonly Loaded<Service>[],
  endpointSlices: readonly Loaded<EndpointSlice>[],
): ProxyObjects {
  const origins = {
    Service: originsByKey(services),
    EndpointSlice: originsByKey(endpointSlices),
  };
  return {
    services: services.map(({ object }) => object),
    endpointSlices: endpointSlices.map(({ object }) => object),
    detailsOf: (ref) => originOf(origins, ref)?.details(ref.path, "value"),
  };
}

function originsByKey(
  loaded: readonly Loaded<Service | EndpointSlice>[],
): ReadonlyMap<string, Origin> {
  return new Map(loaded.map(({ object, origin }) => [keyOf(object), origin]));
}

function originOf(
  origins: { readonly [kind in "Service" | "EndpointSlice"]: ReadonlyMap<string, Origin> },
  { kind, namespace, name }: ObjectRef,
): Origin | undefined {
  return kind === "Service" || kind === "EndpointSlice"
    ? origins[kind].get(`${namespace}/${name}`)
    : undefined;
}
