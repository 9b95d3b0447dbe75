import {
  cellAt,
  type Matrix,
  type MatrixLine,
  probeName,
  verdictsAt,
} from "../kube/policy/matrix.js";
import { judge } from "../kube/policy/oracle.js";
import { reasonText } from "../kube/policy/reason-text.js";
import { directions, type Verdict } from "../kube/policy/verdict.js";
import { widthOf } from "./cells.js";
import { type Line, type Span, type Tone, wrap } from "./style.js";
import type { MatrixScreenState } from "./ui-state.js";

const LEGEND = ". delivered  X denied  / on some ports  ? unknown  - same pod";
const CHANGES = "+ opens  - closes  ? unknown, in";

const TONES: Readonly<Record<string, Tone>> = {
  ".": "ok",
  "+": "ok",
  X: "bad",
  "/": "changed",
  "?": "unknown",
};

/** The rows of the grid that the filter and the comparison leave. */
export function matrixRows(screen: MatrixScreenState): readonly MatrixLine[] {
  const { matrix, filter, other, changesOnly } = screen;
  const wanted = filter.toLowerCase();
  const named =
    wanted === ""
      ? matrix.from
      : matrix.from.filter(({ name }) => name.toLowerCase().includes(wanted));
  if (!changesOnly || other === undefined) return named;
  return named.filter(({ name }) => other.changedRows.has(name));
}

/** The pair that the cursor is on. */
export function matrixPair(
  screen: MatrixScreenState,
): { readonly from: MatrixLine; readonly to: MatrixLine } | undefined {
  const from = matrixRows(screen)[screen.row];
  const to = screen.matrix.to[screen.column];
  return from === undefined || to === undefined ? undefined : { from, to };
}

/** The pair as the command line takes it, on the port to look at first: one that is denied, else the first. */
export function pairWords(screen: MatrixScreenState): string | undefined {
  const pair = matrixPair(screen);
  if (pair === undefined || pair.from.name === pair.to.name) return undefined;
  const verdicts = verdictsAt(screen.matrix, pair.from, pair.to) ?? [];
  const { probe } = verdicts.find(({ verdict }) => verdict === "deny") ?? verdicts[0] ?? {};
  if (probe === undefined) return undefined;
  const protocol = probe.protocol === "TCP" ? "" : ` --proto ${probe.protocol.toLowerCase()}`;
  return `${pair.from.name} ${pair.to.name}${probe.port === undefined ? "" : `:${probe.port}`}${protocol}`;
}

/** The grid around the cursor, its headers always in view; below it what is said of the pair. */
export function matrixLines(
  screen: MatrixScreenState,
  width: number,
  height: number,
): readonly Line[] {
  const { matrix, column, row, other, changesOnly } = screen;
  const rows = matrixRows(screen);
  if (matrix.to.length === 0) return ["no pod declares a port: :matrix --ports 80,443 tries these"];
  if (rows.length === 0)
    return [
      changesOnly
        ? "every pair is the same: d shows all"
        : `0 of ${matrix.from.length}: Esc clears`,
    ];
  const told = pairLines(screen, width);
  const room = Math.max(1, height - 2 - told.length);
  const top = Math.max(0, Math.min(row - Math.floor(room / 2), rows.length - room));
  const shown = rows.slice(top, top + room);
  const first = Math.min(
    Math.max(15, ...shown.map(({ name }) => widthOf(name) + 3)),
    Math.floor(width / 2),
  );
  const columns = columnWindow(matrix.to, column, width - first);
  const head: readonly Span[] = columns.map(({ index, to, size }) => ({
    text: ` ${to.name}`.padEnd(size),
    tone: index === column ? "selected" : "title",
  }));
  const grid = shown.map((from, at): Line => {
    const here = top + at === row;
    return [
      {
        text: `${here ? ">" : " "} ${from.name}`.padEnd(first),
        tone: here ? "selected" : undefined,
      },
      ...columns.flatMap(({ index, to, size }): readonly Span[] => {
        const cell: string =
          changesOnly && other !== undefined
            ? other.change(matrix, from, to)
            : cellAt(matrix, from, to);
        const on = here && index === column;
        return [
          { text: on ? `[${cell}]` : ` ${cell} `, tone: on ? "selected" : TONES[cell] },
          { text: " ".repeat(Math.max(0, size - 3)) },
        ];
      }),
    ];
  });
  const filler = Array.from({ length: Math.max(0, room - grid.length) }, () => "");
  return [
    [{ text: "from \\ to".padEnd(first), tone: "title" }, ...head],
    ...grid,
    ...filler,
    "",
    ...told,
  ];
}

