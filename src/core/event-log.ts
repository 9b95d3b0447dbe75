import { assert } from "../base/errors.js";
import type { TraceEvent } from "./trace.js";

/** A run of events in a log. */
export interface EventRange {
  /** Bytes of the log. */
  readonly start: number;
  readonly end: number;
  readonly count: number;
}

/** What stands before a value in the log. */
const UNDEFINED = 0;
const FALSE = 1;
const TRUE = 2;
const WHOLE = 3;
const NEGATIVE = 4;
const FRACTION = 5;
const TEXT = 6;
const SHARED = 7;
const LIST = 8;
const RECORD = 9;
const BIG = 10;

/** Fields whose values are many events' own: they are kept as they are, once each. */
const KEPT_WHOLE: ReadonlySet<string> = new Set(["frame", "before", "after", "place"]);

/** Bytes that are added when a log is full; at most so many are without use. */
const CHUNK = 1 << 20;

/**
 * Events of a long run in little memory: some 40 bytes each instead of a kilobyte. Texts are kept once, frames and places
 * are shared by the events that saw them; everything else is written out in bytes, and read back as it was.
 *
 *   shape (which fields) │ value │ value │ …     a value: what it is, then a number, or the number of a text or object
 */
export class EventLog {
  #bytes = new Uint8Array(CHUNK);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #at = 0;
  readonly #texts: string[] = [];
  readonly #textIds = new Map<string, number>();
  readonly #objects: object[] = [];
  /** Only of what was added last: frames of packets long gone are not looked for. */
  #objectIds = new Map<object, number>();
  readonly #shapes: (readonly string[])[] = [];
  readonly #shapeIds = new Map<string, number>();

  /** Bytes that are used. */
  get size(): number {
    return this.#length;
  }

  /** Adds events of one packet; objects are shared among those that are added together. */
  append(events: readonly TraceEvent[]): EventRange {
    const start = this.#length;
    if (this.#objectIds.size > 10_000) this.#objectIds = new Map();
    for (const event of events) this.#putRecord(event);
    return { start, end: this.#length, count: events.length };
  }

  /** The events as they were. Each reading makes other objects; frames and places are the same. */
  read({ start, end }: EventRange): readonly TraceEvent[] {
    const events: TraceEvent[] = [];
    this.#at = start;
    while (this.#at < end) events.push(this.#getRecord() as unknown as TraceEvent);
    return events;
  }

  #putRecord(record: object): void {
    const keys = Object.keys(record);
    this.#putNumber(this.#shapeOf(keys));
    for (const key of keys) {
      const value: unknown = (record as Readonly<Record<string, unknown>>)[key];
      if (KEPT_WHOLE.has(key) && typeof value === "object" && value !== null)
        this.#putShared(value);
      else this.#put(value);
    }
  }

  #put(value: unknown): void {
    switch (typeof value) {
      case "undefined":
        return this.#putByte(UNDEFINED);
      case "boolean":
        return this.#putByte(value ? TRUE : FALSE);
      case "number":
        return this.#putAnyNumber(value);
      case "string":
        this.#putByte(TEXT);
        return this.#putNumber(this.#textOf(value));
      case "bigint":
        this.#putByte(BIG);
        return this.#putNumber(this.#textOf(value.toString()));
      default:
        return this.#putObject(value);
    }
  }

  #putObject(value: unknown): void {
    assert(typeof value === "object" && value !== null, "an event is plain data");
    if (value instanceof Uint8Array) return this.#putShared(value);
    if (!Array.isArray(value)) {
      this.#putByte(RECORD);
      return this.#putRecord(value);
    }
    this.#putByte(LIST);
    this.#putNumber(value.length);
    for (const one of value) this.#put(one);
  }

  #putShared(value: object): void {
    this.#putByte(SHARED);
    const known = this.#objectIds.get(value);
    const id = known ?? this.#objects.push(value) - 1;
    if (known === undefined) this.#objectIds.set(value, id);
    this.#putNumber(id);
  }

  #putAnyNumber(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      this.#putByte(value < 0 ? NEGATIVE : WHOLE);
      return this.#putNumber(Math.abs(value));
    }
    this.#putByte(FRACTION);
    this.#room(8);
    this.#view.setFloat64(this.#length, value);
    this.#length += 8;
  }

  #shapeOf(keys: readonly string[]): number {
    const name = keys.join(" ");
    const known = this.#shapeIds.get(name);
    if (known !== undefined) return known;
    this.#shapeIds.set(name, this.#shapes.length);
    return this.#shapes.push(keys) - 1;
  }

  #textOf(text: string): number {
    const known = this.#textIds.get(text);
    if (known !== undefined) return known;
    this.#textIds.set(text, this.#texts.length);
    return this.#texts.push(text) - 1;
  }

  /** Seven bits a byte, the lowest first. */
  #putNumber(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  #putByte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  #room(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const larger = new Uint8Array(this.#bytes.length + Math.max(CHUNK, this.#bytes.length >>> 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  #getRecord(): Record<string, unknown> {
    const keys = this.#shapes[this.#getNumber()] ?? [];
    const record: Record<string, unknown> = {};
    for (const key of keys) record[key] = this.#get();
    return record;
  }

  #get(): unknown {
    switch (this.#bytes[this.#at++]) {
      case UNDEFINED:
        return undefined;
      case FALSE:
        return false;
      case TRUE:
        return true;
      case WHOLE:
        return this.#getNumber();
      case NEGATIVE:
        return -this.#getNumber();
      case FRACTION:
        this.#at += 8;
        return this.#view.getFloat64(this.#at - 8);
      case TEXT:
        return this.#texts[this.#getNumber()];
      case BIG:
        return BigInt(this.#texts[this.#getNumber()] ?? 0);
      case SHARED:
        return this.#objects[this.#getNumber()];
      case LIST:
        return Array.from({ length: this.#getNumber() }, () => this.#get());
      default:
        return this.#getRecord();
    }
  }

  #getNumber(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }
}
