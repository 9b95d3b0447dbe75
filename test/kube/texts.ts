import { readdirSync, readFileSync } from "node:fs";
import { UserError, UserErrors } from "../../src/base/errors.js";
import { buildCluster, type Cluster } from "../../src/kube/cluster.js";
import { type InputText, loadObjects, type LoadResult } from "../../src/kube/load.js";

/** A file of the repository. */
export function repositoryText(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}

/** The manifests of a folder of `topologies`. */
export function topology(name: string): readonly InputText[] {
  const folder = new URL(`../../topologies/${name}/`, import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith(".yaml"));
  return files
    .toSorted()
    .map((file) => ({ file, text: readFileSync(new URL(file, folder), "utf8") }));
}

export function load(text: string, file = "world.yaml"): LoadResult {
  return loadObjects([{ file, text }]);
}

export function cluster(text: string): Cluster {
  return buildCluster(load(text));
}

/** What the action complains about; fails when it does not, or with something else than a user's mistake. */
export function mistakesOf(action: () => unknown): readonly UserError[] {
  try {
    action();
  } catch (error) {
    if (error instanceof UserErrors) return error.errors;
    if (error instanceof UserError) return [error];
    throw error;
  }
  throw new Error("nothing was wrong");
}

/** `FILE:LINE:COL: MESSAGE` and the help, as a user sees them. */
export function shown({ message, details: { place, help } }: UserError): string {
  const at = place === undefined ? "" : `${place.file}:${place.line}:${place.column}: `;
  return `${at}${message}${help === undefined ? "" : `\nhelp: ${help}`}`;
}