/** What is counted over the grid: `20 pairs: 8 delivered, 12 denied`. */
export function matrixInfo({ matrix }: MatrixScreenState): string {
  const { pairs, delivered, denied, partly, unknown } = matrix.counts;
  return [
    `${pairs} pairs: ${delivered} delivered`,
    `${denied} denied`,
    ...(partly === 0 ? [] : [`${partly} on some ports`]),
    ...(unknown === 0 ? [] : [`${unknown} unknown`]),
  ].join(", ");
}

/** Columns that fit, the cursor's among them. */
function columnWindow(
  lines: readonly MatrixLine[],
  column: number,
  width: number,
): readonly { readonly index: number; readonly to: MatrixLine; readonly size: number }[] {
  const sizeOf = (index: number): number => widthOf(lines[index]?.name ?? "") + 2;
  let start = column;
  let used = sizeOf(column);
  while (start > 0 && used + sizeOf(start - 1) <= width) used += sizeOf(--start);
  const columns: { index: number; to: MatrixLine; size: number }[] = [];
  let left = width;
  for (let index = start; index < lines.length; index++) {
    const to = lines[index];
    const size = sizeOf(index);
    if (to === undefined || (size > left && index > column)) break;
    columns.push({ index, to, size });
    left -= size;
  }
  return columns;
}

/** How many ports of a pair are told. */
const PORTS = 4;

function pairLines(screen: MatrixScreenState, width: number): readonly Line[] {
  const { matrix, other, changesOnly } = screen;
  const legend = changesOnly && other !== undefined ? `${CHANGES} ${other.name}` : LEGEND;
  const pair = matrixPair(screen);
  if (pair === undefined) return [legend];
  const { from, to } = pair;
  const verdicts = verdictsAt(matrix, from, to);
  if (verdicts === undefined) return [legend, `${from.name} is the same pod`];
  return [
    legend,
    [{ text: `${from.name} -> ${to.name}`, tone: "title" }, "   Enter: its trace  w: why"],
    ...verdicts.slice(0, PORTS).flatMap(({ probe, verdict }): readonly Line[] => {
      const word = { allow: "ok delivered", deny: "! DENIED", unknown: "? unknown" }[verdict];
      const tone = { allow: "ok", deny: "bad", unknown: "unknown" } as const;
      const change = other?.words(from, to, probeName(probe));
      const compared =
        change === undefined || other === undefined ? "" : `; in ${other.name} ${change}`;
      const reason = verdict === "allow" ? "" : `  ${reasonOf(matrix, from, to, probe)}`;
      const [first = "", ...rest] = wrap(
        `  ${probeName(probe).padEnd(9)} ${word}${reason}${compared}`,
        width,
        "            ",
      );
      return [[{ text: first, tone: tone[verdict] }], ...rest];
    }),
    ...(verdicts.length > PORTS ? [`  and ${verdicts.length - PORTS} more ports`] : []),
  ];
}

/** The sides that do not let it through, and why. */
function reasonOf(
  matrix: Matrix,
  from: MatrixLine,
  to: MatrixLine,
  probe: { readonly protocol: string; readonly port: number | undefined },
): string {
  const { endpoints } = matrix.compiled.members;
  const source = endpoints[from.members[0] ?? -1];
  const destination = endpoints[to.members.find((one) => one !== from.members[0]) ?? -1];
  if (source === undefined || destination === undefined) return "";
  const verdict: Verdict = judge(matrix.compiled.world, { source, destination, ...probe });
  return directions
    .filter((side) => verdict[side].outcome !== "allow")
    .map((side) => `${side}: ${reasonText(verdict[side].reason)}`)
    .join("; ");
}
