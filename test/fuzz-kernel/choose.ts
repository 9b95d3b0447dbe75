import { type Random, randomBetween, seededRandom } from "../../src/base/random.js";

/** Chooses by a seed: the same seed chooses the same. */
export class Choose {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** True in `share` of all cases, 0 to 1. */
  chance(share: number): boolean {
    return this.#random() < share;
  }

  /** A whole number, both ends included. */
  between(low: number, high: number): number {
    return randomBetween(this.#random, low, high);
  }

  one<T>(list: readonly T[]): T {
    const at = this.between(0, list.length - 1);
    for (const item of list.slice(at, at + 1)) return item;
    throw new Error("nothing to choose from");
  }

  /** One of several makers, and what it makes. */
  make<T>(makers: readonly (() => T)[]): T {
    return this.one(makers)();
  }

  /** Up to `most` different ones. */
  some<T>(list: readonly T[], most: number): readonly T[] {
    const left = [...list];
    const taken: T[] = [];
    for (let count = this.between(0, Math.min(most, list.length)); count > 0; count--)
      taken.push(...left.splice(this.between(0, left.length - 1), 1));
    return taken;
  }

  /** A list made by calling `make` so often. */
  times<T>(low: number, high: number, make: () => T): readonly T[] {
    return Array.from({ length: this.between(low, high) }, make);
  }
}

/** A stream for what is added to labs of some seeds: what a seed gave before stays as it was. */
export function streamOf(seed: number, word: string): Choose {
  const mixed = Array.from(word).reduce(
    (sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0),
    Math.imul(seed, 0x9e37_79b1),
  );
  return new Choose(mixed >>> 0);
}
