import {
  IPS_DST_NAT,
  IPS_DST_NAT_DONE,
  IPS_SRC_NAT,
  IPS_SRC_NAT_DONE,
} from "../../core/conntrack.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { Connection } from "../conntrack/connection.js";
import { conntrack } from "../conntrack/table.js";
import { invertTuple, sameTuple } from "../conntrack/tuple.js";
import type { NatKind, NatRange } from "./range.js";
import { SourceIndex } from "./source-index.js";
import { type TupleSearch, uniqueTuple } from "./unique-tuple.js";

/** Status bits of each kind: changed, and decided. */
export const NAT_BIT: Readonly<Record<NatKind, number>> = { SRC: IPS_SRC_NAT, DST: IPS_DST_NAT };
export const NAT_DONE_BIT: Readonly<Record<NatKind, number>> = {
  SRC: IPS_SRC_NAT_DONE,
  DST: IPS_DST_NAT_DONE,
};

/** What NAT keeps for a namespace besides its entries. */
export const natSearch: (ns: NetworkNamespace) => TupleSearch = perNamespace((ns) => {
  const table = conntrack(ns);
  return { table, sources: new SourceIndex(table), random: ns.sim.random };
});

/** Whether NAT of this kind was decided for the connection. Mirrors nf_nat_initialized(). */
export function isNatDecided(entry: Connection, kind: NatKind): boolean {
  return (entry.status & NAT_DONE_BIT[kind]) !== 0;
}

/**
 * Decides the NAT of a new connection: its answers get the tuple that goes with the range. Nothing happens to a confirmed
 * connection. Mirrors net/netfilter/nf_nat_core.c:nf_nat_setup_info().
 */
export function natSetupInfo(
  ns: NetworkNamespace,
  entry: Connection,
  range: NatRange,
  kind: NatKind,
): void {
  if (entry.confirmed || isNatDecided(entry, kind)) return;
  // The tuple as earlier NAT left it: what the answers' tuple is the answer to.
  const current = invertTuple(entry.reply);
  if (current === undefined) return;
  const wanted = uniqueTuple(natSearch(ns), current, range, entry, kind);
  if (!sameTuple(wanted, current)) {
    entry.reply = invertTuple(wanted) ?? entry.reply;
    entry.status |= NAT_BIT[kind];
  }
  entry.status |= NAT_DONE_BIT[kind];
}

/** No rule wants NAT: addresses stay, the source port changes if it must. Mirrors nf_nat_alloc_null_binding(). */
export function natNullBinding(ns: NetworkNamespace, entry: Connection, kind: NatKind): void {
  if (entry.confirmed || isNatDecided(entry, kind)) return;
  // What the search would begin with, and nearly always end with.
  if (!natSearch(ns).table.hasOther(entry.reply, entry)) {
    entry.status |= NAT_DONE_BIT[kind];
    return;
  }
  const address = kind === "SRC" ? entry.reply.destination : entry.reply.source;
  natSetupInfo(ns, entry, { addresses: { low: address, high: address } }, kind);
}
