import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { get16, get32, put16, put32 } from "../../src/wire/bytes.js";
import {
  checksumErrorOf,
  foldChecksum,
  internetChecksum,
  replaceLong,
  replaceWord,
  spoilChecksum,
} from "../../src/wire/checksum.js";
import { hex } from "./support.js";

const word = fc.integer({ min: 0, max: 0xffff });
const evenBytes = fc
  .uint8Array({ minLength: 8, maxLength: 64 })
  .map((bytes) => bytes.subarray(0, bytes.length & ~1));

describe("the Internet checksum", () => {
  it("of the example in RFC 1071 is the complement of 0xddf2", () => {
    expect(internetChecksum(hex("0001 f203 f4f5 f6f7"))).toBe(0xffff - 0xddf2);
  });

  it("counts an odd last byte as the high half of a word", () => {
    expect(internetChecksum(hex("0001 f2"))).toBe(internetChecksum(hex("0001 f200")));
  });

  it("folds sums of any size", () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 52 }), (sum) => {
        expect((foldChecksum(sum) + sum) % 0xffff).toBe(0);
      }),
    );
  });

  it("adjusted for a changed word or address is the one computed anew", () => {
    fc.assert(
      fc.property(evenBytes, word, fc.nat({ max: 0xffff_ffff }), (bytes, newWord, newLong) => {
        const changed = bytes.slice();
        put16(changed, 0, newWord);
        put32(changed, 4, newLong);
        const adjusted = replaceLong(
          replaceWord(internetChecksum(bytes), get16(bytes, 0), newWord),
          get32(bytes, 4),
          newLong,
        );
        expect(adjusted % 0xffff).toBe(internetChecksum(changed) % 0xffff);
      }),
    );
  });

  it("that is spoilt is found to be just as wrong", () => {
    fc.assert(
      fc.property(evenBytes, fc.integer({ min: 1, max: 0xfffe }), (bytes, error) => {
        const message = bytes.slice();
        put16(message, 2, 0);
        put16(message, 2, spoilChecksum(internetChecksum(message), error));
        expect(checksumErrorOf(message)).toBe(error);
      }),
    );
  });
});
