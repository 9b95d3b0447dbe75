import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { Micros } from "../../sim/time.js";

/** In microseconds. */
const QUARTER_SECOND = 250_000;

/** How an estimator is made. Mirrors struct gnet_estimator, as iptables/extensions/libxt_RATEEST.c fills it in. */
export interface EstimatorShape {
  /** A quarter of a second shifted left by this, 0 to 5, is the time between two looks. */
  readonly intervalLog: number;
  /** The average moves by the 2^nth part of the difference. */
  readonly ewmaLog: number;
}

/** From the times that a rule names, in microseconds. */
export function estimatorShape(interval: number, average: number): EstimatorShape {
  let intervalLog = 0;
  while (intervalLog < 5 && interval > QUARTER_SECOND * 2 ** intervalLog) intervalLog++;
  let ewmaLog = 1;
  while (ewmaLog < 32 && interval / -Math.log(1 - 1 / 2 ** ewmaLog) <= average) ewmaLog++;
  return { intervalLog, ewmaLog: ewmaLog - 1 };
}

/** A moving average of what passes. Differs: it first looks one interval after its first packet, not after its rule. Mirrors net/core/gen_estimator.c. */
export class RateEstimator {
  readonly #shape: EstimatorShape;
  #next: number;
  #bytes = 0;
  #packets = 0;
  /** In 2^-8 of a byte or packet in a second. */
  #averageBytes = 0;
  #averagePackets = 0;

  constructor(shape: EstimatorShape, now: Micros) {
    this.#shape = shape;
    this.#next = now + this.#interval;
  }

  get #interval(): number {
    return QUARTER_SECOND * 2 ** this.#shape.intervalLog;
  }

  count(bytes: number, now: Micros): void {
    this.#advance(now);
    this.#bytes += bytes;
    this.#packets++;
  }

  /** Bytes and packets in a second. Mirrors gen_estimator_read(). */
  read(now: Micros): { readonly bytes: number; readonly packets: number } {
    this.#advance(now);
    return {
      bytes: Math.floor(this.#averageBytes / 256),
      packets: Math.floor(this.#averagePackets / 256),
    };
  }

  /** Mirrors est_timer(). An average that nobody feeds stands still in the end. */
  #advance(now: Micros): void {
    for (let looks = 0; this.#next <= now; this.#next += this.#interval, looks++) {
      if (looks > MOST_LOOKS) {
        this.#next += Math.ceil((now - this.#next) / this.#interval) * this.#interval;
        if (this.#next <= now) this.#next += this.#interval;
        return;
      }
      this.#averageBytes = this.#moved(this.#averageBytes, this.#bytes);
      this.#averagePackets = this.#moved(this.#averagePackets, this.#packets);
      this.#bytes = 0;
      this.#packets = 0;
    }
  }

  #moved(average: number, seen: number): number {
    const { intervalLog, ewmaLog } = this.#shape;
    const part = 2 ** ewmaLog;
    const rate = seen * 2 ** (10 - intervalLog);
    return average + Math.floor(rate / part) - Math.floor(average / part);
  }
}

/** As many as it takes until an average stands still. */
const MOST_LOOKS = 100_000;

/** The estimators of a namespace, by name. */
export const rateEstimators: (ns: NetworkNamespace) => Map<string, RateEstimator> = perNamespace(
  () => new Map<string, RateEstimator>(),
);
