import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { NetworkNamespace } from "../../../src/core/namespace.js";
import { later, microseconds } from "../../../src/sim/time.js";
import { splitSetLine } from "../../../src/netfilter/ipset/split-line.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";

interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Case {
  readonly id: string;
  readonly group: string;
  readonly kind: "commands" | "restore";
  readonly input: string | readonly string[];
  readonly restoreOptions?: string;
  readonly result?: Ran;
  readonly results?: readonly Ran[];
  readonly saveSorted: string;
  readonly listSorted: string;
}

const cases: readonly Case[] = JSON.parse(
  readFileSync(new URL("../../golden/ipset-roundtrip.json", import.meta.url), "utf8"),
);

/** A jiffy of the recording kernel: what passes between two commands, or nothing at all. */
const paces = [microseconds(0), microseconds(4_000)] as const;

function ns(pace: (typeof paces)[number]): {
  readonly ns: NetworkNamespace;
  run(words: readonly string[], stdin?: string): Ran;
} {
  const sim = createLinux({ seed: 1 });
  const made = sim.createNamespace("n");
  return {
    ns: made,
    run(words, stdin = "") {
      const { code, stdout, stderr } = runTool(sim, { ns: "n", argv: ["ipset", ...words], stdin });
      sim.queue.advanceTo(later(sim.queue.now, pace));
      return { exit: code, stdout: hideSeed(stdout), stderr };
    },
  };
}

/** The recording hides the seed in plain output; in XML it left it in. */
function hideSeed(text: string): string {
  return text
    .replaceAll(/initval 0x[0-9a-f]{8}/g, "initval 0x<INITVAL>")
    .replaceAll(/<initval>0x[0-9a-f]{8}/g, "<initval>0x<INITVAL>");
}

/** Runs a case and gives all that can be seen of it. */
function replay(test: Case, pace: (typeof paces)[number]): unknown {
  const { run } = ns(pace);
  const results: readonly Ran[] =
    typeof test.input === "string"
      ? [
          run(
            ["restore", ...(test.restoreOptions === undefined ? [] : [test.restoreOptions])],
            test.input,
          ),
        ]
      : test.input.map((line) => run(shellWords(line)));
  const save = run(["save", "-s"]).stdout;
  return { results, save, list: run(["list", "-s"]).stdout };
}

function shellWords(line: string): readonly string[] {
  return line.endsWith('comment ""') ? [...splitSetLine(line), ""] : splitSetLine(line);
}

function recorded(test: Case): unknown {
  const results = (test.results ?? (test.result === undefined ? [] : [test.result])).map((ran) => ({
    ...ran,
    stdout: hideSeed(ran.stdout),
  }));
  return { results, save: test.saveSorted, list: test.listSorted };
}

describe("ipset against 142 recorded cases of ipset 7.17 on Linux 6.18", () => {
  for (const test of cases) {
    it(`${test.id} ${test.group}: ${String(test.input).split("\n")[0]?.slice(0, 60)}`, () => {
      const wanted = recorded(test);
      const seen = paces.map((pace) => replay(test, pace));
      // A timeout of N prints as N within the same jiffy and as N-1 after it: the recording caught either.
      const match = seen.find((one) => JSON.stringify(one) === JSON.stringify(wanted));
      expect(match ?? seen[1]).toEqual(wanted);
    });
  }

  it("leaves none out", () => {
    console.log(`ipset-roundtrip: ${cases.length} cases, none excluded`);
    expect(cases).toHaveLength(142);
  });
});
