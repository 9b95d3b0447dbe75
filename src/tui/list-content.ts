import type { World } from "../lab/world.js";
import { formatTable } from "../view/table.js";
import { placeText } from "../view/text.js";
import type { PaneContent } from "./boxes.js";
import { widthOf } from "./cells.js";
import { equalCommand } from "./bar-actions.js";
import { captureContent } from "./capture-screen.js";
import { completeCommand } from "./completion.js";
import { helpLines } from "./help.js";
import { itemLines } from "./items.js";
import { matrixInfo, matrixLines } from "./matrix-pane.js";
import { packetsOf } from "./packets.js";
import { matchesPalette } from "./palette.js";
import { fileLines } from "./panes/source.js";
import { type Line, plain, wrap } from "./style.js";
import { tableRows } from "./tables.js";
import { currentTrace, currentWorld, type ScreenState, type UiState } from "./ui-state.js";

/** What stands on a screen that is one pane, `width` columns and `rows` rows inside its border. */
export function listContent(
  state: UiState,
  screen: ScreenState,
  width: number,
  rows: number,
): PaneContent {
  const pane = (
    title: string,
    info: string,
    lines: readonly Line[],
    from: number,
    column = 0,
  ): PaneContent => ({ title, info, lines, from, column, focused: true });
  const near = (selected: number): number => selected - Math.floor(rows / 2);
  switch (screen.kind) {
    case "table": {
      const shown = tableRows(screen);
      const info =
        screen.filter === ""
          ? `${shown.length}`
          : `${shown.length} of ${screen.table.rows.length}  filter: ${screen.filter}`;
      const lines =
        shown.length === 0
          ? [`0 of ${screen.table.rows.length}: Esc clears`]
          : tableLines(screen.table.header, shown, screen.selected, rows);
      return pane(screen.title, info, lines, 0, screen.column);
    }
    case "packets": {
      const packets = packetsOf(currentTrace(state)?.model);
      const table = packets.map(({ id, ns, what, from, to, fate }) => [
        String(id),
        ns,
        what,
        fate,
        `${from}${to === "" ? "" : ` > ${to}`}`,
      ]);
      return pane(
        "Packets",
        `${packets.length}   Enter: open as a trace`,
        tableLines(["PKT", "BORN IN", "AS", "FATE", "FROM > TO"], table, screen.selected, rows),
        0,
      );
    }
    case "worlds":
    case "world":
    case "why": {
      const { items, selected, title } = screen;
      const { lines, first, last } = itemLines(items, selected, width);
      // The whole of the selected item is in view, as far as there is room, and something before it.
      const from = Math.min(first, Math.max(first - Math.floor(rows / 3), last - rows + 1));
      return pane(title, `${selected + 1}/${items.length}`, lines, from);
    }
    case "capture":
      return captureContent(screen, rows);
    case "matrix": {
      const compared = screen.other === undefined ? "" : `  against ${screen.other.name}`;
      return pane(
        `Matrix${screen.filter === "" ? "" : `  rows with: ${screen.filter}`}`,
        `${matrixInfo(screen)}${compared}`,
        matrixLines(screen, width, rows),
        0,
      );
    }
    case "source": {
      const { lines } = fileLines(screen.open.sources, screen.place);
      return pane(placeText(screen.place), "", lines, near(screen.scroll), screen.column);
    }
    case "help": {
      const columns = Math.max(1, Math.min(3, Math.floor((width + 2) / 58)));
      const each = Math.floor((width - 2 * (columns - 1)) / columns);
      const lines = inColumns(
        helpLines(screen, each, state.keys),
        columns,
        each,
        rows,
        screen.scroll,
      );
      return pane(
        "Help",
        screen.filter === "" ? "/ searches  ? closes" : `/ ${screen.filter}`,
        lines,
        0,
      );
    }
    case "palette": {
      const found = matchesPalette(state);
      const lines = found.map(({ shown, label }, index): Line => [
        {
          text: `${index === screen.selected ? ">" : " "} ${shown.padEnd(10)} ${label}`,
          tone: index === screen.selected ? "selected" : undefined,
        },
      ]);
      return pane("Commands", `${found.length}`, lines, near(screen.selected));
    }
    case "new-trace":
      return pane("New trace", "", newTraceLines(state, width), 0);
    case "trace":
      return pane("hopwise", "", emptyLines(state), 0);
  }
}

