import { type Command, Option } from "commander";
import { patchOption, wholeNumber, worldOption } from "../options.js";
import { widthOption } from "../screen.js";
import type { Streams } from "../streams.js";

export interface WhyCommandOptions {
  readonly world?: readonly string[];
  readonly patch?: readonly string[];
  readonly proto: "tcp" | "udp" | "sctp" | "icmp";
  readonly dialect: string;
  readonly fix?: number;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

export function registerWhy(program: Command, streams: Streams): void {
  patchOption(worldOption(program.command("why")))
    .description("NetworkPolicy verdict, per direction and rule, and the smallest fix")
    .argument("<src>", "pod or address: batch/job-0")
    .argument("<dst>", "pod, Service or address with a port: shop/db:5432")
    .addOption(
      new Option("--proto <protocol>", "protocol")
        .choices(["tcp", "udp", "sctp", "icmp"])
        .default("tcp"),
    )
    .option(
      "--dialect <name>",
      "what the API leaves open: a name, and switches: kube-router,refusal=drop",
      "default",
    )
    .option("--fix <n>", "which fix is shown in full", wholeNumber(1, 1_000))
    .option("-v, --verbose", "every rule, not only the nearest")
    .option("--json", "as one JSON document")
    .addOption(widthOption())
    .action(async (source: string, destination: string, options: WhyCommandOptions) => {
      const { whyCommand } = await import("../why-command.js");
      streams.exitCode = whyCommand(source, destination, options, streams);
    });
}
