import type { Place } from "../../base/errors.js";
import { formatPath, isMapping } from "../../kube/load/check.js";
import { kinds } from "../../kube/load/kinds.js";
import type { Cluster } from "../../kube/cluster.js";
import { type HasMetadata, type Kind, type Loaded, namespaceOf } from "../../kube/objects.js";
import { objectKey, objectsOf } from "../named-object.js";

type FieldPath = readonly (string | number)[];

/** One field that is not the same; undefined where a world does not have it. */
export interface FieldChange {
  /** `spec.ports[name=http].targetPort`. */
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** An object that only one world has, or that is not the same in both. */
export interface ObjectChange {
  readonly kind: string;
  /** `shop/api`; without a slash for kinds without namespaces. */
  readonly name: string;
  readonly change: "added" | "removed" | "changed";
  /** Where it stands in the world that has it; in the second one for what changed. */
  readonly place: Place | undefined;
  readonly fields: readonly FieldChange[];
}

/** Objects of two clusters, those that controllers make among them; endpoints are compared by Service, not by slice. */
export function diffObjects(before: Cluster, after: Cluster): readonly ObjectChange[] {
  const named = Object.keys(kinds).filter(
    (kind): kind is Kind => kind in kinds && kind !== "EndpointSlice" && kind !== "Endpoints",
  );
  return [
    ...named.flatMap((kind) =>
      diffLists(kind, keyed(kind, objectsOf(before, kind)), keyed(kind, objectsOf(after, kind))),
    ),
    ...diffLists("endpoints of Service", endpointsOf(before), endpointsOf(after)),
  ];
}

type Keyed = ReadonlyMap<string, Loaded<unknown>>;

function keyed(kind: Kind, list: readonly Loaded<HasMetadata>[]): Keyed {
  return new Map(list.map((loaded) => [objectKey(kind, loaded), loaded]));
}

function diffLists(kind: string, before: Keyed, after: Keyed): readonly ObjectChange[] {
  const changes: ObjectChange[] = [];
  for (const [name, loaded] of before) {
    const other = after.get(name);
    if (other === undefined)
      changes.push({ kind, name, change: "removed", place: placeOf(loaded), fields: [] });
    else {
      const fields = diffValues(meaning(loaded.object), meaning(other.object), []);
      if (fields.length > 0)
        changes.push({ kind, name, change: "changed", place: placeOf(other), fields });
    }
  }
  for (const [name, loaded] of after)
    if (!before.has(name))
      changes.push({ kind, name, change: "added", place: placeOf(loaded), fields: [] });
  return changes;
}

function placeOf({ origin }: Loaded<unknown>): Place | undefined {
  return origin.assumed === undefined ? origin.placeOf([]) : undefined;
}

/** What the cluster writes down about itself, and what says nothing to the network. */
const SILENT_METADATA: readonly string[] = [
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "managedFields",
  "selfLink",
  "ownerReferences",
  "generateName",
  "annotations",
];

const TELLING_STATUS: readonly string[] = ["podIP", "phase", "loadBalancer", "addresses"];

/** The parts of an object that decide something. */
function meaning(object: unknown): unknown {
  if (!isMapping(object)) return object;
  const { metadata, status, apiVersion: _version, kind: _kind, ...rest } = object;
  const kept = (value: unknown, keep: (name: string) => boolean): unknown =>
    isMapping(value)
      ? Object.fromEntries(Object.entries(value).filter(([name]) => keep(name)))
      : undefined;
  return {
    metadata: kept(metadata, (name) => !SILENT_METADATA.includes(name)),
    ...rest,
    status: kept(status, (name) => TELLING_STATUS.includes(name)),
  };
}

/** Items of lists are the same item when these agree. */
const ITEM_KEYS: readonly string[] = ["name", "address", "ip", "port", "containerPort"];

function diffValues(before: unknown, after: unknown, path: FieldPath): readonly FieldChange[] {
  if (before === after) return [];
  if (isMapping(before) && isMapping(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].flatMap((name) => diffValues(before[name], after[name], [...path, name]));
  }
  if (Array.isArray(before) && Array.isArray(after)) return diffItems(before, after, path);
  if (isEmpty(before) && isEmpty(after)) return [];
  return [{ path: pathText(path), before, after }];
}

/** `spec.ports[name=http].port`: an item of a list by what names it. */
function pathText(path: FieldPath): string {
  return formatPath(path).replaceAll(/\["(\w+=[^"\]]*)"\]/g, "[$1]");
}

function diffItems(
  before: readonly unknown[],
  after: readonly unknown[],
  path: FieldPath,
): readonly FieldChange[] {
  const key = ITEM_KEYS.find((name) => isKey(before, name) && isKey(after, name));
  if (key === undefined) {
    const count = Math.max(before.length, after.length);
    return Array.from({ length: count }, (_, index) =>
      diffValues(before[index], after[index], [...path, index]),
    ).flat();
  }
  const old = byKey(before, key);
  const fresh = byKey(after, key);
  return [...new Set([...old.keys(), ...fresh.keys()])].flatMap((value) =>
    diffValues(old.get(value), fresh.get(value), [...path, `${key}=${value}`]),
  );
}

function isKey(items: readonly unknown[], name: string): boolean {
  const values = items.map((item) => (isMapping(item) ? item[name] : undefined));
  return (
    values.every((value) => typeof value === "string" || typeof value === "number") &&
    new Set(values).size === values.length
  );
}

function byKey(items: readonly unknown[], key: string): ReadonlyMap<string, unknown> {
  return new Map(
    items.flatMap((item) => (isMapping(item) ? [[String(item[key]), item] as const] : [])),
  );
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return isMapping(value) && Object.values(value).every(isEmpty);
}

/** Every Service's endpoints over all of its slices: `10.244.1.6 port http=8080/TCP`. */
function endpointsOf({ endpointSlices, services }: Cluster): Keyed {
  const found = new Map<
    string,
    { readonly endpoints: object[]; readonly origin: Loaded<unknown>["origin"] }
  >();
  const places = new Map(services.map((loaded) => [objectKey("Service", loaded), loaded.origin]));
  for (const { object, origin } of endpointSlices) {
    const service = `${namespaceOf(object)}/${object.metadata?.labels?.["kubernetes.io/service-name"] ?? ""}`;
    const entry = found.get(service) ?? { endpoints: [], origin: places.get(service) ?? origin };
    found.set(service, entry);
    const ports = (object.ports ?? []).map(
      ({ name = "", port, protocol = "TCP" }) => `${name}=${port ?? "all"}/${protocol}`,
    );
    for (const { addresses, conditions, nodeName, targetRef } of object.endpoints ?? [])
      for (const address of addresses)
        entry.endpoints.push({
          address,
          ports: ports.join(" "),
          ready: conditions?.ready !== false,
          node: nodeName,
          pod: targetRef?.name,
        });
  }
  return new Map(
    [...found].map(([name, { endpoints, origin }]) => [name, { object: { endpoints }, origin }]),
  );
}
