import { type Command, Option } from "commander";
import { wholeNumber, worldOption } from "../options.js";
import type { Streams } from "../streams.js";

export interface RunOptions {
  readonly world?: readonly string[];
  readonly output: "text" | "json" | "sh";
  readonly json?: boolean;
  readonly seed?: number;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
}

export function registerRun(program: Command, streams: Streams): void {
  worldOption(program.command("run"))
    .description("a scenario: objects change over simulated time while connections live")
    .argument("<scenario>", "YAML file with steps, or demo:NAME")
    .addOption(
      new Option("-o, --output <format>", "how it is printed; sh: its commands, for a real Linux")
        .choices(["text", "json", "sh"])
        .default("text"),
    )
    .option("--json", "the same as -o json")
    .option("--seed <n>", "for endpoint draws and ports", wholeNumber(0, 2 ** 32 - 1))
    .option("-v, --verbose", "every step of every packet, and all that commands read and print")
    .option("-q, --quiet", "the summary line alone")
    .action(async (scenario: string, options: RunOptions) => {
      const { runCommand } = await import("../run-command.js");
      streams.exitCode = runCommand(scenario, options, streams);
    });
}
