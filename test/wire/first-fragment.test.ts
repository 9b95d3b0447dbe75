import { describe, expect, it } from "vitest";
import { isHeaderCut } from "../../src/wire/first-fragment.js";
import { unfragmentable } from "../../src/wire/ipv6-extension.js";

const TCP = 6;
const UDP = 17;
const ESP = 50;
const ICMPV6 = 58;
const NONE = 59;
const HOPS = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AH = 51;
const OPTIONS = 60;

/** A header of eight bytes that names what follows. */
const eight = (next: number): readonly number[] => [next, 0, 1, 4, 0, 0, 0, 0];
const cut = (first: number, ...bytes: readonly number[]): boolean =>
  isHeaderCut(first, Uint8Array.from(bytes));
const zeros = (count: number): readonly number[] => Array.from({ length: count }, () => 0);

describe("the first piece of an IPv6 packet", () => {
  it.each([
    ["TCP", TCP, 20],
    ["UDP", UDP, 8],
    ["ICMPv6", ICMPV6, 8],
    ["another transport", ESP, 1],
  ])("holds all of %s's header or lacks it", (_name, protocol, length) => {
    expect(cut(protocol, ...zeros(length))).toBe(false);
    expect(cut(protocol, ...zeros(length - 1))).toBe(true);
  });

  it("is looked through behind its options, however many", () => {
    expect(cut(OPTIONS, ...eight(UDP), ...zeros(8))).toBe(false);
    expect(cut(OPTIONS, ...eight(UDP))).toBe(true);
    expect(cut(HOPS, ...eight(ROUTING), ...eight(OPTIONS), ...eight(UDP), ...zeros(7))).toBe(true);
    expect(cut(AH, UDP, 1, ...zeros(10), ...zeros(8))).toBe(false);
    expect(cut(AH, UDP, 1, ...zeros(10), ...zeros(7))).toBe(true);
  });

  it("lacks a header when an option says that it is longer than the piece", () => {
    expect(cut(OPTIONS, UDP, 4, ...zeros(14))).toBe(true);
  });

  it("is not judged where nothing follows, or where the next header cannot be seen", () => {
    expect(cut(NONE)).toBe(false);
    expect(cut(OPTIONS, ...eight(NONE))).toBe(false);
    expect(cut(OPTIONS, UDP)).toBe(false);
    expect(cut(OPTIONS)).toBe(false);
  });

  it("is judged behind a second fragment header of a first piece only", () => {
    expect(cut(FRAGMENT, TCP, 0, 0, 1, 0, 0, 0, 9)).toBe(true);
    expect(cut(FRAGMENT, TCP, 0, 0, 9, 0, 0, 0, 9)).toBe(false);
  });
});

describe("the headers that every piece repeats", () => {
  const options = (type: 0 | 43 | 51 | 60) =>
    ({ kind: "options", type, body: new Uint8Array(6) }) as const;

  it("end behind a routing header, before options for the last destination", () => {
    const [kept, cutUp] = unfragmentable([options(0), options(60), options(43), options(60)]);
    expect(kept.map(({ type }) => type)).toEqual([0, 60, 43]);
    expect(cutUp.map(({ type }) => type)).toEqual([60]);
  });

  it("are options for the destination as well where there is no routing header", () => {
    expect(unfragmentable([options(60)]).map((part) => part.length)).toEqual([1, 0]);
  });

  it("end before an authentication header", () => {
    expect(unfragmentable([options(51), options(60)]).map((part) => part.length)).toEqual([0, 2]);
  });
});
