import type { Filter } from "../view/filter.js";
import { rowText } from "../view/filter-fields.js";
import { stepJson } from "../view/json.js";
import { formatStep } from "../view/text.js";
import { openBar } from "./bar.js";
import type { Command } from "./key-table.js";
import { layoutKind, layoutOf, type PaneName, paneOfTab, type Tab } from "./layout.js";
import { findInPane, foldTree, scrollPane } from "./pane-scroll.js";
import { worldTree } from "./panes/world.js";
import { refreshed } from "./steps-shown.js";
import { commandLineOf } from "./request-words.js";
import {
  currentTrace,
  type OpenTrace,
  type UiState,
  type Update,
  withSource,
  withTrace,
} from "./ui-state.js";

const SPEEDS = [1, 2, 5, 10];

/** What a key does on the trace screen. */
export function traceAction(state: UiState, command: Command): Update {
  const trace = currentTrace(state);
  if (trace === undefined) return { state, effects: [] };
  const done = (next: UiState): Update => ({ state: next, effects: [] });
  switch (command) {
    case "next":
      return done(trace.focus === "steps" ? moveBy(state, 1) : scrollPane(state, 1));
    case "previous":
      return done(trace.focus === "steps" ? moveBy(state, -1) : scrollPane(state, -1));
    case "half-down":
    case "page-down":
    case "half-up":
    case "page-up":
      return done(page(state, trace, command));
    case "first":
      return done(
        trace.focus === "steps"
          ? moveBy(state, Number.NEGATIVE_INFINITY)
          : scrollPane(state, Number.NEGATIVE_INFINITY),
      );
    case "last":
      return done(
        trace.focus === "steps"
          ? moveBy(state, Number.POSITIVE_INFINITY)
          : scrollPane(state, Number.POSITIVE_INFINITY),
      );
    case "open":
      return openInTree(state, trace);
    case "left":
    case "right":
      if (trace.focus === "world") return done(foldTree(state, command === "left"));
      return done(sideways(state, trace.focus, command === "right" ? 8 : -8));
    case "next-change":
    case "previous-change":
      return done(
        jump(
          state,
          command === "next-change" ? 1 : -1,
          (index) => trace.model.steps[index]?.mark === "*",
          "no other step changes the packet",
        ),
      );
    case "next-node":
    case "previous-node": {
      const here = trace.model.steps[trace.at]?.ns;
      return done(
        jump(
          state,
          command === "next-node" ? 1 : -1,
          (index) => trace.model.steps[index]?.ns !== here,
          "no other node that way",
        ),
      );
    }
    case "run-forward":
    case "run-backward":
      return done(runToBreak(state, trace, command === "run-forward" ? 1 : -1));
    case "deciding": {
      const n = trace.model.steps[trace.model.deciding ?? -1]?.n;
      return done(
        n === undefined
          ? { ...state, message: { kind: "note", text: "no single step decides" } }
          : goToStep(state, n),
      );
    }
    case "reply":
      return done(otherLeg(state, trace));
    case "rows":
      return done(nextMode(state, trace));
    case "find-next":
    case "find-previous":
      return done(findAgain(state, command === "find-next" ? 1 : -1));
    case "mark":
      return done({ ...state, pending: "mark", message: { kind: "note", text: "mark: a letter" } });
    case "go-mark":
      return done({
        ...state,
        pending: "go",
        message: {
          kind: "note",
          text: `go to mark: ${[...trace.marks.keys()].join(" ") || "none is set"}`,
        },
      });
    case "next-pane":
    case "previous-pane":
      return done(otherPane(state, trace, command === "next-pane" ? 1 : -1));
    case "zoom":
      return done(withTrace(state, (one) => ({ ...one, zoom: !one.zoom })));
    case "long-why":
      return done(withTrace(state, (one) => ({ ...one, longWhy: !one.longWhy })));
    case "changed-only":
    case "state-all":
      return done(
        chooseTab(
          withTrace(state, (one) => ({ ...one, stateChangedOnly: command === "changed-only" })),
          5,
        ),
      );
    case "byte-view":
      return done(
        withTrace(state, (one) => ({
          ...one,
          byteView: one.byteView === "hex" ? "ascii" : one.byteView === "ascii" ? "bits" : "hex",
        })),
      );
    case "filter":
      return done(openBar(state, "filter"));
    case "break":
      return done(openBar(state, "break", trace.breakFilter?.text ?? ""));
    case "find":
      return done(openBar(state, "find"));
    case "export":
      return done(openBar(state, "command", "export "));
    case "rerun":
      return done(openBar(state, "command", `trace ${commandLineOf(trace.model.request)}`));
    case "packets":
      return done({ ...state, screens: [...state.screens, { kind: "packets", selected: 0 }] });
    case "play":
      return play(state, state.playing === undefined ? state.speed : undefined);
    case "faster":
    case "slower":
      return changeSpeed(state, command === "faster" ? 1 : -1);
    case "copy":
    case "copy-json":
      return copy(state, trace, command);
    case "edit": {
      const place = trace.model.steps[trace.at]?.place;
      return place === undefined
        ? done({ ...state, message: { kind: "note", text: "this step comes from no file" } })
        : { state, effects: [{ kind: "edit", place }] };
    }
    default:
      return done(command.startsWith("tab-") ? chooseTab(state, tabOf(command)) : state);
  }
}

