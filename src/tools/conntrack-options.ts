import { IPS_DST_NAT, IPS_SEEN_REPLY, IPS_SRC_NAT, type Tuple } from "../core/conntrack.js";
import type { Connection } from "../netfilter/conntrack/connection.js";
import { TCP_STATES } from "../netfilter/conntrack/tcp-states.js";
import { type IpAddress, ipPrefixContains, ipv4, parseIpv4 } from "../wire/ip.js";
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
  type OutputWord,
  readMark,
  readNatAddress,
  readOutput,
  readPrefix,
  readShort,
  readStatus,
} from "./conntrack-values.js";

export type Filter = (entry: Connection) => boolean;

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

type Family = "ipv4" | "ipv6";

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
  readonly output: Set<OutputWord>;
  readonly given: Map<string, string>;
  protocol: number | undefined;
  family: Family | undefined;
  warnings: string;
}

interface Option {
  /** How the tool's messages call it. */
  readonly name: string;
  /** `optional`: only an attached value or a following word without a dash. */
  readonly value: "required" | "optional" | "none";
  /** Known only after `-p` gave one of these. */
  readonly protocols?: readonly number[] | undefined;
  read?(value: string, reading: Reading): void;
}

const PORTS: readonly number[] = [6, 17, 33, 132, 136];

const OPTIONS: ReadonlyMap<string, Option> = new Map(
  (
    [
      [["-s", "--src", "--orig-src"], address("--src", (entry) => entry.original.source)],
      [["-d", "--dst", "--orig-dst"], address("--dst", (entry) => entry.original.destination)],
      [["-r", "--reply-src"], address("--reply-src", (entry) => entry.reply.source)],
      [["-q", "--reply-dst"], address("--reply-dst", (entry) => entry.reply.destination)],
      [["-n", "--src-nat"], nat("--src-nat", IPS_SRC_NAT)],
      [["-g", "--dst-nat"], nat("--dst-nat", IPS_DST_NAT)],
      [["-j", "--any-nat"], nat("--any-nat", IPS_SRC_NAT | IPS_DST_NAT)],
      [["-p", "--protonum"], { name: "--protonum", value: "required", read: readProtocol }],
      [["-f", "--family"], { name: "--family", value: "required", read: readFamily }],
      [["-m", "--mark"], { name: "--mark", value: "required" }],
      [["-u", "--status"], { name: "--status", value: "required" }],
      [["-t", "--timeout"], { name: "--timeout", value: "required" }],
      [["-e", "--event-mask"], { name: "--event-mask", value: "required" }],
      [["-b", "--buffer-size"], { name: "--buffer-size", value: "required" }],
      [["-z", "--zero"], { name: "--zero", value: "none" }],
      [["-l", "--label"], { name: "--label", value: "required" }],
      [["--label-add"], { name: "--label-add", value: "required" }],
      [["--label-del"], { name: "--label-del", value: "optional" }],
      [["--mask-src"], { name: "--mask-src", value: "required" }],
      [["--mask-dst"], { name: "--mask-dst", value: "required" }],
      [["-o", "--output"], { name: "--output", value: "required", read: noteOutput }],
      [["-w", "--zone"], zone("--zone", 3)],
      [["--orig-zone"], zone("--orig-zone", 1)],
      [["--reply-zone"], zone("--reply-zone", 2)],
      [
        ["--sport", "--orig-port-src"],
        number("--sport", PORTS, (entry) => entry.original.sourcePort),
      ],
      [
        ["--dport", "--orig-port-dst"],
        number("--dport", PORTS, (entry) => entry.original.destinationPort),
      ],
      [["--reply-port-src"], number("--reply-port-src", PORTS, (entry) => entry.reply.sourcePort)],
      [
        ["--reply-port-dst"],
        number("--reply-port-dst", PORTS, (entry) => entry.reply.destinationPort),
      ],
      [["--icmp-type"], number("--icmp-type", [1], (entry) => entry.original.icmpType)],
      [["--icmp-code"], number("--icmp-code", [1], (entry) => entry.original.icmpCode)],
      [["--icmp-id"], number("--icmp-id", [1], (entry) => entry.original.sourcePort)],
      [["--icmpv6-type"], number("--icmpv6-type", [58], (entry) => entry.original.icmpType)],
      [["--icmpv6-code"], number("--icmpv6-code", [58], (entry) => entry.original.icmpCode)],
      [["--icmpv6-id"], number("--icmpv6-id", [58], (entry) => entry.original.sourcePort)],
      [["--state"], { name: "--state", value: "required", protocols: [6] }],
    ] as const satisfies readonly (readonly [readonly string[], Option])[]
  ).flatMap(([names, option]) => names.map((name): [string, Option] => [name, option])),
);

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

