import { main } from "../../src/cli/main.js";

/** What one command line printed and how it ended. */
export interface CommandRun {
  readonly out: string;
  readonly err: string;
  readonly exit: number;
}

/** Runs `hopwise …` in this process. Words are split at spaces; quotes keep words together. */
export async function hopwise(line: string): Promise<CommandRun> {
  const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? "",
  );
  const out: string[] = [];
  const err: string[] = [];
  const exit = await main(words, {
    out: (text) => void out.push(text),
    outBytes: (bytes) => void out.push(Buffer.from(bytes).toString("latin1")),
    err: (text) => void err.push(text),
    isTerminal: false,
    exitCode: 0,
  });
  return { out: out.join(""), err: err.join(""), exit };
}
