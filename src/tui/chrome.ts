import { filterMistake } from "../view/filter.js";
import { verdictName } from "../view/outcome.js";
import { completionsOf } from "./bar-actions.js";
import { hintsFor } from "./key-table.js";
import { layoutKind, type PaneName } from "./layout.js";
import { widthOf } from "./cells.js";
import { type Line, plain, type Span, spansOf } from "./style.js";
import {
  type Bar,
  type BarKind,
  currentTrace,
  currentWorld,
  type OpenTrace,
  type ScreenState,
  topScreen,
  type UiState,
} from "./ui-state.js";

/** The first row: where we are, and the verdict, which is never cut. What fits least is left out first. */
export function titleLine(state: UiState): readonly [Line, Line] {
  const { columns } = state.size;
  const kind = layoutKind(state.size);
  const wide = kind === "large" || kind === "medium";
  const verdict = verdictSpan(state);
  const rights = rightParts(state, wide);
  const lefts = leftTexts(state, wide);
  for (const left of lefts) {
    for (let kept = rights.length; kept >= 0; kept--) {
      const before = rights.slice(0, kept).filter(({ after }) => !after);
      const after = rights.slice(0, kept).filter((part) => part.after);
      const right: Line = [
        ...before.map(({ text }) => `${text}  `),
        ...(verdict === undefined ? [] : [verdict]),
        ...after.map(({ text }) => `   ${text}`),
        " ",
      ];
      const last = left === lefts.at(-1) && kept === 0;
      if (last || widthOf(left) + widthOf(plain(right)) + 10 <= columns)
        return [[{ text: " hopwise", tone: "title" }, left], right];
    }
  }
  return ["", ""];
}

/** What stands after the program's name, the longest form first. */
function leftTexts(state: UiState, wide: boolean): readonly string[] {
  const { name = "" } = currentWorld(state) ?? {};
  const world = name === "" ? "" : `${name}  `;
  const trail = trailOf(state);
  const top = trail.at(-1);
  if (top === undefined) return [`  ${name}`];
  const before = trail.slice(0, -1).map(({ short }) => `${short} > `);
  const way = before.join("");
  const shorter = before.length === 0 ? "" : ".. > ";
  return [
    `  ${wide && name !== "" ? "world " : ""}${world}${way}${wide ? top.long : top.full}`,
    `  ${world}${way}${top.full}`,
    `  ${world}${shorter}${top.full}`,
    `  ${shorter}${top.full}`,
    `  ${top.full}`,
    `  ${world}${top.short}`,
    `  ${top.short}`,
  ];
}

interface ScreenName {
  readonly short: string;
  readonly full: string;
  /** With what a wide screen has room for. */
  readonly long: string;
}

/** The way to the shown screen: what each one on it is called. */
function trailOf(state: UiState): readonly ScreenName[] {
  const names: ScreenName[] = [];
  let shown = state.current;
  for (const screen of state.screens.toReversed()) {
    if (screen.kind !== "trace") {
      const full = "title" in screen ? screen.title.toLowerCase() : screen.kind;
      names.push({ short: screen.kind === "table" ? full : screen.kind, full, long: full });
      continue;
    }
    if (state.traces.length > 0)
      names.push({
        short: `t${shown + 1}`,
        full: traceText(state, shown, false),
        long: traceText(state, shown, true),
      });
    shown = screen.was ?? shown;
  }
  return names.toReversed();
}

/** `t1 shop/web-0 > http://api.shop`. */
function traceText({ traces }: UiState, index: number, withAddress: boolean): string {
  const model = traces[index]?.model;
  if (model === undefined) return `t${index + 1}`;
  if (model.request === undefined) return `t${index + 1} ${model.name}`;
  const { source, destination } = model.view.recording.request;
  const address = withAddress ? ` ${model.sourceAddress}` : "";
  return `t${index + 1} ${source}${address} > ${destination}`;
}

function rightParts(
  state: UiState,
  wide: boolean,
): readonly { readonly text: string; readonly after: boolean }[] {
  const trace = traceBehind(state);
  if (trace === undefined) return [];
  const { recording } = trace.model.view;
  const marks = [...trace.marks]
    .map(([letter, index]) => `${letter}=${trace.model.steps[index]?.n ?? 0}`)
    .join(" ");
  const here = `step ${trace.model.steps[trace.at]?.n ?? 0} of ${trace.model.steps.length}`;
  return [
    ...(recording.proxy === undefined
      ? []
      : [{ text: `${wide ? "proxy " : ""}${recording.proxy}`, after: false }]),
    ...(wide ? [{ text: here, after: true }] : []),
    ...(wide && marks !== "" ? [{ text: `mark ${marks}`, after: true }] : []),
    ...(wide ? [{ text: `seed ${recording.seed}`, after: false }] : []),
  ];
}

