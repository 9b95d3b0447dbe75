import {
  IPCT_DESTROY,
  IPCT_NEW,
  IPCT_RELATED,
  IPS_ASSURED,
  IPS_CONFIRMED,
  IPS_DYING,
  IPS_FIXED_TIMEOUT,
  IPS_NAT_CLASH,
  type Tuple,
} from "../../core/conntrack.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { EventQueue } from "../../sim/event-queue.js";
import { type Micros, later, seconds } from "../../sim/time.js";
import { Connection, type TupleHash, type Zone, zoneIdIn } from "./connection.js";
import { ExpectationTable } from "./expectations.js";
import { type ConntrackSettings, defaultSettings } from "./settings.js";
import { type Direction, ORIGINAL, REPLY, hashTuple, sameTuple } from "./tuple.js";

/** The counters of `conntrack -S`. Mirrors struct ip_conntrack_stat. */
export interface ConntrackStatistics {
  found: number;
  invalid: number;
  insert_failed: number;
  drop: number;
  early_drop: number;
  error: number;
  clash_resolve: number;
}

/** What `conntrack -E` shows. */
export interface TableEvent {
  readonly type: "NEW" | "UPDATE" | "DESTROY";
  readonly at: Micros;
  readonly entry: Connection;
  /** What happened: IPCT_* bits. */
  readonly events: number;
}

/** How confirming ended. `clash`: another entry has one of the tuples. */
export type ConfirmResult =
  | { readonly kind: "confirmed" | "dying" }
  | { readonly kind: "clash"; readonly with: TupleHash };

/** The connections of one namespace. An expired entry is invisible at once and taken out when somebody comes past. */
export class ConntrackTable {
  readonly settings: ConntrackSettings = defaultSettings();
  readonly statistics: ConntrackStatistics = {
    found: 0,
    invalid: 0,
    insert_failed: 0,
    drop: 0,
    early_drop: 0,
    error: 0,
    clash_resolve: 0,
  };
  readonly expectations: ExpectationTable = new ExpectationTable(
    () => this.now,
    () => this.settings.expectMax,
  );
  readonly #queue: EventQueue;
  readonly #entries = new Set<Connection>();
  readonly #watchers: ((event: TableEvent) => void)[] = [];
  #buckets: (TupleHash | undefined)[] = newBuckets(FIRST_BUCKETS);
  #nextId = 1;
  #sweepAt = FIRST_SWEEP;
  #sweptAt = -1;

  constructor(queue: EventQueue) {
    this.#queue = queue;
  }

  get now(): Micros {
    return this.#queue.now;
  }

  /** The number that the next new connection gets. */
  get nextId(): number {
    return this.#nextId;
  }

  /** How many entries there are, expired ones included until somebody comes past them: `conntrack -C`. */
  get count(): number {
    return this.#entries.size;
  }

  /** Calls `watcher` with every event. Nothing is called while an entry is unconfirmed. */
  watch(watcher: (event: TableEvent) => void): void {
    this.#watchers.push(watcher);
  }

  /** The entry that has `tuple` in either direction. Mirrors nf_conntrack_find_get(). */
  find(tuple: Tuple, zone: Zone): TupleHash | undefined {
    const id = zoneIdIn(zone, ORIGINAL);
    const found = this.#search(tuple, zone, hashTuple(tuple, id));
    if (found !== undefined) return found;
    const replyId = zoneIdIn(zone, REPLY);
    return replyId === id ? undefined : this.#search(tuple, zone, hashTuple(tuple, replyId));
  }

  /**
   * Whether `reply` already belongs to a flow other than that of `ignored`. An entry for the very same original tuple does not
   * count: confirming settles that. Mirrors nf_conntrack_tuple_taken().
   */
  isTaken(reply: Tuple, ignored: Connection): boolean {
    if (!this.hasOther(reply, ignored)) return false;
    this.statistics.found++;
    return true;
  }

  /** As `isTaken`, without counting it. */
  hasOther(reply: Tuple, ignored: Connection): boolean {
    const zone = ignored.zones;
    const hash = hashTuple(reply, zoneIdIn(zone, REPLY));
    return this.#search(reply, zone, hash, ignored, true) !== undefined;
  }

