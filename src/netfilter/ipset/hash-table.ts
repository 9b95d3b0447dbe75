import { jhash2 } from "../../base/jhash.js";
import type { Micros } from "../../sim/time.js";
import type { Element } from "./element.js";
import {
  commentSize,
  elementSize,
  type ExtensionKinds,
  type Extensions,
  type GivenExtensions,
  isExpired,
  jiffiesOf,
  JIFFIES_PER_SECOND,
  newExtensions,
  writeExtensions,
} from "./extensions.js";
import type { Layout } from "./layout.js";

/** An element in its place. `nomatch` and `wildcard` are no part of the key. */
export interface HashEntry {
  element: Element;
  readonly words: readonly number[];
  nomatch: boolean;
  readonly extensions: Extensions;
}

/** Places of one hash value; undefined where an element was deleted. */
interface Bucket {
  size: number;
  entries: (HashEntry | undefined)[];
}

/** Elements by 1,024 buckets: how many, and what the kernel counts as their memory. */
interface Region {
  elements: number;
  bytes: number;
}

/** What makes a table. */
export interface HashShape {
  readonly layout: Layout;
  readonly kinds: ExtensionKinds;
  readonly maxelem: number;
  readonly initval: number;
  readonly hashBits: number;
  readonly bucketSize: number;
  /** Elements with one key may differ in something that is not hashed: the interface of hash:net,iface. */
  readonly multi: boolean;
  /** Called when a net begins or ends to be in the table. */
  readonly onNets: (entry: HashEntry, change: 1 | -1) => void;
}

/** `resize`: the bucket is full, the table must grow first. */
export type AddResult = "added" | "EXIST" | "FULL" | "resize";

/** What an add does to an element that is there. */
export interface AddOptions {
  readonly given: GivenExtensions;
  readonly nomatch: boolean;
  readonly exist: boolean;
  readonly now: Micros;
}

const INIT_SIZE = 2;
const BUCKET_BYTES = 32;
const REGION_BITS = 10;
const REGION_BYTES = 24;
const MAX_TUNED = 64;
/** The collector comes round every third of the timeout, every three minutes at most. */
const GC_SECONDS = 180;

/**
 * The table of a hash set, bucket by bucket as the kernel has it, so that elements are listed in its order and sizes are
 * its sizes. Mirrors net/netfilter/ipset/ip_set_hash_gen.h.
 */
export class HashTable {
  readonly #shape: HashShape;
  readonly #elementBytes: number;
  #buckets = new Map<number, Bucket>();
  #regions: Region[];
  #bits: number;
  #bucketSize: number;
  #comments = 0;
  #collectAt: number;
  #collectRegion = 0;

  constructor(shape: HashShape, now: Micros) {
    this.#shape = shape;
    this.#bits = shape.hashBits;
    this.#bucketSize = shape.bucketSize;
    this.#regions = newRegions(this.#bits);
    this.#elementBytes = elementSize(shape.layout.bytes, shape.layout.alignment, shape.kinds);
    this.#collectAt = jiffiesOf(now) + JIFFIES_PER_SECOND;
  }

  get hashSize(): number {
    return 2 ** this.#bits;
  }

  get bucketSize(): number {
    return this.#bucketSize;
  }

