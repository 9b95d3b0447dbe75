import type { EventQueue } from "../sim/event-queue.js";
import { later, type Micros } from "../sim/time.js";
import { formatMac, MAC_ZERO, type Mac } from "../wire/ip.js";
import type { BridgePort } from "./bridge-port.js";

/**
 * Where a MAC address is. `port` undefined is the bridge device itself.
 * A local entry is an address of the bridge's own devices; a static one neither ages nor moves. Mirrors struct net_bridge_fdb_entry.
 */
export interface FdbEntry {
  readonly mac: Mac;
  /** The VLAN that the entry is for; 0 while the bridge does not filter VLANs. */
  readonly vid: number;
  readonly port: BridgePort | undefined;
  readonly local: boolean;
  readonly static: boolean;
  /** Typed by somebody, so it outlives changes of the device's address. */
  readonly byUser: boolean;
  /** When a frame from it was last seen. */
  readonly updated: Micros;
}

/** What learning did: nothing new, a new entry, one that moved, or a frame that claims an address of ours. */
export type Learning = "known" | "new" | "moved" | "own address";

/** The forwarding database of one bridge. Old entries go when somebody looks, not by a timer. Mirrors net/bridge/br_fdb.c. */
export class Fdb {
  /** Since the last source sighting; 300 s as the kernel has it. */
  ageing: Micros;
  readonly #queue: EventQueue;
  readonly #entries = new Map<Mac | string, FdbEntry>();

  constructor(queue: EventQueue, ageing: Micros) {
    this.#queue = queue;
    this.ageing = ageing;
  }

  lookup(mac: Mac, vid = 0): FdbEntry | undefined {
    const key = keyOf(mac, vid);
    const entry = this.#entries.get(key);
    if (entry === undefined || !this.#expired(entry)) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  /** A frame from `mac` came in by `port`. Mirrors net/bridge/br_fdb.c:br_fdb_update(). */
  learn(mac: Mac, port: BridgePort, vid = 0): Learning {
    const entry = this.lookup(mac, vid);
    if (entry?.local === true) return "own address";
    if (entry?.static === true) return "known";
    const moved = entry !== undefined && entry.port !== port;
    this.#entries.set(keyOf(mac, vid), {
      mac,
      vid,
      port,
      local: false,
      static: false,
      byUser: false,
      updated: this.#queue.now,
    });
    if (entry === undefined) return "new";
    return moved ? "moved" : "known";
  }

  /** Puts an entry made by hand or for an own device. */
  set(entry: Omit<FdbEntry, "updated" | "vid"> & { readonly vid?: number }): void {
    const { vid = 0 } = entry;
    this.#entries.set(keyOf(entry.mac, vid), { ...entry, vid, updated: this.#queue.now });
  }

  remove(mac: Mac, vid = 0): boolean {
    return this.#entries.delete(keyOf(mac, vid));
  }

  /** Forgets what is behind a port, static entries too when `all`. Mirrors net/bridge/br_fdb.c:br_fdb_delete_by_port(). */
  flushPort(port: BridgePort, all: boolean): void {
    for (const entry of this.#entries.values()) {
      if (entry.port === port && (all || !entry.static)) this.remove(entry.mac, entry.vid);
    }
  }

  /** Forgets the own addresses of a port, or of the bridge itself, but not those that somebody typed. */
  removeOwn(port: BridgePort | undefined): void {
    for (const entry of this.#entries.values()) {
      if (entry.local && entry.port === port && !entry.byUser) this.remove(entry.mac, entry.vid);
    }
  }

  /** An own address of the bridge; the first device that has it keeps the entry. Mirrors net/bridge/br_fdb.c:fdb_add_local(). */
  addOwn(mac: Mac, port: BridgePort | undefined, vid = 0): void {
    if (mac !== MAC_ZERO && this.lookup(mac, vid)?.local !== true)
      this.set({ mac, vid, port, local: true, static: true, byUser: false });
  }

  /** Forgets what is behind a port in one VLAN. Mirrors net/bridge/br_fdb.c:br_fdb_delete_by_port() with a vid. */
  flushVlan(port: BridgePort | undefined, vid: number): void {
    for (const entry of this.#entries.values())
      if (entry.port === port && entry.vid === vid && !entry.byUser) this.remove(entry.mac, vid);
  }

  /** Living entries, the newest first, as `bridge fdb show` lists those of one port. */
  list(): readonly FdbEntry[] {
    return [...this.#entries.values()].filter((entry) => !this.#expired(entry)).toReversed();
  }

  #expired(entry: FdbEntry): boolean {
    return !entry.static && !entry.local && later(entry.updated, this.ageing) <= this.#queue.now;
  }
}

/** A MAC address in a VLAN. Both together are too long for a number. */
function keyOf(mac: Mac, vid: number): Mac | string {
  return vid === 0 ? mac : `${mac} ${vid}`;
}

/** `02:00:00:00:02:01 dev p1 vlan 10 master br0 permanent`. */
export function formatFdbEntry(entry: FdbEntry, bridge: string, showDevice = true): string {
  const device = showDevice ? `dev ${entry.port?.dev.name ?? bridge} ` : "";
  const state = entry.local ? "permanent" : entry.static ? "static" : "";
  const vlan = entry.vid === 0 ? "" : `vlan ${entry.vid} `;
  return `${formatMac(entry.mac)} ${device}${vlan}master ${bridge} ${state}`;
}
