import { UserError } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { checkFields, isMapping, type Mapping } from "../../kube/load/check.js";
import { parseDocuments } from "../../kube/load/documents.js";
import { kinds } from "../../kube/load/kinds.js";
import { SourceText } from "../../kube/load/source-text.js";
import type { LoadResult } from "../../kube/load.js";
import {
  type HasMetadata,
  type Kind,
  type Loaded,
  namespaceOf,
  type Origin,
} from "../../kube/objects.js";
import { objectKey, splitObjectName } from "../named-object.js";
import { keepServerFields } from "./server-fields.js";

type Objects = LoadResult["objects"];

/** The objects with one kind's list replaced. */
function withList(objects: Objects, kind: Kind, list: readonly Loaded<HasMetadata>[]): Objects {
  return { ...objects, [kind]: list };
}

/**
 * Applies manifests as the API server would: one of a known name replaces the object and keeps what the server alone writes
 * (status, allocated addresses and ports); others are added.
 */
export function applyManifests(base: LoadResult, patch: LoadResult): LoadResult {
  let { objects } = base;
  const touched = new Set<string>();
  for (const kind of allKinds) {
    for (const loaded of listOf(patch.objects, kind)) {
      const list = listOf(objects, kind);
      const key = objectKey(kind, loaded);
      const at = list.findIndex((one) => objectKey(kind, one) === key);
      const old = list[at];
      const object =
        old === undefined ? loaded.object : keepServerFields(kind, old.object, loaded.object);
      const applied = { object, origin: loaded.origin };
      objects = withList(objects, kind, at < 0 ? [...list, applied] : list.with(at, applied));
      if (movesEndpoints(kind)) touched.add(namespaceOf(loaded.object));
    }
  }
  return {
    ...base,
    objects: withoutManagedSlices(objects, touched),
    unused: [...base.unused, ...patch.unused],
    notes: [...base.notes, ...patch.notes],
  };
}

/** Whether a pod stands in the files, by `namespace/name`. */
export function isGiven({ objects }: LoadResult, pod: string): boolean {
  return objects.Pod.some((one) => objectKey("Pod", one) === pod);
}

/** Recorded slices of the namespaces of pods that are taken out are written anew. */
export function withoutSlicesOf(load: LoadResult, pods: ReadonlySet<string>): LoadResult {
  const namespaces = new Set([...pods].map((key) => key.split("/", 1)[0] ?? ""));
  return { ...load, objects: withoutManagedSlices(load.objects, namespaces) };
}

/** Takes one object out, and what the cluster's controllers would take out with it. Throws UserError when there is none. */
export function removeObject(
  load: LoadResult,
  kind: Kind,
  name: string,
  world: string,
): LoadResult {
  const list = listOf(load.objects, kind);
  const found = list.find((one) => objectKey(kind, one) === name);
  if (found === undefined) throw notGiven(load, kind, name, world);
  let objects = withList(
    load.objects,
    kind,
    list.filter((one) => one !== found),
  );
  if (kind === "Service") objects = withoutEndpointsOf(objects, name);
  if (kind === "Namespace") objects = withoutNamespace(objects, name);
  const touched = movesEndpoints(kind) ? new Set([namespaceOf(found.object)]) : new Set<string>();
  return { ...load, objects: withoutManagedSlices(objects, touched) };
}

/** Sets one field: `svc/shop/web.spec.externalTrafficPolicy=Local`. Throws UserError for what the API would refuse. */
export function setField(load: LoadResult, text: string, world: string): LoadResult {
  const [, target = "", value] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  const named = splitObjectName(target);
  if (value === undefined || named === undefined)
    throw new UserError("SET_SYNTAX", `--set ${text} gives no value`, {
      help: "say svc/NS/NAME.FIELD=VALUE; an empty value takes the field away",
    });
  const { kind, name } = named;
  const list = listOf(load.objects, kind);
  // Names have dots too: the longest that is there counts.
  const found = list
    .filter((one) => name.startsWith(`${objectKey(kind, one)}.`))
    .toSorted((a, b) => objectKey(kind, b).length - objectKey(kind, a).length)[0];
  if (found === undefined)
    throw notGiven(load, kind, /^[^/]*\/[^/.]*|^[^/.]*/.exec(name)?.[0] ?? name, world);
  const key = objectKey(kind, found);
  const path = parsePath(name.slice(key.length + 1), kind, text);
  const object: unknown = structuredClone(found.object);
  if (!isMapping(object)) throw new Error(`${kind} ${key} is a mapping`);
  assign(object, path, readValue(value), text);
  const title = `${kind} ${key}`;
  const errors = checkFields(
    object,
    kinds[kind].shape,
    { title, origin: nowhere(found.origin), live: false },
    [],
  );
  const [first] = errors;
  if (first !== undefined)
    throw new UserError(first.code, `--set ${text}: ${first.message}`, {
      help: first.details.help,
    });
  const edited: Loaded<HasMetadata> = { object, origin: found.origin };
  const touched = movesEndpoints(kind) ? new Set([namespaceOf(found.object)]) : new Set<string>();
  return {
    ...load,
    objects: withoutManagedSlices(
      withList(load.objects, kind, list.with(list.indexOf(found), edited)),
      touched,
    ),
  };
}

const allKinds: readonly Kind[] = Object.keys(kinds).filter((kind): kind is Kind => kind in kinds);

function listOf(objects: Objects, kind: Kind): readonly Loaded<HasMetadata>[] {
  return objects[kind];
}

/** A change of these makes the endpoint controllers write anew. */
function movesEndpoints(kind: Kind): boolean {
  return kind === "Service" || kind === "Pod" || kind === "Node";
}