/** Of longer tables only what is seen says how wide the columns are. */
const MEASURED = 2000;

/** The window of a table's rows around the selected one, its header always first. */
function tableLines(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  selected: number,
  height: number,
): readonly Line[] {
  const bare = header.length === 0;
  const room = height - (bare ? 0 : 1);
  const from = Math.max(0, Math.min(selected - Math.floor(room / 2), rows.length - room));
  const window = rows.slice(from, from + room);
  const whole = !bare && rows.length <= MEASURED;
  const [head = "", ...lines] = bare
    ? ["", ...window.map((row) => row.join("  "))]
    : formatTable(header, whole ? rows : window).split("\n");
  const shown = whole ? lines.slice(from, from + room) : lines.slice(0, window.length);
  return [
    ...(bare ? [] : [[{ text: `  ${head}`, tone: "title" as const }]]),
    ...shown.map((line, index): Line => {
      const here = from + index === selected;
      return [{ text: `${here ? ">" : " "} ${line}`, tone: here ? "selected" : undefined }];
    }),
  ];
}

/** A long text side by side: it is read down, then to the right. */
function inColumns(
  lines: readonly Line[],
  columns: number,
  width: number,
  rows: number,
  scroll: number,
): readonly Line[] {
  const from = Math.max(0, Math.min(scroll, lines.length - columns * rows));
  return Array.from({ length: Math.min(rows, lines.length - from) }, (_, row): Line => {
    return Array.from({ length: columns }, (_unused, column) => {
      const line = lines[from + column * rows + row] ?? "";
      const text = plain(line).slice(0, width);
      const tone =
        typeof line === "string" || typeof line[0] !== "object" ? undefined : line[0].tone;
      return { text: text + " ".repeat(Math.max(0, width + 2 - widthOf(text))), tone };
    });
  });
}

function newTraceLines(state: UiState, width: number): readonly Line[] {
  const text = state.bar?.text ?? "";
  const { words } = completeCommand(text, state);
  const recent = state.typed.command
    .filter((line) => line.startsWith("trace "))
    .slice(-20)
    .toReversed();
  const [source, destination] = FORMS[currentWorld(state)?.world.kind ?? "cluster"];
  const command = equalCommand(state, text);
  return [
    ...wrap(`SRC    ${source}`, width, "       "),
    ...wrap(`DST    ${destination}`, width, "       "),
    ...wrap(
      "THEN   --proto tcp|udp|icmp  --seed N  --sport N  --ttl N  --endpoint POD  --in DEV  --one-way",
      width,
      "       ",
    ),
    "",
    ...(command === undefined
      ? []
      : [...wrap(`same as  ${command}`, width, "         "), "Ctrl-y copies it"]),
    "",
    ...(words.length === 0
      ? []
      : [
          [{ text: "Tab completes", tone: "title" as const }],
          ...wrap(words.slice(0, 60).join("  "), width),
          "",
        ]),
    ...(recent.length === 0
      ? []
      : [
          [{ text: "before, with the arrow up", tone: "title" as const }],
          ...recent.map((line) => `  ${line}`),
        ]),
  ];
}

/** What the ends of a trace are called in each kind of world. */
const FORMS: Readonly<Record<World["kind"], readonly [source: string, destination: string]>> = {
  cluster: [
    "shop/web-0, worker-1, shop/deployment/web, or an address outside",
    "shop/api:80, ADDRESS:PORT, NAME:PORT or http://NAME/",
  ],
  lab: ["a namespace", "ADDRESS:PORT or NAMESPACE:PORT"],
  recorded: ["a node, or an address outside with --in DEV", "ADDRESS:PORT or NODE:PORT"],
};

/** Before there is a trace. */
function emptyLines(state: UiState): readonly Line[] {
  return [
    `world ${state.world?.name ?? "none"}`,
    "",
    "a  new trace",
    ":  commands: pods, services, nodes, trace SRC DST",
    "?  help",
    "q  quit",
  ];
}
