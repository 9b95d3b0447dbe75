import type { EventQueue } from "./event-queue.js";

/** How many packets a system call takes in before it goes on and leaves the others to ksoftirqd: netdev_budget, MAX_SOFTIRQ_RESTART times. */
const BUDGET = 300 * 10;

/**
 * When packets that have arrived are taken in. While one is worked on, or a timer, others wait for their turn. Inside a
 * program's system call they are taken in at once, with all that they cause, before the call goes on.
 * Mirrors kernel/softirq.c and the backlog of net/core/dev.c, of one processor. Differs: time does not end a turn.
 */
export class Softirq {
  readonly #queue: EventQueue;
  /** Packets wait while this is not 0, as they do outside of system calls. Mirrors softirq_count(). */
  #disabled = 1;

  constructor(queue: EventQueue) {
    this.#queue = queue;
  }

  /** A packet has arrived, which `receive` takes in. Mirrors netif_rx(). */
  netifRx(receive: () => void): void {
    this.#queue.soon(receive);
    if (this.#disabled === 0) this.#run();
  }

  /** What arrives waits until `enable`. Mirrors local_bh_disable(). */
  disable(): void {
    this.#disabled++;
  }

  /** Mirrors local_bh_enable(). */
  enable(): void {
    this.#disabled--;
    if (this.#disabled === 0 && this.#queue.hasSoon) this.#run();
  }

  /**
   * Runs what a program asks the kernel for. A program that is called back while a packet is taken in has no turn of its own
   * yet: what it sends waits, as what the packet itself brings about does.
   */
  systemCall<T>(call: () => T): T {
    if (this.#queue.runsSoon || this.#disabled === 0) return call();
    const before = this.#disabled;
    this.#disabled = 0;
    try {
      return call();
    } finally {
      this.#disabled = before;
    }
  }

  /** Mirrors __do_softirq(). */
  #run(): void {
    this.#disabled++;
    for (let left = BUDGET; left > 0 && this.#queue.runSoon(); left--);
    this.#disabled--;
  }
}
