import { type Command, InvalidArgumentError } from "commander";
import type { Streams } from "../streams.js";

export function registerCollect(program: Command, streams: Streams): void {
  program
    .command("collect")
    .description("print a read-only shell script that gathers a dump (no Secrets); never runs it")
    .option("--nodes <list>", "the nodes it speaks of, separated by commas (else all)", names)
    .action(async (options: { readonly nodes?: readonly string[] }) => {
      const { collectScript } = await import("../../lab/collect-script.js");
      streams.out(collectScript({ nodes: options.nodes }));
      streams.exitCode = 0;
    });
}

function names(text: string): readonly string[] {
  const list = text.split(",").map((name) => name.trim());
  if (list.includes("")) throw new InvalidArgumentError("It must be names separated by commas.");
  return list;
}
