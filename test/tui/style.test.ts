import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { slice, widthOf } from "../../src/tui/cells.js";
import { cutWords, paint, type Palette, wrap } from "../../src/tui/style.js";
import { shortenChains } from "../../src/view/shorten-chains.js";

const grey: Palette = { colour: false, ascii: false };
// oxlint-disable-next-line no-control-regex -- the codes for colours
const withoutCodes = (text: string): string => text.replaceAll(/\u001b\[[0-9;]*m/g, "");

describe("text in columns", () => {
  it("counts wide letters twice and combining marks not at all", () => {
    expect(widthOf("api")).toBe(3);
    expect(widthOf("世界")).toBe(4);
    expect(widthOf("e\u0301")).toBe(1);
  });

  it("cuts to exactly the columns that are wanted, half of a wide letter becoming a space", () => {
    expect(slice("a世b", 0, 2)).toBe("a ");
    expect(slice("a世b", 2, 2)).toBe(" b");
    expect(slice("ab", 0, 4)).toBe("ab  ");
  });

  it("is as wide as its place, whatever a dump holds", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "grapheme", maxLength: 12 }), { maxLength: 4 }),
        fc.integer({ min: 1, max: 60 }),
        fc.nat({ max: 10 }),
        (parts, width, from) => {
          const line = parts.map((text) => ({ text, tone: "ok" as const }));
          for (const ascii of [false, true]) {
            const shown = withoutCodes(paint(line, width, { colour: true, ascii }, from));
            expect(widthOf(shown)).toBe(width);
          }
        },
      ),
    );
  });

  it("never sends a control character of an input to the terminal", () => {
    expect(paint("a\u001b[2Jb\u202ec", 30, grey).trimEnd()).toBe("a\\x1b[2Jb\\u202ec");
  });

  it("has only printable ASCII with --ascii", () => {
    expect(paint("┌─ Größe ─┐ 世", 20, { colour: false, ascii: true })).toMatch(/^[ -~]+$/);
  });

  it("uses no colour when there is none, and marks what is selected by reverse", () => {
    expect(paint([{ text: "x", tone: "bad" }], 1, grey)).toBe("\u001b[1mx\u001b[0m");
    expect(paint([{ text: "x", tone: "selected" }], 1, grey)).toBe("\u001b[7mx\u001b[0m");
    expect(paint([{ text: "x", tone: "bad" }], 1, { colour: true, ascii: false })).toBe(
      "\u001b[31mx\u001b[0m",
    );
  });

  it("shortens chain names in the middle and cuts only between words", () => {
    expect(shortenChains("nat KUBE-SEP-NWRKAEDWYKZEVMED[2]", 26)).toBe("nat KUBE-SEP-NWRKAE..[2]");
    expect(shortenChains("nat KUBE-SEP-NWRKAEDWYKZEVMED[2]", 60)).toBe(
      "nat KUBE-SEP-NWRKAEDWYKZEVMED[2]",
    );
    expect(cutWords("via 192.168.10.12 dev eth0", 20)).toBe("via 192.168.10.12 ..");
  });

  it("breaks lines between words and keeps the indentation", () => {
    expect(wrap("  one two three", 9, "    ")).toEqual(["  one two", "    three"]);
  });
});
