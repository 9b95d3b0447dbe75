import type { CtInfo } from "../../core/conntrack.js";
import type { SkBuff } from "../../core/skbuff.js";
import type { Micros } from "../../sim/time.js";
import type { Connection } from "./connection.js";
import type { Expectation } from "./expectations.js";
import type { SequenceAdjust } from "./sequence-adjust.js";
import type { Timeouts } from "./settings.js";
import type { ConntrackTable } from "./table.js";

/** Parts that few connections have: the others do not pay for them. Mirrors struct nf_ct_ext. */
export interface Extensions {
  help: Help | undefined;
  sequenceAdjust: SequenceAdjust | undefined;
  /** SYNPROXY shook hands in its server's place. */
  synproxy: SynproxyMemory | undefined;
  /** Times of its own instead of the namespace's. */
  timeouts: Timeouts | undefined;
  /** `-j CT --ctevents --expevents`: what is told; all when there is none. */
  eventMasks: EventMasks | undefined;
  /** Bit n is label n; 0n for none. */
  labels: bigint;
  /** Connections in the table that this one had announced. */
  children: number;
  /** With `nf_conntrack_timestamp`: when it was confirmed, and when it ended. */
  began: Micros | undefined;
  ended: Micros | undefined;
}

/** What a proxied connection's client was told. Mirrors struct nf_conn_synproxy. */
export interface SynproxyMemory {
  /** The number that the client's side counts the server's bytes from. */
  initialSequence: number;
  /** The timestamp that the client got. */
  initialTimestamp: number;
  /** How far the server's timestamps are ahead of it. */
  timestampOffset: number;
}

/** What `conntrack -E` gets to hear of a connection. Mirrors struct nf_conntrack_ecache. */
export interface EventMasks {
  /** IPCT_* bits. */
  readonly connection: number;
  /** IPEXP_* bits: events of what the connection expects. */
  readonly expectation: number;
}

/** Bits of `EventMasks.expectation`. Mirrors enum ip_conntrack_expect_events. */
export const IPEXP_NEW: number = 1 << 0;
export const IPEXP_DESTROY: number = 1 << 1;

export function noExtensions(): Extensions {
  return {
    help: undefined,
    sequenceAdjust: undefined,
    synproxy: undefined,
    timeouts: undefined,
    eventMasks: undefined,
    labels: 0n,
    children: 0,
    began: undefined,
    ended: undefined,
  };
}

/** A connection's helper, and what it remembers. Mirrors struct nf_conn_help. */
export interface Help {
  readonly helper: Helper;
  /** What the helper keeps between packets, its own business. */
  memory: unknown;
}

/** A packet that a helper reads, on its way out of the machine. */
export interface HelpedPacket {
  readonly skb: SkBuff;
  readonly entry: Connection;
  readonly info: CtInfo;
  readonly table: ConntrackTable;
}

/** What a helper made of a packet. `partial`: it could not tell the packet's meaning, which is not safe to let through. */
export type HelpResult =
  | { readonly kind: "nothing" }
  | { readonly kind: "expects"; readonly expectation: Expectation }
  | { readonly kind: "drop"; readonly why: string }
  | { readonly kind: "unknown"; readonly what: string };

export const NO_HELP: HelpResult = { kind: "nothing" };

/** Reads the data of a protocol that announces other connections. Mirrors struct nf_conntrack_helper. */
export interface Helper {
  /** As `-j CT --helper` names it. */
  readonly name: string;
  /** IP protocols that it reads. */
  readonly protocols: readonly number[];
  /** Expectations that one connection may have open; the oldest gives way to one more. */
  readonly maxExpected: number;
  /** How long an expectation is open. */
  readonly timeout: Micros;
  /** Mirrors helper->help(). */
  help(packet: HelpedPacket): HelpResult;
}
