import { readWorlds } from "../../src/cli/files.js";
import { loadWorld } from "../../src/lab/world.js";
import { traceWords, withNewTrace } from "../../src/tui/requests.js";
import { Sources } from "../../src/tui/sources.js";
import type { TraceModel } from "../../src/tui/trace-model.js";
import { initialState, type OpenWorld, type UiState } from "../../src/tui/ui-state.js";

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
