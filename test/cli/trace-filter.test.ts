import { describe, expect, it } from "vitest";
import { hopwise } from "./run.js";

describe("hopwise trace --filter", () => {
  it("prints the steps that it holds for, and how many there are", async () => {
    const { out, exit } = await hopwise(
      'trace shop/web-0 shop/api:80 -w demo:shop --filter "effect == dnat"',
    );
    expect(out).toMatch(
      /\n {2}# WHERE[^\n]+\n[^\n]+ \* DNAT dst 10\.96\.44\.10:80 => [^\n]+\nfilter: effect == dnat {3}1 of \d+ steps\nDELIVERED/,
    );
    expect(exit).toBe(0);
  });

  it("says that none is left, and leaves the verdict as it is", async () => {
    const { out } = await hopwise('trace shop/web-0 shop/api:80 -w demo:shop --filter "udp"');
    expect(out).toMatch(/\nfilter: udp {3}0 of \d+ steps\nDELIVERED/);
  });

  it("filters documents too", async () => {
    const { out } = await hopwise(
      'trace shop/web-0 shop/api:80 -w demo:shop -o json --filter "changed and not reply"',
    );
    const document = JSON.parse(out) as {
      allSteps: number;
      steps: { changes: object[]; leg: string }[];
    };
    expect(document).toMatchObject({ verdict: "DELIVERED", filter: "changed and not reply" });
    expect(document.steps.length).toBeGreaterThan(0);
    expect(document.steps.length).toBeLessThan(document.allSteps);
    expect(document.steps.every(({ changes, leg }) => changes.length > 0 && leg === "out")).toBe(
      true,
    );
  });
});
