import { safeText } from "../../base/safe-text.js";
import {
  type Cell,
  cellAt,
  type Matrix,
  type MatrixLine,
  probeName,
  verdictsAt,
} from "./matrix.js";

/**
 * The grid for a terminal, one line each; then the sums, and the ports of cells that are neither all nor nothing. Where
 * names as column titles need more than `width` letters, the columns have the numbers of the rows.
 */
export function matrixText(matrix: Matrix, width?: number): readonly string[] {
  const wide = wideGrid(matrix);
  const fits = width === undefined || wide.every((line) => line.length <= width);
  return [
    ...(fits ? wide : numberedGrid(matrix)),
    matrixSummary(matrix),
    ...partlyDelivered(matrix),
  ];
}

function wideGrid(matrix: Matrix): readonly string[] {
  const first = Math.max(15, ...matrix.from.map((line) => lineTitle(line).length)) + 2;
  const columns = matrix.to.map((to) => ({ to, width: lineTitle(to).length + 2 }));
  const head =
    "from \\ to".padEnd(first) +
    columns.map(({ to, width }) => lineTitle(to).padEnd(width)).join("");
  const body = matrix.from.map((from) => {
    const cells = columns.map(({ to, width }) => cellAt(matrix, from, to).padEnd(width));
    return (lineTitle(from).padEnd(first) + cells.join("")).trimEnd();
  });
  return [head.trimEnd(), ...body];
}

/** Every column is as wide as the longest number, and stands for the row of its number. */
function numberedGrid(matrix: Matrix): readonly string[] {
  const digits = String(matrix.from.length).length;
  const first = Math.max(9, ...matrix.from.map((line) => lineTitle(line).length));
  const numberOf = (line: MatrixLine): string =>
    String(matrix.from.findIndex(({ name }) => name === line.name) + 1).padStart(digits);
  const line = (number: string, title: string, cells: readonly string[]): string =>
    `${number.padStart(digits)} ${title.padEnd(first)}  ${cells.join(" ")}`.trimEnd();
  return [
    line("", "from \\ to", matrix.to.map(numberOf)),
    ...matrix.from.map((from) =>
      line(
        numberOf(from),
        lineTitle(from),
        matrix.to.map((to) => cellAt(matrix, from, to).padStart(digits)),
      ),
    ),
  ];
}

/** `shop/api-0`, and how many more a group has. */
export function lineTitle({ name, members }: MatrixLine): string {
  return safeText(members.length === 1 ? name : `${name} +${members.length - 1}`);
}

/** `16 pairs x declared ports: 8 delivered, 8 denied, 0 dropped, 0 unknown`. */
export function matrixSummary({ counts, chosenPorts, probes }: Matrix): string {
  const { pairs, delivered, denied, partly, unknown } = counts;
  const ports = chosenPorts ? probes.map(probeName).join(",") : "declared ports";
  const some = partly === 0 ? "" : `${partly} on some ports, `;
  return `${pairs} pairs x ${ports}: ${delivered} delivered, ${denied} denied, ${some}0 dropped, ${unknown} unknown`;
}

/** How many cells are spelled out below the grid. */
const SPELLED_OUT = 20;

function partlyDelivered(matrix: Matrix): readonly string[] {
  const lines: string[] = [];
  let more = 0;
  for (const from of matrix.from) {
    for (const to of matrix.to) {
      if (cellAt(matrix, from, to) !== "/") continue;
      if (lines.length === SPELLED_OUT) {
        more++;
        continue;
      }
      const open = (verdictsAt(matrix, from, to) ?? []).filter(
        ({ verdict }) => verdict === "allow",
      );
      lines.push(
        `/ ${lineTitle(from)} -> ${lineTitle(to)}: only ${open.map(({ probe }) => probeName(probe)).join(", ")}`,
      );
    }
  }
  return more === 0 ? lines : [...lines, `and ${more} more on some ports`];
}

/** Words for a cell, as JSON and CSV have them. */
export const cellWords: Readonly<Record<Cell, string>> = {
  ".": "delivered",
  X: "denied",
  "/": "partly",
  "?": "unknown",
  "-": "self",
  " ": "nothing-to-try",
};

export interface MatrixJson {
  readonly v: 1;
  readonly kind: "Matrix";
  readonly dialect: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** Members of lines that stand for several pods. */
  readonly groups: Readonly<Record<string, readonly string[]>>;
  readonly rows: readonly string[];
  readonly ports: readonly { readonly port: string; readonly rows: readonly string[] }[];
  readonly counts: Matrix["counts"];
}

/** The matrix as plain data: the grid, and one grid for each port (blank where the destination does not declare it). */
export function matrixJson(matrix: Matrix): MatrixJson {
  const { endpoints } = matrix.compiled.members;
  const memberName = (member: number): string => {
    const endpoint = endpoints[member];
    return endpoint?.kind === "pod" ? endpoint.key : "";
  };
  const groups = matrix.from
    .filter(({ members }) => members.length > 1)
    .map(({ name, members }) => [name, members.map(memberName)] as const);
  const grid = (cell: (from: MatrixLine, to: MatrixLine) => string): readonly string[] =>
    matrix.from.map((from) => matrix.to.map((to) => cell(from, to)).join(""));
  return {
    v: 1,
    kind: "Matrix",
    dialect: matrix.compiled.world.dialect.name,
    from: matrix.from.map(({ name }) => name),
    to: matrix.to.map(({ name }) => name),
    groups: Object.fromEntries(groups),
    rows: grid((from, to) => cellAt(matrix, from, to)),
    ports: matrix.probes.map((probe, at) => ({
      port: probeName(probe),
      rows: grid((from, to) =>
        to.probes.includes(at) ? cellAt(matrix, from, { ...to, probes: [at] }) : " ",
      ),
    })),
    counts: matrix.counts,
  };
}

/** One line a pair and port. */
export function matrixCsv(matrix: Matrix): readonly string[] {
  const lines = ["from,to,port,verdict"];
  for (const from of matrix.from) {
    for (const to of matrix.to) {
      for (const { probe, verdict } of verdictsAt(matrix, from, to) ?? []) {
        const word =
          verdict === "allow" ? cellWords["."] : verdict === "deny" ? cellWords.X : cellWords["?"];
        lines.push(
          [lineTitle(from), lineTitle(to), probeName(probe), word].map(csvField).join(","),
        );
      }
    }
  }
  return lines;
}

/** Quoted where it must be; a leading sign that a spreadsheet would run is kept from it. */
function csvField(text: string): string {
  const safe = /^[=+@-]/.test(text) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A graph for Graphviz: an edge for each pair that is delivered, with its ports. */
export function matrixDot(matrix: Matrix): readonly string[] {
  const edges: string[] = [];
  for (const from of matrix.from) {
    for (const to of matrix.to) {
      const open = (verdictsAt(matrix, from, to) ?? []).filter(
        ({ verdict }) => verdict === "allow",
      );
      if (open.length === 0) continue;
      edges.push(
        `  ${dotName(from)} -> ${dotName(to)} [label=${JSON.stringify(open.map(({ probe }) => probeName(probe)).join(", "))}];`,
      );
    }
  }
  return [
    "digraph reach {",
    "  rankdir=LR;",
    ...matrix.from.map((line) => `  ${dotName(line)};`),
    ...edges,
    "}",
  ];
}

function dotName(line: MatrixLine): string {
  return JSON.stringify(lineTitle(line));
}
