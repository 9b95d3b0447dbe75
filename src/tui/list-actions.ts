import { openBar } from "./bar.js";
import { moveCapture, openCaptured } from "./capture-screen.js";
import { helpLength } from "./help.js";
import type { Command } from "./key-table.js";
import { matrixRows, pairWords } from "./matrix-pane.js";
import { packetsOf } from "./packets.js";
import { plain } from "./style.js";
import { placeOfRow, tableRows, traceNameOf } from "./tables.js";
import { TraceModel } from "./trace-model.js";
import {
  currentTrace,
  type ItemsScreenState,
  openTrace,
  type ScreenState,
  topScreen,
  type UiState,
  type Update,
  withScreen,
  withSource,
} from "./ui-state.js";

/** What a key does on a screen that is a list or a text. */
export function listAction(state: UiState, screen: ScreenState, command: Command): Update {
  const done = (next: UiState): Update => ({ state: next, effects: [] });
  switch (command) {
    case "left":
    case "right":
      return done(sideways(state, screen, command === "right" ? 1 : -1));
    case "filter":
      return done(
        openBar(
          state,
          screen.kind === "help" ? "help" : "filter",
          "filter" in screen ? screen.filter : "",
        ),
      );
    case "open":
      return open(state, screen);
    case "changes":
      return done(onlyChanges(state, screen));
    case "trace-from":
    case "trace-to":
      return done(traceForm(state, screen, command));
    case "edit":
      return screen.kind === "source"
        ? { state, effects: [{ kind: "edit", place: screen.place }] }
        : done(state);
    default: {
      const by = rowsOf(command, state.size.rows - 6);
      return done(by === undefined ? state : move(state, screen, by));
    }
  }
}

function rowsOf(command: Command, page: number): number | undefined {
  switch (command) {
    case "next":
      return 1;
    case "previous":
      return -1;
    case "half-down":
      return Math.ceil(page / 2);
    case "half-up":
      return -Math.ceil(page / 2);
    case "page-down":
      return page;
    case "page-up":
      return -page;
    case "first":
      return Number.NEGATIVE_INFINITY;
    case "last":
      return Number.POSITIVE_INFINITY;
    default:
      return undefined;
  }
}

function move(state: UiState, screen: ScreenState, by: number): UiState {
  const within = (at: number, count: number): number => Math.max(0, Math.min(at + by, count - 1));
  switch (screen.kind) {
    case "table":
      return withScreen(state, {
        ...screen,
        selected: within(screen.selected, tableRows(screen).length),
      });
    case "packets":
      return withScreen(state, {
        ...screen,
        selected: within(screen.selected, packetsOf(currentTrace(state)?.model).length),
      });
    case "worlds":
    case "world":
    case "why":
      return withScreen(state, { ...screen, selected: nextItem(screen, by) });
    case "capture":
      return moveCapture(state, screen, by);
    case "matrix":
      return withScreen(state, { ...screen, row: within(screen.row, matrixRows(screen).length) });
    case "source":
      return withScreen(state, {
        ...screen,
        scroll: within(screen.scroll, lineCount(screen)),
      });
    case "help":
      return withScreen(state, {
        ...screen,
        scroll: within(screen.scroll, helpLength(screen, state.keys)),
      });
    default:
      return state;
  }
}

function lineCount({ open, place }: Extract<ScreenState, { kind: "source" }>): number {
  return (open.sources.lines(place.file)?.length ?? 0) + 1;
}

/** Empty lines between items are passed over. */
function nextItem({ items, selected }: ItemsScreenState, by: number): number {
  const last = items.length - 1;
  const step = by < 0 ? -1 : 1;
  let at = Math.max(0, Math.min(selected + by, last));
  while (items[at] !== undefined && plain(items[at]?.head ?? "") === "" && at > 0 && at < last)
    at += step;
  return at;
}

function sideways(state: UiState, screen: ScreenState, direction: 1 | -1): UiState {
  if (screen.kind === "help") return move(state, screen, direction * (state.size.rows - 4));
  if (screen.kind === "matrix") {
    const last = Math.max(0, screen.matrix.to.length - 1);
    const column = Math.max(0, Math.min(screen.column + direction, last));
    return withScreen(state, { ...screen, column });
  }
  if (screen.kind !== "table" && screen.kind !== "source" && screen.kind !== "capture")
    return state;
  return withScreen(state, { ...screen, column: Math.max(0, screen.column + direction * 8) });
}

/** `d`: without a second world it asks for one. */
function onlyChanges(state: UiState, screen: ScreenState): UiState {
  if (screen.kind !== "matrix") return state;
  if (screen.other === undefined) return openBar(state, "command", "matrix --diff ");
  return withScreen(state, { ...screen, changesOnly: !screen.changesOnly, row: 0 });
}

/** The form for a new trace, with the selected row as one of its ends. */
function traceForm(
  state: UiState,
  screen: ScreenState,
  command: "trace-from" | "trace-to",
): UiState {
  const name =
    screen.kind === "table"
      ? traceNameOf(screen.show, tableRows(screen)[screen.selected])
      : undefined;
  if (name === undefined)
    return { ...state, message: { kind: "note", text: "this row is no end of a trace" } };
  const from = currentTrace(state)?.model.request?.source ?? "";
  const words =
    command === "trace-from" ? `trace ${name} ` : `trace ${from === "" ? "" : `${from} `}${name}`;
  return openBar(
    { ...state, screens: [...state.screens, { kind: "new-trace" }] },
    "command",
    words,
  );
}

function open(state: UiState, screen: ScreenState): Update {
  const done = (next: UiState): Update => ({ state: next, effects: [] });
  switch (screen.kind) {
    case "packets":
      return done(openPacket(state, screen.selected));
    case "capture":
      return done(openCaptured(state, screen));
    case "matrix": {
      const words = pairWords(screen);
      return words === undefined
        ? done({ ...state, message: { kind: "note", text: "nothing to send for this pair" } })
        : { state, effects: [{ kind: "trace", open: screen.open, words }] };
    }
    case "worlds":
    case "world":
    case "why": {
      const action = screen.items[screen.selected]?.action;
      if (action === undefined) return done(state);
      return action.kind === "source"
        ? done(withSource(state, action.place))
        : { state, effects: [action] };
    }
    case "table": {
      const place = placeOfRow(screen.table, tableRows(screen)[screen.selected]);
      return done(
        place === undefined
          ? { ...state, message: { kind: "note", text: "this row comes from no file" } }
          : withSource(state, place),
      );
    }
    default:
      return done(state);
  }
}

/** One packet of a run as a trace of its own. */
function openPacket(state: UiState, selected: number): UiState {
  const trace = currentTrace(state);
  const packet = packetsOf(trace?.model)[selected];
  if (trace === undefined || packet === undefined) return state;
  const known = state.traces.findIndex(({ model }) => model.name === packet.name);
  const base: UiState = {
    ...state,
    screens: topScreen(state).kind === "packets" ? state.screens.slice(0, -1) : state.screens,
  };
  if (known >= 0) return { ...base, current: known };
  const model = new TraceModel(packet.name, packet.view(), trace.model.sources, undefined);
  return {
    ...base,
    traces: [...state.traces, openTrace(model)],
    current: state.traces.length,
    message: { kind: "note", text: `${packet.name}; :traces 1 goes back to the first` },
  };
}