/** Enter in the tree of the world. */
function openInTree(state: UiState, trace: OpenTrace): Update {
  if (trace.focus !== "world") return { state, effects: [] };
  const { section, action } = worldTree(state, trace, state.size.columns)[state.tree.row] ?? {};
  if (section !== undefined)
    return { state: foldTree(state, !state.tree.folded.has(section)), effects: [] };
  if (action === undefined) return { state, effects: [] };
  if (action.kind === "trace-number")
    return { state: { ...state, current: action.index }, effects: [] };
  return action.kind === "source"
    ? { state: withSource(state, action.place), effects: [] }
    : { state, effects: [action] };
}

/** Moves the time cursor by so many rows; infinity goes to the end. */
export function moveBy(state: UiState, rows: number): UiState {
  return withTrace(state, (trace) => {
    const { visible } = trace.shown;
    const position = Math.min(Math.max(visible.indexOf(trace.at) + rows, 0), visible.length - 1);
    return { ...trace, at: visible[position] ?? trace.at };
  });
}

/** Step `n` becomes the time cursor, if it is a row now; else the next row after it. */
export function goToStep(state: UiState, n: number): UiState {
  const trace = currentTrace(state);
  if (trace === undefined) return state;
  const count = trace.model.steps.length;
  if (n < 1 || n > count)
    return {
      ...state,
      message: { kind: "error", text: `there is no step ${n}; this trace has steps 1 to ${count}` },
    };
  const { visible } = trace.shown;
  const at = visible.find((index) => index >= n - 1) ?? visible.at(-1) ?? trace.at;
  const moved = withTrace(state, (one) => ({ ...one, at }));
  return at === n - 1
    ? moved
    : {
        ...moved,
        message: { kind: "note", text: `the filter hides step ${n}; this is the next row` },
      };
}

/** Applies a filter, or takes it away. */
export function applyFilter(state: UiState, filter: Filter | undefined, markOnly = false): UiState {
  return withTrace(state, (trace) => refreshed({ ...trace, filter, markOnly }));
}

/** The next row that has a text, seen from the cursor and around the end. */
export function findAgain(state: UiState, direction: 1 | -1): UiState {
  const trace = currentTrace(state);
  if (trace?.find === undefined || trace.find === "")
    return { ...state, message: { kind: "note", text: "f finds a text first" } };
  if (trace.focus !== "steps") return findInPane(state, trace, direction);
  const text = trace.find.toLowerCase();
  const { visible } = trace.shown;
  const from = visible.indexOf(trace.at);
  for (let distance = 1; distance <= visible.length; distance++) {
    const index = visible[(from + direction * distance + visible.length * 2) % visible.length];
    const step = index === undefined ? undefined : trace.model.steps[index];
    if (index !== undefined && step !== undefined && rowText(step).toLowerCase().includes(text))
      return withTrace(state, (one) => ({ ...one, at: index }));
  }
  return { ...state, message: { kind: "error", text: `"${trace.find}" is in no row` } };
}

/** `y` and `n` while locating: halves the range until one step is left. */
export function answerLocate(state: UiState, key: string): UiState {
  const { locate } = state;
  const trace = currentTrace(state);
  if (locate === undefined || trace === undefined) return state;
  if (key !== "y" && key !== "n")
    return { ...state, locate: undefined, message: { kind: "note", text: "locate ended" } };
  const middle = (locate.low + locate.high) >>> 1;
  return askLocate(state, key === "y" ? middle : locate.low, key === "y" ? locate.high : middle);
}

/** Asks whether the packet was seen in the middle of a range of steps: seen at `low`, not at `high`. */
export function askLocate(state: UiState, low: number, high: number): UiState {
  const trace = currentTrace(state);
  if (trace === undefined) return state;
  const steps = trace.model.steps;
  const found = high - low <= 1;
  const at = found ? high : (low + high) >>> 1;
  const step = steps[Math.min(at, steps.length - 1)];
  const moved = withTrace(state, (one) =>
    refreshed({ ...one, filter: undefined, at: Math.min(at, steps.length - 1) }),
  );
  if (found)
    return {
      ...moved,
      locate: undefined,
      message: {
        kind: "ok",
        text: `lost between step ${low + 1} and step ${high + 1}: look at step ${step?.n ?? 0}`,
      },
    };
  const where = `${step?.ns ?? ""} ${step?.dev ?? ""}`.trim();
  return {
    ...moved,
    locate: { low, high },
    message: {
      kind: "note",
      text: `seen after step ${step?.n ?? 0}, ${where}? y n (${high - low - 1} steps left, Esc ends)`,
    },
  };
}

