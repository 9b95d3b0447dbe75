import { UserError } from "../../base/errors.js";
import {
  IPS_ASSURED,
  IPS_DST_NAT,
  IPS_DST_NAT_DONE,
  IPS_SEEN_REPLY,
  IPS_SRC_NAT,
  IPS_SRC_NAT_DONE,
  type Tuple,
} from "../../core/conntrack.js";
import { seconds } from "../../sim/time.js";
import { type IpAddress, parseIpv4, parseIpv6 } from "../../wire/ip.js";
import { findHelper } from "./helpers/index.js";
import { DEFAULT_ZONE, type Zone } from "./connection.js";
import type { ConntrackTable } from "./table.js";
import { SctpTrack } from "./sctp.js";
import { SCTP_STATES, type SctpState } from "./sctp-states.js";
import { TCP_STATES } from "./tcp-states.js";
import { pickedUpIn } from "./tcp-track.js";
import { IPPROTO_GRE } from "../../wire/gre.js";
import { IPPROTO_SCTP } from "../../wire/ports.js";
import { isIcmpProtocol } from "./tuple.js";

/** A line of `conntrack -L` or `/proc/net/nf_conntrack` as values. */
export interface ListedConnection {
  readonly original: Tuple;
  readonly reply: Tuple;
  /** Seconds that are left. */
  readonly timeout: number;
  /** The number of the TCP state; undefined for other protocols. */
  readonly tcpState: number | undefined;
  readonly sctpState: SctpState | undefined;
  readonly isReplied: boolean;
  readonly isAssured: boolean;
  readonly mark: number;
  readonly zone: Zone;
  readonly counters: readonly [Counter, Counter] | undefined;
  /** The name of its helper. */
  readonly helper: string | undefined;
}

interface Counter {
  readonly packets: number;
  readonly bytes: number;
}

/** More lines than this in one dump are refused. */
export const MAX_LISTED = 2_000_000;
const MAX_LINE = 2_000;

/** Reads a dump; empty lines and the tool's own last line are skipped. Throws UserError with the place of the first mistake. */
export function parseConntrackList(text: string, file: string): readonly ListedConnection[] {
  const listed: ListedConnection[] = [];
  text.split("\n").forEach((line, index) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("conntrack v")) return;
    const refuse = (message: string): never => {
      const place = { file, line: index + 1, column: line.length - line.trimStart().length + 1 };
      throw new UserError("CONNTRACK_LINE", message, {
        place,
        sourceLine: line.slice(0, MAX_LINE),
        length: Math.min(trimmed.length, MAX_LINE),
      });
    };
    if (line.length > MAX_LINE) refuse(`a conntrack entry of more than ${MAX_LINE} characters`);
    if (listed.length >= MAX_LISTED) refuse(`more than ${MAX_LISTED} conntrack entries`);
    listed.push(parseLine(trimmed, refuse));
  });
  return listed;
}

/** Puts listed connections into a table. NAT follows from the tuples; TCP windows are not in a list, so they are not checked. */
export function loadConnections(table: ConntrackTable, listed: readonly ListedConnection[]): void {
  for (const item of listed) {
    const entry = table.create(item.original, item.reply, item.zone);
    if (entry === undefined)
      throw new UserError(
        "LIMIT_CONNTRACK",
        `more connections than nf_conntrack_max allows (${table.settings.max})`,
      );
    entry.status = statusOf(item);
    entry.timeout = seconds(item.timeout);
    entry.mark = item.mark;
    if (item.tcpState !== undefined) entry.tcp = pickedUpIn(item.tcpState);
    if (item.sctpState !== undefined) entry.sctp = associationFrom(item.sctpState);
    if (item.counters !== undefined)
      entry.counters = { original: { ...item.counters[0] }, reply: { ...item.counters[1] } };
    const helper =
      item.helper === undefined ? undefined : findHelper(item.helper, item.original.protocol);
    if (helper !== undefined) entry.extend().help = { helper, memory: undefined };
    table.insert(entry);
  }
}

function statusOf({ original, reply, isReplied, isAssured }: ListedConnection): number {
  const sourceNat =
    reply.destination !== original.source ||
    (hasPorts(original) && reply.destinationPort !== original.sourcePort);
  const destinationNat =
    reply.source !== original.destination ||
    (hasPorts(original) && reply.sourcePort !== original.destinationPort);
  const idNat = !hasPorts(original) && reply.sourcePort !== original.sourcePort;
  return (
    (isReplied ? IPS_SEEN_REPLY : 0) |
    (isAssured ? IPS_ASSURED : 0) |
    (sourceNat || idNat ? IPS_SRC_NAT : 0) |
    (destinationNat ? IPS_DST_NAT : 0) |
    IPS_SRC_NAT_DONE |
    IPS_DST_NAT_DONE
  );
}

