/** Bits of a bitmap as ranges, both ends included, in ascending order and apart from each other. */
export type BitRanges = readonly (readonly [first: number, last: number])[];

/**
 * Reads `8080,9000-9010`, bits from 0 to `highest`; ranges that touch become one, as the bitmap shows them. Throws
 * RangeError. Mirrors kernel/sysctl.c:proc_do_large_bitmap().
 */
export function parseBitRanges(text: string, highest: number): BitRanges {
  const written = text.replace(/\n+$/, "");
  if (!/^(\d+(-\d+)?(,\d+(-\d+)?)*,?)?$/.test(written)) throw new RangeError("Invalid argument");
  const words = written.split(",").filter((word) => word !== "");
  const ranges = words.map((word): [number, number] => {
    const [low = 0, high = low] = word.split("-").map(Number);
    return [low, high];
  });
  if (ranges.some(([low, high]) => low > high || high > highest))
    throw new RangeError("Invalid argument");
  ranges.sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [low, high] of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else merged.push([low, high]);
  }
  return merged;
}

export function formatBitRanges(ranges: BitRanges): string {
  return ranges.map(([low, high]) => (low === high ? `${low}` : `${low}-${high}`)).join(",");
}

export function hasBit(ranges: BitRanges, bit: number): boolean {
  return ranges.some(([low, high]) => low <= bit && bit <= high);
}
