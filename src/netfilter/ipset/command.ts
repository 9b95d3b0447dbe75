import { nearest } from "../../base/nearest.js";
import type { CreateRequest } from "./create.js";
import { refused, syntaxError, usageError } from "./failure.js";
import type { OutputMode } from "./format.js";
import { readSetName } from "./parse-element.js";
import { readCreate } from "./parse-options.js";
import type { Operation } from "./store.js";
import { setTypeNamed, setTypeNames } from "./types.js";

/** Options that may stand anywhere on a line. In a restore they hold for the lines after it too, as in ipset. */
export interface SessionOptions {
  exist: boolean;
  quiet: boolean;
  sorted: boolean;
  names: boolean;
  terse: boolean;
  resolve: boolean;
  mode: OutputMode | undefined;
  /** `-f`: read from or write to this file. */
  file: string | undefined;
}

export function newSessionOptions(): SessionOptions {
  return {
    exist: false,
    quiet: false,
    sorted: false,
    names: false,
    terse: false,
    resolve: false,
    mode: undefined,
    file: undefined,
  };
}

/** One command, as far as it can be read without knowing its set. */
export type SetCommand =
  | { readonly kind: "create"; readonly request: CreateRequest }
  | {
      readonly kind: "element";
      readonly operation: Operation;
      readonly set: string;
      readonly element: string;
      readonly words: readonly string[];
    }
  | { readonly kind: "destroy" | "flush" | "list" | "save"; readonly set: string | undefined }
  | { readonly kind: "rename" | "swap"; readonly from: string; readonly to: string }
  | { readonly kind: "restore" | "version" | "quit" }
  | { readonly kind: "help"; readonly type: string | undefined };

/** Names of commands; a beginning of a word does, the first in this order is meant. */
const COMMANDS = [
  ["create", ["create", "new"], "-N"],
  ["add", ["add"], "-A"],
  ["del", ["del"], "-D"],
  ["test", ["test"], "-T"],
  ["destroy", ["destroy", "x"], "-X"],
  ["list", ["list"], "-L"],
  ["save", ["save"], "-S"],
  ["restore", ["restore"], "-R"],
  ["flush", ["flush"], "-F"],
  ["rename", ["rename", "e"], "-E"],
  ["swap", ["swap", "w"], "-W"],
  ["help", ["help"], "-H"],
  ["version", ["version"], "-V"],
  ["quit", ["quit"], "-Q"],
] as const;

type CommandName = (typeof COMMANDS)[number][0];

const MODES: readonly OutputMode[] = ["plain", "save", "xml"];

/** Takes the options off a line and tells its command. Mirrors lib/ipset.c:ipset_parse_argv(). */
export function readCommand(
  words: readonly string[],
  options: SessionOptions,
  context: { readonly restoring: boolean; readonly lenient: boolean },
): SetCommand {
  const rest = takeOptions(words, options);
  const [word, ...args] = rest;
  if (word === undefined) throw usageError("No command specified.");
  const command = commandNamed(word);
  if (command === undefined) {
    const near = nearest(
      word,
      COMMANDS.flatMap(([, names]) => names),
    );
    throw usageError(
      `No command specified: unknown argument ${word}`,
      word,
      near && `did you mean "${near}"?`,
    );
  }
  if (context.restoring && ["restore", "help", "version"].includes(command))
    throw usageError(`Command \`${command}' is invalid in restore mode.`, word);
  return readArguments(command, args, context.lenient);
}

function takeOptions(words: readonly string[], options: SessionOptions): readonly string[] {
  const rest: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const flag = FLAGS.get(word);
    const valued = word === "-o" || word === "-output" || word === "-f" || word === "-file";
    if (flag !== undefined) options[flag] = true;
    else if (!valued) rest.push(word);
    else {
      const value = words[++index];
      if (value === undefined)
        throw usageError(`Missing mandatory argument to option ${word.slice(0, 2)}`, word);
      if (word.startsWith("-f")) options.file = value;
      else options.mode = readMode(value);
    }
  }
  return rest;
}

const FLAGS: ReadonlyMap<string, "exist" | "quiet" | "sorted" | "names" | "terse" | "resolve"> =
  new Map([
    ["-!", "exist"],
    ["-exist", "exist"],
    ["-q", "quiet"],
    ["-quiet", "quiet"],
    ["-s", "sorted"],
    ["-sorted", "sorted"],
    ["-n", "names"],
    ["-name", "names"],
    ["-t", "terse"],
    ["-terse", "terse"],
    ["-r", "resolve"],
    ["-resolve", "resolve"],
  ]);

function readMode(text: string): OutputMode {
  const mode = MODES.find((known) => known === text);
  if (mode === undefined) throw syntaxError(`unknown output mode '${text}'`, text);
  return mode;
}

function commandNamed(word: string): CommandName | undefined {
  if (word === "-?") return "help";
  if (word === "-v") return "version";
  if (/^-[A-Z]$/.test(word)) return COMMANDS.find(([, , letter]) => letter === word)?.[0];
  const name = word.startsWith("--") ? word.slice(2) : word;
  if (name === "") return undefined;
  return COMMANDS.find(([, names]) => names.some((known) => known.startsWith(name)))?.[0];
}

function readArguments(
  command: CommandName,
  args: readonly string[],
  lenient: boolean,
): SetCommand {
  const first = (): string => {
    const [word] = args;
    if (word === undefined) throw usageError(`Missing mandatory argument to command ${command}`);
    return word;
  };
  const second = (): string => {
    const word = args[1];
    if (word === undefined)
      throw usageError(`Missing second mandatory argument to command ${command}`);
    return word;
  };
  const atMost = (count: number): void => {
    const extra = args[count];
    if (extra !== undefined) throw usageError(`Unknown argument ${extra}`, extra);
  };
  switch (command) {
    case "create":
      return readCreateCommand(readSetName(first()), second(), args.slice(2), lenient);
    case "add":
    case "del":
    case "test":
      return {
        kind: "element",
        operation: command,
        set: readSetName(first()),
        element: second(),
        words: args.slice(2),
      };
    case "destroy":
    case "flush":
    case "list":
    case "save": {
      const set = args[0] === undefined ? undefined : readSetName(args[0]);
      atMost(1);
      return { kind: command, set };
    }
    case "rename":
    case "swap": {
      const from = readSetName(first());
      const to = readSetName(second());
      atMost(2);
      return { kind: command, from, to };
    }
    case "help":
      atMost(1);
      return { kind: command, type: args[0] };
    case "restore":
    case "version":
    case "quit":
      atMost(0);
      return { kind: command };
  }
}

function readCreateCommand(
  name: string,
  typeName: string,
  words: readonly string[],
  lenient: boolean,
): SetCommand {
  const type = setTypeNamed(typeName);
  if (type === undefined) {
    const near = nearest(typeName, setTypeNames());
    const refusal = syntaxError(`typename '${typeName}' is unknown`, typeName);
    throw near === undefined ? refusal : refusal.withHelp(`did you mean "${near}"?`);
  }
  if (type.missing && !lenient) throw refused("UNSUPPORTED");
  return { kind: "create", request: readCreate(name, type, words) };
}
