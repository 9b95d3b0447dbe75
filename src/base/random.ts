/** A source of numbers in [0, 1). The same seed gives the same numbers on every machine. */
export type Random = () => number;

/** Makes a seeded source (sfc32, seeded by splitmix32). Seeds are taken modulo 2^32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x9e37_79b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  let a = next();
  let b = next();
  let c = next();
  let counter = 1;
  const random: Random = () => {
    const sum = (a + b + counter) >>> 0;
    counter = (counter + 1) >>> 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) >>> 0;
    c = ((c << 21) | (c >>> 11)) >>> 0;
    c = (c + sum) >>> 0;
    return sum / 0x1_0000_0000;
  };
  for (let round = 0; round < warmUp; round++) random();
  return random;
}

/** Numbers thrown away at first, so that seeds with few bits set do not begin alike. */
const warmUp = 12;

/** A whole number from `low` to `high`, both included. */
export function randomBetween(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}
