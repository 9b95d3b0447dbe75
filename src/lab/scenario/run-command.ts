import { UserError } from "../../base/errors.js";
import type { Simulation } from "../../core/simulation.js";
import type { CommandEvent, ObjectEvent } from "../../core/trace.js";
import type { LabCommand, ToolResult } from "../../tools/command.js";
import { runTool } from "../../tools/index.js";

/** Who runs a command, and what for. */
export interface Reason {
  readonly by: string;
  readonly why: string;
}

/** Runs a command and tells of it. */
export function runTold(sim: Simulation, command: LabCommand, { by, why }: Reason): ToolResult {
  const result = runTool(sim, command);
  const { argv, stdin, ns = "" } = command;
  const output = result.stdout + result.stderr;
  const event: CommandEvent = {
    time: sim.queue.now,
    ns,
    kind: "command",
    by,
    argv,
    stdin,
    output,
    code: result.code,
    why,
  };
  sim.trace?.(event);
  return result;
}

/** Runs a command of an agent, which must not fail. */
export function runAgent(sim: Simulation, command: LabCommand, reason: Reason): ToolResult {
  const result = runTold(sim, command, reason);
  if (result.code === 0) return result;
  throw new UserError(
    "SCENARIO_COMMAND",
    `${reason.by} on ${command.ns ?? "no node"}: "${command.argv.join(" ")}" failed: ${(result.stderr || result.stdout).trim() || `exit code ${result.code}`}`,
  );
}

/** Tells of an object that came, changed or went. */
export function tellObject(
  sim: Simulation,
  what: Pick<ObjectEvent, "ns" | "object" | "action" | "by" | "why">,
): void {
  sim.trace?.({ time: sim.queue.now, kind: "object", ...what });
}
