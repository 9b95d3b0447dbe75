import { type Command, Option } from "commander";
import { patchOption, worldOption } from "../options.js";
import { widthOption } from "../screen.js";
import type { Streams } from "../streams.js";

export interface MatrixCommandOptions {
  readonly world?: readonly string[];
  readonly patch?: readonly string[];
  readonly namespaces?: string;
  readonly ports?: string;
  readonly dialect: string;
  readonly group?: boolean;
  readonly diff?: string;
  readonly output: "text" | "json" | "csv" | "dot" | "svg";
  readonly verbose?: boolean;
  readonly json?: boolean;
  readonly out?: string;
}

export function registerMatrix(program: Command, streams: Streams): void {
  patchOption(worldOption(program.command("matrix")))
    .description("who reaches whom by NetworkPolicy; --diff WORLD2 shows changed pairs only")
    .option("-n, --namespaces <list>", "only pods of these namespaces: shop,batch")
    .option("--ports <list>", "try these instead of each pod's declared ports: 80,udp/53")
    .option("--group", "one line for pods that no policy tells apart")
    .option("--diff <world>", "only pairs that change from the first world to this one")
    .option(
      "--dialect <name>",
      "what the API leaves open: a name, and switches: kube-router,refusal=drop",
      "default",
    )
    .addOption(
      new Option("-o, --output <format>", "how it is printed")
        .choices(["text", "json", "csv", "dot", "svg"])
        .default("text"),
    )
    .option("-v, --verbose", "below the grid, what denies and how many pairs")
    .option("--json", "the same as -o json")
    .option("--out <file>", "write to a file instead of standard output")
    .addOption(widthOption())
    .action(async (options: MatrixCommandOptions) => {
      const { matrixCommand } = await import("../matrix-command.js");
      streams.exitCode = matrixCommand(options, streams);
    });
}
