import { IPS_SEEN_REPLY } from "../core/conntrack.js";
import { TCP_STATES } from "../netfilter/conntrack/tcp-states.js";
import {
  checkOptions,
  COMMANDS,
  type ConntrackCommand,
  type ConntrackTableName,
  isTableName,
  NOT_MODELLED,
} from "./conntrack-commands.js";
import { ConntrackFailure, fail } from "./conntrack-failure.js";
import {
  addMask,
  type Family,
  type Filter,
  type Option,
  OPTIONS,
  type Reading,
} from "./conntrack-option-table.js";
import { type OutputWord, readMark, readStatus } from "./conntrack-values.js";

/** What a command line asks for. */
export interface ConntrackRequest {
  readonly command: ConntrackCommand;
  readonly table: ConntrackTableName;
  readonly filter: Filter;
  readonly output: ReadonlySet<OutputWord>;
  /** What was given, by the options' long names. */
  readonly given: ReadonlyMap<string, string>;
  readonly protocol: number | undefined;
  /** Told by `-f`, or by the first address. */
  readonly family: Family | undefined;
  /** What the tool writes on standard error before anything else. */
  readonly warnings: string;
}

/** Reads the words after `conntrack`. Throws ConntrackUsageError and ConntrackFailure. */
export function readConntrackArguments(args: readonly string[]): ConntrackRequest {
  const reading: Reading = {
    filters: [],
    output: new Set(),
    given: new Map(),
    protocol: undefined,
    family: undefined,
    warnings: "",
  };
  let command: ConntrackCommand | undefined;
  let table: ConntrackTableName = "conntrack";
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? "";
    const next = args[at + 1];
    const asked = COMMANDS.get(word);
    if (asked !== undefined) {
      if (command !== undefined) fail("Invalid commands combination");
      command = asked;
      if (next === undefined || next.startsWith("-")) continue;
      if (!isTableName(next)) fail(`unknown type \`${next}'`);
      table = next;
      at++;
      continue;
    }
    if (NOT_MODELLED.has(word)) fail(`\`${word}' is not modelled by hopwise`);
    const { option, name, attached } = findOption(word, reading.protocol);
    const takesNext =
      option.value !== "none" &&
      attached === undefined &&
      next !== undefined &&
      (option.value === "required" || !next.startsWith("-"));
    if (takesNext) at++;
    const value = attached ?? (takesNext ? next : undefined);
    if (value === undefined && option.value === "required")
      fail(`option \`${name}' requires an argument`);
    reading.given.set(option.name, value ?? "");
    option.read?.(value ?? "", reading);
  }
  if (command === undefined) fail("You need to supply a command");
  return settle(command, table, reading);
}

/** What depends on the command: whether options go with it, and which of them choose entries. */
function settle(
  command: ConntrackCommand,
  table: ConntrackTableName,
  reading: Reading,
): ConntrackRequest {
  const { filters, output, given, protocol, family } = reading;
  const masked = ["--src", "--dst"].filter((name) => given.get(name)?.includes("/") === true);
  const names = [...given.keys(), ...masked.map((name) => `--mask-${name.slice(2)}`)];
  checkOptions(command, table, names);
  for (const side of ["src", "dst"] as const) addMask(side, given, filters);
  if (output.has("save") && output.size > 1)
    throw new ConntrackFailure(
      "cannot combine save output with any other output type, use -o save only",
    );
  if (command === "delete" && given.has("--timeout"))
    fail("`--timeout' with this command is not modelled by hopwise");
  if (command === "list" || command === "delete" || command === "event") addChoices(reading);
  return {
    command,
    table,
    output,
    given,
    protocol,
    family,
    warnings: reading.warnings,
    filter: (entry) => filters.every((filter) => filter(entry)),
  };
}

/** An option by its word: `-s`, `-s10.0.0.1`, `--src`, `--src=10.0.0.1`. */
function findOption(
  word: string,
  protocol: number | undefined,
): { option: Option; name: string; attached: string | undefined } {
  const equals = word.indexOf("=");
  const isLong = word.startsWith("--");
  const name = isLong ? (equals < 0 ? word : word.slice(0, equals)) : word.slice(0, 2);
  const option = OPTIONS.get(name);
  const isKnown =
    option?.protocols === undefined ||
    (protocol !== undefined && option.protocols.includes(protocol));
  if (option === undefined || !isKnown) fail(`unknown option \`${word}'`);
  const attached = isLong ? (equals < 0 ? undefined : word.slice(equals + 1)) : word.slice(2);
  return { option, name, attached: attached === "" ? undefined : attached };
}

/** Options that choose entries for some commands, and say how they shall be for others. */
function addChoices(reading: Reading): void {
  const { given, filters } = reading;
  const mark = given.get("--mark");
  if (mark !== undefined) {
    const { value, mask } = readMark(mark);
    filters.push((entry) => (entry.mark & mask) >>> 0 === value);
  }
  const state = given.get("--state");
  if (state !== undefined) {
    const wanted = readState(state);
    filters.push((entry) => entry.state === wanted);
  }
  const status = given.get("--status");
  if (status === undefined) return;
  const { bits, unreplied, warnings } = readStatus(status);
  if (bits === 0 && !unreplied)
    throw new ConntrackFailure("Operation failed: invalid parameters", warnings);
  reading.warnings += warnings;
  filters.push(
    (entry) =>
      (entry.status & bits) === bits && (!unreplied || (entry.status & IPS_SEEN_REPLY) === 0),
  );
}

/** The name of a TCP state. */
export function readState(value: string): string {
  const state = value.toUpperCase();
  return TCP_STATES.find((name) => name === state) ?? fail(`unknown TCP state \`${value}'`);
}
