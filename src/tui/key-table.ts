import type { ScreenState } from "./ui-state.js";

export type ScreenKind = ScreenState["kind"];

/** Something that a key does. */
export type Command =
  | "next"
  | "previous"
  | "first"
  | "last"
  | "half-down"
  | "half-up"
  | "page-down"
  | "page-up"
  | "next-change"
  | "previous-change"
  | "next-node"
  | "previous-node"
  | "deciding"
  | "reply"
  | "packets"
  | "play"
  | "faster"
  | "slower"
  | "mark"
  | "go-mark"
  | "run-forward"
  | "run-backward"
  | "break"
  | "filter"
  | "find"
  | "find-next"
  | "find-previous"
  | "rows"
  | "next-pane"
  | "previous-pane"
  | "tab-1"
  | "tab-2"
  | "tab-3"
  | "tab-4"
  | "tab-5"
  | "tab-6"
  | "tab-7"
  | "zoom"
  | "left"
  | "right"
  | "long-why"
  | "changed-only"
  | "state-all"
  | "byte-view"
  | "edit"
  | "copy"
  | "copy-json"
  | "copy-command"
  | "export"
  | "new-trace"
  | "rerun"
  | "trace-from"
  | "trace-to"
  | "open"
  | "why"
  | "matrix"
  | "changes"
  | "world"
  | "help"
  | "command"
  | "palette"
  | "back"
  | "close"
  | "quit"
  | "suspend"
  | "redraw";

/** One line of the key table: help, the hint row and the palette are made of these. */
export interface Binding {
  readonly command: Command;
  /** As the key reader names them. */
  readonly keys: readonly string[];
  /** As they are printed: `j k ↓ ↑`. */
  readonly shown: string;
  readonly label: string;
  readonly screens: readonly ScreenKind[];
  /** The word beside the key in the hint row, for screens that show it; the first ones are kept when room is short. */
  readonly hint?: string;
}

const trace: readonly ScreenKind[] = ["trace"];
/** Screens with rows that open something. */
const items: readonly ScreenKind[] = ["worlds", "world", "why"];
const rows: readonly ScreenKind[] = [
  ...items,
  "table",
  "matrix",
  "capture",
  "source",
  "packets",
  "help",
];
const moving: readonly ScreenKind[] = ["trace", ...rows];
const lists: readonly ScreenKind[] = [...moving, "palette", "new-trace"];

