/** A set of small whole numbers, 32 to a word. Sets that are combined have the same length. */
export type Bitset = Uint32Array;

export function emptySet(size: number): Bitset {
  return new Uint32Array((size + 31) >>> 5);
}

/** All numbers below `size`; the bits beyond stay 0. */
export function fullSet(size: number): Bitset {
  const set = emptySet(size).fill(0xffff_ffff);
  if ((size & 31) !== 0 && set.length > 0) set[set.length - 1] = (2 ** (size & 31) - 1) >>> 0;
  return set;
}

export function addTo(set: Bitset, member: number): void {
  const word = member >>> 5;
  set[word] = (set[word] ?? 0) | (1 << (member & 31));
}

export function has(set: Bitset, member: number): boolean {
  return (((set[member >>> 5] ?? 0) >>> (member & 31)) & 1) === 1;
}

export function isEmpty(set: Bitset): boolean {
  return set.every((word) => word === 0);
}

/** Adds `other` to `set`. */
export function uniteInto(set: Bitset, other: Bitset): void {
  for (let at = 0; at < set.length; at++) set[at] = (set[at] ?? 0) | (other[at] ?? 0);
}

/** Keeps of `set` what is in `other` too. */
export function intersectInto(set: Bitset, other: Bitset): void {
  for (let at = 0; at < set.length; at++) set[at] = (set[at] ?? 0) & (other[at] ?? 0);
}

/** Takes `other` out of `set`. */
export function removeFrom(set: Bitset, other: Bitset): void {
  for (let at = 0; at < set.length; at++) set[at] = (set[at] ?? 0) & ~(other[at] ?? 0);
}

export function intersection(a: Bitset, b: Bitset): Bitset {
  const set = a.slice();
  intersectInto(set, b);
  return set;
}

export function union(a: Bitset, b: Bitset): Bitset {
  const set = a.slice();
  uniteInto(set, b);
  return set;
}

/** How many members two sets have in common. */
export function countCommon(a: Bitset, b: Bitset): number {
  let count = 0;
  for (let at = 0; at < a.length; at++) {
    let word = (a[at] ?? 0) & (b[at] ?? 0);
    word -= (word >>> 1) & 0x5555_5555;
    word = (word & 0x3333_3333) + ((word >>> 2) & 0x3333_3333);
    count += Math.imul((word + (word >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
  }
  return count;
}

/** Calls back for every member, ascending. */
export function forEachMember(set: Bitset, each: (member: number) => void): void {
  for (let at = 0; at < set.length; at++) {
    for (let word = set[at] ?? 0; word !== 0; word &= word - 1)
      each(at * 32 + 31 - Math.clz32(word & -word));
  }
}

/** Rows become columns: bit j of row i is bit i of row j afterwards. `rows` are square: as many as each has bits. */
export function transpose(rows: readonly Bitset[]): readonly Bitset[] {
  const size = rows.length;
  const out = Array.from({ length: size }, () => emptySet(size));
  const block = new Uint32Array(32);
  for (let top = 0; top < size; top += 32) {
    for (let word = 0; word * 32 < size; word++) {
      let any = 0;
      for (let k = 0; k < 32; k++) any |= block[k] = rows[top + k]?.[word] ?? 0;
      if (any === 0) continue;
      transposeBlock(block);
      for (let k = 0; k < 32; k++) {
        const row = out[word * 32 + k];
        if (row !== undefined) row[top >>> 5] = block[k] ?? 0;
      }
    }
  }
  return out;
}

/** Transposes 32 x 32 bits in place: halves change places, then quarters, down to single bits. */
function transposeBlock(block: Uint32Array): void {
  let mask = 0x0000_ffff;
  for (let width = 16; width !== 0; width >>>= 1, mask ^= mask << width) {
    for (let k = 0; k < 32; k = (k + width + 1) & ~width) {
      const low = block[k] ?? 0;
      const high = block[k + width] ?? 0;
      const moved = ((low >>> width) ^ high) & mask;
      block[k] = low ^ (moved << width);
      block[k + width] = high ^ moved;
    }
  }
}
