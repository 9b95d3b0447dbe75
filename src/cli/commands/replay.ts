import { type Command, Option } from "commander";
import { addrOption, several, patchOption, wholeNumber, worldOption } from "../options.js";
import type { Streams } from "../streams.js";

/** What `hopwise replay` was told. */
export interface ReplayOptions {
  readonly world?: readonly string[];
  readonly patch?: readonly string[];
  readonly addr?: readonly string[];
  readonly at?: readonly string[];
  readonly filter?: string;
  readonly all?: boolean;
  readonly packet?: number;
  readonly seed: number;
  readonly output: "text" | "json" | "jsonl";
  readonly json?: boolean;
  readonly out?: string;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
}

export function registerReplay(program: Command, streams: Streams): void {
  patchOption(worldOption(program.command("replay")))
    .description("a pcap or pcapng through the world, packet by packet")
    .argument("<capture>", "a capture file, or - for standard input")
    .addOption(
      new Option(
        "--at <node:device>",
        "where it was captured: worker-1:veth4f02; INTERFACE=NODE:DEVICE for one interface; repeatable",
      ).argParser(several),
    )
    .option("--filter <expression>", "show only packets that it holds for (docs/filter.md)")
    .option("--all", "every packet, not only the first of each flow")
    .option("--packet <n>", "the trace of one packet", wholeNumber(1, 1_000_000))
    .option("--seed <n>", "seed of everything random", wholeNumber(0, 4_294_967_295), 1)
    .addOption(addrOption())
    .addOption(
      new Option("-o, --output <format>", "how it is printed")
        .choices(["text", "json", "jsonl"])
        .default("text"),
    )
    .option("--json", "the same as -o json")
    .option("--out <file>", "write to a file instead of standard output")
    .option("-v, --verbose", "also the rules that decided, and what came out as captured")
    .option("-q, --quiet", "the summary line only")
    .action(async (capture: string, options: ReplayOptions) => {
      const { replayCommand } = await import("../replay-command.js");
      streams.exitCode = replayCommand(capture, options, streams);
    });
}
