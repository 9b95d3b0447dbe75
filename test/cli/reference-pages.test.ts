import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { referencePages } from "../../src/cli/reference-pages.js";
import { DROP_REASONS } from "../../src/core/drop.js";

describe("the reference pages", () => {
  it.each(referencePages)(
    "$path says what the registry says (stale? node scripts/generate-docs.mjs)",
    (page) => {
      expect(readFileSync(page.path, "utf8")).toBe(page.render());
    },
  );

  it("have one row for each reason to drop, in the order of the list", () => {
    const rows = readFileSync("docs/drop-reasons.md", "utf8").matchAll(
      /^\| `([A-Z0-9_]+)` \| (?:[^|\\]|\\.)+ \| (?:[^|\\]|\\.)+ \| (?:[^|\\]|\\.)+ \|$/gm,
    );
    expect([...rows].map((row) => row[1])).toEqual([...DROP_REASONS]);
  });
});
