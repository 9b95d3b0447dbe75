import type { Place } from "../base/errors.js";
import type { Fix } from "../kube/policy/fixes.js";
import type { Matrix } from "../kube/policy/matrix.js";
import type { ShowKind, Table } from "../lab/show.js";
import type { World } from "../lab/world.js";
import type { Filter } from "../view/filter.js";
import type { CaptureScreenState } from "./capture-screen.js";
import type { Item } from "./items.js";
import { type Binding, BINDINGS } from "./key-table.js";
import type { PaneName, Tab } from "./layout.js";
import type { Size } from "./screen.js";
import type { SecondMatrix } from "./second-matrix.js";
import type { Sources } from "./sources.js";
import { refreshed, type ShownSteps } from "./steps-shown.js";
import type { Palette } from "./style.js";
import type { TraceModel } from "./trace-model.js";

/** Everything that is on screen, as a value: a key makes another one. */
export interface UiState {
  readonly size: Size;
  readonly palette: Palette;
  /** What each key does: the table, changed as the user's file says. */
  readonly keys: readonly Binding[];
  /** The world that was opened last; undefined before one is chosen. */
  readonly world: OpenWorld | undefined;
  /** Worlds that can be opened by name: those that ship, and those of earlier sessions. */
  readonly worlds: readonly string[];
  readonly traces: readonly OpenTrace[];
  /** Which trace is shown, an index of `traces`. */
  readonly current: number;
  /** The way here: the last one is shown. Never empty. */
  readonly screens: readonly ScreenState[];
  readonly bar: Bar | undefined;
  readonly message: Message | undefined;
  /** What is being worked on: keys wait, and Esc stops it. */
  readonly working: string | undefined;
  /** Steps a second while playing. */
  readonly playing: number | undefined;
  readonly speed: number;
  /** A key that waits for a letter: `m`, `'`. */
  readonly pending: "mark" | "go" | undefined;
  readonly locate: Locate | undefined;
  /** The tree of the world: its chosen row, and which parts are folded. */
  readonly tree: { readonly row: number; readonly folded: ReadonlySet<string> };
  /** What was typed before, newest last; traces of earlier sessions among them. */
  readonly typed: Readonly<Record<BarKind, readonly string[]>>;
}

export interface OpenWorld {
  /** As given with -w, and what was changed in it. */
  readonly name: string;
  readonly world: World;
  readonly sources: Sources;
}

/** A trace and where the reader is in it. */
export interface OpenTrace {
  readonly model: TraceModel;
  /** The time cursor: an index of the steps. */
  readonly at: number;
  readonly mode: "all" | "decide" | "changes";
  readonly filter: Filter | undefined;
  /** Filtered rows are marked, and the others stay. */
  readonly markOnly: boolean;
  readonly shown: ShownSteps;
  readonly breakFilter: Filter | undefined;
  readonly focus: PaneName;
  readonly zoom: boolean;
  /** Tabs, the one chosen last first. */
  readonly tabs: readonly Tab[];
  readonly scroll: Readonly<Partial<Record<PaneName, Scroll>>>;
  /** The chosen row of the header table. */
  readonly field: number;
  readonly longWhy: boolean;
  readonly stateChangedOnly: boolean;
  readonly byteView: "hex" | "ascii" | "bits";
  readonly marks: ReadonlyMap<string, number>;
  readonly find: string | undefined;
  /** The line of the focused pane in which it was found last. */
  readonly found: number | undefined;
}

export interface Scroll {
  readonly row: number;
  readonly column: number;
}

export type ScreenState =
  | TraceScreenState
  | ItemsScreenState
  | MatrixScreenState
  | CaptureScreenState
  | {
      readonly kind: "table";
      readonly open: OpenWorld;
      readonly show: ShowKind;
      readonly name: string | undefined;
      readonly title: string;
      readonly table: Table;
      readonly selected: number;
      readonly column: number;
      readonly filter: string;
    }
  | {
      readonly kind: "source";
      readonly open: OpenWorld;
      readonly place: Place;
      readonly scroll: number;
      readonly column: number;
    }
  | { readonly kind: "packets"; readonly selected: number }
  | {
      readonly kind: "help";
      readonly over: string;
      readonly scroll: number;
      readonly filter: string;
    }
  | { readonly kind: "palette"; readonly selected: number }
  | { readonly kind: "new-trace" };

export interface TraceScreenState {
  readonly kind: "trace";
  /** The trace that was shown before this screen was opened over another one. */
  readonly was?: number;
}

/** A screen whose rows are things to open: worlds, what is in one, what policies say. */
export interface ItemsScreenState {
  readonly kind: "worlds" | "world" | "why";
  readonly open: OpenWorld | undefined;
  readonly title: string;
  readonly items: readonly Item[];
  readonly selected: number;
  /** What was asked of the policies: `batch/job-0 shop/db:5432`. */
  readonly words?: string | undefined;
}

/** Who reaches whom. */
export interface MatrixScreenState {
  readonly kind: "matrix";
  readonly open: OpenWorld;
  readonly matrix: Matrix;
  /** A second world to compare with. */
  readonly other: SecondMatrix | undefined;
  /** Only what is not the same in the second world. */
  readonly changesOnly: boolean;
  readonly row: number;
  readonly column: number;
  /** Only rows with this text. */
  readonly filter: string;
}

export type BarKind = "filter" | "find" | "command" | "break" | "palette" | "help";

/** A line that is being typed. */
export interface Bar {
  readonly kind: BarKind;
  readonly text: string;
  /** Where the next letter goes, in UTF-16 units. */
  readonly cursor: number;
  /** Filter: mark rows instead of hiding the others. */
  readonly markOnly: boolean;
  readonly mistake: string | undefined;
  /** Which of the things typed before is shown; undefined for none. */
  readonly recalled: number | undefined;
}

