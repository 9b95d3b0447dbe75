import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCalicoSelector } from "../../src/kube/calico-selector.js";

const labels = { zone: "eu-1", "kubernetes.io/hostname": "worker-1", gpu: "" };

function selects(text: string): boolean | string {
  const test = parseCalicoSelector(text);
  return typeof test === "function" ? test(labels) : `${test.message} at ${test.at}`;
}

describe("a selector of Calico's", () => {
  it.each([
    ["", true],
    ["all()", true],
    ["global( )", true],
    ["has(zone)", true],
    ["!has(disk)", true],
    ["has(gpu) && zone == 'eu-1'", true],
    ["zone == \"us-1\" || kubernetes.io/hostname == 'worker-1'", true],
    ["zone != 'eu-1'", false],
    ["disk != 'ssd'", true],
    ["zone in {'eu-1', \"eu-2\"}", true],
    ["disk in {''}", false],
    ["zone not in {'eu-1'}", false],
    ["disk not  in {'ssd'}", true],
    ["zone in {}", false],
    ["zone starts with 'eu' && zone ends with '1' && zone contains '-'", true],
    ["!(zone == 'eu-1' && has(gpu)) || disk == 'a' && all()", false],
    ["toString == 'x'", false],
    ["has(constructor)", false],
  ])("%s", (text, expected) => {
    expect(selects(text)).toBe(expected);
  });

  it.each([
    ["zone", "expected an operator at 4"],
    ["zone = 'a'", "expected an operator at 5"],
    ["zone == a", "expected a text in quotes at 8"],
    ["zone == 'a' zone", "expected && or || at 12"],
    ["(all()", "expected ) at 6"],
    ["zone in {'a' 'b'}", "expected } at 13"],
    ["&& all()", "expected a label at 0"],
    ["!".repeat(60), "nested deeper than 50 at 51"],
    ["a".repeat(5000), "longer than 4096 characters at 4096"],
  ])("%s is refused where it goes wrong", (text, expected) => {
    expect(selects(text)).toBe(expected);
  });

  it("is read or refused, whatever comes", () => {
    const word = fc.constantFrom(
      ...["all()", "has(a)", "a", "==", "!=", "in", "not in", "{", "}", "'x'", ",", "&&", "||"],
      ...["!", "(", ")", "starts with", " ", "'", "\n", "é"],
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), (words) => {
        expect(["boolean", "string"]).toContain(typeof selects(words.join("")));
      }),
    );
  });
});
