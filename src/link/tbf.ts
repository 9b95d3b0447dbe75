import type { Qdisc } from "../core/device.js";
import { drop } from "../core/drop.js";
import type { SendResult } from "../core/errno.js";
import type { SkBuff } from "../core/skbuff.js";
import type { EventQueue, Timer } from "../sim/event-queue.js";
import { microseconds } from "../sim/time.js";
import { frameLength } from "../wire/frame.js";

export interface TbfSettings {
  /** Bytes a second. */
  readonly rate: number;
  /** Bytes that may leave at once. */
  readonly burst: number;
  /** Bytes that may wait. */
  readonly limit: number;
}

/** A token bucket: what leaves costs tokens, and waits until there are enough. Mirrors net/sched/sch_tbf.c with its bfifo. */
export class TokenBucket implements Qdisc {
  readonly settings: TbfSettings;
  readonly #queue: EventQueue;
  readonly #waiting: { readonly skb: SkBuff; readonly send: (skb: SkBuff) => void }[] = [];
  #backlog = 0;
  /** In bytes, as of `#checked`. */
  #tokens: number;
  #checked: number;
  #watchdog: Timer | undefined;

  constructor(queue: EventQueue, settings: TbfSettings) {
    this.#queue = queue;
    this.settings = settings;
    this.#tokens = settings.burst;
    this.#checked = queue.now;
  }

  get text(): string {
    return `tbf rate ${this.settings.rate * 8}bit burst ${this.settings.burst}b`;
  }

  /** Mirrors tbf_enqueue() and bfifo_enqueue(). */
  enqueue(skb: SkBuff, send: (skb: SkBuff) => void): SendResult {
    const length = frameLength(skb.frame);
    const tooBig = length > this.settings.burst;
    if (tooBig || this.#backlog + length > this.settings.limit) {
      drop(skb, "QDISC_DROP", tooBig ? "tbf_enqueue" : "bfifo_enqueue");
      return "ENOBUFS";
    }
    this.#waiting.push({ skb, send });
    this.#backlog += length;
    this.#dequeue();
    return undefined;
  }

  /** Mirrors tbf_dequeue(). */
  #dequeue(): void {
    const { rate, burst } = this.settings;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const { now } = this.#queue;
      const length = frameLength(first.skb.frame);
      const tokens = Math.min(burst, this.#tokens + ((now - this.#checked) * rate) / 1_000_000);
      if (tokens < length) {
        this.#watchdog?.cancel();
        const wait = microseconds(Math.ceil(((length - tokens) * 1_000_000) / rate));
        this.#watchdog = this.#queue.after(wait, "tbf", () => this.#dequeue());
        return;
      }
      this.#tokens = tokens - length;
      this.#checked = now;
      this.#waiting.shift();
      this.#backlog -= length;
      first.send(first.skb);
    }
  }
}