/** The trace that the screen is about: screens of the world are about none. */
function traceBehind(state: UiState): OpenTrace | undefined {
  const about = state.screens.findLast(({ kind }) => !OVERLAYS.includes(kind))?.kind;
  return about === "trace" || about === "packets" ? currentTrace(state) : undefined;
}

const OVERLAYS: readonly ScreenState["kind"][] = ["help", "palette", "new-trace", "source"];

function verdictSpan(state: UiState): Span | undefined {
  const screen = topScreen(state);
  // The first thing that a Why screen says is its verdict.
  if (screen.kind === "why") {
    const [first] = spansOf(screen.items[0]?.head ?? "");
    return first;
  }
  const verdict = traceBehind(state)?.model.view.verdict;
  if (verdict === undefined) return undefined;
  const name = verdictName(verdict);
  if (verdict.exit === 0) return { text: `ok ${name}`, tone: "ok" };
  return verdict.exit === 3
    ? { text: `? ${name}`, tone: "unknown" }
    : { text: `! ${name}`, tone: "bad" };
}

const PROMPTS: Readonly<Record<BarKind, string>> = {
  filter: "/",
  find: "find",
  command: ":",
  break: "break at",
  palette: ">",
  help: "/",
};

/** The row for messages and typing. */
export function barLine(state: UiState): Line {
  const { bar, message, playing, working } = state;
  if (working !== undefined) return ` ${working} ..   Esc stops`;
  if (bar !== undefined) return typingLine(state, bar);
  if (message !== undefined) {
    const sign = message.kind === "error" ? "! " : message.kind === "ok" ? "ok " : "";
    return [
      " ",
      {
        text: `${sign}${message.text}`,
        tone: message.kind === "error" ? "bad" : message.kind === "ok" ? "ok" : undefined,
      },
    ];
  }
  if (playing !== undefined)
    return ` playing, ${playing} ${playing === 1 ? "step" : "steps"} a second; space stops`;
  const filter = topScreen(state).kind === "trace" ? currentTrace(state)?.filter : undefined;
  return filter === undefined ? "" : `/ ${filter.text}`;
}

function typingLine(state: UiState, bar: Bar): Line {
  const { kind } = bar;
  // Of a long text the part around the cursor is shown.
  const room = Math.max(20, state.size.columns - 20);
  const from = Math.max(0, bar.cursor - room);
  const text = bar.text.slice(from);
  const cursor = bar.cursor - from;
  const prompt = PROMPTS[kind];
  const at = text.slice(cursor, cursor + 1);
  const told =
    bar.mistake ?? (kind === "filter" || kind === "break" ? liveMistake(state, bar) : undefined);
  const { words } = completionsOf(state, bar);
  const judged: readonly Span[] =
    told !== undefined
      ? [{ text: `   ! ${told}`, tone: "bad" }]
      : [
          {
            text: (kind === "filter" || kind === "break") && text.trim() !== "" ? "   ok" : "",
            tone: "ok",
          },
          { text: words.length === 0 ? "" : `   Tab: ${words.slice(0, 12).join(" ")}` },
        ];
  const hides = kind === "filter" && bar.markOnly ? "   marks only (Ctrl-t)" : "";
  return [
    `${prompt} ${text.slice(0, cursor)}`,
    { text: at === "" ? " " : at, tone: "cursor" },
    text.slice(cursor + 1),
    hides,
    ...judged,
  ];
}

/** While typing, a text that only ends too early is no mistake yet. */
function liveMistake(state: UiState, { text }: Bar): string | undefined {
  if (topScreen(state).kind !== "trace" || text.trim() === "") return undefined;
  return filterMistake(text);
}

const PANE_WORDS: Readonly<Record<PaneName, string>> = {
  world: "World",
  steps: "Steps",
  left: "Inspector",
  right: "Right pane",
  middle: "Packet",
  map: "Map",
};

/** The last row: the focused pane and the keys that matter now. */
export function hintLine(state: UiState): Line {
  const { columns } = state.size;
  if (state.bar !== undefined)
    return ` Enter ${state.bar.kind === "palette" ? "does it" : "accepts"}  Esc closes  Tab completes  ${state.bar.kind === "filter" ? "Ctrl-t marks instead of hiding  " : ""}up: before`;
  const screen = topScreen(state).kind;
  const trace = currentTrace(state);
  const pane =
    screen === "trace" && trace !== undefined && columns >= 90
      ? `${PANE_WORDS[trace.focus]}: `
      : "";
  return ` ${pane}${hintsFor(screen, columns - 2 - pane.length, state.keys)}`;
}
