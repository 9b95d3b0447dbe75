import { type Command, Option } from "commander";
import { addrOption, whatIfOptions, wholeNumber, worldOption } from "../options.js";
import { widthOption } from "../screen.js";
import type { Streams } from "../streams.js";

const FORMATS = [
  "text",
  "wide",
  "json",
  "jsonl",
  "yaml",
  "md",
  "minimal",
  "html",
  "svg",
  "mermaid",
  "pcapng",
  "xtables-trace",
  "conntrack-events",
] as const;

/** What `hopwise trace` was told. */
export interface TraceOptions {
  readonly world?: readonly string[];
  readonly patch?: readonly string[];
  readonly set?: readonly string[];
  readonly without?: readonly string[];
  readonly proto: "tcp" | "udp" | "icmp";
  readonly sport: number;
  readonly ttl?: number;
  readonly seed: number;
  readonly endpoint?: string;
  readonly all?: boolean;
  readonly oneWay?: boolean;
  readonly count?: number;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly output: (typeof FORMATS)[number];
  readonly json?: boolean;
  readonly out?: string;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
  readonly step?: number;
  readonly filter?: string;
  readonly namespaces?: string;
  readonly dialect?: string;
  readonly expect?: string;
  readonly in?: string;
  readonly addr?: readonly string[];
}

export function registerTrace(program: Command, streams: Streams): void {
  whatIfOptions(worldOption(program.command("trace")))
    .description("one packet and its reply, step by step")
    .argument(
      "<src>",
      "pod, node or workload: shop/web-0, worker-1, shop/deployment/web; or an address outside",
    )
    .argument(
      "<dst>",
      "the same, shop/api:80, ADDRESS:PORT, [IPV6]:PORT, NAME:PORT or http://NAME/",
    )
    .addOption(
      new Option("--proto <protocol>", "protocol of the packet")
        .choices(["tcp", "udp", "icmp"])
        .default("tcp"),
    )
    .option("--sport <port>", "source port", wholeNumber(1, 65_535), 40_000)
    .option("--ttl <n>", "time to live of the request", wholeNumber(1, 255))
    .option("--seed <n>", "seed of everything random", wholeNumber(0, 4_294_967_295), 1)
    .option("--endpoint <pod>", "where rules decide by chance, go to this pod")
    .option("--all", "every way that chance may take, one line each; -v adds the trace of each")
    .option("--in <device>", "where a packet from outside comes in, for dumps: eth0 or NODE:eth0")
    .addOption(addrOption())
    .addOption(
      new Option(
        "--count <n>",
        "so many packets of the sender, one after the other: what conntrack makes of later ones",
      )
        .argParser(wholeNumber(1, 100))
        .conflicts(["all", "step", "oneWay"]),
    )
    .option("--one-way", "do not follow the reply")
    .addOption(
      new Option("-4, --ipv4", "the IPv4 address of a destination that has both").conflicts("ipv6"),
    )
    .addOption(new Option("-6, --ipv6", "its IPv6 address"))
    .addOption(
      new Option("-o, --output <format>", "how it is printed").choices(FORMATS).default("text"),
    )
    .option("--json", "the same as -o json")
    .option("--out <file>", "write to a file instead of standard output")
    .option("-v, --verbose", "all steps, and what DNS plugins did")
    .option("-q, --quiet", "the verdict line only")
    .addOption(widthOption())
    .option("-n, --namespaces <list>", "only steps in these network namespaces: worker-1,shop")
    .option("--filter <expression>", "only steps that it holds for (docs/filter.md)")
    .option("--step <n>", "one step in full", wholeNumber(1, 1_000_000))
    .option(
      "--dialect <name>",
      "UNKNOWN where this plugin would not do as kube-router's rules: calico, or kube-router,refusal=drop",
    )
    .option("--expect <outcome>", "exit 0 when this is the outcome, 1 when it is not")
    .action(async (source: string, destination: string, options: TraceOptions) => {
      const { traceCommand } = await import("../trace-command.js");
      streams.exitCode = traceCommand(source, destination, options, streams);
    });
}
