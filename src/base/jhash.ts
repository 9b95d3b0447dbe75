/** Bob Jenkins' lookup3 over 32-bit words, as the kernel uses it. Mirrors include/linux/jhash.h:jhash2(). */
export function jhash2(words: readonly number[], seed: number): number {
  let a = (JHASH_INITVAL + words.length * 4 + seed) | 0;
  let b = a;
  let c = a;
  let at = 0;
  for (let left = words.length; left > 3; left -= 3, at += 3) {
    a = (a + word(words, at)) | 0;
    b = (b + word(words, at + 1)) | 0;
    c = (c + word(words, at + 2)) | 0;
    a = ((a - c) | 0) ^ rotate(c, 4);
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ rotate(a, 6);
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ rotate(b, 8);
    b = (b + a) | 0;
    a = ((a - c) | 0) ^ rotate(c, 16);
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ rotate(a, 19);
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ rotate(b, 4);
    b = (b + a) | 0;
  }
  if (at === words.length) return c >>> 0;
  a = (a + word(words, at)) | 0;
  b = (b + word(words, at + 1)) | 0;
  c = (c + word(words, at + 2)) | 0;
  return finish(a, b, c);
}

const JHASH_INITVAL = 0xdeadbeef;

/** The end of lookup3. Mirrors __jhash_final(). */
function finish(first: number, second: number, third: number): number {
  let [a, b, c] = [first, second, third];
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  c = ((c ^ b) - rotate(b, 24)) | 0;
  return c >>> 0;
}

function word(words: readonly number[], at: number): number {
  return words[at] ?? 0;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** A hash scaled into 0..range-1. Mirrors include/linux/kernel.h:reciprocal_scale(). */
export function reciprocalScale(hash: number, range: number): number {
  // The product has up to 64 bits, so it is made in two halves that are exact.
  const low = (hash >>> 0) * (range % 0x1_0000);
  const high = (hash >>> 0) * Math.floor(range / 0x1_0000);
  return Math.floor((high + Math.floor(low / 0x1_0000)) / 0x1_0000);
}

/** A 32-bit number with its bytes in the other order, as a little-endian machine reads network byte order. */
export function swapBytes(value: number): number {
  return (
    (((value & 0xff) << 24) |
      ((value & 0xff00) << 8) |
      ((value >>> 8) & 0xff00) |
      (value >>> 24)) >>>
    0
  );
}
