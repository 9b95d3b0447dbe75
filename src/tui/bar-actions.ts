import { filterCompletions, filterMistake, parseFilter } from "../view/filter.js";
import { openBar } from "./bar.js";
import { filteredCapture } from "./capture-screen.js";
import { graphemesOf } from "./cells.js";
import { parseCommand } from "./command-line.js";
import { run } from "./commands.js";
import { completeCommand, type Completion } from "./completion.js";
import type { InputEvent } from "./keys.js";
import { matchesPalette } from "./palette.js";
import { applyFilter, askLocate, findAgain, goToStep } from "./trace-actions.js";
import {
  type Bar,
  currentTrace,
  currentWorld,
  type Effect,
  topScreen,
  type UiState,
  type Update,
  withScreen,
  withTrace,
} from "./ui-state.js";

/** How many lines are kept of what was typed. */
const REMEMBERED = 50;

/** A key while a line is being typed. */
export function editBar(state: UiState, bar: Bar, event: InputEvent): Update {
  if (event.kind === "mouse") return { state, effects: [] };
  // A paste is one line of text; nothing in it runs.
  if (event.kind === "paste")
    return {
      state: typed(state, insert(bar, event.text.replace(/\s+/g, " ").trim())),
      effects: [],
    };
  const { name } = event;
  switch (name) {
    case "Escape":
      return { state: closeBar(state), effects: [] };
    case "Enter":
      return enter(state, bar);
    case "Tab":
      return { state: typed(state, complete(state, bar)), effects: [] };
    case "Up":
    case "C-p":
    case "Down":
    case "C-n":
      return { state: upOrDown(state, bar, name === "Up" || name === "C-p" ? -1 : 1), effects: [] };
    case "C-t":
      return {
        state:
          bar.kind === "filter" ? { ...state, bar: { ...bar, markOnly: !bar.markOnly } } : state,
        effects: [],
      };
    case "C-y":
      return { state, effects: copied(state, bar) };
    case "C-z":
      return { state, effects: [{ kind: "suspend" }] };
    case "C-l":
      return { state, effects: [{ kind: "redraw" }] };
    default:
      return { state: typed(state, editKey(bar, name)), effects: [] };
  }
}

/** The command line of hopwise that does the same as what is typed. */
export function equalCommand(state: UiState, text: string): string | undefined {
  const [word = ""] = text.trim().split(/\s+/);
  const world = currentWorld(state)?.name;
  return CLI_WORDS.includes(word) && world !== undefined
    ? `hopwise ${text.trim()} -w ${world}`
    : undefined;
}

const CLI_WORDS: readonly string[] = ["trace", "why", "matrix"];

function copied(state: UiState, bar: Bar): readonly Effect[] {
  const line = bar.kind === "command" ? equalCommand(state, bar.text) : undefined;
  return line === undefined ? [] : [{ kind: "copy", text: line, what: "the command" }];
}

/** What can be completed at the end of a bar's text. */
export function completionsOf(state: UiState, bar: Bar): Completion {
  const trace = currentTrace(state);
  if (bar.kind === "command") return completeCommand(bar.text, state);
  if ((bar.kind === "filter" && topScreen(state).kind === "trace") || bar.kind === "break")
    return filterCompletions(bar.text, trace?.model.rows ?? []);
  const screen = topScreen(state);
  if (bar.kind === "filter" && screen.kind === "capture")
    return filterCompletions(bar.text, screen.log.sample());
  return { start: bar.text.length, words: [] };
}

function editKey(bar: Bar, name: string): Bar {
  const { text, cursor } = bar;
  const moved = (to: number): Bar => ({ ...bar, cursor: Math.min(Math.max(to, 0), text.length) });
  const before = graphemesOf(text.slice(0, cursor)).at(-1)?.length ?? 0;
  const after = graphemesOf(text.slice(cursor))[0]?.length ?? 0;
  switch (name) {
    case "Left":
    case "C-b":
      return moved(cursor - before);
    case "Right":
    case "C-f":
      return moved(cursor + after);
    case "Home":
    case "C-a":
      return moved(0);
    case "End":
    case "C-e":
      return moved(text.length);
    case "Backspace":
    case "C-h":
      return {
        ...bar,
        text: text.slice(0, cursor - before) + text.slice(cursor),
        cursor: cursor - before,
      };
    case "Delete":
    case "C-d":
      return { ...bar, text: text.slice(0, cursor) + text.slice(cursor + after) };
    case "C-u":
      return { ...bar, text: text.slice(cursor), cursor: 0 };
    case "C-k":
      return { ...bar, text: text.slice(0, cursor) };
    case "C-w": {
      const start = text.slice(0, cursor).search(/\S+\s*$/);
      return start < 0
        ? bar
        : { ...bar, text: text.slice(0, start) + text.slice(cursor), cursor: start };
    }
    case "Space":
      return insert(bar, " ");
    default:
      return graphemesOf(name).length === 1 ? insert(bar, name) : bar;
  }
}

function insert(bar: Bar, text: string): Bar {
  const { cursor } = bar;
  return {
    ...bar,
    text: bar.text.slice(0, cursor) + text + bar.text.slice(cursor),
    cursor: cursor + text.length,
    recalled: undefined,
  };
}

/** What typing changes beside the line itself: a mistake is found again at Enter, lists follow. */
function typed(state: UiState, bar: Bar): UiState {
  const next: UiState = { ...state, bar: { ...bar, mistake: undefined } };
  const screen = topScreen(state);
  if (bar.kind === "palette" && screen.kind === "palette")
    return withScreen(next, { ...screen, selected: 0 });
  if (bar.kind === "filter" && screen.kind === "table")
    return withScreen(next, { ...screen, filter: bar.text, selected: 0 });
  if (bar.kind === "filter" && screen.kind === "matrix")
    return withScreen(next, { ...screen, filter: bar.text, row: 0 });
  if (bar.kind === "help" && screen.kind === "help")
    return withScreen(next, { ...screen, filter: bar.text, scroll: 0 });
  return next;
}

