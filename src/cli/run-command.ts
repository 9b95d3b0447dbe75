import { isAbsolute, join } from "node:path";
import { safeText } from "../base/safe-text.js";
import { runScenario } from "../lab/scenario/run-scenario.js";
import { parseScenario } from "../lab/scenario/scenario-file.js";
import { scenarioScript } from "../lab/scenario/script.js";
import { labOf, loadWorld } from "../lab/world.js";
import { scenarioView } from "../view/scenario.js";
import { scenarioJson } from "../view/scenario-json.js";
import { formatScenario, summary } from "../view/scenario-text.js";
import type { RunOptions } from "./commands/run.js";
import { readOne, readScenario, readWorlds } from "./files.js";
import { worldPaths } from "./options.js";
import type { Streams } from "./streams.js";

/** `hopwise run SCENARIO`: exit 0 when every expectation holds, 1 when one fails. */
export function runCommand(path: string, options: RunOptions, streams: Streams): number {
  const { text, file, folder } = readScenario(path);
  const near = (name: string): string => (isAbsolute(name) ? name : join(folder, name));
  const scenario = parseScenario({ file, text }, (name) => readOne(near(name)));
  const own = scenario.worlds.map((name) => (name.startsWith("demo:") ? name : near(name)));
  const paths = worldPaths(options.world ?? (own.length === 0 ? undefined : own));
  const world = loadWorld(readWorlds(paths), paths.join(" "));
  const recording = runScenario(world, scenario, { seed: options.seed });
  const view = scenarioView(recording);
  if (options.output === "sh") streams.out(scenarioScript(labOf(world), recording));
  else if (options.json === true || options.output === "json")
    streams.out(`${JSON.stringify(scenarioJson(view), undefined, 2)}\n`);
  else if (options.quiet === true) streams.out(`${safeText(summary(view))}\n`);
  else streams.out(formatScenario(view, { all: options.verbose ?? false }));
  return view.failed === 0 ? 0 : 1;
}
