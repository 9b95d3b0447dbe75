import type { Tuple } from "../../core/conntrack.js";
import { type Micros, later } from "../../sim/time.js";
import { type Connection, zoneIdIn, type Zone } from "./connection.js";
import { type Helper, IPEXP_DESTROY, IPEXP_NEW } from "./extensions.js";
import { ORIGINAL, sameTuple } from "./tuple.js";

/** A connection that a helper has read of and that may come. Mirrors struct nf_conntrack_expect. */
export interface Expectation {
  readonly master: Connection;
  readonly helper: Helper;
  /** Its first packet. The source port is not known: it is 0 and any will do. */
  readonly tuple: Tuple;
  /** Decides the NAT of the connection that came. Mirrors exp->expectfn(). */
  readonly onArrival: ((entry: Connection) => void) | undefined;
  expires: Micros;
}

/** What `conntrack -E expect` shows. */
export interface ExpectationEvent {
  readonly type: "NEW" | "DESTROY";
  readonly at: Micros;
  readonly expectation: Expectation;
}

/** How announcing ended. `busy`: another master waits for the same; `full`: there is no room. */
export type ExpectResult = "expected" | "busy" | "full";

/** The counters of `conntrack -S expect`. */
export interface ExpectationStatistics {
  /** Connections that came: `expect_new`. */
  taken: number;
  made: number;
  deleted: number;
}

/** The connections that are expected in one namespace. An expired one is invisible at once. */
export class ExpectationTable {
  readonly statistics: ExpectationStatistics = { taken: 0, made: 0, deleted: 0 };
  readonly #now: () => Micros;
  readonly #max: () => number;
  readonly #byPort = new Map<number, Expectation[]>();
  readonly #watchers: ((event: ExpectationEvent) => void)[] = [];
  #count = 0;

  /** `max` is `nf_conntrack_expect_max`. */
  constructor(now: () => Micros, max: () => number) {
    this.#now = now;
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  watch(watcher: (event: ExpectationEvent) => void): void {
    this.#watchers.push(watcher);
  }

  /** Adds an expectation, in place of the same one or of the master's oldest. Mirrors nf_ct_expect_related_report(). */
  add(expectation: Expectation): ExpectResult {
    for (const other of this.#living(expectation.tuple)) {
      if (!waitsForSame(other, expectation)) continue;
      if (other.master !== expectation.master) return "busy";
      this.#remove(other);
    }
    const { master, helper } = expectation;
    const own = this.of(master);
    const oldest = own[0];
    if (helper.maxExpected > 0 && own.length >= helper.maxExpected && oldest !== undefined)
      this.#remove(oldest);
    if (this.#count >= this.#max()) return "full";
    const key = keyOf(expectation.tuple);
    expectation.expires = later(this.#now(), helper.timeout);
    this.#byPort.set(key, [...(this.#byPort.get(key) ?? []), expectation]);
    this.#count++;
    this.statistics.made++;
    this.#tell("NEW", expectation, this.#now());
    return "expected";
  }

  /** Takes the expectation that a new connection fulfils: it serves once. Mirrors nf_ct_find_expectation(). */
  take(tuple: Tuple, zone: Zone): Expectation | undefined {
    if (this.#count === 0) return undefined;
    const found = this.#living(tuple).find(
      (expectation) =>
        isExpected(tuple, expectation.tuple) &&
        zoneIdIn(expectation.master.zones, ORIGINAL) === zoneIdIn(zone, ORIGINAL),
    );
    if (found === undefined || !found.master.confirmed || found.master.dying) return undefined;
    this.#remove(found);
    this.statistics.taken++;
    return found;
  }

  /** What `master` still waits for, the oldest first. */
  of(master: Connection): readonly Expectation[] {
    return [...this.entries()].filter((expectation) => expectation.master === master);
  }

  /** Mirrors nf_ct_remove_expectations(). */
  removeOf(master: Connection): void {
    if (this.#count > 0) this.remove((expectation) => expectation.master === master);
  }

  /** Takes those out that `which` picks; gives their number. */
  remove(which: (expectation: Expectation) => boolean): number {
    const picked = [...this.entries()].filter(which);
    for (const expectation of picked) this.#remove(expectation);
    return picked.length;
  }

  /** Those that may still come true, in order of their making. */
  entries(): readonly Expectation[] {
    return [...this.#byPort.values()]
      .flat()
      .filter((expectation) => this.#isAlive(expectation))
      .toSorted((a, b) => a.expires - a.helper.timeout - (b.expires - b.helper.timeout));
  }

  #living(tuple: Tuple): readonly Expectation[] {
    return (this.#byPort.get(keyOf(tuple)) ?? []).filter((expectation) =>
      this.#isAlive(expectation),
    );
  }

  /** One whose time is over is taken out by who comes past it; its end is told of the moment when it was. */
  #isAlive(expectation: Expectation): boolean {
    if (expectation.expires > this.#now()) return true;
    this.#remove(expectation, expectation.expires);
    return false;
  }

  #remove(expectation: Expectation, at: Micros = this.#now()): void {
    const key = keyOf(expectation.tuple);
    const left = (this.#byPort.get(key) ?? []).filter((other) => other !== expectation);
    if (left.length === 0) this.#byPort.delete(key);
    else this.#byPort.set(key, left);
    this.#count--;
    this.statistics.deleted++;
    this.#tell("DESTROY", expectation, at);
  }

  #tell(type: ExpectationEvent["type"], expectation: Expectation, at: Micros): void {
    const masks = expectation.master.ext?.eventMasks;
    const bit = type === "NEW" ? IPEXP_NEW : IPEXP_DESTROY;
    if (masks !== undefined && (masks.expectation & bit) === 0) return;
    for (const watcher of this.#watchers) watcher({ type, at, expectation });
  }
}

/** Whether `tuple` is the first packet of what is expected. Mirrors nf_ct_tuple_mask_cmp(). */
function isExpected(tuple: Tuple, expected: Tuple): boolean {
  return (
    tuple.source === expected.source &&
    tuple.destination === expected.destination &&
    tuple.destinationPort === expected.destinationPort &&
    tuple.protocol === expected.protocol
  );
}

/** Mirrors expect_clash(): the parts that both are sure of are the same. */
function waitsForSame(a: Expectation, b: Expectation): boolean {
  return (
    sameTuple(a.tuple, b.tuple) &&
    zoneIdIn(a.master.zones, ORIGINAL) === zoneIdIn(b.master.zones, ORIGINAL)
  );
}

function keyOf({ protocol, destinationPort }: Tuple): number {
  return protocol * 0x1_0000 + destinationPort;
}