function complete(state: UiState, bar: Bar): Bar {
  const { start, words } = completionsOf(state, bar);
  const [first] = words;
  if (first === undefined) return bar;
  const common = words.reduce((so, word) =>
    so.slice(0, [...so].findIndex((letter, index) => letter !== word[index]) >>> 0),
  );
  const whole = words.length === 1 ? `${first} ` : common;
  const text = bar.text.slice(0, start) + whole;
  return { ...bar, text, cursor: text.length };
}

/** Through what was typed before; through the rows of the palette. */
function upOrDown(state: UiState, bar: Bar, direction: 1 | -1): UiState {
  const screen = topScreen(state);
  if (bar.kind === "palette" && screen.kind === "palette") {
    const count = matchesPalette(state).length;
    return withScreen(state, {
      ...screen,
      selected: Math.min(Math.max(screen.selected + direction, 0), Math.max(0, count - 1)),
    });
  }
  const known = state.typed[bar.kind];
  const at = (bar.recalled ?? known.length) + direction;
  const text = known[at];
  return text === undefined
    ? state
    : { ...state, bar: { ...bar, text, cursor: text.length, recalled: at, mistake: undefined } };
}

function closeBar(state: UiState): UiState {
  const { bar } = state;
  const screen = topScreen(state);
  const rest: UiState = { ...state, bar: undefined };
  if (screen.kind === "palette" || screen.kind === "new-trace")
    return { ...rest, screens: state.screens.slice(0, -1) };
  if (bar?.kind === "filter" && (screen.kind === "table" || screen.kind === "matrix"))
    return withScreen(rest, { ...screen, filter: "" });
  if (bar?.kind === "help" && screen.kind === "help")
    return withScreen(rest, { ...screen, filter: "" });
  return rest;
}

function enter(state: UiState, bar: Bar): Update {
  const kept = remember(state, bar);
  const closed: UiState = { ...kept, bar: undefined };
  const done = (next: UiState): Update => ({ state: next, effects: [] });
  switch (bar.kind) {
    case "filter":
    case "break":
      return done(enterFilter(closed, bar));
    case "find":
      return done(
        findAgain(
          withTrace(closed, (trace) => ({ ...trace, find: bar.text, found: undefined })),
          1,
        ),
      );
    case "help":
      return done(closed);
    case "palette": {
      const screen = topScreen(state);
      const chosen = matchesPalette(state)[screen.kind === "palette" ? screen.selected : 0];
      const below: UiState = { ...closed, screens: state.screens.slice(0, -1) };
      if (chosen === undefined) return done(below);
      const { act } = chosen;
      if (act.kind === "command") return run(below, act.command);
      return act.complete
        ? runCommand(below, { ...bar, kind: "command", text: act.text })
        : done(openBar(below, "command", act.text));
    }
    case "command":
      return runCommand(closed, bar);
  }
}

function enterFilter(closed: UiState, bar: Bar): UiState {
  const screen = topScreen(closed);
  if (screen.kind !== "trace" && screen.kind !== "capture") return closed;
  const text = bar.text.trim();
  const mistake = text === "" ? undefined : filterMistake(text);
  if (mistake !== undefined) return { ...closed, bar: { ...bar, mistake } };
  if (screen.kind === "capture") return withScreen(closed, filteredCapture(screen, text));
  const filter = text === "" ? undefined : parseFilter(text);
  if (bar.kind === "break")
    return withTrace(closed, (trace) => ({ ...trace, breakFilter: filter }));
  return applyFilter(closed, filter, bar.markOnly);
}

function runCommand(closed: UiState, bar: Bar): Update {
  const command = parseCommand(bar.text);
  const done = (next: UiState): Update => ({ state: next, effects: [] });
  const leave: UiState =
    topScreen(closed).kind === "new-trace"
      ? { ...closed, screens: closed.screens.slice(0, -1) }
      : closed;
  if (bar.text.trim() === "") return done(leave);
  switch (command.kind) {
    case "mistake":
      return done({ ...closed, bar: { ...bar, mistake: command.message } });
    case "step":
      return done(goToStep(leave, command.n));
    case "job":
      return { state: leave, effects: [command.job] };
    case "export":
      return { state: leave, effects: [{ kind: "export", path: command.text }] };
    case "filter":
      return done(enterFilter(leave, { ...bar, kind: "filter", text: command.text }));
    case "traces": {
      const known = leave.traces[command.n - 1] !== undefined;
      return done(
        known
          ? { ...leave, current: command.n - 1 }
          : {
              ...leave,
              message: { kind: "error", text: `there are ${leave.traces.length} traces` },
            },
      );
    }
    case "packets":
      return done({ ...leave, screens: [...leave.screens, { kind: "packets", selected: 0 }] });
    case "locate": {
      const count = currentTrace(leave)?.model.steps.length ?? 0;
      return done(
        count < 2
          ? { ...leave, message: { kind: "error", text: "there is nothing to search" } }
          : askLocate(leave, 0, count),
      );
    }
    case "help":
      return run(leave, "help");
    case "back":
      return run(leave, "back");
    case "quit":
      return run(leave, "quit");
  }
}

function remember(state: UiState, { kind, text }: Bar): UiState {
  if (text.trim() === "" || state.typed[kind].at(-1) === text) return state;
  return {
    ...state,
    typed: {
      ...state.typed,
      [kind]: [...state.typed[kind].filter((one) => one !== text), text].slice(-REMEMBERED),
    },
  };
}
