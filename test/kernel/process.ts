import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Runs a program to its end and gives what it printed; `input` is what it reads. Throws when it fails. */
export async function run(
  program: string,
  argv: readonly string[],
  input?: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const running = execute(program, argv, { encoding: "utf8", maxBuffer: 1 << 28, env });
  if (input !== undefined) running.child.stdin?.end(input);
  return (await running).stdout;
}
