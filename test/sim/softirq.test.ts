import { beforeEach, describe, expect, it } from "vitest";
import { EventQueue } from "../../src/sim/event-queue.js";
import { Softirq } from "../../src/sim/softirq.js";
import { microseconds } from "../../src/sim/time.js";

let queue: EventQueue;
let softirq: Softirq;
let seen: string[];

beforeEach(() => {
  queue = new EventQueue();
  softirq = new Softirq(queue);
  seen = [];
});

/** A packet whose arrival brings about two more. */
function arrive(name: string, generations: number): void {
  softirq.netifRx(() => {
    seen.push(name);
    if (generations === 0) return;
    arrive(`${name}a`, generations - 1);
    arrive(`${name}b`, generations - 1);
  });
}

describe("packets that have arrived", () => {
  it("wait outside of system calls, and come before all that is due, in the order they arrived", () => {
    queue.after(microseconds(0), "a program", () => seen.push("program"));
    arrive("1", 1);
    arrive("2", 0);
    expect(seen).toEqual([]);
    while (queue.step());
    expect(seen).toEqual(["1", "2", "1a", "1b", "program"]);
  });

  it("are taken in inside a system call, with all they bring about, before it goes on", () => {
    softirq.systemCall(() => {
      arrive("1", 1);
      seen.push("sent once");
      arrive("2", 0);
    });
    expect(seen).toEqual(["1", "1a", "1b", "sent once", "2"]);
    expect(queue.isIdle).toBe(true);
  });

  it("wait for the end of a part of the call that must not be disturbed", () => {
    softirq.systemCall(() => {
      softirq.disable();
      arrive("1", 0);
      seen.push("locked");
      softirq.enable();
      seen.push("unlocked");
    });
    expect(seen).toEqual(["locked", "1", "unlocked"]);
  });

  it("wait for the packet whose arrival made a program call", () => {
    softirq.netifRx(() => {
      softirq.systemCall(() => arrive("2", 0));
      seen.push("1");
    });
    while (queue.step());
    expect(seen).toEqual(["1", "2"]);
  });

  it("do not keep a call from going on for ever", () => {
    const storm = (): void =>
      softirq.netifRx(() => {
        seen.push("again");
        storm();
      });
    softirq.systemCall(storm);
    expect(seen).toHaveLength(3000);
    expect(queue.hasSoon).toBe(true);
  });

  it("wait again after a call that failed", () => {
    expect(() =>
      softirq.systemCall(() => {
        throw new Error("refused");
      }),
    ).toThrow("refused");
    arrive("1", 0);
    expect(seen).toEqual([]);
  });

  it("are taken in again inside system calls after a packet whose reception failed", () => {
    softirq.netifRx(() => {
      throw new Error("too many events");
    });
    expect(() => queue.step()).toThrow("too many events");
    softirq.systemCall(() => arrive("1", 0));
    expect(seen).toEqual(["1"]);
  });
});
