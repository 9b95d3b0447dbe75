import { writeFileSync } from "node:fs";
import { labScript } from "../lab/shell.js";
import { labOf, loadWorld } from "../lab/world.js";
import type { ExportOptions } from "./commands/export.js";
import { readWorlds } from "./files.js";
import { worldPaths } from "./options.js";
import type { Streams } from "./streams.js";

/** `hopwise export WORLD -o sh`: the same commands that the emulator runs, as a script for a real Linux. */
export function exportCommand(
  named: readonly string[],
  options: ExportOptions,
  streams: Streams,
): number {
  const paths = worldPaths(named.length === 0 ? undefined : named);
  const script = labScript(labOf(loadWorld(readWorlds(paths), paths.join(" "))));
  if (options.out === undefined) streams.out(script);
  else writeFileSync(options.out, script);
  return 0;
}
