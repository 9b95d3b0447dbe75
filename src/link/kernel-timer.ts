import type { EventQueue, Timer } from "../sim/event-queue.js";
import { later, type Micros } from "../sim/time.js";

/** A timer that is set again and again, and keeps no run from being over. Mirrors struct timer_list. */
export class KernelTimer {
  readonly #queue: EventQueue;
  readonly #label: string;
  readonly #expired: () => void;
  #timer: Timer | undefined;

  constructor(queue: EventQueue, label: string, expired: () => void) {
    this.#queue = queue;
    this.#label = label;
    this.#expired = expired;
  }

  get pending(): boolean {
    return this.#timer !== undefined;
  }

  /** What is left until it expires; 0 when it does not run. */
  get remaining(): Micros {
    return this.#timer === undefined
      ? (0 as Micros)
      : later(this.#timer.at, -this.#queue.now as Micros);
  }

  /** Sets it anew, whether it runs or not. Mirrors mod_timer(). */
  start(delay: Micros): void {
    this.stop();
    this.#timer = this.#queue.afterInBackground(delay, this.#label, () => {
      this.#timer = undefined;
      this.#expired();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