function hasPorts(tuple: Tuple): boolean {
  return !isIcmpProtocol(tuple.protocol);
}

function associationFrom(state: SctpState): SctpTrack {
  const track = new SctpTrack();
  track.state = state;
  track.isListed = true;
  return track;
}

/** The words of a line before the first `key=value`, and everything from there on. */
function parseLine(line: string, refuse: (message: string) => never): ListedConnection {
  const words = line.split(/\s+/);
  if (words[0] === "ipv4" || words[0] === "ipv6") words.splice(0, 2);
  const protocol =
    readNumber(words[1], 255) ?? refuse("not a line of conntrack -L: no protocol number");
  const timeout =
    readNumber(words[2], 2_147_483) ?? refuse("not a line of conntrack -L: no timeout");
  const state = words[3] ?? "";
  const tcpState = protocol === 6 ? TCP_STATES.findIndex((name) => name === state) : undefined;
  if (tcpState === -1) refuse(`unknown TCP state \`${state}'`);
  const sctpState =
    protocol === IPPROTO_SCTP ? SCTP_STATES.find((name) => name === state) : undefined;
  if (protocol === IPPROTO_SCTP && sctpState === undefined)
    refuse(`unknown SCTP state \`${state}'`);
  const values = words.flatMap((word) => (word.includes("=") ? [word.split("=", 2)] : []));
  const all = (key: string): readonly string[] =>
    values.flatMap(([name, value = ""]) => (name === key ? [value] : []));
  const tuple = (index: number): Tuple => readTuple(protocol, (key) => all(key)[index], refuse);
  return {
    original: tuple(0),
    reply: tuple(1),
    timeout,
    tcpState,
    sctpState,
    isReplied: !words.includes("[UNREPLIED]"),
    isAssured: words.includes("[ASSURED]"),
    mark: readNumber(all("mark")[0], 0xffff_ffff) ?? 0,
    zone: readZone(all),
    counters: readCounters(all("packets"), all("bytes")),
    helper: all("helper")[0],
  };
}

function readTuple(
  protocol: number,
  value: (key: string) => string | undefined,
  refuse: (message: string) => never,
): Tuple {
  const address = (key: string): IpAddress => {
    const text = value(key) ?? "";
    return parseIpv4(text) ?? parseIpv6(text) ?? refuse(`no address after ${key}=`);
  };
  const number = (key: string, most: number): number =>
    readNumber(value(key), most) ?? refuse(`no number after ${key}=`);
  const source = address("src");
  const destination = address("dst");
  if (typeof source !== typeof destination) refuse("addresses of two families");
  const none = { sourcePort: 0, destinationPort: 0, icmpType: 0, icmpCode: 0 };
  if (isIcmpProtocol(protocol)) {
    return {
      source,
      destination,
      protocol,
      ...none,
      sourcePort: number("id", 0xffff),
      icmpType: number("type", 255),
      icmpCode: number("code", 255),
    };
  }
  if (protocol === IPPROTO_GRE) {
    const key = (name: string): number =>
      /^0x[\da-f]{1,4}$/.test(value(name) ?? "")
        ? Number(value(name))
        : refuse(`no key after ${name}=`);
    return {
      source,
      destination,
      protocol,
      ...none,
      sourcePort: key("srckey"),
      destinationPort: key("dstkey"),
    };
  }
  if (value("sport") === undefined) return { source, destination, protocol, ...none };
  return {
    source,
    destination,
    protocol,
    ...none,
    sourcePort: number("sport", 0xffff),
    destinationPort: number("dport", 0xffff),
  };
}

function readZone(all: (key: string) => readonly string[]): Zone {
  const kinds = [
    ["zone", 3],
    ["zone-orig", 1],
    ["zone-reply", 2],
  ] as const;
  for (const [key, directions] of kinds) {
    const id = readNumber(all(key)[0], 0xffff);
    if (id !== undefined && id !== 0) return { id, directions };
  }
  return DEFAULT_ZONE;
}

function readCounters(
  packets: readonly string[],
  bytes: readonly string[],
): readonly [Counter, Counter] | undefined {
  const counter = (index: number): Counter => ({
    packets: readNumber(packets[index], Number.MAX_SAFE_INTEGER) ?? 0,
    bytes: readNumber(bytes[index], Number.MAX_SAFE_INTEGER) ?? 0,
  });
  return packets.length < 2 ? undefined : [counter(0), counter(1)];
}

function readNumber(text: string | undefined, most: number): number | undefined {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= most ? value : undefined;
}
