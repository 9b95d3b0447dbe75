import type { CtInfo } from "../../core/conntrack.js";
import type { Hook } from "../../core/hooks.js";
import type { SkBuff } from "../../core/skbuff.js";
import type { Micros } from "../../sim/time.js";
import { ipLength } from "../../wire/frame.js";
import type { Connection } from "./connection.js";
import type { Timeouts } from "./settings.js";
import type { ConntrackTable } from "./table.js";
import { type Direction, ORIGINAL } from "./tuple.js";

/** A packet on its way through connection tracking. */
export interface Tracked {
  readonly table: ConntrackTable;
  readonly skb: SkBuff;
  readonly hook: Hook;
  readonly direction: Direction;
  readonly info: CtInfo;
}

/** What a protocol says of a packet. `again` means its entry is gone and the lookup starts over (NF_REPEAT). */
export type Judgement =
  | { readonly kind: "accept" | "again" }
  | { readonly kind: "invalid"; readonly why: string };

export const VALID: Judgement = { kind: "accept" };
export const AGAIN: Judgement = { kind: "again" };

export function invalid(why: string): Judgement {
  return { kind: "invalid", why };
}

/** How conntrack treats one transport protocol. Mirrors struct nf_conntrack_l4proto. */
export interface ConntrackProtocol {
  /** As the tools print it. */
  readonly name: string;
  /** Two packets may make the same entry at once; the later one joins the earlier. */
  readonly allowClash: boolean;
  /** Judges a packet of `entry`, which is new (unconfirmed) or found, and gives it its timeout. */
  track(entry: Connection, packet: Tracked): Judgement;
}

/** The times that count for an entry: its timeout policy's, or the namespace's. Mirrors nf_ct_timeout_lookup(). */
export function timeoutsOf(entry: Connection, table: ConntrackTable): Timeouts {
  return entry.ext?.timeouts ?? table.settings.timeouts;
}

/** Gives the entry its timeout and counts the packet. Mirrors __nf_ct_refresh_acct(). */
export function refreshAndCount(entry: Connection, timeout: Micros, packet: Tracked): void {
  packet.table.refresh(entry, timeout);
  countPacket(entry, packet);
}

export function countPacket(entry: Connection, { direction, skb }: Tracked): void {
  if (entry.counters === undefined) return;
  const counter = direction === ORIGINAL ? entry.counters.original : entry.counters.reply;
  counter.packets++;
  counter.bytes += ipLength(skb.frame);
}

/** Whether a wrong checksum makes the packet invalid: only seen on the way in, and only while the knob is on. */
export function checksumFails({ table, hook, skb }: Tracked): boolean {
  return (
    hook === "PREROUTING" &&
    table.settings.flags.checksum === 1 &&
    skb.frame.transport?.checksumError !== undefined
  );
}
