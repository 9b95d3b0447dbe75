import { readdirSync, readFileSync } from "node:fs";
import type { ScenarioView } from "../../../src/view/scenario.js";
import { scenarioView } from "../../../src/view/scenario.js";
import { runScenario } from "../../../src/lab/scenario/run-scenario.js";
import { parseScenario } from "../../../src/lab/scenario/scenario-file.js";
import { loadWorld, type World } from "../../../src/lab/world.js";
import type { TraceEvent } from "../../../src/core/trace.js";

/** A world that ships, with manifests of a test's own. */
export function shippedWorld(name: string, ...added: readonly string[]): World {
  const folder = new URL(`../../../topologies/${name}/`, import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .toSorted()
    .filter((file) => /\.\w+$/.test(file));
  const texts = files.map((file) => ({ file, text: readFileSync(new URL(file, folder), "utf8") }));
  const own = added.map((text, index) => ({ file: `added-${index}.yaml`, text }));
  return loadWorld([...texts, ...own], `demo:${name}`);
}

/** Runs steps, written as YAML, in a world. */
export function play(world: World, steps: string, head = ""): ScenarioView {
  const text = `scenario: test\n${head}\nsteps:\n${steps}`;
  return scenarioView(runScenario(world, parseScenario({ file: "test.yaml", text })));
}

/** What did not hold, for a test that expects everything to. */
export function failures({ steps }: ScenarioView): readonly string[] {
  return steps.flatMap(({ step, checks }) =>
    checks
      .filter(({ holds }) => !holds)
      .map(({ what, wanted, got }) => `step ${step.number} ${what}: ${got}, not ${wanted}`),
  );
}

/** Commands that ran on a node, one a line. */
export function commandsOn({ steps }: ScenarioView, ns: string, by: string): readonly string[] {
  return steps
    .flatMap(({ step }): readonly TraceEvent[] => [...step.before, ...step.events])
    .flatMap((event) =>
      event.kind === "command" && event.ns === ns && event.by === by ? [event.argv.join(" ")] : [],
    );
}
