import type { Micros } from "../../sim/time.js";
import type { DnsRecord } from "../../wire/dns-message.js";
import { rrClassNumber, rrTypeNumber } from "../../wire/dns-rdata.js";
import { questionOf } from "./messages.js";
import type { Query } from "./plugin.js";

/** One kept reply. What changes is how often it was asked for. */
export interface CacheItem {
  readonly name: string;
  readonly type: string;
  readonly class: string;
  readonly kind: "success" | "denial";
  readonly rcode: string;
  readonly ad: boolean;
  readonly ra: boolean;
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
  /** Seconds it may be kept. */
  readonly ttl: number;
  readonly stored: Micros;
  hits: number;
  lastHit: Micros;
  refreshing: boolean;
  /** When a refresh was last begun. */
  checked: Micros | undefined;
}

const shardCount = 256;

/** Kept replies by question, in 256 shards. A full shard gives up a random item. Mirrors plugin/pkg/cache. */
export class CacheStore {
  readonly #shards: readonly Map<string, CacheItem>[];
  readonly #shardSize: number;

  constructor(capacity: number) {
    this.#shardSize = Math.max(Math.floor(capacity / shardCount), 4);
    this.#shards = Array.from({ length: shardCount }, () => new Map<string, CacheItem>());
  }

  get(query: Query): CacheItem | undefined {
    const { text, shard } = keyOf(query);
    return this.#shards[shard]?.get(text);
  }

  set(query: Query, item: CacheItem, random: () => number): void {
    const { text, shard } = keyOf(query);
    const items = this.#shards[shard];
    if (items === undefined) return;
    if (!items.has(text) && items.size >= this.#shardSize) {
      const victim = [...items.keys()][Math.floor(random() * items.size)];
      if (victim !== undefined) items.delete(victim);
    }
    items.set(text, item);
  }

  delete(query: Query): void {
    const { text, shard } = keyOf(query);
    this.#shards[shard]?.delete(text);
  }

  get size(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.size, 0);
  }
}

/** DO, CD, type, class and the lower-cased name; the shard is the low byte of their FNV-1 hash. */
function keyOf(query: Query): { readonly text: string; readonly shard: number } {
  const { name, type, class: klass } = questionOf(query);
  const lower = name.toLowerCase();
  const flags = `${query.message.edns?.do === true ? 1 : 0}${query.message.cd ? 1 : 0}`;
  let hash = 0x25;
  const mix = (byte: number): void => {
    hash = ((hash * 0xb3) & 255) ^ (byte & 255);
  };
  for (const char of flags) mix(char.charCodeAt(0));
  for (const number of [rrTypeNumber(type) ?? 0, rrClassNumber(klass) ?? 0]) {
    mix(number >> 8);
    mix(number);
  }
  for (let at = 0; at < lower.length; at++) mix(lower.charCodeAt(at));
  return { text: `${flags} ${type} ${klass} ${lower}`, shard: hash };
}
