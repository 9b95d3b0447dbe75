/*
 * SHA-512, for names that are hashes of names. RFC 6234. Written here because everything below `cli` runs without
 * `node:`. A 64-bit word is two numbers, high half first: bigints take ten times as long.
 */

/** The first 80 primes; the constants are made from their roots. */
const primes: readonly bigint[] = firstPrimes(80);

/** The first 64 bits of the fractional parts of the primes' cube roots, in halves. */
const K: Int32Array = halves(primes.map((prime) => root(prime << 192n, 3)));

/** The same of the square roots of the first eight. */
const H: Int32Array = halves(primes.slice(0, 8).map((prime) => root(prime << 128n, 2)));

/** The SHA-512 of a text's UTF-8 bytes: 128 hexadecimal digits. */
export function sha512(text: string): string {
  const message = pad(new TextEncoder().encode(text));
  const state = Int32Array.from(H);
  for (let start = 0; start < message.length; start += 128)
    compress(state, new DataView(message.buffer, start, 128));
  return Array.from(state, (half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

function pad(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((bytes.length + 17) / 128) * 128);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  return padded;
}

/** RFC 6234 §6.4: one block. */
function compress(state: Int32Array, block: DataView): void {
  const w = schedule(block);
  // The working variables a..h, each as two halves.
  const v = Int32Array.from(state);
  const at = (index: number): number => v[index] ?? 0;
  for (let t = 0; t < 160; t += 2) {
    const eh = at(8);
    const el = at(9);
    const ah = at(0);
    const al = at(1);
    const choiceHigh = (eh & at(10)) ^ (~eh & at(12));
    const choiceLow = (el & at(11)) ^ (~el & at(13));
    const low =
      (at(15) >>> 0) +
      (bigSigma1(el, eh) >>> 0) +
      (choiceLow >>> 0) +
      ((K[t + 1] ?? 0) >>> 0) +
      ((w[t + 1] ?? 0) >>> 0);
    const high =
      (at(14) + bigSigma1(eh, el) + choiceHigh + (K[t] ?? 0) + (w[t] ?? 0) + carry(low)) | 0;
    const majorityHigh = (ah & at(2)) ^ (ah & at(4)) ^ (at(2) & at(4));
    const majorityLow = (al & at(3)) ^ (al & at(5)) ^ (at(3) & at(5));
    const sumLow = (low >>> 0) + (bigSigma0(al, ah) >>> 0) + (majorityLow >>> 0);
    const sumHigh = high + bigSigma0(ah, al) + majorityHigh + carry(sumLow);
    const nextLow = (at(7) >>> 0) + (low >>> 0);
    const nextHigh = at(6) + high + carry(nextLow);
    v.copyWithin(2, 0, 14);
    v[0] = sumHigh;
    v[1] = sumLow;
    v[8] = nextHigh;
    v[9] = nextLow;
  }
  for (let index = 0; index < 16; index += 2) {
    const low = ((state[index + 1] ?? 0) >>> 0) + (at(index + 1) >>> 0);
    state[index] = (state[index] ?? 0) + at(index) + carry(low);
    state[index + 1] = low;
  }
}

/** The message schedule: 80 words, 160 halves. */
function schedule(block: DataView): Int32Array {
  const w = new Int32Array(160);
  for (let index = 0; index < 32; index++) w[index] = block.getInt32(index * 4);
  for (let t = 32; t < 160; t += 2) {
    const earlyHigh = w[t - 30] ?? 0;
    const earlyLow = w[t - 29] ?? 0;
    const lateHigh = w[t - 4] ?? 0;
    const lateLow = w[t - 3] ?? 0;
    const low =
      ((w[t - 31] ?? 0) >>> 0) +
      ((smallSigma0(earlyLow, earlyHigh) ^ (earlyHigh << 25)) >>> 0) +
      ((w[t - 13] ?? 0) >>> 0) +
      ((smallSigma1(lateLow, lateHigh) ^ (lateHigh << 26)) >>> 0);
    w[t] =
      (w[t - 32] ?? 0) +
      smallSigma0(earlyHigh, earlyLow) +
      (w[t - 14] ?? 0) +
      smallSigma1(lateHigh, lateLow) +
      carry(low);
    w[t + 1] = low;
  }
  return w;
}

/** What a sum of low halves adds to the high ones. */
function carry(low: number): number {
  return Math.floor(low / 0x1_0000_0000);
}

/** The half `a` of a word, whose other half is `b`, after the word was turned right by `bits` below 32. */
function turn(a: number, b: number, bits: number): number {
  return (a >>> bits) | (b << (32 - bits));
}

// Turns by 32 and more swap the halves first. Each is called for either half, that half first.
const bigSigma0 = (a: number, b: number): number => turn(a, b, 28) ^ turn(b, a, 2) ^ turn(b, a, 7);
const bigSigma1 = (a: number, b: number): number => turn(a, b, 14) ^ turn(a, b, 18) ^ turn(b, a, 9);
// These end in a shift, not a turn: for the low half the caller adds the bits that come from the high one.
const smallSigma0 = (a: number, b: number): number => turn(a, b, 1) ^ turn(a, b, 8) ^ (a >>> 7);
const smallSigma1 = (a: number, b: number): number => turn(a, b, 19) ^ turn(b, a, 29) ^ (a >>> 6);

function halves(words: readonly bigint[]): Int32Array {
  return Int32Array.from(
    words.flatMap((word) => [
      Number(BigInt.asIntN(32, word >> 32n)),
      Number(BigInt.asIntN(32, word)),
    ]),
  );
}

function firstPrimes(count: number): readonly bigint[] {
  const found: number[] = [];
  for (let candidate = 2; found.length < count; candidate++) {
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  }
  return found.map(BigInt);
}

/** The whole part of the `degree`th root: Newton's method from the root of the nearest number, then the last bit. */
function root(value: bigint, degree: 2 | 3): bigint {
  const d = BigInt(degree);
  let found = BigInt(Math.floor(Number(value) ** (1 / degree)));
  for (let round = 0; round < 2; round++)
    found = (found * (d - 1n) + value / found ** (d - 1n)) / d;
  while (found ** d > value) found--;
  while ((found + 1n) ** d <= value) found++;
  return found;
}
