import { filterMistake } from "../view/filter.js";
import { verdictName } from "../view/outcome.js";
import { completionsOf } from "./bar-actions.js";
import { hintsFor } from "./key-table.js";
import { layoutKind, type PaneName } from "./layout.js";
import { type Line, type Span } from "./style.js";
import { type Bar, type BarKind, currentTrace, topScreen, type UiState } from "./ui-state.js";

/** The first row: where we are, and the verdict, which is never cut. */
export function titleLine(state: UiState): readonly [Line, Line] {
  const trace = currentTrace(state);
  const world = state.world?.name ?? trace?.model.view.recording.world ?? "";
  const wide = layoutKind(state.size) === "large" || layoutKind(state.size) === "medium";
  if (trace === undefined) return [[{ text: " hopwise", tone: "title" }, `  ${world}`], ""];
  const { recording, verdict } = trace.model.view;
  const trail = state.screens
    .slice(1)
    .map((screen) => (screen.kind === "table" ? screen.title : screen.kind));
  const address = wide ? ` ${trace.model.sourceAddress}` : "";
  const name =
    trace.model.request === undefined
      ? trace.model.name
      : `${recording.request.source}${address} > ${recording.request.destination}`;
  const left: Line = [
    { text: " hopwise", tone: "title" },
    `  ${wide ? "world " : ""}${world}  t${state.current + 1} ${name}${trail.map((part) => ` > ${part}`).join("")}`,
  ];
  const mark = verdict.exit === 0 ? "ok" : verdict.exit === 3 ? "?" : "!";
  const outcome: Span = {
    text: `${mark} ${verdictName(verdict)}`,
    tone: verdict.exit === 0 ? "ok" : verdict.exit === 3 ? "unknown" : "bad",
  };
  const proxy = recording.proxy === undefined ? "" : `${wide ? "proxy " : ""}${recording.proxy}  `;
  const marks = [...trace.marks]
    .map(([letter, index]) => `${letter}=${trace.model.steps[index]?.n ?? 0}`)
    .join(" ");
  const step = wide
    ? `   step ${trace.model.steps[trace.at]?.n ?? 0} of ${trace.model.steps.length}${marks === "" ? "" : `   mark ${marks}`}`
    : "";
  return [left, [`${proxy}${wide ? `seed ${recording.seed}  ` : ""}`, outcome, `${step} `]];
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
  const { bar, message, playing } = state;
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
  const { text, cursor, kind } = bar;
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
  return ` ${pane}${hintsFor(screen, columns - 2 - pane.length)}`;
}
