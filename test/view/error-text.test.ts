import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../src/base/errors.js";
import { errorsJson, formatErrors } from "../../src/view/error-text.js";

const misspelt = new UserError(
  "FIELD",
  'NetworkPolicy shop/db: unknown field "podSelectr" in spec',
  {
    place: { file: "policies/db.yaml", line: 9, column: 5 },
    sourceLine: "    podSelectr: {matchLabels: {app: db}}",
    length: 10,
    help: 'did you mean "podSelector"?',
  },
);

describe("an error as text", () => {
  it("has place, source line, caret and help", () => {
    expect(formatErrors(misspelt)).toBe(
      [
        'policies/db.yaml:9:5: error: NetworkPolicy shop/db: unknown field "podSelectr" in spec',
        "    9 |     podSelectr: {matchLabels: {app: db}}",
        "      |     ^^^^^^^^^^",
        'help: did you mean "podSelector"?',
        "",
      ].join("\n"),
    );
  });

  it("keeps the caret under the mistake where the line has tabs and control characters before it", () => {
    const text = formatErrors(
      new UserError("X", "bad", {
        place: { file: "f", line: 1, column: 4 },
        sourceLine: "\t\u001b[bad",
        length: 3,
      }),
    );
    const [, line = "", caret = ""] = text.split("\n");
    expect(line.slice(caret.indexOf("^"), caret.lastIndexOf("^") + 1)).toBe("bad");
    expect(text).not.toContain("\u001b");
  });

  it("cuts a long line around the mistake and still points at it", () => {
    const sourceLine = `${"x".repeat(5_000)}HERE${"y".repeat(5_000)}`;
    const text = formatErrors(
      new UserError("X", "bad", {
        place: { file: "f", line: 1, column: 5_001 },
        sourceLine,
        length: 4,
      }),
    );
    const [, line = "", caret = ""] = text.split("\n");
    expect(line.length).toBeLessThan(140);
    expect(line.slice(caret.indexOf("^"), caret.lastIndexOf("^") + 1)).toBe("HERE");
  });

  it("cuts a word of any length, in the line and in the message", () => {
    const word = "1".repeat(3_000_000);
    const text = formatErrors(
      new UserError("X", `"${word}" is no address`, {
        place: { file: "f", line: 1, column: 4 },
        sourceLine: `-s ${word}`,
        length: word.length,
      }),
    );
    expect(text.length).toBeLessThan(2_000);
    expect(text).toContain(".. (3000016 characters)\n");
    expect(text.split("\n")[1]).toMatch(/^ {4}1 \| -s 1{500}\.\.$/);
  });

  it("counts one more error as one", () => {
    const errors = Array.from({ length: 21 }, () => new UserError("X", "mistake"));
    expect(formatErrors(new UserErrors(errors))).toContain("and 1 more error\n");
  });

  it("shows twenty of many and counts the rest", () => {
    const many = new UserErrors(
      Array.from({ length: 25 }, (_, index) => new UserError("X", `mistake ${index}`)),
    );
    const text = formatErrors(many);
    expect(text).toContain("mistake 19");
    expect(text).not.toContain("mistake 20");
    expect(text).toContain("and 5 more errors");
  });

  it("is one document for programs, with nulls where there is no place", () => {
    expect(errorsJson(new UserError("NAME_UNKNOWN", "no pod", { help: "look" }))).toEqual({
      v: 1,
      kind: "Error",
      errors: [
        {
          code: "NAME_UNKNOWN",
          file: null,
          line: null,
          column: null,
          message: "no pod",
          help: "look",
        },
      ],
    });
  });
});
