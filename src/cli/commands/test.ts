import { type Command, Option } from "commander";
import { worldOption } from "../options.js";
import type { Streams } from "../streams.js";

export interface TestCommandOptions {
  readonly world?: readonly string[];
  readonly output: "text" | "junit" | "tap" | "github";
  readonly junit?: string;
  readonly dialect?: string;
  readonly allowUnknown?: boolean;
}

export function registerTest(program: Command, streams: Streams): void {
  worldOption(program.command("test"))
    .description("reachability tests for CI: text, JUnit, TAP, GitHub annotations")
    .argument("<file...>", "YAML test files")
    .addOption(
      new Option("-o, --output <format>", "how it is printed")
        .choices(["text", "junit", "tap", "github"])
        .default("text"),
    )
    .option("--junit <file>", "write JUnit XML to a file as well")
    .option("--allow-unknown", "count tests without a certain answer as no failure")
    .option(
      "--dialect <name>",
      "what the API leaves open: a name, and switches: kube-router,refusal=drop",
    )
    .action(async (files: readonly string[], options: TestCommandOptions) => {
      const { testCommand } = await import("../test-command.js");
      streams.exitCode = testCommand(files, options, streams);
    });
}
