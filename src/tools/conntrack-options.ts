import {
  IPS_ASSURED,
  IPS_SEEN_REPLY,
  IPS_CONFIRMED,
  IPS_DST_NAT,
  IPS_SRC_NAT,
  type Tuple,
} from "../core/conntrack.js";
import type { Connection } from "../netfilter/conntrack/connection.js";
import { TCP_STATES } from "../netfilter/conntrack/tcp-states.js";
import type { EntryFormat } from "../netfilter/conntrack/text.js";
import {
  type IpAddress,
  type IpPrefix,
  ipPrefixContains,
  parseIpv4,
  parseIpv4Prefix,
  parseIpv6,
  parseIpv6Prefix,
} from "../wire/ip.js";

/** A command line that `conntrack` refuses, in its words. */
export class ConntrackUsageError extends Error {
  override readonly name = "ConntrackUsageError";
}

export type Filter = (entry: Connection) => boolean;
export type ConntrackCommand = "list" | "delete" | "flush" | "count" | "statistics" | "version";

/** What a command line asks for. */
export interface ConntrackRequest {
  readonly command: ConntrackCommand;
  readonly table: string;
  readonly filter: Filter;
  readonly format: EntryFormat;
}

const COMMANDS: ReadonlyMap<string, ConntrackCommand> = new Map([
  ["-L", "list"],
  ["--dump", "list"],
  ["-D", "delete"],
  ["--delete", "delete"],
  ["-F", "flush"],
  ["--flush", "flush"],
  ["-C", "count"],
  ["--count", "count"],
  ["-S", "statistics"],
  ["--stats", "statistics"],
  ["-V", "version"],
  ["--version", "version"],
]);

/** Commands of the real tool that change or follow the table in ways that are not modelled. */
const NOT_MODELLED: ReadonlySet<string> = new Set([
  "-I",
  "--create",
  "-U",
  "--update",
  "-G",
  "--get",
  "-E",
  "--event",
  "-A",
  "-R",
  "--load-file",
]);
const TABLES: ReadonlySet<string> = new Set(["conntrack", "expect", "dying", "unconfirmed"]);

const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ["icmp", 1],
  ["tcp", 6],
  ["udp", 17],
  ["dccp", 33],
  ["gre", 47],
  ["esp", 50],
  ["ah", 51],
  ["icmpv6", 58],
  ["sctp", 132],
  ["udplite", 136],
]);

/** What reading an option may change. */
interface Reading {
  readonly filters: Filter[];
  readonly format: { extended?: boolean; id?: boolean };
  protocol: number | undefined;
  /** Told by `-f`, or by the first address. */
  family: Family | undefined;
}

type Family = "ipv4" | "ipv6";

interface Option {
  /** How the tool's messages call it. */
  readonly name: string;
  /** `optional`: only an attached value or a following word without a dash. */
  readonly value: "required" | "optional";
  /** Known only after `-p` gave one of these. */
  readonly protocols?: readonly number[] | undefined;
  read(value: string, reading: Reading): void;
}

const OPTIONS: ReadonlyMap<string, Option> = new Map(
  (
    [
      [["-s", "--src", "--orig-src"], address("--orig-src", (entry) => entry.original.source)],
      [["-d", "--dst", "--orig-dst"], address("--orig-dst", (entry) => entry.original.destination)],
      [["-r", "--reply-src"], address("--reply-src", (entry) => entry.reply.source)],
      [["-q", "--reply-dst"], address("--reply-dst", (entry) => entry.reply.destination)],
      [["-n", "--src-nat"], nat("--src-nat", IPS_SRC_NAT, (entry) => entry.reply.destination)],
      [["-g", "--dst-nat"], nat("--dst-nat", IPS_DST_NAT, (entry) => entry.reply.source)],
      [["-j", "--any-nat"], nat("--any-nat", IPS_SRC_NAT | IPS_DST_NAT, () => undefined)],
      [["-p", "--protonum"], { name: "--protonum", value: "required", read: readProtocol }],
      [["-f", "--family"], { name: "--family", value: "required", read: readFamily }],
      [["-m", "--mark"], { name: "--mark", value: "required", read: readMark }],
      [["-u", "--status"], { name: "--status", value: "required", read: readStatus }],
      [["-o", "--output"], { name: "--output", value: "required", read: readOutput }],
      [["-w", "--zone"], zone("--zone", 3)],
      [["--orig-zone"], zone("--orig-zone", 1)],
      [["--reply-zone"], zone("--reply-zone", 2)],
      [
        ["--sport", "--orig-port-src"],
        port("--orig-port-src", (entry) => entry.original, "sourcePort"),
      ],
      [
        ["--dport", "--orig-port-dst"],
        port("--orig-port-dst", (entry) => entry.original, "destinationPort"),
      ],
      [["--reply-port-src"], port("--reply-port-src", (entry) => entry.reply, "sourcePort")],
      [["--reply-port-dst"], port("--reply-port-dst", (entry) => entry.reply, "destinationPort")],
      [["--icmp-type"], number("--icmp-type", [1], (entry) => entry.original.icmpType)],
      [["--icmp-code"], number("--icmp-code", [1], (entry) => entry.original.icmpCode)],
      [["--icmp-id"], number("--icmp-id", [1], (entry) => entry.original.sourcePort)],
      [["--icmpv6-type"], number("--icmpv6-type", [58], (entry) => entry.original.icmpType)],
      [["--icmpv6-code"], number("--icmpv6-code", [58], (entry) => entry.original.icmpCode)],
      [["--icmpv6-id"], number("--icmpv6-id", [58], (entry) => entry.original.sourcePort)],
      [["--state"], { name: "--state", value: "required", protocols: [6], read: readState }],
    ] as const satisfies readonly (readonly [readonly string[], Option])[]
  ).flatMap(([names, option]) => names.map((name): [string, Option] => [name, option])),
);

