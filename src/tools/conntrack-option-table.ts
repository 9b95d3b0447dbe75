import { IPS_DST_NAT, IPS_SRC_NAT, type Tuple } from "../core/conntrack.js";
import type { Connection } from "../netfilter/conntrack/connection.js";
import { type IpAddress, ipPrefixContains, ipv4, parseIpv4 } from "../wire/ip.js";
import { fail } from "./conntrack-failure.js";
import {
  type OutputWord,
  readNatAddress,
  readOutput,
  readPrefix,
  readShort,
} from "./conntrack-values.js";

export type Filter = (entry: Connection) => boolean;

export type Family = "ipv4" | "ipv6";

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
export interface Reading {
  readonly filters: Filter[];
  readonly output: Set<OutputWord>;
  readonly given: Map<string, string>;
  protocol: number | undefined;
  family: Family | undefined;
  warnings: string;
}

export interface Option {
  /** How the tool's messages call it. */
  readonly name: string;
  /** `optional`: only an attached value or a following word without a dash. */
  readonly value: "required" | "optional" | "none";
  /** Known only after `-p` gave one of these. */
  readonly protocols?: readonly number[] | undefined;
  read?(value: string, reading: Reading): void;
}

const PORTS: readonly number[] = [6, 17, 33, 132, 136];

/** The options by each of their names. */
export const OPTIONS: ReadonlyMap<string, Option> = new Map(
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
export function addMask(
  side: "src" | "dst",
  given: ReadonlyMap<string, string>,
  filters: Filter[],
): void {
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
