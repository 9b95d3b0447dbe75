import { type Command, Option } from "commander";
import { wholeNumber, worldOption } from "../options.js";
import type { Streams } from "../streams.js";

/** What can be shown, in the order that help lists it. */
export const showKinds = [
  "nodes",
  "pods",
  "services",
  "endpoints",
  "policies",
  "routes",
  "rules",
  "ct",
  "fdb",
  "neigh",
  "ipam",
  "dns",
  "env",
  "legacy-endpoints",
] as const;

export interface ShowOptions {
  readonly world?: readonly string[];
  readonly output: "text" | "json";
  readonly json?: boolean;
  readonly seed: number;
  /** -6 */
  readonly 6?: boolean;
}

export function registerShow(program: Command, streams: Streams): void {
  worldOption(program.command("show"))
    .description(`what is in a world: ${showKinds.join(", ")}`)
    .argument("<kind>", showKinds.join(", "))
    .argument(
      "[name]",
      "a node, a pod or ns/name; an object for the rules made for it: svc/shop/api",
    )
    .argument("[node]", "rules of an object: only those on this node")
    .addOption(
      new Option("-o, --output <format>", "how it is printed")
        .choices(["text", "json"])
        .default("text"),
    )
    .option("--json", "the same as -o json")
    .option("-6", "routes, rules, ct and neigh of IPv6")
    .option("--seed <n>", "seed of everything random", wholeNumber(0, 4_294_967_295), 1)
    .action(
      async (
        kind: string,
        name: string | undefined,
        node: string | undefined,
        options: ShowOptions,
      ) => {
        const { showCommand } = await import("../show-command.js");
        streams.exitCode = showCommand(kind, name, node, options, streams);
      },
    );
}
