import {
  IPS_DYING,
  IPS_FIXED_TIMEOUT,
  IPS_SRC_NAT,
  IPS_DST_NAT,
  IPS_SEQ_ADJUST,
  type Tuple,
} from "../../core/conntrack.js";
import { type Random, randomBetween } from "../../base/random.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.js";
import type { Connection } from "../conntrack/connection.js";
import { conntrackProtocol } from "../conntrack/protocols.js";
import type { ConntrackTable } from "../conntrack/table.js";
import { TCP_CLOSE, TCP_SYN_SENT, TCP_TIME_WAIT } from "../conntrack/tcp-states.js";
import { before } from "../conntrack/tcp-track.js";
import { IPPROTO_SCTP, IPPROTO_UDPLITE } from "../../wire/ports.js";
import { REPLY, invertTuple, isIcmpProtocol, sameTuple } from "../conntrack/tuple.js";
import { chooseAddress } from "./choose-address.js";
import {
  type NatKind,
  type NatRange,
  natPort,
  portInRange,
  sourceInRange,
  withNatPort,
} from "./range.js";
import type { SourceIndex } from "./source-index.js";

/** Where a unique tuple is looked for. */
export interface TupleSearch {
  readonly table: ConntrackTable;
  readonly sources: SourceIndex;
  readonly random: Random;
}

/**
 * The tuple that `entry` gets: within the range, and such that no other connection has its answers. When nothing is
 * free the last try is given, and confirming fails. Mirrors net/netfilter/nf_nat_core.c:get_unique_tuple().
 */
export function uniqueTuple(
  search: TupleSearch,
  current: Tuple,
  range: NatRange,
  entry: Connection,
  kind: NatKind,
): Tuple {
  const { table } = search;
  const anyPort = range.random === true || range.randomFully === true;
  if (kind === "SRC" && !anyPort) {
    if (sourceInRange(current, range)) {
      if (!isUsedByOther(table, current, entry)) return current;
    } else {
      const mapped = search.sources.find(entry.zones, current, range);
      if (mapped !== undefined && !isUsed(table, mapped, entry)) return mapped;
    }
  }
  const tuple = chooseAddress(current, range, kind, entry.zone);
  if (!anyPort && keepsPort(table, tuple, range, entry, kind)) return tuple;
  return searchPort(search, tuple, range, entry, kind);
}

/** Whether the port may stay as it is. */
function keepsPort(
  table: ConntrackTable,
  tuple: Tuple,
  range: NatRange,
  entry: Connection,
  kind: NatKind,
): boolean {
  const { ports } = range;
  if (ports === undefined) return !isUsed(table, tuple, entry);
  if (range.basePort !== undefined || !portInRange(tuple, kind, ports)) return false;
  return ports.low === ports.high || !isUsed(table, tuple, entry);
}

const MAX_ATTEMPTS = 128;
const MIN_ATTEMPTS = 16;
/** With fewer tries left than this, a closed TCP connection may be thrown out. */
const HARDER_THRESHOLD = 32;

/** Protocols whose ports can change. */
const PORT_PROTOCOLS: ReadonlySet<number> = new Set([
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_SCTP,
  IPPROTO_UDPLITE,
]);

/** Tries ports one after the other from a start, then from other random ones, fewer each time. Mirrors nf_nat_l4proto_unique_tuple(). */
function searchPort(
  search: TupleSearch,
  start: Tuple,
  range: NatRange,
  entry: Connection,
  kind: NatKind,
): Tuple {
  const limits = portLimits(start, range, kind);
  if (limits === undefined) return start;
  const size = limits.high - limits.low + 1;
  let offset = firstOffset(search.random, start, range, kind);
  let tuple = start;
  for (let attempts = Math.min(size, MAX_ATTEMPTS); ; attempts = Math.floor(attempts / 2)) {
    for (let tried = 0; tried < attempts; tried++, offset++) {
      tuple = withNatPort(tuple, kind, limits.low + ((offset & 0xffff) % size));
      if (!isUsedHarder(search.table, tuple, entry, attempts - tried)) return tuple;
    }
    if (attempts >= size || attempts < MIN_ATTEMPTS) return tuple;
    offset = randomBetween(search.random, 0, 0xffff);
  }
}

/** The ports to choose from; undefined when the protocol has none or they must stay. */
function portLimits(
  tuple: Tuple,
  range: NatRange,
  kind: NatKind,
): { readonly low: number; readonly high: number } | undefined {
  const { ports } = range;
  if (isIcmpProtocol(tuple.protocol)) return ports ?? { low: 0, high: 0xffff };
  if (!PORT_PROTOCOLS.has(tuple.protocol)) return undefined;
  if (ports !== undefined)
    return { low: Math.min(ports.low, ports.high), high: Math.max(ports.low, ports.high) };
  if (kind === "DST") return undefined;
  // A server may trust low ports, so a source port stays within its class.
  if (tuple.sourcePort >= 1024) return { low: 1024, high: 0xffff };
  return tuple.sourcePort < 512 ? { low: 1, high: 511 } : { low: 600, high: 1023 };
}

function firstOffset(random: Random, tuple: Tuple, range: NatRange, kind: NatKind): number {
  if (range.basePort !== undefined) return (natPort(tuple, kind) - range.basePort) & 0xffff;
  const chosenByChance = range.random === true || range.randomFully === true || kind === "SRC";
  return chosenByChance ? randomBetween(random, 0, 0xffff) : 0;
}

/** Whether answers to `tuple` would belong to another connection. Mirrors nf_nat_used_tuple(). */
function isUsed(table: ConntrackTable, tuple: Tuple, entry: Connection): boolean {
  const reply = invertTuple(tuple);
  return reply !== undefined && table.isTaken(reply, entry);
}

/** As `isUsed`, but the same flow seen from its other end, without NAT on it, does not count. Mirrors nf_nat_used_tuple_new(). */
function isUsedByOther(table: ConntrackTable, tuple: Tuple, entry: Connection): boolean {
  if (!isUsed(table, tuple, entry)) return false;
  const usesNat = IPS_SRC_NAT | IPS_DST_NAT | IPS_SEQ_ADJUST;
  if (!conntrackProtocol(tuple.protocol).allowClash || (entry.status & usesNat) !== 0) return true;
  const other = table.find(tuple, entry.zones)?.connection;
  if (other === undefined || (other.status & usesNat) !== 0) return true;
  return !(sameTuple(other.original, entry.reply) && sameTuple(other.reply, entry.original));
}

/** As `isUsed`, but towards the end of the search a finished TCP connection gives way. Mirrors nf_nat_used_tuple_harder(). */
function isUsedHarder(
  table: ConntrackTable,
  tuple: Tuple,
  entry: Connection,
  attemptsLeft: number,
): boolean {
  if (!isUsed(table, tuple, entry)) return false;
  if (attemptsLeft > HARDER_THRESHOLD || entry.tcp?.state !== TCP_SYN_SENT) return true;
  const reply = invertTuple(tuple);
  const found = reply === undefined ? undefined : table.find(reply, entry.zones);
  if (found === undefined) return false;
  const other = found.connection;
  if (found.direction !== REPLY || other.tcp === undefined) return true;
  const closed = other.tcp.state === TCP_TIME_WAIT || other.tcp.state === TCP_CLOSE;
  const mayGo =
    closed && (other.status & (IPS_SRC_NAT | IPS_FIXED_TIMEOUT | IPS_DYING)) === IPS_SRC_NAT;
  if (!mayGo || !before(other.tcp.sides[0].end, entry.tcp.sides[0].end)) return true;
  table.kill(other);
  return false;
}