/** Reads the words after `conntrack`. Throws ConntrackUsageError. */
export function readConntrackArguments(args: readonly string[]): ConntrackRequest {
  const reading: Reading = { filters: [], format: {}, protocol: undefined, family: undefined };
  let command: ConntrackCommand | undefined;
  let table = "conntrack";
  let firstOption: string | undefined;
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? "";
    const asked = COMMANDS.get(word);
    if (asked !== undefined) {
      if (command !== undefined) fail("Invalid commands combination");
      command = asked;
      const next = args[at + 1];
      if (next === undefined || next.startsWith("-")) continue;
      if (!TABLES.has(next)) fail(`unknown type \`${next}'`);
      table = next;
      at++;
      continue;
    }
    if (NOT_MODELLED.has(word)) fail(`\`${word}' is not modelled by hopwise`);
    const { option, name, attached } = findOption(word, reading.protocol);
    // Flushing takes a family as well, and does not look at it.
    if (option.name !== "--family" || command !== "flush") firstOption ??= option.name;
    const next = args[at + 1];
    const takesNext =
      attached === undefined &&
      next !== undefined &&
      (option.value === "required" || !next.startsWith("-"));
    if (takesNext) at++;
    const value = attached ?? (takesNext ? next : undefined);
    if (value === undefined && option.value === "required")
      fail(`option \`${name}' requires an argument`);
    option.read(value ?? "", reading);
  }
  if (command === undefined) fail("You need to supply a command");
  if (firstOption !== undefined && command !== "list" && command !== "delete") {
    fail(`Illegal option \`${firstOption}' with this command`);
  }
  const { filters, format } = reading;
  return { command, table, format, filter: (entry) => filters.every((filter) => filter(entry)) };
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

function fail(message: string): never {
  throw new ConntrackUsageError(message);
}

function address(name: string, of: (entry: Connection) => Tuple["source"]): Option {
  return {
    name,
    value: "required",
    read(value, reading) {
      const prefix = readPrefix(value, reading);
      reading.filters.push((entry) => isWithin(of(entry), prefix));
    },
  };
}

function isWithin(address: IpAddress | undefined, prefix: IpPrefix): boolean {
  return address !== undefined && ipPrefixContains(prefix, address);
}

function readPrefix(value: string, reading: Reading): IpPrefix {
  const [host = "", length] = value.split("/", 2);
  const isIpv4 = parseIpv4(host) !== undefined;
  if (!isIpv4 && parseIpv6(host) === undefined) fail(`Invalid IP address \`${host}'`);
  setFamily(isIpv4 ? "ipv4" : "ipv6", reading);
  const text = length === undefined ? host : `${host}/${length}`;
  return (isIpv4 ? parseIpv4Prefix(text) : parseIpv6Prefix(text)) ?? fail("Invalid netmask");
}

function setFamily(family: Family, reading: Reading): void {
  if (reading.family !== undefined && reading.family !== family) fail("mismatched address family");
  reading.family = family;
}

