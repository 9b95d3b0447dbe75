import { type Command, Option } from "commander";
import type { Streams } from "../streams.js";

/** Kinds of text that `fmt` reads and prints as the real tool would. */
export const fmtKinds = ["iptables", "corefile", "conflist"] as const;

export interface FmtOptions {
  readonly as?: (typeof fmtKinds)[number];
  readonly check?: boolean;
}

export function registerFmt(program: Command, streams: Streams): void {
  program
    .command("fmt")
    .description("read a rules file, Corefile or CNI conflist and print it as the real tool would")
    .argument("<file>", "the file, or - for standard input")
    .addOption(
      new Option("--as <kind>", "what the file is (else found by its content)").choices(fmtKinds),
    )
    .option("--check", "print nothing; exit 1 when the file would change")
    .action(async (file: string, options: FmtOptions) => {
      const { fmtCommand } = await import("../fmt-command.js");
      streams.exitCode = fmtCommand(file, options, streams);
    });
}
