import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jhash2, reciprocalScale, swapBytes } from "../../src/base/jhash.js";

describe("jhash2", () => {
  // lookup3's published vectors: hashword of no words is deadbeef plus the seed.
  test("of nothing is the initial value", () => {
    expect(jhash2([], 0)).toBe(0xdeadbeef);
    expect(jhash2([], 1)).toBe(0xdeadbef0);
  });

  test("depends on every word and on the seed", () => {
    const hashes = [
      jhash2([1, 2, 3, 4, 5], 0),
      jhash2([1, 2, 3, 4, 6], 0),
      jhash2([1, 2, 3, 5, 5], 0),
      jhash2([1, 3, 3, 4, 5], 0),
      jhash2([1, 2, 3, 4, 5], 1),
      jhash2([1, 2, 3], 0),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

test("scaling a hash gives what 64-bit arithmetic gives", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.integer({ min: 1, max: 0xffff_ffff }),
      (hash, range) => {
        expect(reciprocalScale(hash, range)).toBe(Number((BigInt(hash) * BigInt(range)) >> 32n));
      },
    ),
  );
});

test("swapping bytes twice changes nothing", () => {
  expect(swapBytes(0x1112_1314)).toBe(0x1413_1211);
  expect(swapBytes(swapBytes(0xa511_1213))).toBe(0xa511_1213);
});
