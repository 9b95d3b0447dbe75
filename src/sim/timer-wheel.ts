import type { EventQueue, Timer } from "./event-queue.js";
import { later, type Micros } from "./time.js";

/** A tick of the kernel's clock in microseconds: HZ is 250. */
const JIFFY = 4_000;

/** Buckets of a level; each level's are eight times as wide as those of the level below. Mirrors LVL_SIZE, LVL_CLK_SHIFT. */
const LEVEL_SIZE = 64;
const LEVEL_SHIFT = 3;
const LEVELS = 9;

/**
 * The timers of the kernel. Those that fall into one bucket of the wheel expire together, the one that was set last first.
 * A bucket is a tick (4 ms) wide for timers of up to 63 ticks, eight ticks for those of up to 504, and so on.
 * Mirrors kernel/time/timer.c:struct timer_base, of one processor.
 * Differs: a bucket expires when the last of its timers is due, not at the bucket's end.
 */
export class TimerWheel {
  readonly #queue: EventQueue;
  readonly #buckets = new Map<string, Bucket>();

  constructor(queue: EventQueue) {
    this.#queue = queue;
  }

  /** Calls `action` after `delay`, or up to a bucket's width later. Mirrors mod_timer(). */
  after(delay: Micros, label: string, action: () => void): Timer {
    const at = later(this.#queue.now, delay);
    const key = this.#bucketOf(delay);
    const bucket = this.#buckets.get(key) ?? { timers: [], expiry: undefined };
    this.#buckets.set(key, bucket);
    const timer = { at, label, action, cancel: () => this.#cancel(key, bucket, timer) };
    bucket.timers.push(timer);
    if (bucket.expiry === undefined || bucket.expiry.at < at)
      this.#schedule(key, bucket, delay, label);
    return timer;
  }

  /** Mirrors calc_wheel_index(). */
  #bucketOf(delay: Micros): string {
    const delta = Math.ceil(delay / JIFFY);
    const expires = Math.floor(this.#queue.now / JIFFY) + delta;
    let level = 0;
    while (level < LEVELS - 1 && delta >= (LEVEL_SIZE - 1) * 2 ** (level * LEVEL_SHIFT)) level++;
    return `${level} ${Math.floor(expires / 2 ** (level * LEVEL_SHIFT))}`;
  }

  #schedule(key: string, bucket: Bucket, delay: Micros, label: string): void {
    bucket.expiry?.cancel();
    bucket.expiry = this.#queue.after(delay, label, () => {
      this.#buckets.delete(key);
      // What one does may take back another that has not had its turn.
      for (let next = bucket.timers.pop(); next !== undefined; next = bucket.timers.pop())
        next.action();
    });
  }

  #cancel(key: string, bucket: Bucket, timer: WheelTimer): void {
    const at = bucket.timers.indexOf(timer);
    if (at >= 0) bucket.timers.splice(at, 1);
    if (bucket.timers.length > 0 || this.#buckets.get(key) !== bucket) return;
    bucket.expiry?.cancel();
    this.#buckets.delete(key);
  }
}

interface WheelTimer extends Timer {
  readonly action: () => void;
}

/** Timers in the order they were set, and the queued event that ends them. */
interface Bucket {
  readonly timers: WheelTimer[];
  expiry: Timer | undefined;
}
