import { fold } from "../base/fold.js";
import { shortenChains } from "./shorten-chains.js";
import type { Step } from "./steps.js";
import { formatTable } from "./table.js";

/** The least widths of the columns, where there is room. */
const WHERE_WIDTH = 15;
const STEP_WIDTH = 32;

/** Effects go on below their column where it has this much room, else further to the left. */
const LEAST_EFFECT = 24;

/**
 * Steps as rows under a header. Rows that are wider than the terminal (`width` columns; undefined for no limit) have the
 * hashes of chain names shortened, columns no wider than their text, and effects that go on below. Nothing else is cut.
 */
export function stepTable(steps: readonly Step[], width: number | undefined): readonly string[] {
  const wide = rowsOf(steps, { where: WHERE_WIDTH, step: STEP_WIDTH });
  if (width === undefined || wide.every(({ line }) => line.length <= width))
    return wide.map(({ line }) => line);
  const short = steps.map((step) => ({
    ...step,
    step: shortenChains(step.step, 0),
    effect: shortenChains(step.effect, 0),
  }));
  return rowsOf(short, { where: 0, step: 0 }).flatMap(({ line, effectAt }) =>
    fold(line, width, " ".repeat(width - effectAt < LEAST_EFFECT ? 8 : effectAt)),
  );
}

/** Steps with when, at which hook and by which line of which file they happened, and the counter that went up. */
export function wideTable(steps: readonly Step[]): readonly string[] {
  const header = ["  #", "MS", "WHERE", "HOOK", "STEP", "  ", "EFFECT", "PKTS", "RULE AT"];
  const rows = steps.map((step) => [
    String(step.n).padStart(3),
    (step.time / 1000).toFixed(3),
    step.dev === undefined ? step.ns : `${step.ns} ${step.dev}`,
    step.hook ?? "",
    step.step,
    step.mark === "ok" ? "ok" : ` ${step.mark}`,
    step.effect,
    step.counter === undefined ? "" : `${step.counter[0]} => ${step.counter[1]}`,
    step.place === undefined ? "" : `${step.place.file}:${step.place.line}:${step.place.column}`,
  ]);
  return steps.length === 0 ? [] : formatTable(header, rows).trimEnd().split("\n");
}

interface Row {
  readonly line: string;
  /** The column that the effect begins at. */
  readonly effectAt: number;
}

function rowsOf(
  steps: readonly Step[],
  least: { readonly where: number; readonly step: number },
): readonly Row[] {
  const where = (step: Step): string => `${step.ns}${step.dev === undefined ? "" : ` ${step.dev}`}`;
  const whereWidth = Math.max(least.where, ...steps.map((step) => where(step).length));
  const stepWidth = Math.max(least.step, ...steps.map((step) => step.step.length + 1));
  const effectAt = 4 + whereWidth + 1 + stepWidth + 3;
  const header = `  # ${"WHERE".padEnd(whereWidth)} ${"STEP".padEnd(stepWidth + 2)} EFFECT`;
  return [
    { line: header, effectAt },
    ...steps.map((step) => {
      const mark = step.mark === "ok" ? "ok" : ` ${step.mark.padEnd(1)}`;
      const line = `${String(step.n).padStart(3)} ${where(step).padEnd(whereWidth)} ${step.step.padEnd(stepWidth)}${mark} ${step.effect}`;
      return { line: line.trimEnd(), effectAt };
    }),
  ];
}
