import { expect, it } from "vitest";
import { counted } from "../../src/base/counted.js";

it("says one of one, and many of none and of many", () => {
  expect([0, 1, 2].map((count) => counted(count, "rule"))).toEqual([
    "0 rules",
    "1 rule",
    "2 rules",
  ]);
  expect([1, 2].map((count) => counted(count, "policy", "policies"))).toEqual([
    "1 policy",
    "2 policies",
  ]);
});
