import {
  type ConntrackCounter,
  IPCT_LABEL,
  IPCT_MARK,
  IPCT_PROTOINFO,
  IPS_ASSURED,
  IPS_SEEN_REPLY,
  type Tuple,
} from "../../core/conntrack.js";
import type { Micros } from "../../sim/time.js";
import { type IpAddress, formatIp, formatIpv4, ipv6Words } from "../../wire/ip.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.js";
import { formatCtime } from "../iptables/calendar.js";
import type { Connection } from "./connection.js";
import { conntrackProtocol } from "./protocols.js";
import type { ExpectationStatistics } from "./expectations.js";
import { type LabelNames, labelsOf } from "./labels.js";
import type { ConntrackSettings } from "./settings.js";
import type { ConntrackStatistics, TableEvent } from "./table.js";
import { IPPROTO_ICMPV6 } from "../../wire/ipv6.js";
import { IPPROTO_GRE } from "../../wire/gre.js";
import { IPPROTO_SCTP, IPPROTO_UDPLITE } from "../../wire/ports.js";
/** What `-o` asks for. */
export interface EntryFormat {
  /** `-o extended`: the network protocol in front. */
  readonly extended?: boolean | undefined;
  /** `-o id`. */
  readonly id?: boolean | undefined;
  /** `-o ktimestamp`: when it began and ended. */
  readonly times?: boolean | undefined;
  /** `-o labels`, with the names that a file gives them. */
  readonly labels?: LabelNames | undefined;
  /** References that the question itself holds. */
  readonly held?: number | undefined;
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
    ...age(entry, now, format),
    ...helper(entry),
    `use=${1 + (format.held ?? 0) + (entry.ext?.children ?? 0)}`,
    ...(format.id === true ? [`id=${entry.id}`] : []),
    ...formatLabels(entry, format.labels),
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
    ...(entry.ext?.began === undefined
      ? []
      : [`delta-time=${Math.floor((now - entry.ext.began) / 1_000_000)}`]),
    `use=${2 + (entry.ext?.children ?? 0)}`,
  ].join(" ");
}

/**
 * One line of `conntrack -E`: what happened to which entry. Counters are told at the end of an entry alone, its state only when
 * that changed or ended. Mirrors net/netfilter/nf_conntrack_netlink.c:ctnetlink_conntrack_event().
 */
export function formatTableEvent(event: TableEvent, format: EntryFormat = {}): string {
  const { type, entry, at, events } = event;
  const isEnd = type === "DESTROY";
  const ended = isEnd && entry.expires <= at;
  return [
    `[${type}]`.padStart(9),
    ...(format.extended === true ? [family(entry)] : []),
    ...head(entry, ended ? undefined : at, isEnd || (events & IPCT_PROTOINFO) !== 0),
    ...directions(entry, isEnd && entry.counters !== undefined),
    ...flag("[ASSURED]", (entry.status & IPS_ASSURED) !== 0),
    ...flag(`mark=${entry.mark}`, entry.mark !== 0 || (events & IPCT_MARK) !== 0),
    ...zone(entry, "zone", 3),
    ...(isEnd ? age(entry, at, format) : helper(entry)),
    ...(format.id === true ? [`id=${entry.id}`] : []),
    ...((events & IPCT_LABEL) === 0 ? [] : formatLabels(entry, format.labels)),
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

/** The line of `conntrack -S expect`. */
export function formatExpectationStatistics(statistics: ExpectationStatistics): string {
  const { taken, made, deleted } = statistics;
  return `cpu=0   \texpect_new=${taken} expect_create=${made} expect_delete=${deleted} `;
}

function family(entry: Connection): string {
  return typeof entry.original.source === "number" ? "ipv4     2" : "ipv6     10";
}

/** Protocol, seconds that are left (none for an entry that ran out), state. */
function head(entry: Connection, now: Micros | undefined, withState = true): readonly string[] {
  const { protocol } = entry.original;
  const name = conntrackProtocol(protocol).name.padEnd(8);
  const left =
    now === undefined ? [] : [String(Math.max(0, Math.floor((entry.expires - now) / 1_000_000)))];
  return [
    `${name} ${protocol}`,
    ...left,
    ...(entry.state === undefined || !withState ? [] : [entry.state]),
  ];
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

/** With nf_conntrack_timestamp: whole seconds of its life by the clock, and from when to when. */
function age(entry: Connection, now: Micros, format: EntryFormat): readonly string[] {
  const { began, ended } = entry.ext ?? {};
  if (began === undefined) return [];
  const [from, to] = [began, ended ?? now].map((at) => Math.floor(at / 1_000_000));
  const texts = [`delta-time=${(to ?? 0) - (from ?? 0)}`];
  if (format.times === true) {
    texts.push(`[start=${formatCtime(began / 1_000_000)}]`);
    if (ended !== undefined) texts.push(`[stop=${formatCtime(ended / 1_000_000)}]`);
  }
  return texts;
}

function helper(entry: Connection): readonly string[] {
  const name = entry.ext?.help?.helper.name;
  return name === undefined ? [] : [`helper=${name}`];
}

/** Labels without a name are not shown. */
function formatLabels(entry: Connection, names: LabelNames | undefined): readonly string[] {
  if (names === undefined) return [];
  const shown = labelsOf(entry).flatMap((label) => names.byLabel.get(label) ?? []);
  return shown.length === 0 ? [] : [`labels=${shown.join(",")}`];
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
export function writtenOut(address: IpAddress): string {
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