  /** As list prints it: bytes of the set and all its elements. */
  get bytes(): number {
    return (
      this.#shape.layout.baseBytes +
      (this.#regions.length - 1) * REGION_BYTES +
      this.#regions.reduce((sum, { bytes }) => sum + bytes, 0) +
      this.#comments
    );
  }

  /** Elements that are not expired, in the order of buckets. */
  *entries(now: Micros): Generator<HashEntry> {
    const jiffies = jiffiesOf(now);
    for (const key of [...this.#buckets.keys()].toSorted((a, b) => a - b)) {
      for (const entry of this.#buckets.get(key)?.entries ?? []) {
        if (entry !== undefined && !isExpired(entry.extensions, jiffies)) yield entry;
      }
    }
  }

  /** The elements that share a bucket with these words; the caller compares. */
  bucketOf(words: readonly number[]): readonly (HashEntry | undefined)[] | undefined {
    return this.#buckets.get(this.#key(words))?.entries;
  }

  #key(words: readonly number[]): number {
    return (jhash2(words, this.#shape.initval) & (2 ** this.#bits - 1)) >>> 0;
  }

  #region(key: number): Region {
    // Regions cover all buckets.
    return this.#regions[key >>> REGION_BITS] ?? { elements: 0, bytes: 0 };
  }

  /** Mirrors mtype_add(). */
  add(element: Element, words: readonly number[], options: AddOptions): AddResult {
    const key = this.#key(words);
    const region = this.#region(key);
    const jiffies = jiffiesOf(options.now);
    const full = this.#isFull(region, jiffies);
    const bucket = this.#buckets.get(key) ?? { size: 0, entries: [] };
    const alike = bucket.entries.filter(
      (entry) => entry !== undefined && equalWords(entry.words, words),
    );
    const known = alike.find((entry) => entry !== undefined && sameRest(entry.element, element));
    if (known !== undefined) {
      if (!options.exist && !isExpired(known.extensions, jiffies)) return "EXIST";
      this.#write(known, element, options);
      return "added";
    }
    let at = bucket.entries.findIndex(
      (entry) => entry === undefined || isExpired(entry.extensions, jiffies),
    );
    if (at < 0) {
      if (full) return "FULL";
      const refusal = this.#makeRoom(bucket, region, alike.length);
      if (refusal !== undefined) return refusal;
      at = bucket.entries.length;
      this.#buckets.set(key, bucket);
    }
    const old = bucket.entries[at];
    if (old !== undefined) this.#forget(old, region);
    const entry: HashEntry = { element, words, nomatch: false, extensions: newExtensions() };
    region.elements++;
    this.#shape.onNets(entry, 1);
    bucket.entries[at] = entry;
    this.#write(entry, element, options);
    return "added";
  }

  /** Makes a full bucket longer, as far as one may be; then the table must grow. */
  #makeRoom(bucket: Bucket, region: Region, alike: number): "FULL" | "resize" | undefined {
    if (bucket.entries.length < bucket.size) return undefined;
    if (bucket.size > 0 && this.#shape.multi) {
      if (this.#bucketSize >= MAX_TUNED) return "FULL";
      if (this.#bucketSize <= alike) this.#bucketSize += INIT_SIZE;
    }
    if (bucket.size >= this.#bucketSize) return "resize";
    bucket.size += INIT_SIZE;
    region.bytes += bucketBytes(INIT_SIZE, this.#elementBytes);
    return undefined;
  }

  #isFull(region: Region, jiffies: number): boolean {
    const { maxelem, kinds } = this.#shape;
    if (region.elements < Math.floor(maxelem / this.#regions.length)) return false;
    if (kinds.timeout !== undefined) this.#collect(this.#regions.indexOf(region), jiffies);
    return this.#regions.reduce((sum, { elements }) => sum + elements, 0) >= maxelem;
  }

  #write(entry: HashEntry, element: Element, { given, nomatch, now }: AddOptions): void {
    this.#comments -= commentSize(entry.extensions);
    entry.element = element;
    entry.nomatch = nomatch;
    writeExtensions(entry.extensions, given, this.#shape.kinds, now);
    this.#comments += commentSize(entry.extensions);
  }

  #forget(entry: HashEntry, region: Region): void {
    region.elements--;
    this.#comments -= commentSize(entry.extensions);
    this.#shape.onNets(entry, -1);
  }

  /** Takes an element out; false when it is not there. Mirrors mtype_del(). */
  delete(element: Element, words: readonly number[], now: Micros): boolean {
    const key = this.#key(words);
    const bucket = this.#buckets.get(key);
    const at = bucket?.entries.findIndex(
      (entry) =>
        entry !== undefined && equalWords(entry.words, words) && sameRest(entry.element, element),
    );
    const entry = at === undefined ? undefined : bucket?.entries[at];
    if (bucket === undefined || at === undefined || entry === undefined) return false;
    if (isExpired(entry.extensions, jiffiesOf(now))) return false;
    const region = this.#region(key);
    this.#forget(entry, region);
    bucket.entries[at] = undefined;
    if (at + 1 === bucket.entries.length) bucket.entries.pop();
    this.#shrink(key, bucket, region);
    return true;
  }

  /** Gives back the room of deleted elements: all of a bucket's, or two at a time. */
  #shrink(key: number, bucket: Bucket, region: Region): void {
    const holes = bucket.entries.filter((entry) => entry === undefined).length;
    if (holes === bucket.entries.length) {
      region.bytes -= bucketBytes(bucket.size, this.#elementBytes);
      this.#buckets.delete(key);
    } else if (holes >= INIT_SIZE) {
      bucket.size -= INIT_SIZE;
      bucket.entries = bucket.entries.filter((entry) => entry !== undefined);
      region.bytes -= bucketBytes(INIT_SIZE, this.#elementBytes);
    }
  }

  /** Doubles the table until every bucket has room. Mirrors mtype_resize(). */
  grow(now: Micros): void {
    const jiffies = jiffiesOf(now);
    const old = [...this.#buckets.entries()].toSorted((a, b) => a[0] - b[0]);
    const all = old.flatMap(([, { entries }]) => entries.filter((entry) => entry !== undefined));
    const kept = all.filter((entry) => {
      const expired = isExpired(entry.extensions, jiffies);
      if (expired) this.#shape.onNets(entry, -1);
      return !expired;
    });
    do this.#bits++;
    while (!this.#fill(kept));
    this.#comments = kept.reduce((sum, { extensions }) => sum + commentSize(extensions), 0);
  }

  #fill(entries: readonly HashEntry[]): boolean {
    this.#buckets = new Map();
    this.#regions = newRegions(this.#bits);
    for (const entry of entries) {
      const key = this.#key(entry.words);
      const region = this.#region(key);
      const bucket = this.#buckets.get(key) ?? { size: 0, entries: [] };
      this.#buckets.set(key, bucket);
      if (bucket.entries.length >= bucket.size) {
        if (bucket.size >= this.#bucketSize) return false;
        bucket.size += INIT_SIZE;
        region.bytes += bucketBytes(INIT_SIZE, this.#elementBytes);
      }
      bucket.entries.push(entry);
      region.elements++;
    }
    return true;
  }

  flush(): void {
    for (const { entries } of this.#buckets.values())
      for (const entry of entries) if (entry !== undefined) this.#shape.onNets(entry, -1);
    this.#buckets = new Map();
    this.#regions = newRegions(this.#bits);
    this.#comments = 0;
  }

  /** What the collector has done up to now, one region a run. Mirrors mtype_gc(). */
  catchUp(now: Micros): void {
    const { timeout } = this.#shape.kinds;
    if (timeout === undefined) return;
    const jiffies = jiffiesOf(now);
    const round = timeout < 3 ? 1 : Math.min(Math.floor(timeout / 3), GC_SECONDS);
    const regions = this.#regions.length;
    const every = Math.max(
      Math.floor((round * JIFFIES_PER_SECOND) / regions),
      JIFFIES_PER_SECOND / 10,
    );
    const missed = Math.floor((jiffies - this.#collectAt) / every) + 1;
    if (missed <= 0) return;
    // Only the last run of each region counts.
    const skipped = Math.max(0, missed - regions);
    for (let run = skipped; run < missed; run++)
      this.#collect((this.#collectRegion + run) % regions, this.#collectAt + run * every);
    this.#collectRegion = (this.#collectRegion + missed) % regions;
    this.#collectAt += missed * every;
  }

  /** Mirrors mtype_gc_do(). */
  #collect(index: number, jiffies: number): void {
    const region = this.#regions[index];
    if (region === undefined) return;
    for (const [key, bucket] of this.#buckets) {
      if (key >>> REGION_BITS !== index) continue;
      let gone = false;
      for (const [at, entry] of bucket.entries.entries()) {
        if (entry === undefined || !isExpired(entry.extensions, jiffies)) continue;
        this.#forget(entry, region);
        bucket.entries[at] = undefined;
        gone = true;
      }
      if (gone) this.#shrink(key, bucket, region);
    }
  }
}

function newRegions(bits: number): Region[] {
  return Array.from({ length: 2 ** Math.max(0, bits - REGION_BITS) }, () => ({
    elements: 0,
    bytes: 0,
  }));
}

function bucketBytes(places: number, elementBytes: number): number {
  return BUCKET_BYTES + places * elementBytes;
}

export function equalWords(a: readonly number[], b: readonly number[]): boolean {
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** What is compared but not hashed: an element in the set may stand for all interfaces that begin like its own. */
export function sameRest(known: Element, wanted: Element): boolean {
  return known.wildcard ? wanted.iface.startsWith(known.iface) : known.iface === wanted.iface;
}
