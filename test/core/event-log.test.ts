import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventLog } from "../../src/core/event-log.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { demoTrace } from "../tui/shop.js";

const { events, lookupEvents } = demoTrace().view.recording;

describe("a log of events", () => {
  it("gives back what was added, frames and places as the same objects", () => {
    const log = new EventLog();
    const first = log.append(lookupEvents);
    const second = log.append(events);
    expect(log.read(second)).toEqual(events);
    expect(log.read(first)).toEqual(lookupEvents);
    log.read(second).forEach((event, index) => {
      const was = events[index];
      if ("frame" in event && was !== undefined && "frame" in was)
        expect(event.frame).toBe(was.frame);
    });
  });

  it("keeps the order of fields, so that outputs are the same letter by letter", () => {
    const log = new EventLog();
    const read = log.read(log.append(events));
    const text = (value: unknown): string =>
      JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? String(one) : one));
    expect(text(read)).toBe(text(events));
  });

  it("takes fewer than 80 bytes for an event, however long the run", () => {
    const log = new EventLog();
    for (let round = 0; round < 20; round++) log.append(events);
    expect(log.size / (20 * events.length)).toBeLessThan(80);
  });

  it("keeps any plain data", () => {
    const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom(undefined, true, false, -0, Number.NaN, 2 ** 53, -(2 ** 53)),
        fc.double(),
        fc.maxSafeInteger(),
        fc.string(),
        fc.bigInt(),
        fc.uint8Array({ maxLength: 3 }),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom("a", "b", "c"), tie("value"), {
          maxKeys: 3,
          noNullPrototype: true,
        }),
      ),
    })).value;
    const record = fc.record({ kind: fc.constant("any"), frame: value, x: value, y: value });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), (records) => {
        const log = new EventLog();
        const before = log.append(events.slice(0, 2));
        const range = log.append(records as unknown as readonly TraceEvent[]);
        expect(log.read(range)).toEqual(records);
        expect(log.read(before)).toEqual(events.slice(0, 2));
      }),
      { numRuns: 200 },
    );
  });
});
