import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import type { Cluster } from "../kube/cluster.js";
import { kinds } from "../kube/load/kinds.js";
import { type HasMetadata, type Kind, keyOf, type Loaded, nameOf } from "../kube/objects.js";

/** An object of a cluster by the words that people use for it. */
export interface FoundObject {
  readonly kind: Kind;
  /** `shop/api`; without a slash for kinds without namespaces. */
  readonly name: string;
  readonly loaded: Loaded<HasMetadata>;
}

/** Kinds by kubectl's short and long words. */
const WORDS: ReadonlyMap<string, Kind> = new Map([
  ...Object.keys(kinds).flatMap((kind): readonly (readonly [string, Kind])[] => {
    const known = Object.keys(kinds).find((one): one is Kind => one === kind && one in kinds);
    const word = kind.toLowerCase();
    return known === undefined
      ? []
      : [
          [word, known],
          [`${word}s`, known],
        ];
  }),
  ["svc", "Service"],
  ["po", "Pod"],
  ["no", "Node"],
  ["ns", "Namespace"],
  ["netpol", "NetworkPolicy"],
  ["policy", "NetworkPolicy"],
  ["policies", "NetworkPolicy"],
  ["np", "NetworkPolicy"],
  ["cm", "ConfigMap"],
  ["eps", "EndpointSlice"],
  ["endpointslice", "EndpointSlice"],
  ["ep", "Endpoints"],
  ["deploy", "Deployment"],
  ["sts", "StatefulSet"],
  ["ds", "DaemonSet"],
  ["rs", "ReplicaSet"],
  ["rc", "ReplicationController"],
  ["anp", "AdminNetworkPolicy"],
  ["banp", "BaselineAdminNetworkPolicy"],
  ["cnp", "ClusterNetworkPolicy"],
]);

/** `svc/shop/api` as a kind and a name; undefined where the first word is no kind. */
export function splitObjectName(
  text: string,
): { readonly kind: Kind; readonly name: string } | undefined {
  const slash = text.indexOf("/");
  const kind = slash < 0 ? undefined : WORDS.get(text.slice(0, slash).toLowerCase());
  if (kind === undefined) return undefined;
  const name = text.slice(slash + 1);
  return { kind, name: kinds[kind].namespaced && !name.includes("/") ? `default/${name}` : name };
}

/** Finds `svc/shop/api`, `netpol/shop/db-from-api`, `node/worker-1`. Throws UserError with the nearest name. */
export function findObject(cluster: Cluster, text: string, world: string): FoundObject {
  const named = splitObjectName(text);
  if (named === undefined) throw unknownWord(text);
  const { kind, name } = named;
  const all = objectsOf(cluster, kind);
  const keyed = all.map((loaded) => ({ kind, name: objectKey(kind, loaded), loaded }));
  const found = keyed.find((one) => one.name === name);
  if (found !== undefined) return found;
  const [namespace = "", own = ""] = name.split("/");
  const elsewhere = kinds[kind].namespaced
    ? keyed.find((one) => one.name.endsWith(`/${own}`) && namespace === "default")
    : undefined;
  const near =
    elsewhere?.name ??
    nearest(
      name,
      keyed.map((one) => one.name),
    );
  const some = keyed.slice(0, 8).map((one) => one.name);
  throw new UserError("OBJECT_UNKNOWN", `no ${kind} "${name}" in ${world}`, {
    help:
      near !== undefined
        ? `did you mean ${near}?`
        : some.length === 0
          ? `it has no ${kind} at all`
          : `it has ${some.join(", ")}${keyed.length > some.length ? ", …" : ""}`,
  });
}

/** `shop/api`, or `worker-1` for a kind without namespaces. */
export function objectKey(kind: Kind, { object }: Loaded<HasMetadata>): string {
  return kinds[kind].namespaced ? keyOf(object) : nameOf(object);
}

/** All objects of a kind, those that controllers made and those that are assumed among them. */
export function objectsOf(cluster: Cluster, kind: Kind): readonly Loaded<HasMetadata>[] {
  switch (kind) {
    case "Service":
      return cluster.services;
    case "EndpointSlice":
      return cluster.endpointSlices;
    case "ConfigMap":
      return cluster.configMaps;
    case "Namespace":
      return cluster.namespaces;
    case "Node":
      return cluster.nodes.map(({ loaded }) => loaded);
    case "Pod":
      return cluster.pods.map(({ loaded }) => loaded);
    default:
      return cluster.objects[kind];
  }
}

function unknownWord(text: string): UserError {
  const [word = ""] = text.split("/");
  const near = text.includes("/") ? nearest(word.toLowerCase(), WORDS.keys()) : undefined;
  return new UserError("OBJECT_KIND", `"${text}" names no object`, {
    help:
      near === undefined
        ? "say KIND/NAMESPACE/NAME: svc/shop/api, pod/shop/web-0, netpol/shop/db-from-api, node/worker-1"
        : `did you mean ${near}/…?`,
  });
}
