import { type Random, randomBetween, seededRandom } from "../base/random.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { Micros } from "../sim/time.js";
import { foldAddress, type IpAddress } from "../wire/ip.js";

/** As many counters as the kernel has at least; flows that hash together share one. */
const BUCKETS = 2048;
const MICROS_PER_JIFFY = 4000;

interface Buckets {
  readonly counters: Uint16Array;
  /** When each was last asked, in microseconds. */
  readonly stamps: Float64Array;
}

/** Where the ids of packets come from that no connected socket counts. Mirrors net/ipv4/route.c:ip_idents_reserve(). */
export class IpIds {
  readonly #random: Random;
  readonly #key: number;
  /** Made when they are first asked: most namespaces of a cluster send no packet. */
  #buckets: Buckets | undefined;
  readonly #ns: NetworkNamespace;

  constructor(ns: NetworkNamespace) {
    this.#ns = ns;
    this.#random = seededRandom(randomBetween(ns.sim.random, 0, 0xffff_ffff));
    this.#key = randomBetween(this.#random, 0, 0xffff_ffff);
  }

  /** Consecutive for packets sent at once, jumping ahead by chance with time. */
  next(source: IpAddress, destination: IpAddress, protocol: number): number {
    const bucket =
      (Math.imul(foldAddress(source) ^ this.#key, 0x9e37_79b1) ^
        Math.imul(foldAddress(destination) + protocol, 0x85eb_ca6b)) >>>
      21;
    const { counters, stamps } = this.#open();
    const now: Micros = this.#ns.sim.queue.now;
    const passed = Math.floor((now - (stamps[bucket] ?? 0)) / MICROS_PER_JIFFY);
    if (passed > 0) stamps[bucket] = now;
    const jump = passed > 1 ? Math.floor(this.#random() * passed) : 0;
    const id = ((counters[bucket] ?? 0) + jump) & 0xffff;
    counters[bucket] = id + 1;
    return id;
  }

  /** Where the own counter of a socket starts. */
  start(): number {
    this.#open();
    return randomBetween(this.#random, 0, 0xffff);
  }

  #open(): Buckets {
    this.#buckets ??= {
      counters: Uint16Array.from({ length: BUCKETS }, () => randomBetween(this.#random, 0, 0xffff)),
      stamps: new Float64Array(BUCKETS),
    };
    return this.#buckets;
  }
}

export const ipIds: (ns: NetworkNamespace) => IpIds = perNamespace((ns) => new IpIds(ns));
