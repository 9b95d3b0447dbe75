import { describe, expect, it } from "vitest";
import { EventQueue } from "../../src/sim/event-queue.js";
import { milliseconds } from "../../src/sim/time.js";
import { TimerWheel } from "../../src/sim/timer-wheel.js";

function run(queue: EventQueue): void {
  while (queue.step());
}

/** A wheel that notes which timers expired, and when, in milliseconds. */
function wheelOf(): {
  readonly queue: EventQueue;
  readonly wheel: TimerWheel;
  readonly expired: string[];
  /** Sets a timer `at` from now, to expire `delay` after that. */
  readonly set: (at: number, name: string, delay: number) => void;
} {
  const queue = new EventQueue();
  const wheel = new TimerWheel(queue);
  const expired: string[] = [];
  const set = (at: number, name: string, delay: number): void =>
    void queue.after(milliseconds(at), name, () =>
      wheel.after(milliseconds(delay), name, () => expired.push(`${name} ${queue.now / 1000}`)),
    );
  return { queue, wheel, expired, set };
}

describe("the wheel of the kernel's timers", () => {
  it("lets the timer that was set last in a tick of 4 ms expire first", () => {
    const { queue, expired, set } = wheelOf();
    set(0, "first", 120);
    set(0.1, "second", 120);
    set(3.9, "third", 120);
    run(queue);
    expect(expired).toEqual(["third 123.9", "second 123.9", "first 123.9"]);
  });

  it("keeps timers of different ticks in the order they are due", () => {
    const { queue, expired, set } = wheelOf();
    set(3.9, "first", 120);
    set(4, "second", 120);
    run(queue);
    expect(expired).toEqual(["first 123.9", "second 124"]);
  });

  it("makes a bucket of eight ticks for timers of a second", () => {
    const { queue, expired, set } = wheelOf();
    set(0, "first", 1000);
    set(20, "second", 1000);
    set(24, "third", 1000);
    run(queue);
    expect(expired).toEqual(["second 1020", "first 1020", "third 1024"]);
  });

  it("forgets a timer that is cancelled, by another of its bucket, too", () => {
    const { queue, wheel, expired } = wheelOf();
    const first = wheel.after(milliseconds(120), "first", () => expired.push("first"));
    wheel.after(milliseconds(120), "second", () => {
      expired.push("second");
      first.cancel();
    });
    const alone = wheel.after(milliseconds(240), "alone", () => expired.push("alone"));
    alone.cancel();
    run(queue);
    expect(expired).toEqual(["second"]);
    expect(queue.now).toBe(milliseconds(120));
  });

  it("is anew when a timer is set while its bucket expires", () => {
    const { queue, wheel, expired } = wheelOf();
    wheel.after(milliseconds(4), "first", () => {
      expired.push("first");
      wheel.after(milliseconds(0), "again", () => expired.push("again"));
    });
    run(queue);
    expect(expired).toEqual(["first", "again"]);
  });
});
