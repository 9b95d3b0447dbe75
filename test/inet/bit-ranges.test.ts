import { describe, expect, it } from "vitest";
import { formatBitRanges, hasBit, parseBitRanges } from "../../src/inet/bit-ranges.js";

describe("bits as ranges", () => {
  it("are shown in order, ranges that touch or overlap as one", () => {
    const ranges = parseBitRanges("9000-9010,8080,9011,9005-9020,0,\n", 65_535);
    expect(formatBitRanges(ranges)).toBe("0,8080,9000-9020");
    expect([0, 1, 8080, 9000, 9020, 9021].map((bit) => hasBit(ranges, bit))).toEqual([
      ...[true, false, true, true, true, false],
    ]);
  });

  it("are none where nothing is written", () => {
    expect(formatBitRanges(parseBitRanges("", 255))).toBe("");
  });

  it.each(["256", "5-", "-5", "7-3", "1-2-3", "x", "1.5", " 80", "80 90", "80,,90", ",80"])(
    "are refused: %s",
    (text) => {
      expect(() => parseBitRanges(text, 255)).toThrow("Invalid argument");
    },
  );
});
