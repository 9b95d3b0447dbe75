import type { Command } from "commander";
import type { Streams } from "../streams.js";

export function registerExplain(program: Command, streams: Streams): void {
  program
    .command("explain")
    .description("an outcome or a drop reason in plain words")
    .argument("[ref]", "DROPPED, NO-ROUTE, NETFILTER_DROP, …; nothing lists them all")
    .action(async (ref: string | undefined) => {
      const { explainCommand } = await import("../explain-command.js");
      streams.exitCode = explainCommand(ref, streams);
    });
}
