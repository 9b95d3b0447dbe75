import type { ExpectStatic } from "vitest";
import type { Lab } from "../../src/lab/lab.js";
import { emulate } from "./emulate.js";
import { judge } from "./judge.js";
import { comparable, type Observation, type ProbeSpec } from "./observation.js";

/** How often the kernel is asked before a difference counts. */
const tries = 3;

/** Runs a lab on both sides and expects the same text of both; what the kernel did. */
export async function compareLab(
  told: ExpectStatic,
  lab: Lab,
  probes: readonly ProbeSpec[],
  textOf: typeof comparable = comparable,
): Promise<Observation> {
  const ours = textOf(emulate(lab, probes), lab, probes);
  let real: Observation | undefined;
  const text = await askUntil(lab.name, ours, async () => {
    real = await judge(lab, probes);
    return textOf(real, lab, probes);
  });
  told(ours).toBe(text);
  if (real === undefined) throw new Error("nobody asked the kernel");
  return real;
}

/**
 * What the kernel says in the end: `ours`, or what it said the third time. The comparison is exact each time; but a timer of the kernel's comes up
 * to a quarter of a second late, a busy machine starts programs late, and a port that the kernel draws may be one that a lab names.
 * Each time that it had to be asked again is printed, with the first line that differed.
 */
export async function askUntil(
  name: string,
  ours: string,
  ask: () => Promise<string>,
): Promise<string> {
  let real = "";
  for (let asked = 1; asked <= tries; asked++) {
    real = await ask();
    if (real === ours) break;
    console.log(
      `${name} differed when asked for time ${asked} of ${tries}: ${firstOther(ours, real)}`,
    );
  }
  return real;
}

/** The first line of `real` that is not the one at its place in `ours`. */
function firstOther(ours: string, real: string): string {
  const lines = ours.split("\n");
  return real.split("\n").find((line, index) => line !== lines[index]) ?? "(fewer lines)";
}
