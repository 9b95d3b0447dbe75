import { stacked, type PaneContent } from "./boxes.js";
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
import type { Line } from "./style.js";
import { tabsShown } from "./trace-actions.js";
import type { OpenTrace, UiState } from "./ui-state.js";

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
  const scroll = trace.scroll[box.pane] ?? { row: 0, column: 0 };
  const place =
    layout.kind === "single" ? ` ${layout.order.indexOf(box.pane) + 1}/${layout.order.length}` : "";
  const inner = box.width - 4;
  const rows = box.height - 2;
  if (box.pane === "steps") {
    return {
      title: `Steps${place}`,
      info: stepsInfo(trace),
      lines: stepRows(trace, inner, rows),
      from: 0,
      column: scroll.column,
      focused,
    };
  }
  if (box.pane === "world")
    return {
      title: "World",
      info: "",
      lines: worldLines(state, trace, inner),
      from: scroll.row,
      column: scroll.column,
      focused,
    };
  const tabs = tabsShown(state, trace, box.pane);
  const [first = 1, second] = tabs;
  const parts = tabLines(trace, first, inner);
  const lines = stacked(
    parts.lines,
    second === undefined ? undefined : tabLines(trace, second, inner).lines,
    rows,
    parts.focus,
  );
  const others = layout.kind === "small" || layout.kind === "single" || layout.panes.length === 1;
  return {
    title: `${tabs.map((tab) => `${tab} ${TABS[tab - 1]}`).join(" + ")}${place}${first === 7 ? sourceName(trace) : ""}`,
    info:
      others && box.pane !== "map"
        ? TABS.map((name, index) => `${index + 1} ${name}`)
            .filter((_, index) => !tabs.some((tab) => tab === index + 1))
            .join(" ")
        : "",
    lines,
    from: Math.max(
      0,
      (lines === parts.lines ? parts.focus - Math.floor(rows / 2) : 0) + scroll.row,
    ),
    column: scroll.column,
    focused,
  };
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
      return { lines: mapLines(model, at), focus: 0 };
    case 7:
      return sourceLines(model, at);
  }
}
