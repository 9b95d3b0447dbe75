import { UserError, type UserErrorDetails } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { isMapping } from "../../kube/load/check.js";
import { kinds } from "../../kube/load/kinds.js";
import { type InlineObject, loadInline, type LoadResult } from "../../kube/load.js";
import {
  type HasMetadata,
  type Kind,
  type Loaded,
  nameOf,
  namespaceOf,
} from "../../kube/objects.js";
import { splitObjectName } from "../named-object.js";
import type { ObjectName } from "./scenario.js";

const KINDS = Object.keys(kinds) as readonly Kind[];

/** A word for a kind as kubectl takes it: `pod`, `pods`, `po`, `Pod`. Throws UserError. */
export function kindNamed(word: string, details: UserErrorDetails): Kind {
  const found = splitObjectName(`${word}/-`)?.kind;
  if (found !== undefined) return found;
  const known = KINDS.map((kind) => kind.toLowerCase());
  const near = nearest(word.toLowerCase(), known);
  throw new UserError("SCENARIO_KIND", `unknown kind "${word}"`, {
    ...details,
    help: near === undefined ? `kinds: ${known.join(", ")}` : `did you mean "${near}"?`,
  });
}

/** `shop/api-1`, or `worker-1` for kinds without namespaces. */
export function keyIn(kind: Kind, object: HasMetadata): string {
  return kinds[kind].namespaced ? `${namespaceOf(object)}/${nameOf(object)}` : nameOf(object);
}

export function keyNamed(kind: Kind, { namespace, name }: ObjectName): string {
  return kinds[kind].namespaced ? `${namespace}/${name}` : name;
}

/** What `apply` came to. */
export interface Edited {
  readonly load: LoadResult;
  readonly changes: readonly { readonly object: string; readonly action: "created" | "changed" }[];
}

/** Objects put over those that are there, by kind and name. Differs: an object is replaced, where kubectl apply merges. */
export function applied(load: LoadResult, objects: readonly InlineObject[]): Edited {
  const added = loadInline(objects);
  const changes: Edited["changes"][number][] = [];
  const merged = KINDS.map((kind) => {
    const byKey = new Map<string, Loaded<HasMetadata>>(
      load.objects[kind].map((loaded) => [keyIn(kind, loaded.object), loaded]),
    );
    for (const loaded of added.objects[kind]) {
      const key = keyIn(kind, loaded.object);
      changes.push({ object: `${kind} ${key}`, action: byKey.has(key) ? "changed" : "created" });
      byKey.set(key, loaded);
    }
    return [kind, [...byKey.values()]] as const;
  });
  return {
    load: { ...load, objects: Object.fromEntries(merged) as LoadResult["objects"] },
    changes,
  };
}

/** The object of a name; undefined when it is not among those that were given. */
export function givenObject(
  load: LoadResult,
  kind: Kind,
  key: string,
): Loaded<HasMetadata> | undefined {
  return load.objects[kind].find(({ object }) => keyIn(kind, object) === key);
}

export function without(load: LoadResult, kind: Kind, key: string): LoadResult {
  const kept = (load.objects[kind] as readonly Loaded<HasMetadata>[]).filter(
    ({ object }) => keyIn(kind, object) !== key,
  );
  return { ...load, objects: { ...load.objects, [kind]: kept } };
}

/** The object with a merge patch put in, as `kubectl patch --type merge` does. Mistakes are placed in the patch. */
export function patched(
  load: LoadResult,
  kind: Kind,
  key: string,
  merge: InlineObject,
): LoadResult {
  const loaded = givenObject(load, kind, key);
  if (loaded === undefined) return load;
  const value = mergePatch(loaded.object, merge.value);
  const identified = {
    apiVersion: kinds[kind].apiVersion,
    kind,
    ...(isMapping(value) ? value : {}),
  };
  const [fresh] = loadInline([{ ...merge, value: identified }]).objects[kind];
  if (fresh === undefined || keyIn(kind, fresh.object) !== key) {
    throw new UserError(
      "SCENARIO_PATCH",
      `a patch cannot make ${kind} ${key} another object`,
      merge.source.details(merge.document, [...merge.base, "metadata"], "value"),
    );
  }
  const objects = (load.objects[kind] as readonly Loaded<HasMetadata>[]).map((one) =>
    one === loaded ? { object: fresh.object, origin: loaded.origin } : one,
  );
  return { ...load, objects: { ...load.objects, [kind]: objects } };
}

/** RFC 7386. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isMapping(patch)) return patch;
  const merged: Record<string, unknown> = isMapping(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = mergePatch(merged[key], value);
  }
  return merged;
}