/** Every key. Two commands of one screen never share a key: a test reads this. */
export const BINDINGS: readonly Binding[] = [
  {
    command: "next",
    keys: ["j", "Down"],
    shown: "j",
    label: "next step; down in other panes",
    screens: trace,
    hint: "step",
  },
  {
    command: "previous",
    keys: ["k", "Up"],
    shown: "k",
    label: "previous step; up in other panes",
    screens: trace,
    hint: "step",
  },
  {
    command: "next",
    keys: ["j", "Down"],
    shown: "j",
    label: "down",
    screens: rows,
    hint: "row",
  },
  {
    command: "previous",
    keys: ["k", "Up"],
    shown: "k",
    label: "up",
    screens: rows,
    hint: "row",
  },
  {
    command: "next-change",
    keys: ["]"],
    shown: "]",
    label: "next step that changes the packet",
    screens: trace,
    hint: "change",
  },
  {
    command: "previous-change",
    keys: ["["],
    shown: "[",
    label: "previous step that changes the packet",
    screens: trace,
    hint: "change",
  },
  {
    command: "next-node",
    keys: ["}"],
    shown: "}",
    label: "next node or pod on the way",
    screens: trace,
    hint: "node",
  },
  {
    command: "previous-node",
    keys: ["{"],
    shown: "{",
    label: "previous node or pod on the way",
    screens: trace,
    hint: "node",
  },
  {
    command: "open",
    keys: ["Enter"],
    shown: "Enter",
    label: "open what is selected",
    screens: [...items, "table", "packets", "capture"],
    hint: "open",
  },
  {
    command: "open",
    keys: ["Enter"],
    shown: "Enter",
    label: "the trace of the selected pair",
    screens: ["matrix"],
    hint: "trace",
  },
  {
    command: "open",
    keys: ["Enter"],
    shown: "Enter",
    label: "in the World pane: open, fold",
    screens: trace,
  },
  {
    command: "changes",
    keys: ["d"],
    shown: "d",
    label: "only what changes in a second world",
    screens: ["matrix"],
    hint: "changes",
  },
  {
    command: "trace-from",
    keys: ["t"],
    shown: "t",
    label: "start a trace from the selected row",
    screens: ["table"],
    hint: "trace from",
  },
  {
    command: "trace-to",
    keys: ["T"],
    shown: "T",
    label: "start a trace to the selected row",
    screens: ["table"],
    hint: "trace to",
  },
  { command: "first", keys: ["g", "Home"], shown: "g", label: "first", screens: moving },
  { command: "last", keys: ["G", "End"], shown: "G", label: "last", screens: moving },
  {
    command: "half-down",
    keys: ["C-d"],
    shown: "Ctrl-d",
    label: "half a page down",
    screens: moving,
  },
  { command: "half-up", keys: ["C-u"], shown: "Ctrl-u", label: "half a page up", screens: moving },
  {
    command: "page-down",
    keys: ["PageDown"],
    shown: "PgDn",
    label: "a page down",
    screens: moving,
  },
  { command: "page-up", keys: ["PageUp"], shown: "PgUp", label: "a page up", screens: moving },
  {
    command: "play",
    keys: ["Space"],
    shown: "space",
    label: "play or pause",
    screens: trace,
    hint: "play",
  },
  {
    command: "faster",
    keys: ["+"],
    shown: "+",
    label: "play faster: 1, 2, 5, 10 steps a second",
    screens: trace,
  },
  { command: "slower", keys: ["-"], shown: "-", label: "play slower", screens: trace },
  {
    command: "next-pane",
    keys: ["Tab"],
    shown: "Tab",
    label: "next pane",
    screens: trace,
    hint: "pane",
  },
  {
    command: "previous-pane",
    keys: ["S-Tab"],
    shown: "Shift-Tab",
    label: "previous pane",
    screens: trace,
  },
  {
    command: "tab-1",
    keys: ["1"],
    shown: "1",
    label: "Why: what the step did and what it means",
    screens: trace,
  },
  {
    command: "tab-2",
    keys: ["2"],
    shown: "2",
    label: "Headers: every field before and after",
    screens: trace,
  },
  {
    command: "tab-3",
    keys: ["3"],
    shown: "3",
    label: "Bytes: the frame, changed fields in [ ]",
    screens: trace,
  },
  {
    command: "tab-4",
    keys: ["4"],
    shown: "4",
    label: "Chain: every rule with counters and why it matched or not",
    screens: trace,
  },
  {
    command: "tab-5",
    keys: ["5"],
    shown: "5",
    label: "State: conntrack, bridge and neighbour entries",
    screens: trace,
  },
  {
    command: "tab-6",
    keys: ["6"],
    shown: "6",
    label: "Map: the way of the packet",
    screens: trace,
  },
  {
    command: "tab-7",
    keys: ["7"],
    shown: "7",
    label: "Source: the file the rule stands in",
    screens: trace,
  },
  {
    command: "zoom",
    keys: ["z"],
    shown: "z",
    label: "the focused pane alone, and back",
    screens: trace,
    hint: "zoom",
  },
  {
    command: "left",
    keys: ["h", "Left"],
    shown: "h",
    label: "left: scroll, fold, previous column",
    screens: moving,
  },
  {
    command: "right",
    keys: ["l", "Right"],
    shown: "l",
    label: "right: scroll, unfold, next column",
    screens: moving,
  },
  { command: "mark", keys: ["m"], shown: "m a", label: "set mark a (any letter)", screens: trace },
  { command: "go-mark", keys: ["'"], shown: "' a", label: "go to mark a", screens: trace },
  {
    command: "run-forward",
    keys: ["c"],
    shown: "c",
    label: "run to the next step of the break filter",
    screens: trace,
    hint: "run to break",
  },
  {
    command: "run-backward",
    keys: ["C"],
    shown: "C",
    label: "run back to the step before of the break filter",
    screens: trace,
  },
  { command: "break", keys: ["B"], shown: "B", label: "set the break filter", screens: trace },
  {
    command: "deciding",
    keys: ["!"],
    shown: "!",
    label: "the step that decides what becomes of the packet",
    screens: trace,
    hint: "decides",
  },
  {
    command: "reply",
    keys: ["p"],
    shown: "p",
    label: "switch between request and reply",
    screens: trace,
    hint: "reply",
  },
  {
    command: "packets",
    keys: ["P"],
    shown: "P",
    label: "list packets: DNS, SYN, ARP, ICMP errors",
    screens: trace,
  },
  {
    command: "rows",
    keys: ["v"],
    shown: "v",
    label: "rows: all, those that decide, changes only",
    screens: trace,
  },
  {
    command: "find",
    keys: ["f"],
    shown: "f",
    label: "find text in the focused pane",
    screens: trace,
    hint: "find",
  },
  { command: "find-next", keys: ["n"], shown: "n", label: "find the next", screens: trace },
  {
    command: "find-previous",
    keys: ["N"],
    shown: "N",
    label: "find the one before",
    screens: trace,
  },
  {
    command: "copy",
    keys: ["y"],
    shown: "y",
    label: "copy the step as text",
    screens: trace,
    hint: "copy",
  },
  { command: "copy-json", keys: ["Y"], shown: "Y", label: "copy the step as JSON", screens: trace },
  {
    command: "copy-command",
    keys: ["C-y"],
    shown: "Ctrl-y",
    label: "copy the equal command line",
    screens: ["trace", "world", "why", "table", "matrix"],
  },
  {
    command: "export",
    keys: ["E"],
    shown: "E",
    label: "export: JSON, pcapng or text, by the file's ending",
    screens: trace,
    hint: "export",
  },
  {
    command: "new-trace",
    keys: ["a"],
    shown: "a",
    label: "new trace",
    screens: ["trace", "world", "why", "table", "matrix", "packets", "capture"],
    hint: "new trace",
  },
  {
    command: "rerun",
    keys: ["r"],
    shown: "r",
    label: "run again with other inputs or another seed",
    screens: trace,
  },
  {
    command: "why",
    keys: ["w"],
    shown: "w",
    label: "why: what the policies say of this packet, and fixes",
    screens: ["trace", "matrix"],
    hint: "why",
  },
  {
    command: "matrix",
    keys: ["M"],
    shown: "M",
    label: "matrix: who reaches whom",
    screens: ["trace", "world", "why", "table"],
    hint: "matrix",
  },
  {
    command: "world",
    keys: ["W"],
    shown: "W",
    label: "the world, and what check says of it",
    screens: ["trace", "why", "table", "matrix"],
    hint: "world",
  },
  {
    command: "long-why",
    keys: ["i"],
    shown: "i",
    label: "Why: the longer reason, with the kernel's terms",
    screens: trace,
  },
  {
    command: "changed-only",
    keys: ["s"],
    shown: "s",
    label: "State: only what this step changed",
    screens: trace,
  },
  { command: "state-all", keys: ["S"], shown: "S", label: "State: everything", screens: trace },
  {
    command: "byte-view",
    keys: ["b"],
    shown: "b",
    label: "Bytes: hex, ascii, bits",
    screens: trace,
  },
  {
    command: "edit",
    keys: ["e"],
    shown: "e",
    label: "open the file at this line in $EDITOR",
    screens: ["trace", "source"],
  },
  {
    command: "filter",
    keys: ["/"],
    shown: "/",
    label: "filter rows; Ctrl-t in the bar marks instead of hiding",
    screens: ["trace", "table", "matrix", "capture", "help"],
    hint: "filter",
  },
  {
    command: "command",
    keys: [":"],
    shown: ":",
    label: "command line",
    screens: lists,
    hint: "cmd",
  },
  {
    command: "palette",
    keys: ["C-p"],
    shown: "Ctrl-p",
    label: "search all commands",
    screens: lists,
  },
  { command: "help", keys: ["?"], shown: "?", label: "this help", screens: lists, hint: "help" },
  {
    command: "back",
    keys: ["q"],
    shown: "q",
    label: "back; on the first screen quit",
    screens: lists,
    hint: "back",
  },
  {
    command: "close",
    keys: ["Escape"],
    shown: "Esc",
    label: "close, clear the filter",
    screens: lists,
  },
  { command: "quit", keys: ["C-c"], shown: "Ctrl-c", label: "quit at once", screens: lists },
  {
    command: "suspend",
    keys: ["C-z"],
    shown: "Ctrl-z",
    label: "suspend; fg comes back",
    screens: lists,
  },
  {
    command: "redraw",
    keys: ["C-l"],
    shown: "Ctrl-l",
    label: "draw the screen again",
    screens: lists,
  },
];