  /** A new entry outside the table; undefined when the table is full of assured ones. Mirrors init_conntrack(). */
  create(original: Tuple, reply: Tuple, zone: Zone): Connection | undefined {
    const { max } = this.settings;
    if (
      max > 0 &&
      this.#entries.size >= max &&
      !this.#makeRoom(hashTuple(original, zoneIdIn(zone, ORIGINAL)))
    )
      return undefined;
    const entry = new Connection(this.#nextId++, original, reply, zone);
    if (this.settings.flags.acct === 1)
      entry.counters = { original: { packets: 0, bytes: 0 }, reply: { packets: 0, bytes: 0 } };
    return entry;
  }

  /** Puts a new entry into the table unless one of its tuples is there already. Mirrors __nf_conntrack_confirm(). */
  confirm(entry: Connection): ConfirmResult {
    const originalHash = hashTuple(entry.original, zoneIdIn(entry.zones, ORIGINAL));
    const replyHash = hashTuple(entry.reply, zoneIdIn(entry.zones, REPLY));
    const clash =
      this.#search(entry.original, entry.zones, originalHash, entry) ??
      this.#search(entry.reply, entry.zones, replyHash, entry);
    if (clash !== undefined) return { kind: "clash", with: clash };
    if (entry.dying) return DYING;
    entry.originalHash.hash = originalHash;
    entry.replyHash.hash = replyHash;
    this.#enter(entry);
    return CONFIRMED;
  }

  /** Enters a connection whose tuples are free; its timeout starts to run. */
  insert(entry: Connection): void {
    entry.originalHash.hash = hashTuple(entry.original, zoneIdIn(entry.zones, ORIGINAL));
    entry.replyHash.hash = hashTuple(entry.reply, zoneIdIn(entry.zones, REPLY));
    this.#enter(entry);
  }

  #enter(entry: Connection): void {
    this.#sweepSometimes();
    this.#link(entry.originalHash);
    this.#link(entry.replyHash);
    this.#entries.add(entry);
    entry.status |= IPS_CONFIRMED;
    entry.expires = later(this.now, entry.timeout);
    if (entry.master !== undefined) entry.master.extend().children++;
    if (this.settings.flags.timestamp === 1) entry.extend().began = this.now;
    const events = entry.events | (entry.master === undefined ? IPCT_NEW : IPCT_RELATED);
    entry.events = 0;
    this.#tell("NEW", entry, events);
  }

  /** A clashing UDP entry may answer from the reply side for a second. Mirrors nf_ct_resolve_clash_harder(). */
  insertReplyOnly(entry: Connection): boolean {
    const hash = hashTuple(entry.reply, zoneIdIn(entry.zones, REPLY));
    if (this.#search(entry.reply, entry.zones, hash, entry) !== undefined) return false;
    entry.replyHash.hash = hash;
    this.#link(entry.replyHash);
    this.#entries.add(entry);
    entry.status |= IPS_CONFIRMED | IPS_NAT_CLASH | IPS_FIXED_TIMEOUT;
    entry.timeout = seconds(1);
    entry.expires = later(this.now, entry.timeout);
    return true;
  }

  /** Gives an entry another while. Mirrors nf_ct_refresh(). */
  refresh(entry: Connection, timeout: Micros): void {
    if ((entry.status & IPS_FIXED_TIMEOUT) !== 0) return;
    entry.timeout = timeout;
    if (entry.confirmed) entry.expires = later(this.now, timeout);
  }

  /** Tells an event that a tool caused. */
  report(entry: Connection, type: TableEvent["type"], events: number): void {
    entry.events = 0;
    this.#tell(type, entry, events);
  }

  /** Reports what changed about an entry since it was last told, once. Mirrors nf_ct_deliver_cached_events(). */
  reportChanges(entry: Connection): void {
    const { events } = entry;
    if (events === 0 || !entry.confirmed || entry.dying) return;
    entry.events = 0;
    this.#tell("UPDATE", entry, events);
  }

  /** Takes an entry out for good. Mirrors nf_ct_kill(). */
  kill(entry: Connection): void {
    if (entry.dying) return;
    entry.status |= IPS_DYING;
    if (!entry.confirmed) return;
    this.#unlink(entry.originalHash);
    this.#unlink(entry.replyHash);
    this.#entries.delete(entry);
    if (entry.master?.ext !== undefined) entry.master.ext.children--;
    if (entry.ext?.began !== undefined) entry.ext.ended = this.now;
    this.#tell("DESTROY", entry, IPCT_DESTROY);
    if (entry.ext?.help !== undefined) this.expectations.removeOf(entry);
  }

  /** The living entries in order of their confirmation. Removing some on the way is allowed. Clash entries are not shown. */
  *entries(): IterableIterator<Connection> {
    for (const entry of this.#entries) {
      if (entry.expires <= this.now) this.kill(entry);
      else if ((entry.status & IPS_NAT_CLASH) === 0) yield entry;
    }
  }

  /** Takes every entry out that `which` picks; gives their number. Mirrors nf_ct_iterate_cleanup_net(). */
  remove(which: (entry: Connection) => boolean): number {
    let removed = 0;
    for (const entry of this.entries()) {
      if (!which(entry)) continue;
      this.kill(entry);
      removed++;
    }
    return removed;
  }

  #search(
    tuple: Tuple,
    zone: Zone,
    hash: number,
    ignored?: Connection,
    otherFlows = false,
  ): TupleHash | undefined {
    const now = this.now;
    let node = this.#buckets[hash & (this.#buckets.length - 1)];
    while (node !== undefined) {
      const { next, connection } = node;
      if (
        connection !== ignored &&
        node.hash === hash &&
        sameTuple(node.tuple, tuple) &&
        sameZone(connection, zone, node.direction)
      ) {
        if (connection.expires <= now) this.kill(connection);
        else if (!otherFlows || ignored === undefined || !isSameFlow(ignored, connection))
          return node;
      }
      node = next;
    }
    return undefined;
  }

