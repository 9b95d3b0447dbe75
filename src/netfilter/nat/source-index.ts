import { IPS_SRC_NAT_DONE, type Tuple } from "../../core/conntrack.js";
import { foldAddress } from "../../wire/ip.js";
import { type Connection, type Zone, zoneIdIn } from "../conntrack/connection.js";
import type { ConntrackTable } from "../conntrack/table.js";
import { ORIGINAL, invertTuple } from "../conntrack/tuple.js";
import { type NatRange, sourceInRange } from "./range.js";

/** Confirmed connections by the source they came from, newest first. Mirrors nf_nat_bysource. */
export class SourceIndex {
  readonly #heads = new Map<number, Connection>();

  constructor(table: ConntrackTable) {
    table.watch(({ type, entry }) => {
      if ((entry.status & IPS_SRC_NAT_DONE) === 0) return;
      if (type === "NEW") this.#add(entry);
      if (type === "DESTROY") this.#remove(entry);
    });
  }

  /** A mapping that another connection of the same source has, with this tuple's destination, if it lies in the range. Mirrors find_appropriate_src(). */
  find(zone: Zone, tuple: Tuple, range: NatRange): Tuple | undefined {
    for (
      let entry = this.#heads.get(sourceKey(tuple));
      entry !== undefined;
      entry = entry.nextBySource
    ) {
      const { original } = entry;
      const sameSource =
        original.source === tuple.source &&
        original.sourcePort === tuple.sourcePort &&
        original.protocol === tuple.protocol;
      if (!sameSource || zoneIdIn(entry.zones, ORIGINAL) !== zoneIdIn(zone, ORIGINAL)) continue;
      const outgoing = invertTuple(entry.reply);
      if (outgoing === undefined) continue;
      const mapped = { ...tuple, source: outgoing.source, sourcePort: outgoing.sourcePort };
      if (sourceInRange(mapped, range)) return mapped;
    }
    return undefined;
  }

  #add(entry: Connection): void {
    const key = sourceKey(entry.original);
    entry.nextBySource = this.#heads.get(key);
    this.#heads.set(key, entry);
  }

  #remove(entry: Connection): void {
    const key = sourceKey(entry.original);
    const head = this.#heads.get(key);
    if (head !== entry) {
      for (let other = head; other !== undefined; other = other.nextBySource) {
        if (other.nextBySource === entry) other.nextBySource = entry.nextBySource;
      }
    } else if (entry.nextBySource === undefined) {
      this.#heads.delete(key);
    } else {
      this.#heads.set(key, entry.nextBySource);
    }
    entry.nextBySource = undefined;
  }
}

/** Different sources may share a key. It is a signed 32-bit number because maps are fastest with those. */
function sourceKey(tuple: Tuple): number {
  return Math.imul(foldAddress(tuple.source), 0x9e37_79b1) ^ tuple.sourcePort;
}
