import { type Command, Option } from "commander";
import { wholeNumber } from "../options.js";
import type { Streams } from "../streams.js";

/** What `hopwise diff` was told. */
export interface DiffOptions {
  readonly proto: "tcp" | "udp" | "icmp";
  readonly sport: number;
  readonly seed: number;
  readonly endpoint?: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

export function registerDiff(program: Command, streams: Streams): void {
  program
    .command("diff")
    .description("which objects, rules and verdicts differ between two worlds")
    .argument("<world1>", "file, folder, - or demo:NAME")
    .argument("<world2>", "the same")
    .argument("[src]", "and what becomes of one request in each: who sends")
    .argument("[dst]", "to whom, as with trace")
    .addOption(
      new Option("--proto <protocol>", "protocol of the packet")
        .choices(["tcp", "udp", "icmp"])
        .default("tcp"),
    )
    .option("--sport <port>", "source port", wholeNumber(1, 65_535), 40_000)
    .option("--seed <n>", "seed of everything random", wholeNumber(0, 4_294_967_295), 1)
    .option("--endpoint <pod>", "where rules decide by chance, go to this pod")
    .option("-v, --verbose", "everything that differs, however much it is")
    .option("--json", "as one JSON document")
    .action(
      async (
        first: string,
        second: string,
        source: string | undefined,
        destination: string | undefined,
        options: DiffOptions,
      ) => {
        const { diffCommand } = await import("../diff-command.js");
        const words = [first, second, source, destination];
        streams.exitCode = diffCommand(words, options, streams);
      },
    );
}
