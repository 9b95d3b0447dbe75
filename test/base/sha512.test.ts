import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sha512 } from "../../src/base/sha512.js";

test("every text hashes as OpenSSL hashes it, over all paddings", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300, unit: "grapheme" }), (text) => {
      expect(sha512(text)).toBe(createHash("sha512").update(text).digest("hex"));
    }),
    { numRuns: 200 },
  );
  for (let length = 100; length < 140; length++) {
    const text = "x".repeat(length);
    expect(sha512(text)).toBe(createHash("sha512").update(text).digest("hex"));
  }
});
