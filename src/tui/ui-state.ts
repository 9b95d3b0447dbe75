import type { Table, ShowKind } from "../lab/show.js";
import type { Place } from "../base/errors.js";
import type { World } from "../lab/world.js";
import type { Filter } from "../view/filter.js";
import type { PaneName, Tab } from "./layout.js";
import type { Size } from "./screen.js";
import type { Sources } from "./sources.js";
import { refreshed, type ShownSteps } from "./steps-shown.js";
import type { Palette } from "./style.js";
import type { TraceModel } from "./trace-model.js";

/** Everything that is on screen, as a value: a key makes another one. */
export interface UiState {
  readonly size: Size;
  readonly palette: Palette;
  readonly world: OpenWorld | undefined;
  readonly traces: readonly OpenTrace[];
  /** Which trace is shown, an index of `traces`. */
  readonly current: number;
  /** The way here: the last one is shown. Never empty. */
  readonly screens: readonly ScreenState[];
  readonly bar: Bar | undefined;
  readonly message: Message | undefined;
  /** Steps a second while playing. */
  readonly playing: number | undefined;
  readonly speed: number;
  /** A key that waits for a letter: `m`, `'`. */
  readonly pending: "mark" | "go" | undefined;
  readonly locate: Locate | undefined;
  /** What was typed before, newest last. */
  readonly typed: Readonly<Record<BarKind, readonly string[]>>;
}

export interface OpenWorld {
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
}

export interface Scroll {
  readonly row: number;
  readonly column: number;
}

export type ScreenState =
  | { readonly kind: "trace" }
  | {
      readonly kind: "table";
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
  | { readonly kind: "trace"; readonly words: string }
  | { readonly kind: "export"; readonly path: string }
  | { readonly kind: "show"; readonly show: ShowKind; readonly name: string | undefined }
  | { readonly kind: "edit"; readonly place: Place }
  | { readonly kind: "play"; readonly speed: number | undefined };

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
  });
}

export function initialState(size: Size, palette: Palette): UiState {
  return {
    size,
    palette,
    world: undefined,
    traces: [],
    current: 0,
    screens: [{ kind: "trace" }],
    bar: undefined,
    message: undefined,
    playing: undefined,
    speed: 2,
    pending: undefined,
    locate: undefined,
    typed: { filter: [], find: [], command: [], break: [], palette: [], help: [] },
  };
}

export function currentTrace(state: UiState): OpenTrace | undefined {
  return state.traces[state.current];
}

export function topScreen(state: UiState): ScreenState {
  return state.screens.at(-1) ?? { kind: "trace" };
}

/** The same state with its current trace changed. */
export function withTrace(state: UiState, change: (trace: OpenTrace) => OpenTrace): UiState {
  return {
    ...state,
    traces: state.traces.map((trace, index) => (index === state.current ? change(trace) : trace)),
  };
}

export function withScreen(state: UiState, screen: ScreenState): UiState {
  return { ...state, screens: [...state.screens.slice(0, -1), screen] };
}
