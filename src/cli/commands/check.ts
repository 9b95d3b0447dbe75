import type { Command } from "commander";
import { worldOption } from "../options.js";
import type { Streams } from "../streams.js";

export interface CheckCommandOptions {
  readonly world?: readonly string[];
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly dialect?: string;
}

export function registerCheck(program: Command, streams: Streams): void {
  worldOption(program.command("check"))
    .description("validate inputs; list what is assumed, missing, unused or not modelled")
    .argument("[path...]", "worlds, as with -w")
    .option("--json", "as one JSON document")
    .option("-v, --verbose", "also what only says what is so, for each policy and pod")
    .option(
      "--dialect <name>",
      "what the API leaves open: a name, and switches: kube-router,refusal=drop",
    )
    .action(async (paths: readonly string[], options: CheckCommandOptions) => {
      const { checkCommand } = await import("../check-command.js");
      const named = [...(options.world ?? []), ...paths];
      streams.exitCode = checkCommand(named.length === 0 ? undefined : named, options, streams);
    });
}
