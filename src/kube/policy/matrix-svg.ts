import { UserError } from "../../base/errors.js";
import { safeText } from "../../base/safe-text.js";
import {
  type Cell,
  cellAt,
  type Matrix,
  type MatrixLine,
  probeName,
  verdictsAt,
} from "./matrix.js";
import { cellWords, lineTitle, matrixSummary } from "./matrix-text.js";

/** A picture with more cells than this is nothing that anybody can look at. */
export const MOST_CELLS = 40_000;

/** Side of a cell and width of a letter, in pixels. */
const SIDE = 20;
const LETTER = 7.3;
const MARGIN = 12;

/** A cell has its mark besides its colour. */
const fills: Readonly<Record<Cell, string>> = {
  ".": "#d7efdb",
  X: "#f3c3bd",
  "/": "#fbe7b0",
  "?": "#d9d5ef",
  "-": "#eeeeee",
  " ": "#ffffff",
};

/**
 * The grid as a picture: rows are sources, columns destinations, each cell says its ports when it is pointed at. Throws a
 * UserError for a matrix with too many cells.
 */
export function matrixSvg(matrix: Matrix): readonly string[] {
  const { from, to } = matrix;
  if (from.length * to.length > MOST_CELLS)
    throw new UserError(
      "MATRIX_TOO_BIG",
      `${from.length} x ${to.length} cells are too many for a picture (${MOST_CELLS} at most)`,
      { help: "--group puts pods together that no policy tells apart, -n chooses namespaces" },
    );
  const left = MARGIN + LETTER * Math.max(8, ...from.map((line) => lineTitle(line).length)) + 8;
  const top = MARGIN + LETTER * Math.max(8, ...to.map((line) => lineTitle(line).length)) + 8;
  const notes = [matrixSummary(matrix), `dialect ${matrix.compiled.world.dialect.name}`, legend];
  const right = left + to.length * SIDE + MARGIN;
  const widest = MARGIN * 2 + LETTER * Math.max(...notes.map(({ length }) => length));
  const bottom = top + from.length * SIDE;
  const [width, height] = [Math.max(right, widest), bottom + 22 * notes.length + MARGIN];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${round(width)}" height="${round(height)}" font-family="monospace" font-size="12">`,
    `<title>${escape(`who reaches whom: ${matrixSummary(matrix)}`)}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...to.map((line, at) => columnTitle(line, left + at * SIDE + 14, top - 8)),
    ...from.flatMap((line, at) => row(matrix, line, left, top + at * SIDE)),
    ...notes.map((note, at) => text(MARGIN, bottom + 22 * (at + 1), note)),
    "</svg>",
  ];
}

const legend = ". delivered  X denied  / some ports  ? unknown  - same pod";

function columnTitle(line: MatrixLine, x: number, y: number): string {
  return `<text transform="translate(${round(x)} ${round(y)}) rotate(-90)">${escape(lineTitle(line))}</text>`;
}

function row(matrix: Matrix, from: MatrixLine, left: number, y: number): readonly string[] {
  return [
    text(MARGIN, y + 14, lineTitle(from)),
    ...matrix.to.flatMap((to, at) => {
      const cell = cellAt(matrix, from, to);
      const x = round(left + at * SIDE);
      return [
        `<g><title>${escape(cellTitle(matrix, from, to, cell))}</title>`,
        `<rect x="${x}" y="${round(y)}" width="${SIDE}" height="${SIDE}" fill="${fills[cell]}" stroke="#999999"/>`,
        `${text(x + 6, y + 14, cell)}</g>`,
      ];
    }),
  ];
}

/** `shop/web-0 -> shop/api-0: delivered (tcp/8080)`. */
function cellTitle(matrix: Matrix, from: MatrixLine, to: MatrixLine, cell: Cell): string {
  const tried = (verdictsAt(matrix, from, to) ?? []).map(({ probe, verdict }) =>
    cell === "/"
      ? `${probeName(probe)} ${verdict === "allow" ? "delivered" : "denied"}`
      : probeName(probe),
  );
  const ports = tried.length === 0 ? "" : ` (${tried.join(", ")})`;
  return `${lineTitle(from)} -> ${lineTitle(to)}: ${cellWords[cell]}${ports}`;
}

function text(x: number, y: number, content: string): string {
  return `<text x="${round(x)}" y="${round(y)}" xml:space="preserve">${escape(content)}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(content: string): string {
  return safeText(content)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
