import {
  type ConntrackCounter,
  IPS_ASSURED,
  IPS_SEEN_REPLY,
  type Tuple,
} from "../../core/conntrack.js";
import type { Micros } from "../../sim/time.js";
import { type IpAddress, formatIp, formatIpv4, ipv6Words } from "../../wire/ip.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.js";
import type { Connection } from "./connection.js";
import { conntrackProtocol } from "./protocols.js";
import type { ConntrackSettings } from "./settings.js";
import type { ConntrackStatistics, TableEvent } from "./table.js";
import { IPPROTO_ICMPV6 } from "../../wire/ipv6.js";
import { IPPROTO_GRE, IPPROTO_SCTP, IPPROTO_UDPLITE } from "./tuple.js";
/** What `-o` asks for. */
export interface EntryFormat {
  /** `-o extended`: the network protocol in front. */
  readonly extended?: boolean | undefined;
  /** `-o id`. */
  readonly id?: boolean | undefined;
}

/** One line of `conntrack -L`. Times are whole seconds that are left, rounded down. Mirrors __snprintf_conntrack_default(). */
export function formatEntry(entry: Connection, now: Micros, format: EntryFormat = {}): string {
  return [
    ...(format.extended === true ? [family(entry)] : []),
    ...head(entry, now),
    ...directions(entry, entry.counters !== undefined),
    ...flag("[ASSURED]", (entry.status & IPS_ASSURED) !== 0),
    `mark=${entry.mark}`,
    ...zone(entry, "zone", 3),
    "use=1",
    ...(format.id === true ? [`id=${entry.id}`] : []),
  ].join(" ");
}

/** One line of `/proc/net/nf_conntrack`. Mirrors net/netfilter/nf_conntrack_standalone.c:ct_seq_show(). */
export function formatProcEntry(
  entry: Connection,
  now: Micros,
  timeouts: ConntrackSettings["timeouts"],
): string {
  const gre = entry.original.protocol === IPPROTO_GRE;
  return [
    family(entry),
    ...head(entry, now),
    ...(gre
      ? [
          `timeout=${timeouts.gre_timeout / 1_000_000}, stream_timeout=${timeouts.gre_timeout_stream / 1_000_000}`,
        ]
      : []),
    ...directions(entry, entry.counters !== undefined, writtenOut),
    ...flag("[ASSURED]", (entry.status & IPS_ASSURED) !== 0),
    `mark=${entry.mark}`,
    ...flag(`zone=${entry.zone}`, entry.zones.directions === 3),
    "use=2",
  ].join(" ");
}

/** One line of `conntrack -E`: what happened to which entry. Counters are told at the end of an entry alone. */
export function formatTableEvent(event: TableEvent, format: EntryFormat = {}): string {
  const { type, entry, at } = event;
  const ended = type === "DESTROY" && entry.expires <= at;
  return [
    `[${type}]`.padStart(9),
    ...(format.extended === true ? [family(entry)] : []),
    ...head(entry, ended ? undefined : at),
    ...directions(entry, type === "DESTROY" && entry.counters !== undefined),
    ...flag("[ASSURED]", (entry.status & IPS_ASSURED) !== 0),
    ...flag(`mark=${entry.mark}`, entry.mark !== 0),
    ...zone(entry, "zone", 3),
    ...(format.id === true ? [`id=${entry.id}`] : []),
  ].join(" ");
}

/** The line of `conntrack -S`; all of it is told of one CPU. */
export function formatStatistics(statistics: ConntrackStatistics): string {
  const { found, invalid, insert_failed, drop, early_drop, error, clash_resolve } = statistics;
  const counters =
    `found=${found} invalid=${invalid} insert=0 insert_failed=${insert_failed} drop=${drop} early_drop=${early_drop} ` +
    `error=${error} search_restart=0 clash_resolve=${clash_resolve} chaintoolong=0 `;
  return `cpu=0   \t${counters}`;
}

function family(entry: Connection): string {
  return typeof entry.original.source === "number" ? "ipv4     2" : "ipv6     10";
}

/** Protocol, seconds that are left (none for an entry that ran out), state. */
function head(entry: Connection, now: Micros | undefined): readonly string[] {
  const { protocol } = entry.original;
  const name = conntrackProtocol(protocol).name.padEnd(8);
  const left =
    now === undefined ? [] : [String(Math.max(0, Math.floor((entry.expires - now) / 1_000_000)))];
  return [`${name} ${protocol}`, ...left, ...(entry.state === undefined ? [] : [entry.state])];
}

function directions(
  entry: Connection,
  withCounters: boolean,
  address: FormatAddress = formatIp,
): readonly string[] {
  const { counters } = entry;
  return [
    formatTuple(entry.original, address),
    ...zone(entry, "zone-orig", 1),
    ...(withCounters && counters !== undefined ? [formatCounter(counters.original)] : []),
    ...flag("[UNREPLIED]", (entry.status & IPS_SEEN_REPLY) === 0),
    formatTuple(entry.reply, address),
    ...zone(entry, "zone-reply", 2),
    ...(withCounters && counters !== undefined ? [formatCounter(counters.reply)] : []),
  ];
}

function formatCounter({ packets, bytes }: ConntrackCounter): string {
  return `packets=${packets} bytes=${bytes}`;
}

/** `src=10.1.0.2 dst=10.2.0.2 sport=6667 dport=80`. */
export function formatTuple(tuple: Tuple, address: FormatAddress = formatIp): string {
  return `src=${address(tuple.source)} dst=${address(tuple.destination)}${formatPorts(tuple)}`;
}

type FormatAddress = (address: IpAddress) => string;

/** IPv6 with all its zeros, as the kernel's %pI6 has it. */
function writtenOut(address: IpAddress): string {
  if (typeof address === "number") return formatIpv4(address);
  const words = ipv6Words(address).map((word) => word.toString(16).padStart(8, "0"));
  return words.map((word) => `${word.slice(0, 4)}:${word.slice(4)}`).join(":");
}

function formatPorts(tuple: Tuple): string {
  switch (tuple.protocol) {
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return ` type=${tuple.icmpType} code=${tuple.icmpCode} id=${tuple.sourcePort}`;
    case IPPROTO_GRE:
      return ` srckey=0x${tuple.sourcePort.toString(16)} dstkey=0x${tuple.destinationPort.toString(16)}`;
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_SCTP:
      return ` sport=${tuple.sourcePort} dport=${tuple.destinationPort}`;
    default:
      return "";
  }
}

/** A zone of one direction stands after the tuple of that direction. */
function zone(entry: Connection, name: string, directions: number): readonly string[] {
  return flag(`${name}=${entry.zone}`, entry.zone !== 0 && entry.zones.directions === directions);
}

function flag(text: string, isSet: boolean): readonly string[] {
  return isSet ? [text] : [];
}
