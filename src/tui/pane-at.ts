import type { Layout } from "./layout.js";
import { windowStart } from "./panes/steps.js";
import { currentTrace, type UiState, withTrace } from "./ui-state.js";

/** A click: its pane is focused, and a row of the step list becomes the time cursor. Columns and rows count from 0. */
export function focusAt(state: UiState, layout: Layout, column: number, row: number): UiState {
  const box = layout.panes.find(
    ({ x, y, width, height }) => column >= x && column < x + width && row >= y && row < y + height,
  );
  const trace = currentTrace(state);
  if (box === undefined || trace === undefined) return state;
  const focused = withTrace(state, (one) => ({ ...one, focus: box.pane }));
  if (box.pane !== "steps") return focused;
  const rows = box.height - 3;
  const line = row - box.y - 2;
  const index = trace.shown.visible[windowStart(trace.shown.visible, trace.at, rows) + line];
  return line < 0 || line >= rows || index === undefined
    ? focused
    : withTrace(focused, (one) => ({ ...one, at: index }));
}
