import fc from "fast-check";
import { expect, test } from "vitest";
import { compileRegexp, GoRegexp } from "../../src/base/go-regexp.js";

function groups(source: string, text: string): readonly string[] | undefined {
  const regex = compileRegexp(source);
  return typeof regex === "string" ? [regex] : regex.exec(text)?.groups;
}

test("a pattern finds its leftmost match and its groups, the first alternative first", () => {
  expect(groups("(a+)(b|bc)(c?)", "xxaabcd")).toEqual(["aabc", "aa", "b", "c"]);
  expect(groups("a*?b", "aab")).toEqual(["aab"]);
  expect(groups("x{2,3}", "xxxxx")).toEqual(["xxx"]);
  expect(groups("x{2,3}?", "xxxxx")).toEqual(["xx"]);
  expect(groups("^$", "a")).toBeUndefined();
  expect(groups("(?i)COREDNS\\.", "www.coredns.io")).toEqual(["coredns."]);
  expect(groups("[[:digit:]-]+[^.]", "ip-10-1x.")).toEqual(["-10-1x"]);
  expect(groups("\\bdns\\b", "core dns io")).toEqual(["dns"]);
  expect(groups("\\Qa.b\\E", "axb a.b")).toEqual(["a.b"]);
});

test("named groups are found by name", () => {
  expect(new GoRegexp("ip-(?P<b>[0-9]*)-(?P<c>[0-9]*)").exec("ip-10-7")?.named).toEqual({
    b: "10",
    c: "7",
  });
});

test("what is no pattern is refused in Go's words", () => {
  expect(compileRegexp("[bad[")).toBe("error parsing regexp: missing closing ]: `[bad[`");
  expect(compileRegexp("a(b")).toBe("error parsing regexp: missing closing ): `a(b`");
  expect(compileRegexp("*a")).toBe(
    "error parsing regexp: missing argument to repetition operator: `*`",
  );
  expect(compileRegexp("a{1001}")).toBe("error parsing regexp: invalid repeat count: `{1001}`");
  expect(compileRegexp("(?=a)")).toMatch(
    /^error parsing regexp: invalid or unsupported Perl syntax/,
  );
  expect(compileRegexp("\\8")).toBe("error parsing regexp: invalid escape sequence: `\\8`");
});

test("a pattern that would take a backtracking engine forever is answered", () => {
  expect(new GoRegexp("^(a+)+$").test(`${"a".repeat(250)}b`)).toBe(false);
  expect(new GoRegexp("(x*)*y").test("x".repeat(250))).toBe(false);
});

const atoms = fc.constantFrom(
  "a",
  "b",
  ".",
  "[ab]",
  "[^a]",
  "(a|b)",
  "(ab)",
  "a?",
  "b*",
  "(a*b)",
  "a+?",
  "(?:ba){1,2}",
  "^",
  "$",
);

test("patterns of the common part find what JavaScript's engine finds", () => {
  fc.assert(
    fc.property(
      fc.array(atoms, { minLength: 1, maxLength: 6 }),
      fc.stringMatching(/^[abc]{0,8}$/),
      (parts, text) => {
        const source = parts.join("");
        const expected = new RegExp(source, "u").exec(text);
        const got = new GoRegexp(source).exec(text);
        expect(got?.groups).toEqual(
          expected === null ? undefined : [...expected].map((group) => group ?? ""),
        );
      },
    ),
    { numRuns: 3000 },
  );
});

test("no text makes the reader of patterns throw", () => {
  fc.assert(
    fc.property(
      fc.string({
        maxLength: 40,
        unit: fc.constantFrom(..."ab\\()[]{}*+?|^$.-,:P<>=!0123dwx".split("")),
      }),
      (source) => {
        const regex = compileRegexp(source);
        if (typeof regex !== "string") regex.test("abab12");
      },
    ),
    { numRuns: 5000 },
  );
});
