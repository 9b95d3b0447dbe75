import { parseFilter } from "../view/filter.js";
import type { ReplayLog } from "../view/replay-log.js";
import { flowText, type ReplayRow } from "../view/replay-row.js";
import { rowText, timeText } from "../view/replay-text.js";
import type { PaneContent } from "./boxes.js";
import { withNewTrace } from "./requests.js";
import type { Line, Span } from "./style.js";
import { TraceModel } from "./trace-model.js";
import { type OpenWorld, type UiState, withScreen } from "./ui-state.js";

/** The packets of a capture after their replay. */
export interface CaptureScreenState {
  readonly kind: "capture";
  readonly open: OpenWorld;
  readonly title: string;
  readonly log: ReplayLog;
  /** Rows that the filter leaves: places in the log. */
  readonly shown: readonly number[];
  /** A place in `shown`. */
  readonly selected: number;
  readonly column: number;
  readonly filter: string;
}

/** A replay from its beginning. */
export function captureScreen(open: OpenWorld, title: string, log: ReplayLog): CaptureScreenState {
  const shown = log.rows.map((_, index) => index);
  return { kind: "capture", open, title, log, shown, selected: 0, column: 0, filter: "" };
}

/** The same packets under a filter that can be read; what is selected stays so, or the next that is left is. */
export function filteredCapture(screen: CaptureScreenState, text: string): CaptureScreenState {
  const { log, shown, selected } = screen;
  const filter = text === "" ? undefined : parseFilter(text);
  const left = log.rows.flatMap((_, index) => {
    const row = log.filterRow(index);
    return filter === undefined || (row !== undefined && filter.matches(row)) ? [index] : [];
  });
  const was = shown[selected] ?? 0;
  const next = left.findIndex((index) => index >= was);
  return {
    ...screen,
    shown: left,
    selected: next < 0 ? Math.max(0, left.length - 1) : next,
    filter: text,
  };
}

/** The window of rows around the selected one, under their header. */
export function captureContent(screen: CaptureScreenState, rows: number): PaneContent {
  const { log, shown, selected, title, filter, column } = screen;
  const total = log.rows.length;
  const info =
    filter === ""
      ? `${Math.min(selected + 1, total)}/${total}   ${log.steps} steps`
      : `${shown.length} of ${total}  filter: ${filter}`;
  const pane = (lines: readonly Line[]): PaneContent => ({
    title,
    info,
    lines,
    from: 0,
    column,
    focused: true,
  });
  if (shown.length === 0) return pane([total === 0 ? "no packets" : `0 of ${total}: Esc clears`]);
  const room = rows - 1;
  const from = Math.max(0, Math.min(selected - Math.floor(room / 2), shown.length - room));
  const visible = shown.slice(from, from + room).flatMap((index) => log.rows[index] ?? []);
  const widths = widthsOf(log);
  const header = `  ${"PKT".padStart(widths.number)}   ${"TIME".padEnd(widths.time)}  ${"FLOW".padEnd(widths.flow)}  VERDICT`;
  return pane([
    [{ text: header, tone: "title" }],
    ...visible.map((row, index) => rowLine(row, widths, from + index === selected)),
  ]);
}

interface Widths {
  readonly number: number;
  readonly time: number;
  readonly flow: number;
}

/** Columns fit the whole capture: they stay where they are while it is scrolled. */
function widthsOf({ rows, flowWidth }: ReplayLog): Widths {
  const last = rows.at(-1)?.packet;
  return {
    number: Math.max(3, String(last?.number ?? 0).length),
    time: Math.max(8, timeText(last?.time ?? 0).length),
    flow: Math.min(43, flowWidth),
  };
}

function rowLine(row: ReplayRow, widths: Widths, here: boolean): Line {
  const { packet, mark } = row;
  const start = `${here ? ">" : " "} ${String(packet.number).padStart(widths.number)}   ${timeText(packet.time).padStart(widths.time)}  ${flowText(packet.frame).padEnd(widths.flow)}  `;
  const verdict: Span = {
    text: `${mark.padEnd(2)} ${rowText(row)}`,
    tone: mark === "ok" ? "ok" : mark === "!" ? "bad" : "unknown",
  };
  return here ? [{ text: start + verdict.text, tone: "selected" }] : [start, verdict];
}

/** Enter: the packet's trace; of one that the world brought by itself, that of the packet which made it do so. */
export function openCaptured(state: UiState, screen: CaptureScreenState): UiState {
  const note = (text: string): UiState => ({ ...state, message: { kind: "note", text } });
  const index = screen.shown[screen.selected];
  const row = index === undefined ? undefined : screen.log.rows[index];
  if (index === undefined || row === undefined) return state;
  const { result, number } = row.packet;
  if (result.kind === "unknown") return note(`packet ${number}: ${result.reason}`);
  const by = result.kind === "sent" ? number : result.by;
  const at =
    by === number ? index : screen.log.rows.findIndex(({ packet }) => packet.number === by);
  const view = screen.log.view(at);
  if (view === undefined) return note(`packet ${by} has no trace`);
  const name = `packet ${by}`;
  const opened = withNewTrace(
    withoutEarlier(state),
    new TraceModel(name, view, screen.open.sources, undefined),
  );
  if (by === number) return opened;
  const was =
    result.kind === "seen" ? "the world brought it when" : "it answers, and did not arrive here:";
  return { ...opened, message: { kind: "note", text: `packet ${number}: ${was} packet ${by}` } };
}

/** Packets that were opened from here before are opened again when they are asked for: their traces are not kept. */
function withoutEarlier(state: UiState): UiState {
  if (state.screens.some(({ kind }) => kind === "trace")) return state;
  const last = state.traces.findLastIndex(
    ({ model }, index) => model.request !== undefined || index <= state.current,
  );
  return { ...state, traces: state.traces.slice(0, last + 1) };
}

/** The screen moved by some rows. */
export function moveCapture(state: UiState, screen: CaptureScreenState, by: number): UiState {
  const last = Math.max(0, screen.shown.length - 1);
  const selected = Math.max(0, Math.min(screen.selected + by, last));
  return withScreen(state, { ...screen, selected });
}
