import { packetsOf } from "./packets.js";
import { openBar } from "./bar.js";
import type { Command } from "./key-table.js";
import { helpLength } from "./help.js";
import { placeOfRow, tableRows, traceNameOf } from "./tables.js";
import { TraceModel } from "./trace-model.js";
import {
  currentTrace,
  openTrace,
  type ScreenState,
  topScreen,
  type UiState,
  type Update,
  withScreen,
} from "./ui-state.js";

/** What a key does on a screen that is a list or a text. */
export function listAction(state: UiState, screen: ScreenState, command: Command): Update {
  const done = (next: UiState): Update => ({ state: next, effects: [] });
  switch (command) {
    case "left":
    case "right":
      return done(sideways(state, screen, command === "right" ? 8 : -8));
    case "filter":
      return done(
        openBar(
          state,
          screen.kind === "help" ? "help" : "filter",
          screen.kind === "table" || screen.kind === "help" ? screen.filter : "",
        ),
      );
    case "open":
      return done(open(state, screen));
    case "trace-from":
    case "trace-to": {
      const name =
        screen.kind === "table"
          ? traceNameOf(screen.show, tableRows(screen)[screen.selected])
          : undefined;
      if (name === undefined)
        return done({ ...state, message: { kind: "note", text: "this row is no end of a trace" } });
      const from = currentTrace(state)?.model.request?.source ?? "";
      const words =
        command === "trace-from"
          ? `trace ${name} `
          : `trace ${from === "" ? "" : `${from} `}${name}`;
      return done(
        openBar({ ...state, screens: [...state.screens, { kind: "new-trace" }] }, "command", words),
      );
    }
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
    case "source":
      return withScreen(state, {
        ...screen,
        scroll: within(screen.scroll, currentSources(state, screen.place.file)),
      });
    case "help":
      return withScreen(state, { ...screen, scroll: within(screen.scroll, helpLength(screen)) });
    default:
      return state;
  }
}

function currentSources(state: UiState, file: string): number {
  const sources = state.world?.sources ?? currentTrace(state)?.model.sources;
  return (sources?.lines(file)?.length ?? 0) + 1;
}

function sideways(state: UiState, screen: ScreenState, by: number): UiState {
  if (screen.kind === "help")
    return move(state, screen, by > 0 ? state.size.rows - 4 : 4 - state.size.rows);
  if (screen.kind !== "table" && screen.kind !== "source") return state;
  return withScreen(state, { ...screen, column: Math.max(0, screen.column + by) });
}

function open(state: UiState, screen: ScreenState): UiState {
  if (screen.kind === "packets") return openPacket(state, screen.selected);
  if (screen.kind !== "table") return state;
  const place = placeOfRow(screen.table, tableRows(screen)[screen.selected]);
  if (place === undefined)
    return { ...state, message: { kind: "note", text: "this row comes from no file" } };
  return {
    ...state,
    screens: [...state.screens, { kind: "source", place, scroll: place.line, column: 0 }],
  };
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
