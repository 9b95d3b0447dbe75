import { layoutOf } from "./layout.js";
import { plain } from "./style.js";
import { tabsShown } from "./tabs-shown.js";
import { paneText, type PaneText } from "./trace-panes.js";
import { worldTree } from "./panes/world.js";
import { currentTrace, type OpenTrace, type UiState, withTrace } from "./ui-state.js";

/**
 * Moves what the focused pane shows by so many rows; infinity goes to an end. In a list of fields the field moves, in the
 * tree of the world the chosen row.
 */
export function scrollPane(state: UiState, rows: number): UiState {
  const shown = currentTrace(state);
  if (shown?.focus === "world") {
    const count = worldTree(state, shown, TREE_WIDTH).length;
    const row = Math.max(0, Math.min(state.tree.row + rows, count - 1));
    return { ...state, tree: { ...state.tree, row } };
  }
  return withTrace(state, (trace) => {
    const [tab] = tabsShown(state, trace, trace.focus);
    if (tab === 2 || tab === 3) {
      const count = trace.model.headers(trace.at).length;
      return { ...trace, field: Math.max(0, Math.min(trace.field + rows, count - 1)) };
    }
    const text = focusedText(state, trace);
    return text === undefined ? trace : scrolledTo(trace, text, text.from + rows);
  });
}

/** The next line of the focused pane that has the text, from the top of what is shown and around the end. */
export function findInPane(state: UiState, trace: OpenTrace, direction: 1 | -1): UiState {
  const wanted = (trace.find ?? "").toLowerCase();
  const text = focusedText(state, trace);
  const lines = text?.lines ?? [];
  const from = trace.found ?? (text?.from ?? 0) - direction;
  for (let distance = 1; distance <= lines.length; distance++) {
    const at = (from + direction * distance + lines.length * 2) % lines.length;
    if (
      text !== undefined &&
      plain(lines[at] ?? "")
        .toLowerCase()
        .includes(wanted)
    )
      return withTrace(state, (one) => ({ ...scrolledTo(one, text, at), found: at }));
  }
  return {
    ...state,
    message: { kind: "error", text: `"${trace.find ?? ""}" is not in this pane` },
  };
}

/** Rows are the same at any width. */
const TREE_WIDTH = 40;

/** `h` and `l` in the tree of the world: the part that the chosen row is in is folded, or opened. */
export function foldTree(state: UiState, fold: boolean): UiState {
  const trace = currentTrace(state);
  if (trace === undefined) return state;
  const rows = worldTree(state, trace, TREE_WIDTH).slice(0, state.tree.row + 1);
  const row = rows.findLastIndex(({ section }) => section !== undefined);
  const section = rows[row]?.section;
  if (section === undefined) return state;
  const others = [...state.tree.folded].filter((name) => name !== section);
  return { ...state, tree: { row, folded: new Set(fold ? [...others, section] : others) } };
}

function focusedText(state: UiState, trace: OpenTrace): PaneText | undefined {
  const whole = layoutOf(state.size, undefined);
  const layout = trace.zoom || whole.kind === "single" ? layoutOf(state.size, trace.focus) : whole;
  const box = layout.panes.find(({ pane }) => pane === trace.focus);
  return box === undefined ? undefined : paneText(state, trace, box);
}

/** The pane with a line at its top, as far as there are lines below it. */
function scrolledTo(trace: OpenTrace, text: PaneText, line: number): OpenTrace {
  const last = Math.max(0, text.lines.length - text.rows);
  const row = Math.max(0, Math.min(line, last)) - text.start;
  const scroll = trace.scroll[trace.focus] ?? { row: 0, column: 0 };
  return { ...trace, scroll: { ...trace.scroll, [trace.focus]: { ...scroll, row } } };
}
