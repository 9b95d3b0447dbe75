import { parseArgs } from "node:util";
import { missingJudge } from "../kernel/judge.js";
import { labFile } from "./draft.js";
import { generate } from "./generate.js";
import { fuzz } from "./run.js";

/** `npm run fuzz:kernel -- --seed N --count M`: the exit code, 1 for a difference, 2 without a kernel to ask. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string", default: "1" },
      count: { type: "string", default: "100" },
      hands: { type: "string", default: "8" },
      out: { type: "string", default: "fuzz-found" },
      "no-shrink": { type: "boolean", default: false },
      print: { type: "boolean", default: false },
      devices: { type: "boolean", default: false },
    },
  });
  const log = (line: string): void => void process.stdout.write(`${line}\n`);
  const [seed, count, hands] = [values.seed, values.count, values.hands].map(Number);
  if (seed === undefined || count === undefined || hands === undefined) return 2;
  if (values.print) {
    log(labFile(generate(seed, values.devices)));
    return 0;
  }
  const missing = missingJudge();
  if (missing !== undefined) {
    log(`no kernel to compare with: ${missing}`);
    return 2;
  }
  const started = Date.now();
  const out = values["no-shrink"] ? undefined : values.out;
  const result = await fuzz({ seed, count, hands, out, log, devices: values.devices });
  log(
    `seeds ${seed} to ${seed + count - 1}: ${result.labs} labs, ${result.probes} probes, ${result.frames} frames, ` +
      `${result.differences.length} differences, ${result.unsteady.length} unsteady, ${result.unknown.length} with unknowns, ${result.endless.length} endless, ` +
      `${Math.round((Date.now() - started) / 1000)} s`,
  );
  if (result.endless.length > 0) log(`endless seeds: ${result.endless.join(" ")}`);
  if (result.differences.length > 0)
    log(`differing seeds: ${result.differences.map(({ seed: one }) => one).join(" ")}`);
  return result.differences.length > 0 ? 1 : 0;
}
