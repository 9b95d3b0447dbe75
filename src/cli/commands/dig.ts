import { type Command, Option } from "commander";
import { wholeNumber, worldOption } from "../options.js";
import type { Streams } from "../streams.js";

/** What `hopwise dig` was told. */
export interface DigCommandOptions {
  readonly world?: readonly string[];
  readonly from: string;
  readonly trace?: boolean;
  readonly verbose?: boolean;
  readonly search: "glibc" | "musl" | "none";
  readonly times: number;
  readonly every: number;
  readonly seed: number;
  readonly json?: boolean;
}

export function registerDig(program: Command, streams: Streams): void {
  worldOption(program.command("dig"))
    .description("look a name up as a program in a pod does: search list, queries, answers")
    .argument("<name>", "a name; a dot at its end keeps the search list out")
    .argument("[type]", "A, AAAA, SRV, PTR, …; A,AAAA asks for both, as getaddrinfo does", "A")
    .requiredOption("--from <pod>", "who asks: shop/web-0, shop/deployment/web, a node")
    .option("--trace", "show the server's plugins behind each query")
    .option("-v, --verbose", "and what each of them did, and why")
    .addOption(
      new Option("--search <resolver>", "whose search list rules; none asks for the name alone")
        .choices(["glibc", "musl", "none"])
        .default("glibc"),
    )
    .option("--times <n>", "look it up so often", wholeNumber(1, 1_000), 1)
    .option("--every <seconds>", "simulated seconds between lookups", wholeNumber(0, 86_400), 1)
    .option("--seed <n>", "seed of everything random", wholeNumber(0, 4_294_967_295), 1)
    .option("--json", "as one JSON document")
    .action(async (name: string, type: string, options: DigCommandOptions) => {
      const { digCommand } = await import("../dig-command.js");
      streams.exitCode = digCommand(name, type, options, streams);
    });
}
