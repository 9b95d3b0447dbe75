import type { NetworkNamespace } from "../core/namespace.js";
import { numberSysctl } from "../core/sysctls.js";
import { bumpRouting } from "./generation.js";

/** What may be written to knobs, both ends included, where it is not any number from 0. */
export type KnobBounds<Name extends string> = Partial<
  Record<Name, readonly [low: number, high: number]>
>;

/** The numeric knobs of one family in one namespace. Routes that are kept are found anew when one is written. */
export class NumberKnobs<Name extends string> {
  readonly #values: Record<Name, number>;

  constructor(
    ns: NetworkNamespace,
    defaults: Readonly<Record<Name, number>>,
    bounds: KnobBounds<Name>,
  ) {
    const values: Record<Name, number> = { ...defaults };
    this.#values = values;
    for (const name in defaults) {
      const [low, high] = bounds[name] ?? [0, 2_147_483_647];
      const set = (value: number): void => {
        values[name] = value;
        bumpRouting(ns);
      };
      ns.sysctls.define(
        name,
        numberSysctl(() => values[name], set, low, high),
      );
    }
  }

  get(name: Name): number {
    return this.#values[name];
  }
}
