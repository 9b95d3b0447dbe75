import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { errorCases, playErrorCases } from "./endpoint-errors.js";

/** What 6.18 told the program of each case, by `family type/code call`. */
const recorded: { readonly results: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(new URL("../golden/endpoint-errors.json", import.meta.url), "utf8"),
);

describe("what a program is told of an ICMP error", () => {
  it(`is what the kernel told it, in ${errorCases.length} cases of type, code and call`, () => {
    const told = playErrorCases(errorCases);
    const played = Object.fromEntries(
      errorCases.map((one, index) => [
        `IPv${one.family} ${one.type}/${one.code} ${one.call}`,
        told[index],
      ]),
    );
    expect(played).toEqual(recorded.results);
  });
});
