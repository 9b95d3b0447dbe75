import { UserError } from "../base/errors.js";
import type { ToolResult } from "./command.js";

/** A tool gives up: what it says on stderr, newline included, and its exit code. Caught by `runCommand`. */
export class ToolFailure extends Error {
  override readonly name = "ToolFailure";
  readonly code: number;
  /** Some tools print their usage where results go. */
  readonly stdout: string;

  constructor(code: number, stderr: string, stdout = "") {
    super(stderr);
    this.code = code;
    this.stdout = stdout;
  }
}

/** Runs the body of a tool: what it returns goes to stdout, a ToolFailure becomes its stderr and code. */
export function runCommand(body: () => string): ToolResult {
  try {
    return { code: 0, stdout: body(), stderr: "" };
  } catch (error) {
    if (error instanceof ToolFailure)
      return { code: error.code, stdout: error.stdout, stderr: error.message };
    throw error;
  }
}

/** The kernel's answer to a netlink request, in iproute2's words; exit code 2. A text that begins with `Error:` is an extended answer. */
export function rtnetlink(answer: string): ToolFailure {
  const known = answer.startsWith("Error: ") || answer.startsWith("RTNETLINK answers: ");
  return new ToolFailure(2, `${known ? answer : `RTNETLINK answers: ${answer}`}\n`);
}

/** A real option that is not modelled: no answer is better than a wrong one. */
export function notModelled(tool: string, what: string): UserError {
  return new UserError("TOOL_NOT_MODELLED", `${tool}: ${what} is not modelled`);
}
