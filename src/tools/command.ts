import type { Place } from "../base/errors.js";
import type { Simulation } from "../core/simulation.js";

/**
 * One command of a lab, the same text for the emulator and for a real shell: a lab is built by running these in order,
 * and `hopwise export -o sh` prints them. Nothing configures a namespace in any other way.
 */
export interface LabCommand {
  /** The namespace it runs in; undefined for commands that make namespaces and the links between them. */
  readonly ns: string | undefined;
  readonly argv: readonly string[];
  /** What the command reads from standard input: a ruleset. */
  readonly stdin?: string | undefined;
  /** The name that errors and rules of `stdin` give as their file: `worker-1.rules`. */
  readonly stdinName?: string | undefined;
  /** Where the user's text asked for it. */
  readonly place?: Place | undefined;
}

/** What a tool did, as a shell sees it. */
export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where a tool runs. */
export interface ToolContext {
  readonly sim: Simulation;
  readonly ns: string | undefined;
  readonly stdin: string;
  readonly stdinName: string | undefined;
}

/** One program that can be typed: `ip`, `iptables-restore`. Its errors are in the real tool's words. */
export interface Tool {
  readonly name: string;
  run(args: readonly string[], context: ToolContext): ToolResult;
}
