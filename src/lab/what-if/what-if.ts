import { UserError } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import type { Simulation } from "../../core/simulation.js";
import { type InputText, loadObjects, type LoadResult } from "../../kube/load.js";
import { podNamespace } from "../../kube/nodes.js";
import { buildLab } from "../build.js";
import { clusterLab } from "../cluster-lab.js";
import { splitObjectName } from "../named-object.js";
import { kindOfDump, ownerOf } from "../recorded/dump-files.js";
import { loadWorld, type World, type WorldOptions } from "../world.js";
import {
  applyManifests,
  isGiven,
  removeObject,
  setField,
  withoutSlicesOf,
} from "./edit-objects.js";
import { type ExtraCommand, nodeSetting, ruleDeletion } from "./node-settings.js";

/** How a world differs from the one that was given. */
export interface WhatIf {
  /** `--patch`: manifests are applied; a file of any other kind takes the place of its like. */
  readonly patches: readonly InputText[];
  /** `--set`: a setting of a node or pod, or a field of an object. */
  readonly set: readonly string[];
  /** `--without`: an object or a rule. */
  readonly without: readonly string[];
}

/** Reads a world as it would be. Throws UserError for what is not there to be changed, beside what loadWorld throws. */
export function loadWhatIf(
  texts: readonly InputText[],
  name: string,
  { patches, set, without }: WhatIf,
  options: WorldOptions = {},
): World {
  const manifests = patches.filter((text) => kindOfDump(text) === "kubernetes");
  const files = patches.filter((text) => !manifests.includes(text));
  const base = [...texts.filter((text) => !files.some((file) => replaces(file, text))), ...files];
  const ofObjects = (text: string): boolean => splitObjectName(text) !== undefined;
  const gone = without.filter(ofObjects);
  const fields = set.filter((text) => ofObjects(text.split("=")[0] ?? ""));
  const edits = manifests.length + gone.length + fields.length;
  // Pods that workloads make are not among what was given.
  const missing = new Set<string>();
  const edit = (load: LoadResult): LoadResult => {
    let edited = manifests.length === 0 ? load : applyManifests(load, loadObjects(manifests));
    for (const text of gone) {
      const named = splitObjectName(text);
      if (named === undefined) continue;
      if (named.kind === "Pod" && !isGiven(edited, named.name)) missing.add(named.name);
      else edited = removeObject(edited, named.kind, named.name, name);
    }
    edited = withoutSlicesOf(edited, missing);
    for (const text of fields) edited = setField(edited, text, name);
    return edited;
  };
  const world = loadWorld(base, name, edits === 0 ? options : { ...options, edit, missing });
  if (edits > 0 && world.kind !== "cluster")
    throw new UserError("WHAT_IF_OBJECTS", `${name} has no Kubernetes objects to change`);
  return withCommands(
    world,
    set.filter((text) => !fields.includes(text)),
    without.filter((text) => !gone.includes(text)),
  );
}

/** The first line of an answer about a world that is not quite the one that was given; empty where it is. */
export function whatIfTitle({ patches, set, without }: WhatIf): string {
  const parts = [
    ...(patches.length === 0 ? [] : [`${patches.map(({ file }) => file).join(", ")} applied`]),
    ...set,
    ...without.map((text) => `without ${text}`),
  ];
  return parts.length === 0 ? "" : `what if: ${parts.join(", ")}`;
}

/** Whether a patch stands for a file of the world: same kind, and same owner where files have one. */
function replaces(patch: InputText, text: InputText): boolean {
  const kind = kindOfDump(patch);
  if (kind !== kindOfDump(text) || kind === "kubernetes" || kind === "unknown") return false;
  if (kind === "corefile" || kind === "conflist" || kind === "lab" || kind === "resolvers")
    return true;
  const one = ownerOf(patch.file);
  const other = ownerOf(text.file);
  return one.node === other.node && one.host === other.host;
}

/** The world with settings of its nodes and without some of its rules. Throws UserError for what is not there. */
export function withCommands(
  world: World,
  set: readonly string[],
  without: readonly string[] = [],
): World {
  if (set.length === 0 && without.length === 0) return world;
  const namespaces = namespacesOf(world);
  const built = new Map<string, Simulation>();
  const build = (ns: string): Simulation => {
    const known = built.get(ns) ?? buildAround(world, ns);
    built.set(ns, known);
    return known;
  };
  const settings = set.map((text) => nodeSetting(text, namespaces, build));
  const deletions = without.map((text) => {
    const deletion = ruleDeletion(text, namespaces, build);
    if (deletion === undefined) throw unknownThing(text, namespaces);
    return deletion;
  });
  const extra = [...settings, ...lastFirst(deletions)];
  if (world.kind === "cluster") return { ...world, extra };
  const lab = { ...world.lab, commands: [...world.lab.commands, ...extra] };
  return world.kind === "lab"
    ? { ...world, lab }
    : { ...world, lab, recorded: { ...world.recorded, lab } };
}

function namespacesOf(world: World): readonly string[] {
  if (world.kind !== "cluster") return world.lab.namespaces;
  const { nodes, pods } = world.cluster;
  return [
    ...nodes.map(({ name }) => name),
    ...pods.flatMap((pod) => (pod.hostNetwork ? [] : [podNamespace(pod) ?? ""])),
  ];
}

/** The node itself with all of its pods, or the pod with its node. */
function buildAround(world: World, ns: string): Simulation {
  if (world.kind !== "cluster") return buildLab(world.lab, 1);
  const { pods } = world.cluster;
  const pod = pods.find((one) => podNamespace(one) === ns && !one.hostNetwork);
  const node = pod?.node ?? ns;
  const part = {
    nodes: new Set([node]),
    pods: new Set(pods.filter((one) => one.node === node).map(({ key }) => key)),
  };
  const { lab } = clusterLab(world, part);
  return buildLab({ ...lab, listeners: [] }, 1);
}

/** Numbers are those of before: the last rule of a chain goes first. */
function lastFirst(deletions: readonly ExtraCommand[]): readonly ExtraCommand[] {
  return deletions.toSorted((a, b) => Number(b.argv.at(-1) ?? 0) - Number(a.argv.at(-1) ?? 0) || 0);
}

function unknownThing(text: string, namespaces: readonly string[]): UserError {
  const [word = ""] = text.split(/[/ ]/);
  const near = nearest(word, ["policy", "svc", "pod", "node", "netpol", "rule", ...namespaces]);
  return new UserError("WITHOUT_SYNTAX", `--without ${text} is neither an object nor a rule`, {
    help:
      near === undefined || near === word
        ? 'say policy/shop/db-from-api, svc/shop/web, "worker-2 filter FORWARD[5]" or FILE:LINE of a rule'
        : `did you mean ${near}/…?`,
  });
}
