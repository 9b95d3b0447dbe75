import fc from "fast-check";
import { expect, test } from "vitest";
import { matchesMap, matchesSelector } from "../../src/kube/selectors.js";

test("a map selector wants every pair, and an empty one nothing", () => {
  expect(matchesMap({ app: "a", tier: "b" }, { app: "a", tier: "b", more: "c" })).toBe(true);
  expect(matchesMap({ app: "a", tier: "b" }, { app: "a" })).toBe(false);
  expect(matchesMap({}, undefined)).toBe(true);
});

test("no selector selects nothing, an empty one everything", () => {
  expect(matchesSelector(undefined, { a: "1" })).toBe(false);
  expect(matchesSelector({}, undefined)).toBe(true);
});

test("NotIn and DoesNotExist match what has no such label", () => {
  const not = (operator: string, values?: string[]): boolean =>
    matchesSelector(
      { matchExpressions: [{ key: "a", operator, ...(values === undefined ? {} : { values }) }] },
      { b: "1" },
    );
  expect([not("NotIn", ["1"]), not("DoesNotExist"), not("In", ["1"]), not("Exists")]).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test("labels named like members of every object are absent unless given", () => {
  expect(
    matchesSelector({ matchExpressions: [{ key: "constructor", operator: "Exists" }] }, {}),
  ).toBe(false);
});

test("In and NotIn are each other's opposite, Exists and DoesNotExist too", () => {
  const labels = fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constantFrom("1", "2"));
  fc.assert(
    fc.property(
      labels,
      fc.constantFrom("a", "b"),
      fc.array(fc.constantFrom("1", "2")),
      (own, key, values) => {
        const is = (operator: string): boolean =>
          matchesSelector({ matchExpressions: [{ key, operator, values }] }, own);
        expect(is("In")).toBe(!is("NotIn"));
        expect(is("Exists")).toBe(!is("DoesNotExist"));
      },
    ),
  );
});
