declare const micros: unique symbol;

/** Simulated time or a length of it, in whole microseconds. An instant counts from the start of the run. */
export type Micros = number & { readonly [micros]: true };

export function microseconds(value: number): Micros {
  return Math.round(value) as Micros;
}

export function milliseconds(value: number): Micros {
  return microseconds(value * 1_000);
}

export function seconds(value: number): Micros {
  return microseconds(value * 1_000_000);
}

export function later(instant: Micros, duration: Micros): Micros {
  return (instant + duration) as Micros;
}
