/*
 * SHA-512, for names that are hashes of names. RFC 6234. Written here because everything below `cli` runs without
 * `node:`. Words are 64-bit bigints: names are short and few.
 */

const MASK = 0xffff_ffff_ffff_ffffn;

/** The first 80 primes; the constants are made from their roots. */
const primes: readonly bigint[] = firstPrimes(80);

/** The first 64 bits of the fractional parts of the primes' cube roots. */
const K: readonly bigint[] = primes.map((prime) => root(prime << 192n, 3n) & MASK);

/** The same of the square roots of the first eight. */
const H: readonly bigint[] = primes.slice(0, 8).map((prime) => root(prime << 128n, 2n) & MASK);

/** The SHA-512 of a text's UTF-8 bytes: 128 hexadecimal digits. */
export function sha512(text: string): string {
  const message = pad(new TextEncoder().encode(text));
  let state = H;
  for (let start = 0; start < message.length; start += 128)
    state = compress(state, message.subarray(start, start + 128));
  return state.map((word) => word.toString(16).padStart(16, "0")).join("");
}

function pad(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((bytes.length + 17) / 128) * 128);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  return padded;
}

function compress(state: readonly bigint[], block: Uint8Array): readonly bigint[] {
  const view = new DataView(block.buffer, block.byteOffset, 128);
  const w: bigint[] = Array.from({ length: 16 }, (_, index) => view.getBigUint64(index * 8));
  const at = (index: number): bigint => w[index] ?? 0n;
  for (let t = 16; t < 80; t++) {
    const s0 = rotr(at(t - 15), 1n) ^ rotr(at(t - 15), 8n) ^ (at(t - 15) >> 7n);
    const s1 = rotr(at(t - 2), 19n) ^ rotr(at(t - 2), 61n) ^ (at(t - 2) >> 6n);
    w.push((at(t - 16) + s0 + at(t - 7) + s1) & MASK);
  }
  let [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n, g = 0n, h = 0n] = state;
  for (let t = 0; t < 80; t++) {
    const t1 =
      h +
      (rotr(e, 14n) ^ rotr(e, 18n) ^ rotr(e, 41n)) +
      ((e & f) ^ (~e & MASK & g)) +
      (K[t] ?? 0n) +
      at(t);
    const t2 = (rotr(a, 28n) ^ rotr(a, 34n) ^ rotr(a, 39n)) + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) & MASK, c, b, a, (t1 + t2) & MASK];
  }
  return [a, b, c, d, e, f, g, h].map((word, index) => (word + (state[index] ?? 0n)) & MASK);
}

function rotr(word: bigint, bits: bigint): bigint {
  return ((word >> bits) | (word << (64n - bits))) & MASK;
}

function firstPrimes(count: number): readonly bigint[] {
  const found: bigint[] = [];
  for (let candidate = 2n; found.length < count; candidate++) {
    if (found.every((prime) => candidate % prime !== 0n)) found.push(candidate);
  }
  return found;
}

/** The whole part of the `degree`th root. */
function root(value: bigint, degree: bigint): bigint {
  let low = 0n;
  let high = 1n << 72n;
  while (low < high) {
    const middle = (low + high + 1n) >> 1n;
    if (middle ** degree <= value) low = middle;
    else high = middle - 1n;
  }
  return low;
}
