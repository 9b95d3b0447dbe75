import type { Command } from "commander";
import { worldOption } from "../options.js";
import type { Streams } from "../streams.js";

export function registerCheck(program: Command, streams: Streams): void {
  worldOption(program.command("check"))
    .description("validate inputs; list what is assumed, missing, unused or not modelled")
    .argument("[path...]", "worlds, as with -w")
    .option("--json", "as one JSON document")
    .action(
      async (
        paths: readonly string[],
        options: { readonly world?: readonly string[]; readonly json?: boolean },
      ) => {
        const { checkCommand } = await import("../check-command.js");
        const named = [...(options.world ?? []), ...paths];
        streams.exitCode = checkCommand(
          named.length === 0 ? undefined : named,
          options.json ?? false,
          streams,
        );
      },
    );
}
