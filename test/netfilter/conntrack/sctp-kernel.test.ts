import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { infoOf, packet, rig } from "../rig.js";

interface RecordedStep {
  readonly side: "c" | "s";
  /** What follows the IP header, in hexadecimal. */
  readonly bytes: string;
  /** What `--ctstate` matched in FORWARD. */
  readonly info: string;
  /** The lines of `conntrack -L` right after it, without `use=`. */
  readonly lines: readonly string[];
}

interface Recorded {
  readonly runs: readonly { readonly port: number; readonly steps: readonly RecordedStep[] }[];
}

const file =
  process.env["CONNTRACK_SCTP_RECORDING"] ??
  new URL("../../golden/conntrack-sctp.json", import.meta.url);
const recorded = JSON.parse(readFileSync(file, "utf8")) as Recorded;

/** What a line says apart from the seconds that are left. */
function timeless(line: string): string {
  return line.replace(/^(\w+ +\d+) \d+/, "$1").replace(/ use=\d+/, "");
}

/** The seconds that are left; a recording takes a while, so they only bound the timeout from below. */
function secondsOf(line: string): number {
  return Number(/^\w+ +\d+ (\d+)/.exec(line)?.[1] ?? Number.NaN);
}

function play(run: Recorded["runs"][number]): string | undefined {
  const world = rig();
  world.ns.sysctls.find("net.netfilter.nf_conntrack_acct")?.set("1");
  for (const [index, { side, bytes, info, lines }] of run.steps.entries()) {
    const [from, to] = side === "c" ? ["10.1.0.2", "10.2.0.2"] : ["10.2.0.2", "10.1.0.2"];
    const frame = packet(from, to, 132, undefined, Uint8Array.from(Buffer.from(bytes, "hex")));
    const got = infoOf(world.forward(frame)).replace("_REPLY", "");
    const list = world.list();
    const told = `port ${run.port} step ${index} ${side} ${bytes}`;
    if (got !== info) return `${told}: ${got}, the kernel says ${info}`;
    if (list.map(timeless).join() !== lines.map(timeless).join())
      return `${told}:\n${list.join("\n")}\nthe kernel says\n${lines.join("\n")}`;
    for (const [at, line] of list.entries()) {
      const late = secondsOf(line) - secondsOf(lines[at] ?? "");
      if (late < 0 || late > 2) return `${told}: ${line}, the kernel says ${lines[at] ?? ""}`;
    }
  }
  return undefined;
}

test(`SCTP packets in any order stand in their associations as on the kernel, in ${recorded.runs.length} recorded runs`, () => {
  expect(recorded.runs.length).toBeGreaterThan(0);
  expect(recorded.runs.flatMap((run) => play(run) ?? [])).toEqual([]);
});
