import { openBar } from "./bar.js";
import type { Command } from "./key-table.js";
import { listAction } from "./list-actions.js";
import { applyFilter, traceAction } from "./trace-actions.js";
import { currentTrace, topScreen, type UiState, type Update, withTrace } from "./ui-state.js";

/** Does what a command says on the screen that is shown. */
export function run(state: UiState, command: Command): Update {
  const screen = topScreen(state);
  switch (command) {
    case "quit":
    case "suspend":
    case "redraw":
      return { state, effects: [{ kind: command }] };
    case "help":
      return screen.kind === "help"
        ? back(state)
        : {
            state: {
              ...state,
              screens: [
                ...state.screens,
                { kind: "help", over: screen.kind, scroll: 0, filter: "" },
              ],
            },
            effects: [],
          };
    case "command":
      return { state: openBar(state, "command"), effects: [] };
    case "palette":
      return {
        state: openBar(
          { ...state, screens: [...state.screens, { kind: "palette", selected: 0 }] },
          "palette",
        ),
        effects: [],
      };
    case "new-trace":
      return {
        state: openBar(
          { ...state, screens: [...state.screens, { kind: "new-trace" }] },
          "command",
          "trace ",
        ),
        effects: [],
      };
    case "back":
      return back(state);
    case "close":
      return close(state);
    default:
      return screen.kind === "trace"
        ? traceAction(state, command)
        : listAction(state, screen, command);
  }
}

function back(state: UiState): Update {
  if (state.screens.length === 1) return { state, effects: [{ kind: "quit" }] };
  return { state: { ...state, screens: state.screens.slice(0, -1) }, effects: [] };
}

/** Esc takes away the newest thing: play, zoom, the filter, the screen. It never quits. */
function close(state: UiState): Update {
  const trace = currentTrace(state);
  if (state.playing !== undefined)
    return {
      state: { ...state, playing: undefined },
      effects: [{ kind: "play", speed: undefined }],
    };
  if (topScreen(state).kind === "trace" && trace !== undefined) {
    if (trace.zoom)
      return { state: withTrace(state, (one) => ({ ...one, zoom: false })), effects: [] };
    if (trace.filter !== undefined) return { state: applyFilter(state, undefined), effects: [] };
  }
  return state.screens.length === 1 ? { state, effects: [] } : back(state);
}
