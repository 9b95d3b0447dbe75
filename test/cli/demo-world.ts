import { readdirSync, readFileSync, statSync } from "node:fs";
import { type InputText } from "../../src/kube/load.js";
import { loadWorld, type ClusterWorld } from "../../src/lab/world.js";

/** A demo world and what is added to it, for tests that need no command line. */
export function demoWorld(name: string, ...more: readonly InputText[]): ClusterWorld {
  const folder = `topologies/${name}`;
  const texts = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => !statSync(`${folder}/${file}`).isDirectory())
    .toSorted()
    .map((file) => ({ file, text: readFileSync(`${folder}/${file}`, "utf8") }));
  const world = loadWorld([...texts, ...more], `demo:${name}`);
  if (world.kind !== "cluster") throw new Error(`demo:${name} is a cluster`);
  return world;
}
