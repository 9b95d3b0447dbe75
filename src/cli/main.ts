import { Command, CommanderError } from "commander";
import { nearest } from "../base/nearest.js";
import { UserError, UserErrors } from "../base/errors.js";
import { errorsJson, formatErrors } from "../view/error-text.js";
import { registerCheck } from "./commands/check.js";
import { registerCollect } from "./commands/collect.js";
import { registerDiff } from "./commands/diff.js";
import { registerDig } from "./commands/dig.js";
import { registerDns } from "./commands/dns.js";
import { registerExplain } from "./commands/explain.js";
import { registerExport } from "./commands/export.js";
import { registerFmt } from "./commands/fmt.js";
import { registerMatrix } from "./commands/matrix.js";
import { registerRun } from "./commands/run.js";
import { registerReplay } from "./commands/replay.js";
import { registerShow } from "./commands/show.js";
import { registerTest } from "./commands/test.js";
import { registerTrace } from "./commands/trace.js";
import { registerTui } from "./commands/tui.js";
import { registerWhy } from "./commands/why.js";
import { worldIsNamed } from "./options.js";
import { Screen, screenOptions } from "./screen.js";
import { type Streams, processStreams } from "./streams.js";
import { version } from "./version.js";

/** The commands in the order that help lists them. Each line adds one; its work is loaded when it runs. */
const commands: readonly ((program: Command, streams: Streams) => void)[] = [
  registerTrace,
  registerWhy,
  registerMatrix,
  registerTest,
  registerReplay,
  registerRun,
  registerDiff,
  registerDig,
  registerDns,
  registerShow,
  registerCheck,
  registerCollect,
  registerExport,
  registerExplain,
  registerFmt,
  registerTui,
];

/** What these print is no answer to look at: scripts, formatted files, DNS messages, and a screen with words of its own. */
const UNDRESSED = ["collect", "export", "fmt", "dns", "tui"];

/**
 * Runs one command line and gives the exit code: 0 and 1 are answers, 2 wrong input, 3 no certain answer, 70 our bug.
 * Nothing is thrown; messages are on `streams.err`.
 */
export async function main(args: readonly string[], given: Streams): Promise<number> {
  const streams = new Screen(given);
  const program = new Command("hopwise")
    .description("What happens to this packet, at every hop, and why.")
    .version(version(), "--version")
    .helpCommand("help [command]")
    .exitOverride()
    .configureOutput({ writeOut: streams.out, writeErr: () => undefined });
  for (const register of commands) register(program, streams);
  for (const command of program.commands) {
    command.exitOverride().configureOutput({ writeOut: streams.out, writeErr: () => undefined });
    if (!UNDRESSED.includes(command.name())) screenOptions(command);
  }
  program.hook("preAction", (_, command) => {
    streams.use(command.opts());
  });
  try {
    await program.parseAsync([...withCommand(args)], { from: "user" });
    return streams.exitCode;
  } catch (error) {
    return report(error, args, program, streams);
  }
}

/** Without a command, a terminal gets the screen, and everything else the main job on the demo world. */
function withCommand(args: readonly string[]): readonly string[] {
  const [first] = args;
  const options =
    first !== undefined && /^--(trace|replay|world|ascii|mouse|plain|color)\b|^-w/.test(first);
  if (options) return ["tui", ...args];
  if (first !== undefined) return args;
  if (!process.stdin.isTTY || !process.stdout.isTTY) return ["trace", ...DEMO, "-w", "demo:shop"];
  return worldIsNamed() ? ["tui"] : ["tui", "--trace", DEMO.join(" "), "-w", "demo:shop"];
}

/** The main job, on the demo world. */
const DEMO: readonly string[] = ["shop/web-0", "http://api.shop"];

function report(
  error: unknown,
  args: readonly string[],
  program: Command,
  streams: Streams,
): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    return report(usageError(error, args, program), args, program, streams);
  }
  if (error instanceof UserError || error instanceof UserErrors) {
    if (args.includes("--json") || args.includes("json"))
      streams.out(`${JSON.stringify(errorsJson(error), undefined, 2)}\n`);
    else streams.err(formatErrors(error));
    return 2;
  }
  streams.err(
    `hopwise: internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\nThis is a bug in hopwise, not in your input.\n`,
  );
  return 70;
}

/** A mistake on the command line in the form of every other error, with the nearest word. */
function usageError(error: CommanderError, args: readonly string[], program: Command): UserError {
  const message = error.message.replace(/^error: /, "").replace(/\n?\(Did you mean .*\)$/s, "");
  const choice = /argument '([^']*)' is invalid\. Allowed choices are (.*)\.$/.exec(message);
  const meant =
    choice === null ? undefined : nearest(choice[1] ?? "", choice[2]?.split(", ") ?? []);
  if (meant !== undefined)
    return new UserError("USAGE", message, { help: `did you mean "${meant}"?` });
  const unknown = /'([^']*)'/.exec(message)?.[1] ?? "";
  const command = program.commands.find((one) => one.name() === args[0]);
  const words = unknown.startsWith("-")
    ? (command ?? program).options.flatMap((option) => [option.long ?? "", option.short ?? ""])
    : program.commands.map((one) => one.name());
  const near =
    unknown === "" || error.code === "commander.missingArgument"
      ? undefined
      : nearest(unknown, words);
  const help =
    near !== undefined
      ? `did you mean "${near}"?`
      : command === undefined
        ? "hopwise help lists the commands"
        : `hopwise help ${command.name()} lists its words`;
  return new UserError("USAGE", message, { help });
}

/** The program `hopwise`: what bin/hopwise.js calls. */
export async function runProcess(): Promise<void> {
  const streams = processStreams();
  process.exitCode = await main(process.argv.slice(2), streams);
}
