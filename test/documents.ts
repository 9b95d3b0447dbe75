import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "../src/cli/main.js";
import type { Streams } from "../src/cli/streams.js";
import { splitCommandLine } from "../src/lab/command-line.js";

/** The documents that users read: README.md, and every page of docs. */
export const documents: readonly string[] = [
  ...readdirSync(".").filter((name) => name.endsWith(".md")),
  ...readdirSync("docs", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
].toSorted();

/** One fenced block of a document. */
export interface Block {
  readonly file: string;
  /** Of its first line of text, from 1. */
  readonly line: number;
  /** What stands behind the opening fence: `sh`, `yaml`. */
  readonly language: string;
  readonly lines: readonly string[];
}

/** The fenced blocks of a document, in order. */
export function blocksOf(file: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { line: number; language: string; lines: string[] } | undefined;
  for (const [index, line] of readFileSync(file, "utf8").split("\n").entries()) {
    const fence = /^```(\w*)/.exec(line);
    if (open === undefined && fence !== null)
      open = { line: index + 2, language: fence[1] ?? "", lines: [] };
    else if (open !== undefined && fence !== null) {
      blocks.push({ file, ...open });
      open = undefined;
    } else open?.lines.push(line);
  }
  return blocks;
}

/** A block that shows what hopwise prints: its first line is a command that a reader can type. */
export function isSession({ language, lines: [first = ""] }: Block): boolean {
  return language === "sh" && first.startsWith("$ hopwise");
}

/**
 * Types every line that begins with `$ ` and gives the block as it looks then: commands and what they print, notes and errors where
 * they come. `$ echo $?` prints the exit code of the command before. Text is not wrapped, and space at line ends falls away.
 */
export async function playSession(block: Block): Promise<readonly string[]> {
  const shown: string[] = [];
  let exitCode = 0;
  for (const line of block.lines.filter((one) => one.startsWith("$ "))) {
    shown.push(line);
    if (line === "$ echo $?") {
      shown.push(String(exitCode));
      continue;
    }
    const [program, ...args] = splitCommandLine(line.slice("$ ".length), {
      place: { file: block.file, line: block.line, column: 1 },
    });
    if (program !== "hopwise") throw new Error(`${block.file}:${block.line}: cannot type ${line}`);
    const typed = await run(args);
    exitCode = typed.exitCode;
    shown.push(
      ...typed.output
        .trimEnd()
        .split("\n")
        .map((one) => one.trimEnd()),
    );
  }
  return shown;
}

/** Writes what a session prints into its document: the way to bring a document up to date. */
export function replaceBlock(block: Block, lines: readonly string[]): void {
  const text = readFileSync(block.file, "utf8").split("\n");
  // Blocks above may have grown or shrunk since this one was found.
  const starts = [...text.keys()].filter((at) =>
    block.lines.every((line, n) => text[at + n] === line),
  );
  const far = (at: number): number => Math.abs(at - (block.line - 1));
  const [start = block.line - 1] = starts.toSorted((a, b) => far(a) - far(b));
  text.splice(start, block.lines.length, ...lines);
  writeFileSync(block.file, text.join("\n"));
}

/** Runs one command line of hopwise in this process; stdout and stderr together, as on a terminal. */
async function run(args: readonly string[]): Promise<{ output: string; exitCode: number }> {
  let output = "";
  const write = (text: string): void => {
    output += text;
  };
  const streams: Streams = {
    out: write,
    outBytes: () => undefined,
    err: write,
    isTerminal: false,
    exitCode: 0,
  };
  const exitCode = await main(args, streams);
  return { output, exitCode };
}

/** Whether `lines` reads as `shown`, where a line `...` of the document stands for any number of lines. */
export function readsAs(shown: readonly string[], lines: readonly string[]): boolean {
  const [first, ...rest] = shown;
  if (first === undefined) return lines.length === 0;
  if (first.trim() === "...") {
    return lines.some((_, index) => readsAs(rest, lines.slice(index))) || rest.length === 0;
  }
  return lines[0]?.trimEnd() === first.trimEnd() && readsAs(rest, lines.slice(1));
}