function page(
  state: UiState,
  trace: OpenTrace,
  command: "half-down" | "half-up" | "page-down" | "page-up",
): UiState {
  const { panes } = layoutOf(state.size, trace.zoom ? trace.focus : undefined);
  const rows = Math.max(2, (panes.find(({ pane }) => pane === trace.focus)?.height ?? 10) - 3);
  const amount =
    (command.startsWith("half") ? Math.ceil(rows / 2) : rows) * (command.endsWith("down") ? 1 : -1);
  return trace.focus === "steps" ? moveBy(state, amount) : scrollPane(state, amount);
}

function sideways(state: UiState, pane: PaneName, columns: number): UiState {
  return withTrace(state, (trace) => {
    const scroll = trace.scroll[pane] ?? { row: 0, column: 0 };
    return {
      ...trace,
      scroll: {
        ...trace.scroll,
        [pane]: { ...scroll, column: Math.max(0, scroll.column + columns) },
      },
    };
  });
}

function jump(
  state: UiState,
  direction: 1 | -1,
  wanted: (index: number) => boolean,
  otherwise: string,
): UiState {
  const trace = currentTrace(state);
  if (trace === undefined) return state;
  const { visible } = trace.shown;
  for (
    let position = visible.indexOf(trace.at) + direction;
    position >= 0 && position < visible.length;
    position += direction
  ) {
    const index = visible[position];
    if (index !== undefined && wanted(index))
      return withTrace(state, (one) => ({ ...one, at: index }));
  }
  return { ...state, message: { kind: "note", text: otherwise } };
}

function runToBreak(state: UiState, trace: OpenTrace, direction: 1 | -1): UiState {
  const { breakFilter, model } = trace;
  if (breakFilter === undefined) return { ...openBar(state, "break"), message: undefined };
  return jump(
    state,
    direction,
    (index) => {
      const row = model.rows[index];
      return row !== undefined && breakFilter.matches(row);
    },
    `no step ${direction === 1 ? "after" : "before"} this one matches ${breakFilter.text}`,
  );
}

function otherLeg(state: UiState, trace: OpenTrace): UiState {
  const leg = trace.model.steps[trace.at]?.leg;
  const index = trace.shown.visible.find((one) => trace.model.steps[one]?.leg !== leg);
  if (index === undefined)
    return {
      ...state,
      message: {
        kind: "note",
        text:
          leg === "out" ? "there is no reply among the rows" : "the request is not among the rows",
      },
    };
  return withTrace(state, (one) => ({ ...one, at: index }));
}

function nextMode(state: UiState, { mode }: OpenTrace): UiState {
  const next = mode === "all" ? "decide" : mode === "decide" ? "changes" : "all";
  const told = {
    all: "all steps",
    decide: "steps that decide",
    changes: "steps that change the packet",
  }[next];
  return {
    ...withTrace(state, (trace) => refreshed({ ...trace, mode: next })),
    message: { kind: "note", text: `rows: ${told}` },
  };
}

function otherPane(state: UiState, trace: OpenTrace, direction: 1 | -1): UiState {
  const { order } = layoutOf(state.size, undefined);
  const position = Math.max(0, order.indexOf(trace.focus));
  const focus = order[(position + direction + order.length) % order.length] ?? "steps";
  return withTrace(state, (one) => ({ ...one, focus }));
}

function tabOf(command: string): Tab {
  const number = Number(command.slice("tab-".length));
  return ([1, 2, 3, 4, 5, 6, 7] as const).find((tab) => tab === number) ?? 1;
}

/** Puts a tab in front; where one pane is shown at a time, its pane too. */
export function chooseTab(state: UiState, tab: Tab): UiState {
  const kind = layoutKind(state.size);
  return withTrace(state, (trace) => {
    const pane = paneOfTab(kind, tab);
    const focus = kind === "single" || trace.zoom || trace.focus !== "steps" ? pane : trace.focus;
    return {
      ...trace,
      tabs: [tab, ...trace.tabs.filter((other) => other !== tab)],
      focus,
      scroll: { ...trace.scroll, [pane]: { row: 0, column: 0 } },
    };
  });
}

function play(state: UiState, speed: number | undefined): Update {
  return { state: { ...state, playing: speed }, effects: [{ kind: "play", speed }] };
}

function changeSpeed(state: UiState, direction: 1 | -1): Update {
  const position = Math.min(
    Math.max(SPEEDS.indexOf(state.speed) + direction, 0),
    SPEEDS.length - 1,
  );
  const speed = SPEEDS[position] ?? 2;
  const next: UiState = {
    ...state,
    speed,
    message: { kind: "note", text: `${speed} ${speed === 1 ? "step" : "steps"} a second` },
  };
  return state.playing === undefined ? { state: next, effects: [] } : play(next, speed);
}

function copy(state: UiState, trace: OpenTrace, command: "copy" | "copy-json"): Update {
  const step = trace.model.steps[trace.at];
  if (step === undefined) return { state, effects: [] };
  const text =
    command === "copy"
      ? (formatStep(trace.model.view, step.n) ?? "")
      : `${JSON.stringify(stepJson(step, trace.model.view.recording))}\n`;
  return {
    state,
    effects: [
      { kind: "copy", text, what: `step ${step.n}${command === "copy" ? "" : " as JSON"}` },
    ],
  };
}
