import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { infoOf, rig, tcp } from "../rig.js";

interface RecordedStep {
  readonly side: "c" | "s";
  readonly flags: string;
  readonly seq: number;
  readonly ack: number;
  readonly window: number;
  readonly length: number;
  readonly options: readonly number[];
  /** What `--ctstate` matched in FORWARD; empty when the segment did not arrive there. */
  readonly info: string;
  /** The lines of `conntrack -L` right after it, without `use=`. */
  readonly lines: readonly string[];
}

interface Recorded {
  readonly origin: readonly string[];
  readonly runs: readonly { readonly port: number; readonly steps: readonly RecordedStep[] }[];
}

const file =
  process.env["CONNTRACK_TCP_RECORDING"] ??
  new URL("../../golden/conntrack-tcp.json", import.meta.url);
const recorded: Recorded = JSON.parse(readFileSync(file, "utf8"));

/** A recorded run lasts a moment, so seconds may have rounded down: what stands within 1 s counts as the same. */
function rounded(line: string): string {
  return line
    .replace(
      /^(\w+ +\d+) (\d+)/,
      (_, head: string, seconds: string) => `${head} ${Math.ceil(Number(seconds) / 10) * 10}`,
    )
    .replace(/ use=\d+/, "");
}

function play(run: Recorded["runs"][number]): readonly string[] {
  const world = rig();
  world.ns.sysctls.find("net.netfilter.nf_conntrack_acct")?.set("1");
  const client = `10.1.0.2:${run.port}`;
  const server = "10.2.0.2:80";
  return run.steps.map((step) => {
    const { seq, ack, window, length } = step;
    const [from, to] = step.side === "c" ? [client, server] : [server, client];
    const frame = tcp(from, to, step.flags, {
      seq,
      ack,
      window,
      length,
      options: new Uint8Array(step.options),
    });
    const info = infoOf(world.forward(frame)).replace("_REPLY", "");
    return [`${step.side} ${step.flags}`, info, ...world.list().map(rounded)].join("\n");
  });
}

describe("TCP segments in any order", () => {
  test(`stand in their connections as on the kernel, in ${recorded.runs.length} recorded runs`, () => {
    expect(recorded.runs.length).toBeGreaterThan(0);
    const different: unknown[] = [];
    for (const run of recorded.runs) {
      const wanted = run.steps.map((step) =>
        [`${step.side} ${step.flags}`, step.info, ...step.lines.map(rounded)].join("\n"),
      );
      const got = play(run);
      const at = got.findIndex((line, index) => line !== wanted[index]);
      if (at >= 0)
        different.push({
          port: run.port,
          step: at,
          steps: run.steps.slice(0, at + 1),
          got: got[at],
          wanted: wanted[at],
        });
    }
    expect(different).toEqual([]);
  });
});
