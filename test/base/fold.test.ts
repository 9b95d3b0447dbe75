import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fold } from "../../src/base/fold.js";

describe("a line that is folded", () => {
  it("goes on below, between words", () => {
    expect(fold("one two three four", 9, "  ")).toEqual(["one two", "  three", "  four"]);
    expect(fold("short", 9, "  ")).toEqual(["short"]);
    expect(fold("a longest", 8, "  ")).toEqual(["a", "  longest"]);
  });

  it("keeps every word whole and in its place, within the width", () => {
    const word = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom("a", "b", ".") });
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1 }),
        fc.integer({ min: 16, max: 40 }),
        (words, width) => {
          const lines = fold(words.join(" "), width, "    ");
          expect(lines.join(" ").trim().split(/ +/)).toEqual(words);
          expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(width);
        },
      ),
    );
  });

  it("ends for widths of nothing and words of any length", () => {
    expect(fold("a bb ccc", 0, "    ").join(" ").split(/ +/)).toEqual(["a", "bb", "ccc"]);
    expect(fold("x".repeat(500), 10, "  ")).toEqual(["x".repeat(500)]);
  });
});
