import { EFFECTS, FILTER_FIELDS } from "../view/filter-fields.js";
import { OPERATORS, PRESETS, PROTOCOLS } from "../view/filter-parse.js";
import { WORDS } from "./command-line.js";
import type { Binding } from "./key-table.js";
import { type Line, wrap } from "./style.js";
import type { ScreenState } from "./ui-state.js";

type HelpScreen = Extract<ScreenState, { kind: "help" }>;

/** Help as lines of at most `width` columns: the keys of the screen it was asked on, then everything. */
export function helpLines(
  screen: HelpScreen,
  width: number,
  bindings: readonly Binding[],
): readonly Line[] {
  const wanted = screen.filter.toLowerCase();
  const has = (text: string): boolean => wanted === "" || text.toLowerCase().includes(wanted);
  const own = bindings.filter(({ screens }) => screens.some((kind) => kind === screen.over));
  const others = bindings.filter((binding) => !own.includes(binding));
  return [
    ...section(`KEYS OF THIS SCREEN (${screen.over})`, own.map(keyLine).filter(has)),
    ...section("KEYS OF OTHER SCREENS", others.map(keyLine).filter(has)),
    ...section(
      "COMMANDS",
      WORDS.map(({ word, args, label }) => `:${`${word} ${args}`.padEnd(14)} ${label}`).filter(has),
    ),
    ...section("MARKS", MARKS.filter(has)),
    ...section("FILTER", filterHelp(width).filter(has)),
  ];
}

/** How many lines there are to scroll through, at any width: at least this many. */
export function helpLength(screen: HelpScreen, bindings: readonly Binding[]): number {
  return helpLines(screen, 40, bindings).length;
}

const MARKS: readonly string[] = [
  "ok  delivered",
  "!   denied or dropped",
  "?   unknown: something on the way is not modelled",
  "*   the packet changed",
  "~   the state of the node changed",
  ">   selected",
];

function keyLine({ keys, shown, label }: Binding): string {
  const others = keys.filter(
    (key) => key !== shown && key.length > 1 && !/^(C-|S-|Escape|Space|Tab|Enter|Page)/.test(key),
  );
  return `${[shown, ...others].join(" ").padEnd(9)} ${label}`;
}

function section(title: string, lines: readonly string[]): readonly Line[] {
  return lines.length === 0
    ? []
    : [[{ text: title, tone: "title" }], ...lines.map((line) => `  ${line}`), ""];
}

function filterHelp(width: number): readonly string[] {
  const fields = [...FILTER_FIELDS.keys()].filter((name) => !/^(before|after)\./.test(name));
  return [
    "effect == dnat and not reply",
    "ip.dst == 10.244.0.0/16 or before.ip.dst == 10.96.44.10",
    'tcp.port in {80, 8000..8100}; chain contains SVC; "random"',
    ...wrap(`operators: ${OPERATORS.join(" ")} and or not`, width - 4),
    ...wrap(`alone: ${[...PRESETS, ...PROTOCOLS].join(" ")}`, width - 4),
    ...wrap(`effects: ${EFFECTS.join(" ")}`, width - 4),
    ...wrap(`fields: ${fields.join(" ")}, and before. or after. any of a packet`, width - 4, "  "),
  ];
}
