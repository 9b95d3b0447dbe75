import type { NetworkPolicy } from "kubernetes-types/networking/v1.js";
import { loadObjects } from "../load.js";
import { keyOf, type Loaded, nameOf, namespaceOf } from "../objects.js";
import type { ClusterRule, ClusterWidePolicy } from "./api.js";
import { applyPatches, type TextPatch } from "./patch.js";
import type { PolicyRef } from "./verdict.js";
import type { PolicyObjects } from "./world.js";

/** How a user makes a change: lines of a file, a file of their own, or a command. */
export type Step =
  | ({ readonly kind: "patch" } & TextPatch)
  | { readonly kind: "new-file"; readonly lines: readonly string[] }
  | { readonly kind: "command"; readonly line: string };

/** A change to the objects, and how it is made. */
export interface Edit {
  readonly title: string;
  readonly cost: number;
  readonly steps: readonly Step[];
  apply(objects: PolicyObjects): PolicyObjects;
}

/** How an edit is called, and how big it is. */
export type Size = Pick<Edit, "title" | "cost">;

/** An edit of a text, if the text could be edited. */
export function asEdits(
  size: Size,
  patch: TextPatch | undefined,
  apply: Edit["apply"],
): readonly Edit[] {
  return patch === undefined ? [] : [{ ...size, steps: [{ kind: "patch", ...patch }], apply }];
}

type PolicySpec = NonNullable<NetworkPolicy["spec"]>;

/** The objects with the spec of one NetworkPolicy changed. */
export function withPolicySpec(
  objects: PolicyObjects,
  key: string,
  change: (spec: PolicySpec) => PolicySpec,
): PolicyObjects {
  const networkPolicies = objects.networkPolicies.map((loaded) => {
    const { object, origin } = loaded;
    if (keyOf(object) !== key) return loaded;
    return { object: { ...object, spec: change(object.spec ?? { podSelector: {} }) }, origin };
  });
  return { ...objects, networkPolicies };
}

export function withNewPolicy(
  objects: PolicyObjects,
  policy: Loaded<NetworkPolicy>,
): PolicyObjects {
  return { ...objects, networkPolicies: [...objects.networkPolicies, policy] };
}

/** The objects with the rules of one direction of a cluster-wide policy changed. */
export function withClusterRules(
  objects: PolicyObjects,
  { kind, key }: PolicyRef,
  direction: "ingress" | "egress",
  change: (rules: readonly ClusterRule[]) => readonly ClusterRule[],
): PolicyObjects {
  const changed = <T extends ClusterWidePolicy>(
    list: readonly Loaded<T>[] | undefined,
  ): readonly Loaded<T>[] =>
    (list ?? []).map((loaded) => {
      const { object, origin } = loaded;
      if (nameOf(object) !== key) return loaded;
      const rules = change(object.spec?.[direction] ?? []);
      return { object: { ...object, spec: { ...object.spec, [direction]: rules } }, origin };
    });
  if (kind === "AdminNetworkPolicy")
    return { ...objects, adminPolicies: changed(objects.adminPolicies) };
  if (kind === "BaselineAdminNetworkPolicy")
    return { ...objects, baselinePolicies: changed(objects.baselinePolicies) };
  return { ...objects, clusterPolicies: changed(objects.clusterPolicies) };
}

export function withPodLabel(
  objects: PolicyObjects,
  pod: string,
  key: string,
  value: string,
): PolicyObjects {
  const pods = objects.pods.map((loaded) => {
    const { object, origin } = loaded;
    if (keyOf(object) !== pod) return loaded;
    const metadata = { ...object.metadata, labels: { ...object.metadata?.labels, [key]: value } };
    return { object: { ...object, metadata }, origin };
  });
  return { ...objects, pods };
}

/** Texts longer than this are not read again to verify a patch. */
const REREAD = 2_000_000;

/**
 * Whether patches, applied to the texts, make exactly the objects that the edit makes: the patched text is read again by
 * the loader. True for steps that touch no text. A text too long to be read again is taken to be right only where it was
 * patched in lines of its own.
 */
export function patchesMake(
  before: PolicyObjects,
  after: PolicyObjects,
  steps: readonly Step[],
): boolean {
  const byFile = new Map<string, TextPatch[]>();
  for (const step of steps)
    if (step.kind === "patch") byFile.set(step.file, [...(byFile.get(step.file) ?? []), step]);
  return [...byFile].every(([file, patches]) => {
    const text = textOf(before, file);
    if (text === undefined) return false;
    if (text.length > REREAD) return patches.every(({ remove }) => remove === 0);
    return readsAs(after, file, applyPatches(text, patches));
  });
}

function allPolicies(objects: PolicyObjects): readonly Loaded<NetworkPolicy | ClusterWidePolicy>[] {
  const {
    networkPolicies,
    adminPolicies = [],
    baselinePolicies = [],
    clusterPolicies = [],
  } = objects;
  return [...networkPolicies, ...adminPolicies, ...baselinePolicies, ...clusterPolicies];
}

function textOf(objects: PolicyObjects, file: string): string | undefined {
  return allPolicies(objects).find(({ origin }) => origin.file === file)?.origin.source?.text;
}

function readsAs(wanted: PolicyObjects, file: string, text: string): boolean {
  let found: ReturnType<typeof loadObjects>["objects"];
  try {
    found = loadObjects([{ file, text }]).objects;
  } catch {
    return false;
  }
  const read = new Map(
    [
      ...found.NetworkPolicy,
      ...found.AdminNetworkPolicy,
      ...found.BaselineAdminNetworkPolicy,
      ...found.ClusterNetworkPolicy,
    ].map(({ object }) => [identity(object), object]),
  );
  return allPolicies(wanted)
    .filter(({ origin }) => origin.file === file)
    .every(({ object }) => {
      const other = read.get(identity(object));
      return other !== undefined && canonical(other.spec) === canonical(object.spec);
    });
}

function identity(object: NetworkPolicy | ClusterWidePolicy): string {
  return `${object.kind ?? ""} ${namespaceOf(object)}/${nameOf(object)}`;
}

/** JSON with the keys of every mapping in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
