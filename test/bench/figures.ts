import { bench } from "vitest";
import { now } from "./clock.js";
import { type Figure, titleOf } from "./figure-title.js";

/** How often a benchmark runs. Nothing of it depends on the clock, so that figures come from the same work. */
export interface Runs {
  readonly runs: number;
  readonly warmup?: number;
}

/** Measures how many things a second: each run of `work` handles `count`. */
export function rate(
  title: string,
  count: { readonly number: number; readonly what: string },
  work: () => void,
  { budget, ...runs }: Runs & { readonly budget?: number } & Clocked,
): void {
  add({ title, count, budget }, work, runs);
}

/** Measures how long `work` takes, the median of its runs. The budget is in milliseconds. */
export function duration(
  title: string,
  work: () => void,
  { budget, ...runs }: Runs & { readonly budget?: number },
): void {
  add({ title, count: undefined, budget }, work, runs);
}

/** The same for work that waits: clients over a real socket. */
export function rateOf(
  title: string,
  count: { readonly number: number; readonly what: string },
  work: () => Promise<void>,
  { budget, ...runs }: Runs & { readonly budget?: number } & Clocked,
): void {
  add({ title, count, budget }, work, runs);
}

/** Work that is timed elsewhere, or of which only a part counts. */
export interface Clocked {
  /** The milliseconds that count, instead of this process's. */
  readonly now?: () => number;
  /** Called when the last run is over. */
  readonly ended?: () => void;
}

function add(
  figure: Figure,
  work: () => void | Promise<void>,
  { runs, warmup = 1, now: clock = now, ended }: Runs & Clocked,
): void {
  bench(titleOf(figure), work, {
    iterations: runs,
    warmupIterations: warmup,
    time: 0,
    warmupTime: 0,
    now: clock,
    ...(ended === undefined
      ? {}
      : {
          teardown: (_task, mode) => {
            if (mode === "run") ended();
          },
        }),
  });
}