function nat(
  name: string,
  bits: number,
  mapped: (entry: Connection) => Tuple["source"] | undefined,
): Option {
  return {
    name,
    value: "optional",
    read(value, reading) {
      const { filters } = reading;
      filters.push((entry) => (entry.status & bits) !== 0);
      if (value === "") return;
      const prefix = readPrefix(value, reading);
      if (value.includes("/")) fail(`CIDR notation unavailable for \`${name}'`);
      const matches = (entry: Connection): boolean => isWithin(mapped(entry), prefix);
      const either = (entry: Connection): boolean =>
        isWithin(entry.reply.destination, prefix) || isWithin(entry.reply.source, prefix);
      filters.push(name === "--any-nat" ? either : matches);
    },
  };
}

function zone(name: string, directions: number): Option {
  return {
    name,
    value: "required",
    read(value, { filters }) {
      const id = Number.parseInt(value, 10) & 0xffff;
      filters.push(
        ({ zones }) =>
          (zones.id === id && zones.directions === directions) || (id === 0 && zones.id === 0),
      );
    },
  };
}

function port(
  name: string,
  of: (entry: Connection) => Tuple,
  field: "sourcePort" | "destinationPort",
): Option {
  return number(name, [6, 17, 33, 132, 136], (entry) => of(entry)[field]);
}

/** Numbers are read as the tool reads them: digits as far as they go, in 16 bits. */
function number(
  name: string,
  protocols: readonly number[],
  of: (entry: Connection) => number,
): Option {
  return {
    name,
    value: "required",
    protocols,
    read(value, { filters }) {
      const wanted = (Number.parseInt(value, 10) || 0) & 0xffff;
      filters.push((entry) => of(entry) === wanted);
    },
  };
}

function readProtocol(value: string, reading: Reading): void {
  const byNumber = /^\d+$/.test(value) ? Number(value) : undefined;
  const protocol = byNumber ?? PROTOCOLS.get(value.toLowerCase());
  if (protocol === undefined || protocol > 255) fail(`\`${value}' unsupported protocol`);
  reading.protocol = protocol;
  reading.filters.push((entry) => entry.original.protocol === protocol);
}

function readFamily(value: string, reading: Reading): void {
  if (value !== "ipv4" && value !== "ipv6") fail(`\`${value}' unsupported protocol`);
  setFamily(value, reading);
  const type = value === "ipv4" ? "number" : "bigint";
  reading.filters.push((entry) => typeof entry.original.source === type);
}

function readMark(value: string, { filters }: Reading): void {
  const [mark = "", mask] = value.split("/", 2);
  const bits = mask === undefined ? 0xffff_ffff : readNumber(mask);
  const wanted = readNumber(mark);
  filters.push((entry) => (entry.mark & bits) >>> 0 === wanted);
}

/** As strtoul() with base 0, 0 for what is no number. */
function readNumber(text: string): number {
  const value = Number.parseInt(text, /^0x/i.test(text) ? 16 : 10);
  return Number.isNaN(value) ? 0 : value;
}

const STATUS: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ["ASSURED", hasStatus(IPS_ASSURED)],
  ["SEEN_REPLY", hasStatus(IPS_SEEN_REPLY)],
  ["UNREPLIED", (entry) => (entry.status & IPS_SEEN_REPLY) === 0],
  ["UNSET", () => true],
  ["CONFIRMED", hasStatus(IPS_CONFIRMED)],
  ["SRC_NAT", hasStatus(IPS_SRC_NAT)],
  ["DST_NAT", hasStatus(IPS_DST_NAT)],
]);

function hasStatus(bit: number): Filter {
  return (entry) => (entry.status & bit) !== 0;
}

function readStatus(value: string, { filters }: Reading): void {
  for (const word of value.split(","))
    filters.push(STATUS.get(word.toUpperCase()) ?? fail(`Bad parameter \`${word}'`));
}

function readOutput(value: string, { format }: Reading): void {
  for (const word of value.split(",")) {
    if (word === "extended") format.extended = true;
    else if (word === "id") format.id = true;
    else if (word === "xml" || word === "save" || word === "labels" || word === "userspace")
      fail(`\`-o ${word}' is not modelled by hopwise`);
    else if (word !== "timestamp" && word !== "ktimestamp") fail(`Bad parameter \`${word}'`);
  }
}

function readState(value: string, { filters }: Reading): void {
  const state = value.toUpperCase();
  if (!TCP_STATES.some((name) => name === state)) fail(`unknown TCP state \`${value}'`);
  filters.push((entry) => entry.state === state);
}