const SERVICE_NAME = "kubernetes.io/service-name";

/** Recorded slices of the controllers would say how it was before; those that a person wrote stay. */
function withoutManagedSlices(objects: Objects, namespaces: ReadonlySet<string>): Objects {
  if (namespaces.size === 0) return objects;
  const selects = new Set(
    objects.Service.filter(({ object }) => Object.keys(object.spec?.selector ?? {}).length > 0).map(
      ({ object }) => objectKey("Service", { object, origin: NOWHERE }),
    ),
  );
  return {
    ...objects,
    EndpointSlice: objects.EndpointSlice.filter(({ object }) => {
      const namespace = namespaceOf(object);
      const service = object.metadata?.labels?.[SERVICE_NAME] ?? "";
      const managed =
        object.metadata?.labels?.["endpointslice.kubernetes.io/managed-by"] ===
        "endpointslice-controller.k8s.io";
      return !(managed && namespaces.has(namespace) && selects.has(`${namespace}/${service}`));
    }),
  };
}

/** A Service's endpoints go with it. */
function withoutEndpointsOf(objects: Objects, service: string): Objects {
  return {
    ...objects,
    EndpointSlice: objects.EndpointSlice.filter(
      ({ object }) =>
        `${namespaceOf(object)}/${object.metadata?.labels?.[SERVICE_NAME] ?? ""}` !== service,
    ),
    Endpoints: objects.Endpoints.filter((one) => objectKey("Endpoints", one) !== service),
  };
}

function withoutNamespace(objects: Objects, namespace: string): Objects {
  let rest = objects;
  for (const kind of allKinds)
    if (kinds[kind].namespaced)
      rest = withList(
        rest,
        kind,
        listOf(rest, kind).filter(({ object }) => namespaceOf(object) !== namespace),
      );
  return rest;
}

/** `spec.ports[0].targetPort`, `metadata.labels["app.kubernetes.io/name"]`; `spec` may be left out. */
function parsePath(text: string, kind: Kind, whole: string): readonly (string | number)[] {
  const parts: (string | number)[] = [];
  let rest = text;
  while (rest !== "") {
    const [all = "", dotted, number, quoted] =
      /^\.?(?:([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\["([^"]+)"\])/.exec(rest) ?? [];
    if (all === "" || dotted === "__proto__")
      throw new UserError("SET_SYNTAX", `"${rest}" in --set ${whole} is no way to a field`, {
        help: 'say spec.ports[0].targetPort, or metadata.labels["app.kubernetes.io/name"]',
      });
    parts.push(number === undefined ? (dotted ?? quoted ?? "") : Number(number));
    rest = rest.slice(all.length);
  }
  const [first] = parts;
  const { shape } = kinds[kind];
  const inSpec = typeof first === "string" && !shape.known.has(first) && shape.known.has("spec");
  return inSpec ? ["spec", ...parts] : parts;
}

function readValue(text: string): unknown {
  if (text === "") return null;
  try {
    return parseDocuments(new SourceText("--set", text))[0];
  } catch {
    return text;
  }
}

/** Puts a value where a path leads, making mappings on the way; null takes the field out. */
function assign(
  object: Mapping,
  path: readonly (string | number)[],
  value: unknown,
  text: string,
): void {
  const last = path.at(-1);
  if (last === undefined)
    throw new UserError("SET_SYNTAX", `--set ${text} names no field`, {
      help: "say which: svc/shop/web.spec.externalTrafficPolicy=Local",
    });
  let at: unknown = object;
  for (const [index, part] of path.slice(0, -1).entries()) {
    const next = childOf(at, part);
    if (next !== undefined && next !== null) at = next;
    else if (isMapping(at) && typeof path[index + 1] === "string") at = at[String(part)] = {};
    else throw noPart(path.slice(0, index + 1), text);
  }
  if (isMapping(at)) {
    if (value === null) delete at[String(last)];
    else at[String(last)] = value;
  } else if (Array.isArray(at) && typeof last === "number" && last <= at.length) {
    if (value === null) at.splice(last, 1);
    else at[last] = value;
  } else throw noPart(path, text);
}

function childOf(value: unknown, part: string | number): unknown {
  if (Array.isArray(value)) return typeof part === "number" ? value[part] : undefined;
  return isMapping(value) && Object.hasOwn(value, part) ? value[String(part)] : undefined;
}

function noPart(path: readonly (string | number)[], text: string): UserError {
  return new UserError("SET_SYNTAX", `--set ${text}: there is no ${path.join(".")} to go into`);
}

/** An object that stands in the user's files: others are made from them by controllers, or assumed. */
function notGiven(load: LoadResult, kind: Kind, name: string, world: string): UserError {
  const known = listOf(load.objects, kind).map((one) => objectKey(kind, one));
  const near = nearest(name, known);
  return new UserError("OBJECT_UNKNOWN", `no ${kind} "${name}" is given in ${world}`, {
    help:
      near !== undefined
        ? `did you mean ${near}?`
        : known.length === 0
          ? `its files hold no ${kind}; what controllers make follows from other objects`
          : `there are ${known.slice(0, 8).join(", ")}${known.length > 8 ? ", …" : ""}`,
  });
}

const NOWHERE: Origin = {
  file: "--set",
  line: 1,
  column: 1,
  assumed: undefined,
  placeOf: () => ({ file: "--set", line: 1, column: 1 }),
  details: () => ({}),
};

/** The value stands on the command line, not in the object's file. */
function nowhere({ file, line, column }: Origin): Origin {
  return { ...NOWHERE, file, line, column };
}
