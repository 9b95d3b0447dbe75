import type { Reporter, TestModule } from "vitest/node";
import { figureOf } from "./figure-title.js";

interface Row {
  readonly title: string;
  readonly value: string;
  readonly budget: string;
  readonly ratio: string;
}

/** The part of vitest's task that a benchmark leaves its samples in. Times are in milliseconds. */
interface BenchTask {
  readonly name: string;
  readonly tasks?: readonly BenchTask[];
  readonly result?: {
    readonly benchmark?: { readonly median: number; readonly p75: number; readonly p99: number };
    readonly errors?: readonly { readonly message: string }[];
  };
}

/** Prints one table for each group: the figure, the budget and how they compare; in a group without budgets, to its first row. */
export class TableReporter implements Reporter {
  onTestModuleEnd(module: TestModule): void {
    const { task } = module as unknown as { readonly task: BenchTask };
    for (const group of task.tasks ?? []) print(group);
  }
}

function print({ name, tasks = [] }: BenchTask): void {
  let first: number | undefined;
  const rows = tasks.map((task): Row => {
    const { title, count, budget } = figureOf(task.name);
    const median = task.result?.benchmark?.median;
    if (median === undefined || Number.isNaN(median))
      return {
        title,
        value: `failed: ${task.result?.errors?.[0]?.message ?? "no samples"}`,
        budget: "",
        ratio: "",
      };
    const value = count === undefined ? median : (count.number / median) * 1000;
    const unit = count === undefined ? "ms" : `${count.what}/s`;
    first ??= value;
    const compared = value / (budget ?? first);
    const better = (count === undefined) === compared <= 1;
    return {
      title,
      value: `${grouped(value)} ${unit}`,
      budget: budget === undefined ? "" : `${grouped(budget)} ${unit}`,
      ratio:
        budget === undefined
          ? `${compared.toFixed(2)}x the first`
          : `${compared.toFixed(2)}x ${better ? "within" : "MISSED"}`,
    };
  });
  const width = (pick: (row: Row) => string): number =>
    Math.max(...rows.map((row) => pick(row).length), 0);
  const [titles, values, budgets] = [
    width((r) => r.title),
    width((r) => r.value),
    width((r) => r.budget),
  ];
  process.stdout.write(`\n${name}\n`);
  for (const row of rows)
    process.stdout.write(
      `  ${row.title.padEnd(titles)}  ${row.value.padStart(values)}  ${row.budget.padStart(budgets)}  ${row.ratio}\n`.replace(
        / +\n/,
        "\n",
      ),
    );
}

/** 1234567 as 1,234,567; small numbers keep a digit. */
function grouped(value: number): string {
  if (value < 100) return value.toFixed(1);
  return Math.round(value).toLocaleString("en-US");
}
