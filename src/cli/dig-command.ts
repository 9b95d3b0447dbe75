import { digRequest } from "../lab/dig.js";
import { loadWorld } from "../lab/world.js";
import { seconds } from "../sim/time.js";
import { digJson, digVerdict, formatDig } from "../view/dig.js";
import type { DigCommandOptions } from "./commands/dig.js";
import { readWorlds } from "./files.js";
import { worldPaths } from "./options.js";
import type { Streams } from "./streams.js";

/** `hopwise dig NAME [TYPE] --from POD`: looks a name up from a pod and prints every query. Gives the exit code. */
export function digCommand(
  name: string,
  type: string,
  options: DigCommandOptions,
  streams: Streams,
): number {
  const paths = worldPaths(options.world);
  const world = loadWorld(readWorlds(paths), paths.join(" "));
  const recording = digRequest(world, {
    name,
    type,
    from: options.from,
    search: options.search,
    seed: options.seed,
    times: options.times,
    every: seconds(options.every),
  });
  for (const note of recording.notes) streams.err(`note: ${note}\n`);
  const verbose = options.verbose ?? false;
  streams.out(
    options.json === true
      ? `${JSON.stringify(digJson(recording), undefined, 2)}\n`
      : formatDig(recording, { trace: verbose || (options.trace ?? false), verbose }),
  );
  return digVerdict(recording).exit;
}
