import { ConntrackUsageError } from "./conntrack-failure.js";

export type ConntrackCommand =
  | "list"
  | "get"
  | "delete"
  | "create"
  | "add"
  | "update"
  | "event"
  | "flush"
  | "count"
  | "statistics"
  | "version";

export type ConntrackTableName = "conntrack" | "expect" | "dying" | "unconfirmed";

/** The commands by their words. */
export const COMMANDS: ReadonlyMap<string, ConntrackCommand> = new Map([
  ["-L", "list"],
  ["--dump", "list"],
  ["-G", "get"],
  ["--get", "get"],
  ["-D", "delete"],
  ["--delete", "delete"],
  ["-I", "create"],
  ["--create", "create"],
  ["-A", "add"],
  ["--add", "add"],
  ["-U", "update"],
  ["--update", "update"],
  ["-E", "event"],
  ["--event", "event"],
  ["-F", "flush"],
  ["--flush", "flush"],
  ["-C", "count"],
  ["--count", "count"],
  ["-S", "statistics"],
  ["--stats", "statistics"],
  ["-V", "version"],
  ["--version", "version"],
]);

/** Commands of the real tool that hopwise does not know. */
export const NOT_MODELLED: ReadonlySet<string> = new Set(["-R", "--load-file"]);

export function isTableName(word: string): word is ConntrackTableName {
  return TABLES.includes(word);
}

const TABLES: readonly string[] = ["conntrack", "expect", "dying", "unconfirmed"];

/** Options that a command does not take; those that are not here are taken by all that take any. */
const ILLEGAL: Readonly<Partial<Record<ConntrackCommand, readonly string[]>>> = {
  list: ["--timeout", "--event-mask", "--buffer-size", "--label-add", "--label-del"],
  delete: ["--event-mask", "--buffer-size", "--zero", "--label-add", "--label-del"],
  event: ["--timeout", "--zero", "--status", "--label-add", "--label-del"],
  get: ["--timeout", "--event-mask", "--buffer-size", "--zero", "--mask-src", "--mask-dst"],
  create: ["--event-mask", "--buffer-size", "--zero", "--mask-src", "--mask-dst"],
  add: ["--event-mask", "--buffer-size", "--zero", "--mask-src", "--mask-dst"],
  update: ["--event-mask", "--buffer-size", "--zero"],
};

/** Options of commands that take hardly any, and of those about expectations. */
const LEGAL: Readonly<Record<string, readonly string[]>> = {
  flush: ["--family"],
  count: [],
  statistics: [],
  version: [],
  "list expect": ["--family", "--output"],
  "event expect": ["--output", "--buffer-size"],
  "flush expect": ["--family"],
};

/** Options that a command needs, in the order in which they are missed. */
const NEEDED: Readonly<Partial<Record<ConntrackCommand, readonly string[]>>> = {
  get: ["--protonum"],
  create: ["--protonum", "--timeout"],
  add: ["--protonum", "--timeout"],
};

/** Throws ConntrackUsageError for options that do not go with the command, and for those that are missing. Mirrors generic_opt_check(). */
export function checkOptions(
  command: ConntrackCommand,
  table: ConntrackTableName,
  given: readonly string[],
): void {
  const legal = LEGAL[table === "expect" ? `${command} expect` : command] ?? LEGAL[command];
  const illegal = ILLEGAL[command] ?? [];
  for (const needed of NEEDED[command] ?? [])
    if (!given.includes(needed))
      throw new ConntrackUsageError(`You need to supply the \`${needed}' option for this command`);
  for (const name of given)
    if (legal === undefined ? illegal.includes(name) : !legal.includes(name))
      throw new ConntrackUsageError(`Illegal option \`${name}' with this command`);
}