function address(name: string, of: (entry: Connection) => Tuple["source"]): Option {
  return {
    name,
    value: "required",
    read(value, reading) {
      const prefix = readPrefix(value);
      setFamily(typeof prefix.address === "number" ? "ipv4" : "ipv6", reading);
      // With --mask-src and --mask-dst the address is looked at later.
      reading.filters.push(
        (entry) =>
          reading.given.has(`--mask-${name.slice(2)}`) || ipPrefixContains(prefix, of(entry)),
      );
    },
  };
}

/** `--mask-src 255.255.255.0`: the address counts as far as the mask goes. */
function addMask(side: "src" | "dst", given: ReadonlyMap<string, string>, filters: Filter[]): void {
  const text = given.get(`--mask-${side}`);
  if (text === undefined) return;
  const wanted = given.get(`--${side}`);
  if (wanted === undefined) fail(`Can't use --mask-${side} without --${side}`);
  const mask = parseIpv4(text) ?? fail(`Invalid netmask \`${text}'`);
  const { address: host } = readPrefix(wanted);
  filters.push(({ original }) => {
    const own = side === "src" ? original.source : original.destination;
    return typeof own === "number" && typeof host === "number" && sameUnder(own, host, mask);
  });
}

function sameUnder(a: number, b: number, mask: number): boolean {
  return ipv4((a & mask) >>> 0) === ipv4((b & mask) >>> 0);
}

function setFamily(family: Family, reading: Reading): void {
  if (reading.family !== undefined && reading.family !== family) fail("mismatched address family");
  reading.family = family;
}

function nat(name: string, bits: number): Option {
  return {
    name,
    value: "optional",
    read(value, reading) {
      const { filters } = reading;
      filters.push((entry) => (entry.status & bits) !== 0);
      if (value === "") return;
      const isMapped = natFilter(name, value, reading);
      const bySource: Filter = ({ reply }) => isMapped(reply.destination, reply.destinationPort);
      const byDestination: Filter = ({ reply }) => isMapped(reply.source, reply.sourcePort);
      if (name === "--src-nat") filters.push(bySource);
      else if (name === "--dst-nat") filters.push(byDestination);
      else filters.push((entry) => bySource(entry) || byDestination(entry));
    },
  };
}

/** `A` or `A:PORT`. */
function natFilter(
  name: string,
  value: string,
  reading: Reading,
): (address: IpAddress, port: number) => boolean {
  if (value.includes("/")) fail(`CIDR notation unavailable for \`${name}'`);
  const wanted = readNatAddress(value);
  setFamily(typeof wanted.address === "number" ? "ipv4" : "ipv6", reading);
  return (mapped, port) =>
    mapped === wanted.address && (wanted.port === undefined || wanted.port === port);
}

function zone(name: string, directions: number): Option {
  return {
    name,
    value: "required",
    read(value, { filters }) {
      const id = readShort(value);
      filters.push(({ zones }) => (zones.directions === directions ? zones.id : 0) === id);
    },
  };
}

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
      const wanted = readShort(value);
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

function noteOutput(value: string, { output }: Reading): void {
  for (const word of readOutput(value)) output.add(word);
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
