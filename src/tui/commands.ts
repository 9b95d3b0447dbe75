import { openBar } from "./bar.js";
import { filteredCapture } from "./capture-screen.js";
import type { Command } from "./key-table.js";
import { listAction } from "./list-actions.js";
import { applyFilter, traceAction } from "./trace-actions.js";
import { questionWords, sameCommand } from "./questions.js";
import {
  currentTrace,
  type Job,
  topScreen,
  type UiState,
  type Update,
  withScreen,
  withTrace,
} from "./ui-state.js";

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
    case "world":
      return ask(state, { kind: "world" });
    case "matrix":
      return ask(state, { kind: "matrix", words: "" });
    case "why": {
      const words = questionWords(state);
      return words === undefined
        ? told(state, "there is no packet here to ask the policies of")
        : ask(state, { kind: "why", words });
    }
    case "copy-command": {
      const text = sameCommand(state);
      return text === undefined
        ? told(state, "no command shows the same")
        : { state, effects: [{ kind: "copy", text, what: "the command" }] };
    }
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

function ask(state: UiState, job: Job): Update {
  return { state, effects: [job] };
}

function told(state: UiState, text: string): Update {
  return { state: { ...state, message: { kind: "note", text } }, effects: [] };
}

function back(state: UiState): Update {
  if (state.screens.length === 1) return { state, effects: [{ kind: "quit" }] };
  const screen = topScreen(state);
  const current = screen.kind === "trace" ? (screen.was ?? state.current) : state.current;
  return { state: { ...state, current, screens: state.screens.slice(0, -1) }, effects: [] };
}

/** Esc takes away the newest thing: play, zoom, the filter, the screen. It never quits. */
function close(state: UiState): Update {
  const trace = currentTrace(state);
  const screen = topScreen(state);
  if (state.playing !== undefined)
    return {
      state: { ...state, playing: undefined },
      effects: [{ kind: "play", speed: undefined }],
    };
  if (screen.kind === "trace" && trace !== undefined) {
    if (trace.zoom)
      return { state: withTrace(state, (one) => ({ ...one, zoom: false })), effects: [] };
    if (trace.filter !== undefined) return { state: applyFilter(state, undefined), effects: [] };
  }
  if ((screen.kind === "table" || screen.kind === "matrix") && screen.filter !== "")
    return { state: withScreen(state, { ...screen, filter: "" }), effects: [] };
  if (screen.kind === "capture" && screen.filter !== "")
    return { state: withScreen(state, filteredCapture(screen, "")), effects: [] };
  return state.screens.length === 1 ? { state, effects: [] } : back(state);
}
