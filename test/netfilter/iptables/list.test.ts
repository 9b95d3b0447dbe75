import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Simulation } from "../../../src/core/simulation.js";
import { createLinux } from "../../../src/tools/stack.js";
import { runTool } from "../../../src/tools/index.js";

interface Case {
  readonly id: string;
  readonly family: "ip" | "ip6";
  readonly table: string;
  readonly input: string;
  readonly sets?: true;
  /** What both variants print; else each its own. */
  readonly list?: string;
  readonly nft?: string;
  readonly legacy?: string;
}

interface Golden {
  readonly origin: string;
  readonly setup: readonly string[];
  readonly cases: readonly Case[];
}

const path = new URL("../../golden/iptables-list.json", import.meta.url);
const { setup, cases } = JSON.parse(readFileSync(path, "utf8")) as Golden;

/** Printed otherwise, and why. */
const LEFT: Readonly<Record<string, string>> = {
  "r-0173 legacy": "a test that the saved form loses is shown: dpts:!0:65535",
};

function run(sim: Simulation, line: string, stdin = ""): { code: number; stdout: string } {
  return runTool(sim, { ns: "box", argv: line.split(" "), stdin });
}

/** What `-L -n -v --line-numbers` prints of the chains that have rules. */
function listed(sim: Simulation, one: Case, variant: "nft" | "legacy"): string {
  const tool = `${one.family}tables-${variant}`;
  const loaded = run(sim, `${tool}-restore`, `*${one.table}\n${one.input}\nCOMMIT\n`);
  if (loaded.code !== 0) return `restore ended with ${loaded.code}`;
  return run(sim, `${tool} -t ${one.table} -L -n -v --line-numbers`)
    .stdout.split("\n\n")
    .map((block) => block.replace(/\n$/, ""))
    .filter((block) => block.split("\n").length > 2)
    .join("\n\n");
}

describe.each(["nft", "legacy"] as const)("-L of the %s variant", (variant) => {
  it("prints every recorded rule in the real tool's columns and words", () => {
    const sim = createLinux({ seed: 1 });
    sim.createNamespace("box");
    for (const line of setup) run(sim, line);
    const asked = cases.filter((one) => (one.list ?? one[variant]) !== undefined);
    const wrong = asked.flatMap((one) => {
      const want = one.list ?? one[variant] ?? "";
      const got = listed(sim, one, variant);
      return got === want ? [] : [{ id: `${one.id} ${variant}`, got, want }];
    });
    console.log(`iptables-list ${variant}: ${asked.length - wrong.length}/${asked.length} equal`);
    const left = wrong.filter(({ id }) => LEFT[id] !== undefined);
    for (const { id } of left) console.log(`  left: ${id} ${LEFT[id]}`);
    expect(wrong.filter((one) => !left.includes(one)).slice(0, 30)).toEqual([]);
  });
});
