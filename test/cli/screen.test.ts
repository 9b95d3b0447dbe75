import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { paint } from "../../src/view/paint.js";
import { hopwise } from "./run.js";

const TRACE = "trace shop/web-0 shop/api:80 -w demo:shop";
const DENIED = "trace batch/job-0 shop/db:5432 -w demo:shop";
// oxlint-disable-next-line no-control-regex -- escape sequences are what is looked for
const SGR = /\u001b\[(\d+)m/g;
const codesOf = (text: string): ReadonlySet<number> =>
  new Set([...text.matchAll(SGR)].map(([, code]) => Number(code)));

describe("--color", () => {
  afterEach(() => void vi.unstubAllEnvs());

  it("colours the same text, with named colours and bold alone", async () => {
    const plain = await hopwise(DENIED);
    const painted = await hopwise(`${DENIED} --color always`);
    expect(plain.out).not.toMatch(SGR);
    expect(painted.out.replace(SGR, "")).toBe(plain.out);
    expect([...codesOf(painted.out)].toSorted((a, b) => a - b)).toEqual([0, 1, 31, 32, 35]);
  });

  it.each([
    [{ NO_COLOR: "1" }, "auto", false],
    [{ NO_COLOR: "", FORCE_COLOR: "1" }, "auto", true],
    [{ NO_COLOR: "1", FORCE_COLOR: "1" }, "auto", false],
    [{ NO_COLOR: "1" }, "always", true],
    [{ FORCE_COLOR: "1" }, "never", false],
    [{ CLICOLOR_FORCE: "0" }, "auto", false],
  ])("with %j and --color %s is %s", async (environment, when, coloured) => {
    vi.stubEnv("NO_COLOR", "");
    vi.stubEnv("FORCE_COLOR", "");
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    const { out } = await hopwise(`${TRACE} -q --color ${when}`);
    expect(codesOf(out).size > 0).toBe(coloured);
  });

  it("leaves documents as they are", async () => {
    const { out } = await hopwise(`${TRACE} -o json --color always`);
    expect(JSON.parse(out)).toMatchObject({ verdict: "DELIVERED" });
  });

  it("takes the mark of a row, not a star in what it says", () => {
    expect(paint("  9 worker-1 cni0  nat A[2]   * DNAT dst a * b")).toBe(
      "  9 worker-1 cni0  nat A[2]   \u001b[35m*\u001b[0m DNAT dst a * b",
    );
  });
});

describe("--ascii", () => {
  it("gives documents the same letters in another writing, and people a likeness", async () => {
    const ask = (more: string): ReturnType<typeof hopwise> =>
      hopwise(`trace shop/web-0 shop/api:80 -w demo:shop ${more}`);
    const asAscii = await ask('-o json --ascii --filter "chain == “é”"');
    expect(asAscii.out).toMatch(/^[\n\x20-\x7e]*$/);
    expect(JSON.parse(asAscii.out)).toMatchObject({ filter: "chain == “é”" });
    const text = await ask('--ascii --filter "chain == “é”"');
    expect(text.out).toMatch(/^[\n\x20-\x7e]*$/);
    expect(text.out).toContain('filter: chain == "?"');
  });

  it("holds for files as well", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hopwise-ascii-"));
    const file = join(folder, "trace.html");
    await hopwise(`${TRACE} -o html --ascii --filter "chain == é" --out ${file}`);
    const page = readFileSync(file, "utf8");
    rmSync(folder, { recursive: true });
    expect(page).toMatch(/^[\n\x20-\x7e]*$/);
    expect(page).toContain("filter: chain == &#233;");
  });
});

describe("--width", () => {
  it("fits into a pipe too", async () => {
    const { out } = await hopwise(`${TRACE} --width 72`);
    // The queries of a name lookup are no part of this trace, and all other lines are folded.
    expect(Math.max(...out.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(72);
    expect(out).toContain("nat KUBE-SVC-RU..[2]");
  });

  it("is a number of columns, and words near an option's are told", async () => {
    expect((await hopwise(`${TRACE} --width 3`)).err).toContain("a whole number from 20 to 1000");
    expect((await hopwise(`${TRACE} -o mermad`)).err).toContain('did you mean "mermaid"?');
  });
});

describe("-n", () => {
  it("leaves the steps of the namespaces that it names", async () => {
    const { out } = await hopwise(`${TRACE} -n worker-2 -o json`);
    const { steps, allSteps } = JSON.parse(out) as { steps: { netns: string }[]; allSteps: number };
    expect(new Set(steps.map(({ netns }) => netns))).toEqual(new Set(["worker-2"]));
    expect(steps.length).toBeLessThan(allSteps);
    const pods = await hopwise(`${TRACE} -n shop`);
    expect(pods.out).toMatch(/\n {2}1 shop\/web-0 [^\n]+\n[^\n]+socket[^\n]+\n[^\n]+socket/);
    expect(pods.out).toMatch(/\nfilter: -n shop {3}3 of \d+ steps\n/);
  });

  it("refuses one where the packet never is", async () => {
    const { err, exit } = await hopwise(`${TRACE} -n wrker-2`);
    expect(err).toContain('the packet is never in a network namespace "wrker-2"');
    expect(err).toContain("did you mean worker-2?");
    expect(exit).toBe(2);
  });
});
