import { refuse } from "./refusal.js";

export interface U32Step {
  readonly op: "start" | "&" | "<<" | ">>" | "@";
  readonly number: number;
}

/** One comparison: where the value comes from, and the ranges it may be in. */
export interface U32Test {
  readonly steps: readonly U32Step[];
  readonly ranges: readonly { readonly low: number; readonly high: number }[];
}

/** XT_U32_MAXSIZE: tests, steps of one and ranges of one. */
const MAX = 10;

/** `LOC=RANGES[&&…]`. Mirrors extensions/libxt_u32.c:u32_parse(). */
export function parseU32(text: string): readonly U32Test[] {
  const reader = new Reader(text);
  const tests: U32Test[] = [];
  do {
    if (tests.length >= MAX) throw refuse(`u32: at char ${reader.at}: too many "&&"s`);
    tests.push({ steps: readSteps(reader), ranges: readRanges(reader) });
  } while (reader.take("&&"));
  if (!reader.atEnd) throw refuse(`u32: at char ${reader.at}: expected "," or "&&"`);
  return tests;
}

function readSteps(reader: Reader): readonly U32Step[] {
  const steps: U32Step[] = [{ op: "start", number: reader.number() }];
  while (!reader.take("=")) {
    const op = (["&", "<<", ">>", "@"] as const).find((word) => reader.take(word));
    if (op === undefined) throw refuse(`u32: at char ${reader.at}: operator expected`);
    if (steps.length >= MAX) throw refuse(`u32: at char ${reader.at}: too many operators`);
    steps.push({ op, number: reader.number() });
  }
  return steps;
}

function readRanges(reader: Reader): U32Test["ranges"] {
  const ranges: { low: number; high: number }[] = [];
  do {
    if (ranges.length >= MAX) throw refuse(`u32: at char ${reader.at}: too many ","s`);
    const low = reader.number();
    ranges.push({ low, high: reader.take(":") ? reader.number() : low });
  } while (reader.take(","));
  return ranges;
}

class Reader {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    this.#blanks();
    return this.at >= this.#text.length;
  }

  #blanks(): void {
    while (/\s/.test(this.#text[this.at] ?? "")) this.at++;
  }

  take(word: string): boolean {
    this.#blanks();
    if (!this.#text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  number(): number {
    this.#blanks();
    const digits = /^(0x[0-9a-f]+|\d+)/i.exec(this.#text.slice(this.at, this.at + 24))?.[0];
    const octal = digits !== undefined && /^0[0-7]+$/.test(digits);
    const value =
      digits === undefined ? Number.NaN : octal ? Number.parseInt(digits, 8) : Number(digits);
    if (digits === undefined || !(value <= 0xffff_ffff))
      throw refuse(`u32: at char ${this.at}: not a number or out of range`);
    this.at += digits.length;
    return value;
  }
}

/** All hex and without blanks. */
export function formatU32(tests: readonly U32Test[], hex: (value: number) => string): string {
  return tests
    .map(({ steps, ranges }) => {
      const where = steps
        .map(({ op, number }) => `${op === "start" ? "" : op}${hex(number)}`)
        .join("");
      const values = ranges
        .map(({ low, high }) => (low === high ? hex(low) : `${hex(low)}:${hex(high)}`))
        .join(",");
      return `${where}=${values}`;
    })
    .join("&&");
}

/** Whether every test holds; a read outside of the packet fails all. Mirrors net/netfilter/xt_u32.c:u32_match_it(). */
export function holdsU32(tests: readonly U32Test[], packet: Uint8Array): boolean {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const word = (at: number): number | undefined =>
    at + 4 <= packet.length ? view.getUint32(at) : undefined;
  return tests.every(({ steps, ranges }) => {
    const value = valueOf(steps, word);
    return value !== undefined && ranges.some(({ low, high }) => value >= low && value <= high);
  });
}

function valueOf(
  steps: readonly U32Step[],
  word: (at: number) => number | undefined,
): number | undefined {
  let base = 0;
  let value: number | undefined = 0;
  for (const { op, number } of steps) {
    if (value === undefined) return undefined;
    if (op === "start") value = word(number);
    else if (op === "&") value = (value & number) >>> 0;
    else if (op === "<<") value = (value << number) >>> 0;
    else if (op === ">>") value >>>= number;
    else {
      base += value;
      value = word(base + number);
    }
  }
  return value;
}
