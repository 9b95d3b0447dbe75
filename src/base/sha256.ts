/** SHA-256 (FIPS 180-4) of bytes or of a text's UTF-8, as 32 bytes. For names, not for secrets: it does not run in constant time. */
export function sha256(data: Uint8Array | string): Uint8Array {
  const message = padded(typeof data === "string" ? new TextEncoder().encode(data) : data);
  const state = new Uint32Array(INITIAL_STATE);
  const schedule = new Uint32Array(64);
  for (let at = 0; at < message.byteLength; at += 64) compress(state, schedule, message, at);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => digest.setUint32(index * 4, word));
  return new Uint8Array(digest.buffer);
}

/** The message, a one bit, zeros, and the length in bits, in whole blocks of 64 bytes. */
function padded(data: Uint8Array): DataView {
  const view = new DataView(new ArrayBuffer(Math.ceil((data.length + 9) / 64) * 64));
  new Uint8Array(view.buffer).set(data);
  view.setUint8(data.length, 0x80);
  view.setUint32(view.byteLength - 8, Math.floor(data.length / 0x2000_0000));
  view.setUint32(view.byteLength - 4, (data.length * 8) >>> 0);
  return view;
}

/** FIPS 180-4 §6.2.2: one block of 64 bytes at `offset`. `w` is scratch space for the message schedule. */
function compress(state: Uint32Array, w: Uint32Array, message: DataView, offset: number): void {
  for (let t = 0; t < 16; t++) w[t] = message.getUint32(offset + t * 4);
  for (let t = 16; t < 64; t++) {
    const early = w[t - 15] as number;
    const late = w[t - 2] as number;
    const sigma0 = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const sigma1 = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    w[t] = (w[t - 16] as number) + sigma0 + (w[t - 7] as number) + sigma1;
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
  state.set([at(0) + a, at(1) + b, at(2) + c, at(3) + d, at(4) + e, at(5) + f, at(6) + g, at(7) + h]);
}

function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

/** The first `count` primes. */
function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

/** The first 32 bits of the fraction of `prime`'s root of degree 2 or 3, exactly: floor(root(prime * 2^(32*degree))) mod 2^32. */
function rootFraction(prime: number, degree: 2n | 3n): number {
  const power = BigInt(prime) << (32n * degree);
  let low = 0n;
  let high = 1n << 40n;
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle ** degree <= power) low = middle;
    else high = middle;
  }
  return Number(low & 0xffff_ffffn);
}

/** FIPS 180-4 §5.3.3: from the square roots of the first eight primes. */
const INITIAL_STATE: Uint32Array = Uint32Array.from(primes(8).map((prime) => rootFraction(prime, 2n)));
/** FIPS 180-4 §4.2.2: from the cube roots of the first 64 primes. */
const ROUND_CONSTANTS: Uint32Array = Uint32Array.from(primes(64).map((prime) => rootFraction(prime, 3n)));
