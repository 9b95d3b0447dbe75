import { editBar } from "./bar-actions.js";
import { run } from "./commands.js";
import { commandOf } from "./key-table.js";
import type { InputEvent } from "./keys.js";
import { layoutOf } from "./layout.js";
import { focusAt } from "./pane-at.js";
import type { Size } from "./screen.js";
import { answerLocate, moveBy } from "./trace-actions.js";
import { currentTrace, topScreen, type UiState, type Update, withTrace } from "./ui-state.js";

/** What one key, paste or click makes of the state, and what it asks of the outside. */
export function update(state: UiState, event: InputEvent): Update {
  if (event.kind === "key" && event.name === "C-c") return { state, effects: [{ kind: "quit" }] };
  const { bar } = state;
  if (bar !== undefined) return editBar(state, bar, event);
  if (event.kind === "mouse") return mouse(state, event.action, event.column, event.row);
  // Nothing runs from a paste: it is text, and here is no line to put it in.
  if (event.kind === "paste") return { state, effects: [] };
  const clean: UiState = { ...state, message: undefined };
  if (state.pending !== undefined) return { state: withLetter(clean, event.name), effects: [] };
  if (state.locate !== undefined) return { state: answerLocate(clean, event.name), effects: [] };
  const command = commandOf(event.name, topScreen(state).kind, state.keys);
  return command === undefined ? { state: clean, effects: [] } : run(clean, command);
}

/** The terminal has another size: what is selected stays selected. */
export function resized(state: UiState, size: Size): UiState {
  return { ...state, size };
}

/** One step further, while playing. */
export function tick(state: UiState): Update {
  const trace = currentTrace(state);
  if (trace === undefined || state.playing === undefined) return { state, effects: [] };
  const atEnd = trace.shown.visible.at(-1) === trace.at;
  if (atEnd)
    return {
      state: { ...state, playing: undefined },
      effects: [{ kind: "play", speed: undefined }],
    };
  return { state: moveBy(state, 1), effects: [] };
}

function withLetter(state: UiState, name: string): UiState {
  const { pending } = state;
  const rest: UiState = { ...state, pending: undefined };
  if (!/^[a-zA-Z]$/.test(name))
    return { ...rest, message: { kind: "note", text: "a mark is a letter" } };
  if (pending === "mark") {
    const marked = withTrace(rest, (trace) => ({
      ...trace,
      marks: new Map([...trace.marks, [name, trace.at]]),
    }));
    const n = currentTrace(state)?.model.steps[currentTrace(state)?.at ?? 0]?.n ?? 0;
    return { ...marked, message: { kind: "ok", text: `mark ${name} is step ${n}` } };
  }
  const at = currentTrace(state)?.marks.get(name);
  if (at === undefined) return { ...rest, message: { kind: "error", text: `no mark ${name}` } };
  return withTrace(rest, (trace) => ({ ...trace, at }));
}

function mouse(
  state: UiState,
  action: "press" | "wheel-up" | "wheel-down",
  column: number,
  row: number,
): Update {
  if (action !== "press") return run(state, action === "wheel-up" ? "previous" : "next");
  const trace = currentTrace(state);
  if (topScreen(state).kind !== "trace" || trace === undefined) return { state, effects: [] };
  const layout = layoutOf(state.size, trace.zoom ? trace.focus : undefined);
  return { state: focusAt(state, layout, column - 1, row - 1), effects: [] };
}
