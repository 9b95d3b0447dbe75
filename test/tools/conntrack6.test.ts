import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadConnections, parseConntrackList } from "../../src/netfilter/conntrack/parse.js";
import { formatProcEntry } from "../../src/netfilter/conntrack/text.js";
import { conntrackTool } from "../../src/tools/conntrack.js";
import { type Rig, rig } from "../netfilter/rig.js";

interface Recorded {
  readonly list: string;
  readonly proc: string;
  readonly cases: readonly {
    readonly args: string;
    readonly code: number;
    readonly stdout: string;
    readonly stderr: string;
    readonly left: number;
  }[];
}

const recorded = JSON.parse(
  readFileSync(new URL("../golden/conntrack6-sessions.json", import.meta.url), "utf8"),
) as Recorded;

/** A namespace that has the recorded entries. */
function world(): Rig {
  const router = rig();
  loadConnections(router.table, parseConntrackList(recorded.list, "list"));
  return router;
}

/** As recorded: seconds are T, lines in order of their characters. */
function normal(text: string): string {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines
    .map((line) => line.replace(/^((?:ipv[46] +\d+ )?\S+ +\d+ )\d+ /, "$1T "))
    .toSorted((a, b) => (a < b ? -1 : 1))
    .join("\n");
}

describe("conntrack with entries of both families", () => {
  test.each(recorded.cases)("$args says and does what the real tool did", ({ args, ...real }) => {
    const router = world();
    const result = conntrackTool.run(args.split(" "), {
      sim: router.sim,
      ns: "router",
      stdin: "",
      stdinName: undefined,
    });
    const stdout = args === "-C" ? result.stdout.trim() : normal(result.stdout);
    expect({ ...result, stdout, left: router.table.count }).toEqual(real);
  });

  test("/proc/net/nf_conntrack writes IPv6 addresses out", () => {
    const { table } = world();
    const { timeouts } = table.settings;
    const lines = [...table.entries()].map((entry) => formatProcEntry(entry, table.now, timeouts));
    expect(normal(lines.join("\n"))).toBe(recorded.proc);
  });

  test("what /proc wrote is read back as the same entries", () => {
    const router = rig();
    const text = recorded.proc.replaceAll(" T ", " 100 ");
    loadConnections(router.table, parseConntrackList(text, "proc"));
    expect(router.list().toSorted()).toEqual(recorded.list.split("\n"));
  });
});
