import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
// Loaded here, so that no test waits for it.
import "../../../src/cli/run-command.js";
import { hopwise } from "../../cli/run.js";

const names = readdirSync(new URL("../../../topologies/scenarios/", import.meta.url))
  .filter((file) => file.endsWith(".yaml"))
  .map((file) => file.slice(0, -".yaml".length));

describe("the scenarios that ship", () => {
  it("are six", () => {
    expect(names).toEqual([
      "affinity",
      "endpoint-deleted",
      "masquerade",
      "policy-change",
      "stale-udp",
      "terminating",
    ]);
  });

  it.each(names)("%s comes to what it expects", async (name) => {
    const run = await hopwise(`run demo:${name}`);
    expect(run.out).not.toContain("FAIL");
    expect(run.exit).toBe(0);
  });
});