/** Two keys of a pair stand together in the hint row. */
const PAIRS: Readonly<Partial<Record<Command, Command>>> = {
  next: "previous",
  "next-change": "previous-change",
  "next-node": "previous-node",
};

/** The command of a key on a screen. */
export function commandOf(
  key: string,
  screen: ScreenKind,
  bindings: readonly Binding[] = BINDINGS,
): Command | undefined {
  return bindings.find(({ keys, screens }) => keys.includes(key) && screens.includes(screen))
    ?.command;
}

/** `j/k step  ]/[ change … ? help`: as many as fit; filter, command and help are always there. */
export function hintsFor(
  screen: ScreenKind,
  width: number,
  bindings: readonly Binding[] = BINDINGS,
): string {
  const firstOfPairs = new Set(Object.values(PAIRS));
  const shown = bindings.filter(
    ({ command, hint, screens }) =>
      hint !== undefined && screens.includes(screen) && !firstOfPairs.has(command),
  );
  const always = shown.filter(
    ({ command }) => command === "filter" || command === "command" || command === "help",
  );
  const wanted = [...always, ...shown.filter((binding) => !always.includes(binding))];
  const kept: Binding[] = [];
  let used = 0;
  for (const binding of wanted) {
    const length = hintText(binding, bindings).length + 2;
    if (used + length > width + 2) continue;
    used += length;
    kept.push(binding);
  }
  return shown
    .filter((binding) => kept.includes(binding))
    .map((binding) => hintText(binding, bindings))
    .join("  ");
}

function hintText({ command, shown, hint }: Binding, bindings: readonly Binding[]): string {
  const pair = bindings.find((other) => other.command === PAIRS[command]);
  return `${shown}${pair === undefined ? "" : `/${pair.shown}`} ${hint ?? ""}`;
}
