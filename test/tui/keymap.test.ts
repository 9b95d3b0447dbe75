import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../src/base/errors.js";
import { BINDINGS, commandOf, hintsFor } from "../../src/tui/key-table.js";
import { conflictsOf, readKeymap } from "../../src/tui/keymap.js";

const read = (text: string) => readKeymap({ file: "keys.yaml", text });

/** What is wrong with a file, one line each. */
function mistakes(text: string): readonly string[] {
  try {
    read(text);
    return [];
  } catch (error) {
    const all =
      error instanceof UserErrors ? error.errors : error instanceof UserError ? [error] : undefined;
    if (all === undefined) throw error;
    return all.map(({ message, details: { place } }) => `${place?.line ?? 0}: ${message}`);
  }
}

describe("the user's keys", () => {
  it("are the table where the file is empty, and no two commands of a screen share one", () => {
    expect(read("")).toBe(BINDINGS);
    expect(conflictsOf(BINDINGS)).toEqual([]);
  });

  it("replace those of the table, also in hints", () => {
    const keys = read("why: x\nplay: [Space, C-x]\n");
    expect(commandOf("x", "trace", keys)).toBe("why");
    expect(commandOf("w", "trace", keys)).toBeUndefined();
    expect(commandOf("C-x", "trace", keys)).toBe("play");
    expect(hintsFor("matrix", 200, keys)).toContain("x why");
    expect(read("mark: X").find(({ command }) => command === "mark")?.shown).toBe("X a");
  });

  it("name both commands where two have one key, and the line", () => {
    expect(mistakes("\nwhy: j\n")).toEqual(["2: j is the key of next and of why"]);
    expect(mistakes("why: x\nzoom: x\n")).toEqual(["2: x is the key of zoom and of why"]);
  });

  it("say which command there is not, and what is no key", () => {
    expect(mistakes("wyh: x\nwhy: F5\nquit: C-c\n")).toEqual([
      '1: there is no command "wyh"',
      '2: "F5" is no key',
      "3: C-c cannot be changed",
    ]);
    expect(mistakes("- a\n")).toEqual(["1: keys are a mapping of commands"]);
  });

  it("never fail in another way than by saying what is wrong", () => {
    const word = fc.constantFrom(
      "why",
      "next",
      ":",
      "-",
      "[",
      "]",
      "x",
      "\n",
      " ",
      "C-y",
      "&a",
      "*a",
      "{",
      "}",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join("")),
        ),
        (text) => {
          mistakes(text);
        },
      ),
      { numRuns: 300 },
    );
  });
});
