import { type Command, Option } from "commander";
import { addrOption, several, worldOption } from "../options.js";
import type { Streams } from "../streams.js";

/** What `hopwise tui` was told. */
export interface TuiCommandOptions {
  readonly world?: readonly string[];
  readonly trace?: string;
  readonly replay?: string;
  readonly at?: readonly string[];
  readonly addr?: readonly string[];
  readonly ascii?: boolean;
  readonly mouse?: boolean;
  readonly plain?: boolean;
  readonly color: "auto" | "always" | "never";
}

export function registerTui(program: Command, streams: Streams): void {
  worldOption(program.command("tui"))
    .description("the trace on screen: step through it forwards and backwards (needs a terminal)")
    .option("--trace <words>", 'what to send: "SRC DST", with the options of trace after them')
    .addOption(addrOption())
    .option("--replay <capture>", "a pcap or pcapng to replay")
    .addOption(
      new Option(
        "--at <node:device>",
        "where it was captured; INTERFACE=NODE:DEVICE for one interface; repeatable",
      ).argParser(several),
    )
    .option("--ascii", "draw with letters that every terminal has")
    .option("--mouse", "the wheel scrolls, a click selects")
    .option("--plain", "one step at a time as sentences, for screen readers (or HOPWISE_PLAIN=1)")
    .addOption(
      new Option("--color <when>", "colours").choices(["auto", "always", "never"]).default("auto"),
    )
    .action(async (options: TuiCommandOptions) => {
      const { tuiCommand } = await import("../tui-command.js");
      streams.exitCode = await tuiCommand(options, streams);
    });
}
