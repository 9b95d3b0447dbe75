import { widthOf } from "./cells.js";
import { paint, plain, type Line, type Palette } from "./style.js";

/** What stands in a pane's border and inside it. */
export interface PaneContent {
  /** At the left of the upper border. */
  readonly title: string;
  /** At its right: `12/48`. */
  readonly info: string;
  readonly lines: readonly Line[];
  /** The first line that is shown. */
  readonly from: number;
  /** Columns that the text is moved to the left. */
  readonly column: number;
  readonly focused: boolean;
}

const THIN = { h: "─", v: "│", tl: "┌", tr: "┐", bl: "└", br: "┘" };
const DOUBLE = { h: "═", v: "║", tl: "╔", tr: "╗", bl: "╚", br: "╝" };
/** In ASCII the focused pane has a border of `#`. */
const HASHES = { h: "#", v: "#", tl: "#", tr: "#", bl: "#", br: "#" };

/** A pane as text: exactly `height` rows of exactly `width` columns, border included. */
export function paneRows(
  { title, info, lines, from, column, focused }: PaneContent,
  width: number,
  height: number,
  palette: Palette,
): readonly string[] {
  const border = focused ? (palette.ascii ? HASHES : DOUBLE) : THIN;
  const inner = width - 4;
  const rows = Math.max(0, height - 2);
  const start = Math.max(0, Math.min(from, lines.length - rows));
  const shown = lines.slice(start, start + rows);
  const more = lines.length - start - shown.length;
  const edge = (text: string): string => paint(text, widthOf(text), palette);
  const side = edge(border.v);
  return [
    edge(border.tl) +
      paint(topEdge(title, info, width - 2, border.h, focused), width - 2, palette) +
      edge(border.tr),
    ...Array.from(
      { length: rows },
      (_, index) => `${side} ${paint(shown[index] ?? "", inner, palette, column)} ${side}`,
    ),
    edge(
      border.bl +
        (more > 0
          ? ` ${more} more `.padStart(width - 3, border.h) + border.h
          : border.h.repeat(width - 2)) +
        border.br,
    ),
  ];
}

function topEdge(title: string, info: string, width: number, h: string, focused: boolean): Line {
  const left = ` ${title} `;
  const room = width - widthOf(left) - 2;
  const right = info === "" || widthOf(info) + 2 > room ? "" : ` ${info} `;
  return [
    h,
    { text: left, tone: focused ? "title" : undefined },
    h.repeat(Math.max(0, room - widthOf(right) + (right === "" ? 1 : 0))),
    right,
    right === "" ? "" : h,
  ];
}

/** How many rows of a pane a second text gets, below a first one that is larger where there is not room for both. */
export function secondRows(first: number, second: number | undefined, rows: number): number {
  if (second === undefined || second === 0 || rows < 6) return 0;
  if (first + 1 + second <= rows) return rows - 1 - first;
  return Math.min(second, Math.max(Math.floor(rows * 0.4), rows - 1 - first));
}

/** Text for a row of the screen: never wider than it. */
export function screenRow(left: Line, right: Line, width: number, palette: Palette): string {
  const end = plain(right);
  const room = width - widthOf(end) - (end === "" ? 0 : 1);
  return (
    paint(left, Math.max(0, room), palette) +
    (end === "" ? "" : ` ${paint(right, widthOf(end), palette)}`)
  );
}
