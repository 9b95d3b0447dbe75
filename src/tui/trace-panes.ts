import { type PaneContent, secondRows } from "./boxes.js";
import { type Layout, type PaneBox, type Tab, TABS } from "./layout.js";
import { bytesLines } from "./panes/bytes.js";
import { chainFocus, chainLines } from "./panes/chain.js";
import { headersLines } from "./panes/headers.js";
import { mapLines } from "./panes/map.js";
import { sourceLines } from "./panes/source.js";
import { stateLines } from "./panes/state.js";
import { stepsLines } from "./panes/steps.js";
import { whyLines } from "./panes/why.js";
import { worldLines } from "./panes/world.js";
import { type Line, plain } from "./style.js";
import { tabsShown } from "./tabs-shown.js";
import type { OpenTrace, UiState } from "./ui-state.js";

/** The text of a pane that scrolls: its own lines, and below them a second text for which there is room. */
export interface PaneText {
  readonly lines: readonly Line[];
  /** How many of the lines are shown at a time. */
  readonly rows: number;
  /** The line at the top where nobody has scrolled. */
  readonly start: number;
  /** The line at the top now. */
  readonly from: number;
  readonly below: readonly Line[];
}

/** What stands in a pane besides the step list. */
export function paneText(state: UiState, trace: OpenTrace, box: PaneBox): PaneText {
  const width = box.width - 4;
  const height = box.height - 2;
  const scroll = trace.scroll[box.pane]?.row ?? 0;
  if (box.pane === "world") {
    const lines = worldLines(state, trace, width);
    return windowOf(lines, undefined, height, trace.focus === "world" ? state.tree.row : 0, scroll);
  }
  const [first = 1, second] = tabsShown(state, trace, box.pane);
  const { lines, focus } = tabLines(trace, first, width);
  const other = second === undefined ? undefined : tabLines(trace, second, width).lines;
  return windowOf(lines, other, height, focus, scroll);
}

function windowOf(
  lines: readonly Line[],
  second: readonly Line[] | undefined,
  height: number,
  focus: number,
  scroll: number,
): PaneText {
  const below = secondRows(lines.length, second?.length, height);
  const rows = below === 0 ? height : height - 1 - below;
  const last = Math.max(0, lines.length - rows);
  const clamp = (line: number): number => Math.max(0, Math.min(line, last));
  const start = clamp(focus - Math.floor(rows / 2));
  return {
    lines,
    rows,
    start,
    from: clamp(start + scroll),
    below: below === 0 ? [] : (second ?? []).slice(0, below),
  };
}

/** What stands in one pane of the trace screen. */
export function paneContent(
  state: UiState,
  trace: OpenTrace,
  layout: Layout,
  box: PaneBox,
): PaneContent {
  const focused =
    trace.focus === box.pane ||
    (layout.panes.length === 1 && layout.kind !== "single" && !trace.zoom);
  const column = trace.scroll[box.pane]?.column ?? 0;
  const place =
    layout.kind === "single" ? ` ${layout.order.indexOf(box.pane) + 1}/${layout.order.length}` : "";
  if (box.pane === "steps") {
    return {
      title: `Steps${place}`,
      info: stepsInfo(trace),
      lines: stepRows(trace, box.width - 4, box.height - 2),
      from: 0,
      column,
      focused,
    };
  }
  const { lines, rows, from, below } = paneText(state, trace, box);
  const shown =
    below.length === 0 ? lines : [...padded(lines.slice(from, from + rows), rows), "", ...below];
  const tabs = box.pane === "world" ? [] : tabsShown(state, trace, box.pane);
  const names = tabs.map((tab) => `${tab} ${TABS[tab - 1]}`).join(" + ");
  return {
    title:
      box.pane === "world" ? "World" : `${names}${place}${tabs[0] === 7 ? sourceName(trace) : ""}`,
    info: tabs.length > 0 && box.pane !== "map" ? otherTabs(layout, tabs) : "",
    lines: shown,
    from: below.length === 0 ? from : 0,
    column,
    focused,
  };
}

function padded(lines: readonly Line[], rows: number): readonly Line[] {
  return [...lines, ...Array.from({ length: Math.max(0, rows - lines.length) }, () => "")];
}

/** Tabs that a key brings up where one pane is for all of them. */
function otherTabs(layout: Layout, tabs: readonly Tab[]): string {
  const alone = layout.kind === "small" || layout.kind === "single" || layout.panes.length === 1;
  if (!alone) return "";
  return TABS.map((name, index) => `${index + 1} ${name}`)
    .filter((_, index) => !tabs.some((tab) => tab === index + 1))
    .join(" ");
}

function stepRows(trace: OpenTrace, width: number, rows: number): readonly Line[] {
  const { model, shown, at, marks, find } = trace;
  if (shown.visible.length === 0) return [`0 of ${model.steps.length}: Esc clears`];
  const letters = new Map([...marks].map(([letter, index]) => [index, letter]));
  return stepsLines(model, {
    width,
    height: rows,
    visible: shown.visible,
    at,
    marked: (index) => shown.hits?.has(index) ?? false,
    letters,
    find,
  });
}

function stepsInfo({ model, at, shown, filter, mode, markOnly }: OpenTrace): string {
  const total = model.steps.length;
  const step = model.steps[at]?.n ?? 0;
  const conditions = [
    ...(mode === "all" ? [] : [mode]),
    ...(filter === undefined ? [] : [filter.text]),
  ];
  if (conditions.length === 0) return `${step}/${total}`;
  const count = markOnly && shown.hits !== undefined ? shown.hits.size : shown.visible.length;
  const counted = `${count} of ${total}`;
  return `${step}/${total}  ${markOnly ? "marked" : "filter"}: ${conditions.join(" and ")}  ${counted}`;
}

function sourceName({ model, at }: OpenTrace): string {
  const place = model.steps[at]?.place;
  return place === undefined ? "" : ` ${place.file}:${place.line}`;
}

function tabLines(
  trace: OpenTrace,
  tab: Tab,
  width: number,
): { readonly lines: readonly Line[]; readonly focus: number } {
  const { model, at } = trace;
  const [front] = trace.tabs;
  const field = trace.focus !== "steps" && (front === 2 || front === 3) ? trace.field : undefined;
  switch (tab) {
    case 1:
      return { lines: whyLines(model, at, width, trace.longWhy), focus: 0 };
    case 2:
      return { lines: headersLines(model, at, width, field), focus: field ?? 0 };
    case 3:
      return { lines: bytesLines(model, at, width, trace.byteView, field), focus: 0 };
    case 4: {
      const lines = chainLines(model, at, width);
      return { lines, focus: Math.max(0, chainFocus(lines)) };
    }
    case 5:
      return { lines: stateLines(model, at, width, trace.stateChangedOnly), focus: 0 };
    case 6:
      return mapText(model, at);
    case 7:
      return sourceLines(model, at);
  }
}

/** The hop where the packet is stays in view. */
function mapText(
  model: OpenTrace["model"],
  at: number,
): { readonly lines: readonly Line[]; readonly focus: number } {
  const lines = mapLines(model, at);
  const focus = lines.findIndex((line) => plain(line).includes("<=="));
  return { lines, focus: Math.max(0, focus) };
}
