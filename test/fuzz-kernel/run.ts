import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "../../src/lab/lab.js";
import { difference, probesOf, textOf } from "./compare.js";
import { type Draft, labFile, labOf } from "./draft.js";
import { manyFrames, runEmulated } from "./emulated.js";
import { generate } from "./generate.js";
import { slot } from "./profile.js";
import { RealKernel } from "./real.js";
import { shrink } from "./shrink.js";

export interface FuzzOptions {
  readonly seed: number;
  readonly count: number;
  /** Labs on the real kernel at the same time. */
  readonly hands: number;
  /** Where the lab file of a difference is written; undefined writes none and shrinks nothing. */
  readonly out: string | undefined;
  readonly log: (line: string) => void;
  /** Labs with MTUs of their own and devices on top of others. */
  readonly devices: boolean;
}

export interface FuzzResult {
  readonly labs: number;
  readonly probes: number;
  readonly frames: number;
  /** Seeds whose labs differ, each with its first lines of difference. */
  readonly differences: readonly { readonly seed: number; readonly lines: readonly string[] }[];
  /** Seeds that differed once and agreed when asked again. */
  readonly unsteady: readonly number[];
  /** Seeds where the emulator said that it cannot know. */
  readonly unknown: readonly number[];
  /** Seeds where programs answer each other until the lab ends: how often they do hangs on the machine's speed. */
  readonly endless: readonly number[];
}

/** How often the real kernel is asked before a difference counts. */
const tries = 3;

/** Makes labs from seeds, runs each on both sides, and compares. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const kernel = new RealKernel(options.hands);
  const run = new Run(kernel, options);
  let next = options.seed;
  const end = options.seed + options.count;
  const worker = async (): Promise<void> => {
    while (next < end) await run.one(next++);
  };
  await Promise.all(Array.from({ length: options.hands }, worker));
  kernel.end();
  return run.result;
}

class Run {
  readonly result = {
    labs: 0,
    probes: 0,
    frames: 0,
    differences: [] as { seed: number; lines: readonly string[] }[],
    unsteady: [] as number[],
    unknown: [] as number[],
    endless: [] as number[],
  };
  readonly #kernel: RealKernel;
  readonly #options: FuzzOptions;

  constructor(kernel: RealKernel, options: FuzzOptions) {
    this.#kernel = kernel;
    this.#options = options;
  }

  async one(seed: number): Promise<void> {
    const { log, out, devices } = this.#options;
    const draft = generate(seed, devices);
    const lab = labOf(draft);
    const found = await this.#compare(lab);
    this.result.labs++;
    this.result.probes += lab.probes.length;
    this.result.frames += found.frames;
    if (this.result.labs % 100 === 0) log(`${this.result.labs} labs`);
    if (found.unknown.length > 0) this.result.unknown.push(seed);
    if (found.frames > manyFrames) {
      this.result.endless.push(seed);
      return;
    }
    if (found.unsteady) {
      this.result.unsteady.push(seed);
      log(`seed ${seed}: differed once, agreed when asked again${brief(found.first)}`);
    }
    if (found.lines.length === 0) return;
    this.result.differences.push({ seed, lines: found.lines });
    log(`seed ${seed} differs:${brief(found.lines)}`);
    for (const text of found.unknown) log(`  emulator says unknown: ${text}`);
    if (out !== undefined) await this.#shrink(draft, found.lines, out);
  }

  async #compare(lab: Lab, most = tries): Promise<Comparison> {
    const probes = probesOf(lab);
    const emulated = runEmulated(lab, probes, 1, slot, manyFrames);
    const expected = textOf(emulated, lab);
    const frames = emulated.seen.frames.length;
    if (frames > manyFrames) return { lines: [], first: [], unsteady: false, unknown: [], frames };
    let first: readonly string[] = [];
    let lines: readonly string[] = [];
    let asked = 0;
    while (asked < most) {
      const real = await this.#kernel.run(lab, probes);
      lines = difference(textOf(real, lab), expected);
      if (asked++ === 0) first = lines;
      if (lines.length === 0) break;
    }
    const unsteady = lines.length === 0 && asked > 1;
    return {
      lines,
      first,
      unsteady,
      unknown: emulated.unknown,
      frames,
    };
  }

  /** A difference shows when what differs first is of the same kind. */
  async #shrink(draft: Draft, lines: readonly string[], out: string): Promise<void> {
    const kind = (text: string | undefined): string | undefined => text?.split(" ")[0];
    const wanted = kind(lines[0]);
    const shows = async (candidate: Draft): Promise<boolean> => {
      try {
        const found = await this.#compare(labOf(candidate), 1);
        return kind(found.lines[0]) === wanted;
      } catch {
        return false;
      }
    };
    const small = await shrink(draft, shows);
    const found = await this.#compare(labOf(small));
    mkdirSync(out, { recursive: true });
    const path = join(out, `${draft.name}.yaml`);
    const told = found.lines.map((line) => `# ${line}`).join("\n");
    writeFileSync(path, `${labFile(small)}${told}\n`);
    this.#options.log(`${draft.name}: shrunk to ${path}${brief(found.lines)}`);
  }
}

interface Comparison {
  readonly lines: readonly string[];
  readonly first: readonly string[];
  readonly unsteady: boolean;
  readonly unknown: readonly string[];
  readonly frames: number;
}

/** The first lines of a difference, for a log. */
function brief(lines: readonly string[]): string {
  return lines
    .slice(0, 12)
    .map((line) => `\n  ${line.slice(0, 240)}`)
    .join("");
}
