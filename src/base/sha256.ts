/** SHA-256 (FIPS 180-4) of bytes or of a text's UTF-8, as 32 bytes. For names, not for secrets: it does not run in constant time. */
export function sha256(data: Uint8Array | string): Uint8Array {
  const words = padded(typeof data === "string" ? bytesOf(data) : data);
  const state = [...INITIAL_STATE];
  // Plain arrays: names are short, and buffers would cost more than the hashing.
  const schedule: number[] = [];
  for (let at = 0; at < words.length; at += 16) compress(state, schedule, words, at);
  const bytes = new Uint8Array(32);
  for (let index = 0; index < 32; index++)
    bytes[index] = (state[index >> 2] as number) >>> (24 - 8 * (index & 3));
  return bytes;
}

function bytesOf(text: string): ArrayLike<number> {
  const bytes: number[] = [];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return new TextEncoder().encode(text);
    bytes.push(code);
  }
  return bytes;
}

/** The message, a one bit, zeros, and the length in bits, in whole blocks of 16 words. */
function padded(data: ArrayLike<number>): number[] {
  const { length } = data;
  const words: number[] = [];
  const count = Math.ceil((length + 9) / 64) * 16;
  for (let word = 0; word < count; word++) words.push(0);
  for (let at = 0; at < length; at++)
    words[at >> 2] = (words[at >> 2] as number) | ((data[at] as number) << (24 - 8 * (at & 3)));
  words[length >> 2] = (words[length >> 2] as number) | (0x80 << (24 - 8 * (length & 3)));
  words[count - 2] = Math.floor(length / 0x2000_0000);
  words[count - 1] = (length * 8) | 0;
  return words;
}

/** FIPS 180-4 §6.2.2: one block of 16 words at `offset`. `w` is scratch space for the message schedule. */
function compress(state: number[], w: number[], words: readonly number[], offset: number): void {
  for (let t = 0; t < 16; t++) w[t] = words[offset + t] as number;
  for (let t = 16; t < 64; t++) {
    const early = w[t - 15] as number;
    const late = w[t - 2] as number;
    const sigma0 = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const sigma1 = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    w[t] = ((w[t - 16] as number) + sigma0 + (w[t - 7] as number) + sigma1) | 0;
  }
  const at = (index: number): number => state[index] as number;
  let a = at(0);
  let b = at(1);
  let c = at(2);
  let d = at(3);
  let e = at(4);
  let f = at(5);
  let g = at(6);
  let h = at(7);
  for (let t = 0; t < 64; t++) {
    const sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const choice = (e & f) ^ (~e & g);
    const one = (h + sum1 + choice + (ROUND_CONSTANTS[t] as number) + (w[t] as number)) | 0;
    const sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + sum0 + majority) | 0;
  }
  const sums = [a, b, c, d, e, f, g, h];
  for (let index = 0; index < 8; index++) state[index] = (at(index) + (sums[index] as number)) | 0;
}

function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

/** The first `count` primes. */
function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++)
    if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

/** The first 32 bits, as a signed number, of the fraction of `prime`'s root of degree 2 or 3, exactly: floor(root(prime * 2^(32*degree))) mod 2^32. */
function rootFraction(prime: number, degree: 2n | 3n): number {
  const power = BigInt(prime) << (32n * degree);
  let low = 0n;
  let high = 1n << 40n;
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle ** degree <= power) low = middle;
    else high = middle;
  }
  return Number(BigInt.asIntN(32, low));
}

/** FIPS 180-4 §5.3.3: from the square roots of the first eight primes. */
const INITIAL_STATE: readonly number[] = primes(8).map((prime) => rootFraction(prime, 2n));
/** FIPS 180-4 §4.2.2: from the cube roots of the first 64 primes. */
const ROUND_CONSTANTS: readonly number[] = primes(64).map((prime) => rootFraction(prime, 3n));
