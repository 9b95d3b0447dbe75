import type { Service } from "kubernetes-types/core/v1.js";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";
import { UserError, type UserErrorDetails } from "../../base/errors.js";
import { safeText } from "../../base/safe-text.js";

/** Keys and indexes from an object's root to a value in it: `["spec", "ports", 0]`. */
export type FieldPath = readonly (string | number)[];

/** A Kubernetes object, or a value in it, by name: what a rule was made from. */
export interface ObjectRef {
  readonly kind: "Service" | "EndpointSlice" | "Node" | "ConfigMap" | "NetworkPolicy" | "Pod";
  /** Empty for objects without a namespace. */
  readonly namespace: string;
  readonly name: string;
  readonly path: FieldPath;
}

/** What kube-proxy watches. */
export interface ProxyObjects {
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
  /** Place and source line of a value of one of the objects; gives errors theirs. */
  readonly detailsOf?: ((ref: ObjectRef) => UserErrorDetails | undefined) | undefined;
}

/** Something in an object that kube-proxy passes over with a line in its log. */
export interface ProxyNote {
  readonly object: ObjectRef;
  readonly message: string;
}

/** The same object, at a value inside the one `ref` names. */
export function at(ref: ObjectRef, ...path: FieldPath): ObjectRef {
  return { ...ref, path: [...ref.path, ...path] };
}

/** `Service default/web: spec.ports[0].port`. */
export function describeRef(ref: ObjectRef): string {
  const name = ref.namespace === "" ? ref.name : `${ref.namespace}/${ref.name}`;
  const path = ref.path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`))
    .join("");
  return safeText(`${ref.kind} ${name}${path === "" ? "" : `: ${path.replace(/^\./, "")}`}`);
}

/** Reports a value that the Kubernetes API would not have stored. */
export function refuse(
  objects: Pick<ProxyObjects, "detailsOf">,
  ref: ObjectRef,
  message: string,
  help?: string,
): never {
  throw new UserError("KUBE_INVALID_VALUE", `${describeRef(ref)}: ${message}`, {
    ...objects.detailsOf?.(ref),
    help,
  });
}

/** An object or port name as the API allows it (RFC 1123, dots for objects). Anything else could forge rule text. */
export function isKubernetesName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(text);
}
