import { UserError } from "../base/errors.js";
import type { InputText } from "../kube/load.js";
import { keyOf } from "../kube/objects.js";
import type { Fix } from "../kube/policy/fixes.js";
import { applyPatches, type TextPatch } from "../kube/policy/patch.js";
import type { ClusterWorld } from "./world.js";

/**
 * The texts of a world as they are once a fix was made in them: lines patched, a new file added, a labelled pod given
 * again. Throws UserError for a pod that no text has: it is made from a workload, whose template has to change.
 */
export function textsWithFix(
  { files, cluster }: ClusterWorld,
  { steps, objects }: Fix,
): readonly InputText[] {
  const patches = new Map<string, TextPatch[]>();
  const added: InputText[] = [];
  for (const step of steps) {
    if (step.kind === "patch") patches.set(step.file, [...(patches.get(step.file) ?? []), step]);
    else if (step.kind === "new-file")
      added.push({ file: `fix-${added.length + 1}.yaml`, text: `${step.lines.join("\n")}\n` });
  }
  const before = new Set<object>(cluster.pods.map(({ loaded }) => loaded.object));
  for (const { object, origin } of objects.pods) {
    if (before.has(object)) continue;
    if (origin.source === undefined)
      throw new UserError("FIX_WORKLOAD", `the pod ${keyOf(object)} stands in no file`, {
        help: "label the template of its workload, and read the world again",
      });
    added.push({ file: `fix-${added.length + 1}.json`, text: JSON.stringify(object) });
  }
  return [
    ...files.map(({ file, text }) => ({ file, text: applyPatches(text, patches.get(file) ?? []) })),
    ...added,
  ];
}
