import type { Simulation } from "../../src/core/simulation.js";
import type { ToolResult } from "../../src/tools/command.js";
import { runTool } from "../../src/tools/index.js";

/** Splits at blanks; good for command lines without quotes. */
export function argvOf(line: string): readonly string[] {
  return line.split(/ +/).filter((word) => word !== "");
}

export function run(sim: Simulation, ns: string | undefined, line: string): ToolResult {
  return runTool(sim, { ns, argv: argvOf(line) });
}

/** Runs lines of `NS: command` or plain commands; each must succeed without a word. */
export function build(sim: Simulation, text: string): void {
  for (const line of text.split("\n")) {
    const trimmed = line.trim();
    if (trimmed === "") continue;
    const [, ns, command = trimmed] = /^([a-z0-9-]+): (.*)$/.exec(trimmed) ?? [];
    const result = run(sim, ns, command);
    if (result.code !== 0 || result.stderr !== "")
      throw new Error(`${trimmed}: ${result.code} ${result.stderr}`);
  }
}