export interface Message {
  readonly kind: "note" | "error" | "ok";
  readonly text: string;
}

/** A search for the step where a packet was lost, as git bisect searches: seen at `low`, not seen at `high`. */
export interface Locate {
  readonly low: number;
  readonly high: number;
}

/** What a key asks of the world outside the state. */
export type Effect =
  | { readonly kind: "quit" }
  | { readonly kind: "suspend" }
  | { readonly kind: "redraw" }
  | { readonly kind: "copy"; readonly text: string; readonly what: string }
  | { readonly kind: "export"; readonly path: string }
  | { readonly kind: "edit"; readonly place: Place }
  | { readonly kind: "play"; readonly speed: number | undefined }
  | Job;

/** An effect that may take long: it runs in pieces, says how far it is, and can be stopped. */
export type Job = {
  /** The command line that asked for it, to be corrected where it is wrong. */
  readonly typed?: string | undefined;
} & (
  | { readonly kind: "trace"; readonly open?: OpenWorld; readonly words: string }
  | { readonly kind: "show"; readonly show: ShowKind; readonly name: string | undefined }
  | { readonly kind: "worlds" }
  | { readonly kind: "world" }
  | { readonly kind: "open"; readonly paths: readonly string[] }
  | { readonly kind: "collect" }
  | { readonly kind: "why"; readonly open?: OpenWorld; readonly words: string }
  | { readonly kind: "fix"; readonly open: OpenWorld; readonly words: string; readonly fix: Fix }
  | { readonly kind: "matrix"; readonly words: string }
  | { readonly kind: "replay"; readonly words: string }
);

export interface Update {
  readonly state: UiState;
  readonly effects: readonly Effect[];
}

export function openTrace(model: TraceModel): OpenTrace {
  return refreshed({
    model,
    at: 0,
    mode: "all",
    filter: undefined,
    markOnly: false,
    breakFilter: undefined,
    focus: "steps",
    zoom: false,
    tabs: [1],
    scroll: {},
    field: 0,
    longWhy: false,
    stateChangedOnly: false,
    byteView: "hex",
    marks: new Map(),
    find: undefined,
    found: undefined,
  });
}

export function initialState(
  size: Size,
  palette: Palette,
  keys: readonly Binding[] = BINDINGS,
): UiState {
  return {
    size,
    palette,
    keys,
    world: undefined,
    worlds: [],
    traces: [],
    current: 0,
    screens: [{ kind: "trace" }],
    bar: undefined,
    message: undefined,
    working: undefined,
    playing: undefined,
    speed: 2,
    pending: undefined,
    locate: undefined,
    tree: { row: 0, folded: new Set() },
    typed: { filter: [], find: [], command: [], break: [], palette: [], help: [] },
  };
}

export function currentTrace(state: UiState): OpenTrace | undefined {
  return state.traces[state.current];
}

export function topScreen(state: UiState): ScreenState {
  return state.screens.at(-1) ?? { kind: "trace" };
}

/** The same state with its current trace changed. At another step, panes begin where the step is. */
export function withTrace(state: UiState, change: (trace: OpenTrace) => OpenTrace): UiState {
  return {
    ...state,
    traces: state.traces.map((trace, index) => {
      if (index !== state.current) return trace;
      const changed = change(trace);
      return changed.at === trace.at ? changed : { ...changed, ...atTop(changed) };
    }),
  };
}

function atTop({ scroll }: OpenTrace): Pick<OpenTrace, "scroll" | "found"> {
  const rows = Object.entries(scroll).map(([pane, { row, column }]) => [
    pane,
    { row: pane === "world" ? row : 0, column },
  ]);
  return { scroll: Object.fromEntries(rows), found: undefined };
}

/** The world that the shown screen is about. */
export function currentWorld(state: UiState): OpenWorld | undefined {
  for (const screen of state.screens.toReversed()) {
    if (screen.kind === "trace") {
      const sources = currentTrace(state)?.model.sources;
      if (sources !== undefined) return openWorldOf(sources);
    } else if ("open" in screen && screen.open !== undefined) return screen.open;
  }
  return state.world;
}

/** What the name of a world ends in that is not quite the one that was given. */
export const WHAT_IF = " what-if";

export function isWhatIf({ name }: OpenWorld): boolean {
  return name.endsWith(WHAT_IF);
}

export function openWorldOf(sources: Sources): OpenWorld {
  return { name: sources.world.name, world: sources.world, sources };
}

/** How many screens can be gone back through. */
const TRAIL = 12;

/** The same state with a screen in front; forms and lists of commands that led to it are gone. */
export function withPushed(state: UiState, screen: ScreenState): UiState {
  const below = state.screens.filter(({ kind }) => !PASSING.includes(kind));
  const [first, ...rest] = below;
  const trail = first === undefined ? [] : [first, ...rest.slice(-TRAIL)];
  return { ...state, screens: [...trail, screen], locate: undefined, message: undefined };
}

/** The same state with a place in a file in front. */
export function withSource(state: UiState, place: Place): UiState {
  const open = currentWorld(state);
  return open === undefined
    ? state
    : withPushed(state, { kind: "source", open, place, scroll: place.line, column: 0 });
}

const PASSING: readonly ScreenState["kind"][] = ["palette", "new-trace", "help"];

export function withScreen(state: UiState, screen: ScreenState): UiState {
  return { ...state, screens: [...state.screens.slice(0, -1), screen] };
}
