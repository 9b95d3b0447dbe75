import { type Command, Option } from "commander";
import { wholeNumber, worldOption } from "../options.js";
import type { Streams } from "../streams.js";

export interface ExportOptions {
  readonly world?: readonly string[];
  readonly output: "sh";
  readonly out?: string;
  readonly seed: number;
}

export function registerExport(program: Command, streams: Streams): void {
  worldOption(program.command("export"))
    .description("a world or lab as a shell script that builds it on a real Linux")
    .argument("[path...]", "worlds, as with -w")
    .addOption(new Option("-o, --output <format>", "what is written").choices(["sh"]).default("sh"))
    .option("--out <file>", "write to a file instead of standard output")
    .option("--seed <n>", "seed of everything random", wholeNumber(0, 4_294_967_295), 1)
    .action(async (paths: readonly string[], options: ExportOptions) => {
      const { exportCommand } = await import("../export-command.js");
      streams.exitCode = exportCommand([...(options.world ?? []), ...paths], options, streams);
    });
}
