import { readBytes, readWorlds } from "../../src/cli/files.js";
import { loadWorld } from "../../src/lab/world.js";
import { type Outside, workOf } from "../../src/tui/jobs.js";
import { traceWords, withNewTrace } from "../../src/tui/requests.js";
import { Sources } from "../../src/tui/sources.js";
import type { TraceModel } from "../../src/tui/trace-model.js";
import { initialState, type Job, type OpenWorld, type UiState } from "../../src/tui/ui-state.js";

/** A demo world, opened as the screen opens it. */
export function openDemo(name: string): OpenWorld {
  const world = loadWorld(readWorlds([name]), name);
  return { name, world, sources: new Sources(world) };
}

/** A trace in a demo world, as the screen holds it. */
export function demoTrace(words = "shop/web-0 http://api.shop", name = "demo:shop"): TraceModel {
  return traceWords(openDemo(name), words);
}

/** The screen right after the start. */
export function screenOf(model: TraceModel, columns = 80, rows = 24): UiState {
  const { sources } = model;
  const empty = initialState({ columns, rows }, { colour: false, ascii: false });
  return withNewTrace(
    { ...empty, world: { name: sources.world.name, world: sources.world, sources } },
    model,
  );
}

/** Reads worlds as the program does. */
export const outside: Outside = {
  openWorld: (paths) => loadWorld(readWorlds(paths), paths.join(" ")),
  readBytes,
};

/** The state once a job is done, as the screen runs it. */
export function afterJob(state: UiState, job: Job): UiState {
  const work = workOf(job, state, outside);
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value(state);
  }
}

/** The screen with a world and nothing else, before anything was asked. */
export function worldScreen(name: string, columns = 80, rows = 24): UiState {
  const empty = initialState({ columns, rows }, { colour: false, ascii: false });
  const state: UiState = { ...empty, screens: [], worlds: ["demo:shop", "demo:shop-firewall"] };
  return afterJob(state, { kind: "open", paths: [name] });
}
