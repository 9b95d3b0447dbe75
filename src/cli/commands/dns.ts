import type { Command } from "commander";
import { wholeNumber, worldOption } from "../options.js";
import type { Streams } from "../streams.js";

/** What `hopwise dns serve` was told. */
export interface DnsServeOptions {
  readonly world?: readonly string[];
  readonly port: number;
  readonly from?: string;
  readonly seed: number;
}

export function registerDns(program: Command, streams: Streams): void {
  const dns = program.command("dns").description("the world's CoreDNS for real clients: dns serve");
  worldOption(dns.command("serve"))
    .description("answer dig and other clients on 127.0.0.1, UDP and TCP, until Ctrl-C")
    .option(
      "--port <n>",
      "port on 127.0.0.1; 0 takes any that is free",
      wholeNumber(0, 65_535),
      5353,
    )
    .option("--from <pod>", "whom queries come from, for views and autopath: shop/web-0")
    .option("--seed <n>", "seed of everything random", wholeNumber(0, 4_294_967_295), 1)
    .action(async (options: DnsServeOptions) => {
      const { dnsServeCommand } = await import("../dns-serve-command.js");
      streams.exitCode = await dnsServeCommand(options, streams);
    });
}