  #link(node: TupleHash): void {
    if (this.#entries.size * 2 > this.#buckets.length) this.#grow();
    const bucket = node.hash & (this.#buckets.length - 1);
    node.next = this.#buckets[bucket];
    this.#buckets[bucket] = node;
  }

  #unlink(node: TupleHash): void {
    const bucket = node.hash & (this.#buckets.length - 1);
    let other = this.#buckets[bucket];
    if (other === node) this.#buckets[bucket] = node.next;
    for (; other !== undefined; other = other.next) if (other.next === node) other.next = node.next;
  }

  #grow(): void {
    const old = this.#buckets;
    this.#buckets = newBuckets(old.length * 4);
    const mask = this.#buckets.length - 1;
    for (let node of old) {
      while (node !== undefined) {
        const { next } = node;
        node.next = this.#buckets[node.hash & mask];
        this.#buckets[node.hash & mask] = node;
        node = next;
      }
    }
  }

  /** Throws expired entries away each time the table has doubled, so that time spent on it stays proportional. Stands for gc_worker(). */
  #sweepSometimes(): void {
    if (this.#entries.size < this.#sweepAt) return;
    this.remove(() => false);
    this.#sweepAt = Math.max(FIRST_SWEEP, this.#entries.size * 2);
  }

  /**
   * Frees a place: expired entries, or those that are not assured in the first of the next eight buckets that has some. The kernel
   * has so many buckets that in a table which is small beside them it finds none, and so does this. Mirrors early_drop().
   */
  #makeRoom(hash: number): boolean {
    if (this.now !== this.#sweptAt) this.remove(() => false);
    this.#sweptAt = this.now;
    if (this.#entries.size < this.settings.max) return true;
    for (let step = 0; step < EARLY_DROP_BUCKETS; step++) {
      const dropped = this.#dropUnassured((hash + step) & (KERNEL_BUCKETS - 1));
      this.statistics.early_drop += dropped;
      if (dropped > 0) return true;
    }
    return false;
  }

  /** Ends the connections without ASSURED in one of the kernel's buckets; gives their number. Mirrors early_drop_list(). */
  #dropUnassured(bucket: number): number {
    const { length } = this.#buckets;
    const found = new Set<Connection>();
    for (let at = bucket & (length - 1); at < length; at += KERNEL_BUCKETS)
      for (let node = this.#buckets[at]; node !== undefined; node = node.next)
        if (
          (node.hash & (KERNEL_BUCKETS - 1)) === bucket &&
          (node.connection.status & IPS_ASSURED) === 0
        )
          found.add(node.connection);
    for (const connection of found) this.kill(connection);
    return found.size;
  }

  #tell(type: TableEvent["type"], entry: Connection, happened: number): void {
    for (const watcher of this.#watchers) watcher({ type, at: this.now, entry, events: happened });
  }
}

/** The connections of a namespace. */
export const conntrack: (ns: NetworkNamespace) => ConntrackTable = perNamespace(
  (ns) => new ConntrackTable(ns.sim.queue),
);

const FIRST_BUCKETS = 256;
const FIRST_SWEEP = 1024;
const EARLY_DROP_BUCKETS = 8;
/** `nf_conntrack_buckets` of a machine with more than 4 GB of memory, a power of two. */
export const KERNEL_BUCKETS = 262_144;
const CONFIRMED: ConfirmResult = { kind: "confirmed" };
const DYING: ConfirmResult = { kind: "dying" };

function newBuckets(count: number): (TupleHash | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}

function sameZone(entry: Connection, zone: Zone, direction: Direction): boolean {
  return entry.zones === zone || zoneIdIn(entry.zones, direction) === zoneIdIn(zone, direction);
}

function isSameFlow(a: Connection, b: Connection): boolean {
  return (
    sameTuple(a.original, b.original) && zoneIdIn(a.zones, ORIGINAL) === zoneIdIn(b.zones, ORIGINAL)
  );
}
