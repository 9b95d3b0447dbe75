import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Lab, usesIpv6 } from "../../src/lab/lab.js";
import { labScript, netnsName } from "../../src/lab/shell.js";
import { formatHex } from "../../src/wire/bytes.js";
import { encodeFrame } from "../../src/wire/frame.js";
import { formatIp } from "../../src/wire/ip.js";
import { run } from "./process.js";
import { probeKnobs, profile, profile6 } from "./profile.js";
import { type Observation, type ProbeSpec, savers6 } from "./observation.js";

/** Labs judged in this process, for names of their own. */
let labs = 0;

/** Programs the judge needs; one that is missing makes the tests skip, or fail in CI. */
const needed = ["ip", "iptables-save", "conntrack", "python3", "sysctl"];

/** Why there is no judge on this machine; undefined when there is one. */
export function missingJudge(): string | undefined {
  if (process.platform !== "linux") return "the judge is a Linux kernel";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  for (const program of needed) {
    try {
      execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    } catch {
      return `${program} is not installed`;
    }
  }
  try {
    execFileSync("ip", ["netns", "add", "hopwise-judge-probe"], { stdio: "ignore" });
    execFileSync("ip", ["netns", "del", "hopwise-judge-probe"], { stdio: "ignore" });
  } catch {
    return "this machine cannot make network namespaces";
  }
  return undefined;
}

/**
 * Builds the lab in real namespaces, sends its probes, reads its tables, and takes everything away again. Several labs can
 * be judged at once: most of the time a lab waits.
 */
export async function judge(
  lab: Lab,
  probes: readonly ProbeSpec[],
  replies: Readonly<Record<string, string>> = {},
): Promise<Observation> {
  const prefix = `hw${process.pid}-${labs++}-`;
  const folder = mkdtempSync(join(tmpdir(), "hopwise-judge-"));
  const script = join(folder, "lab.sh");
  writeFileSync(script, withProfile(labScript(lab, { prefix }), lab, prefix));
  try {
    await run("sh", [script]);
    const agent = await run(
      "python3",
      [new URL("agent.py", import.meta.url).pathname],
      JSON.stringify({
        // Links come up a little late when both ends have the same index.
        wait: usesIpv6(lab) ? 1.3 : 0.05,
        deviceKnobs: probeKnobs("DEVICE", lab).map(knobFile),
        namespaces: Object.fromEntries(lab.namespaces.map((ns) => [ns, netnsName(ns, prefix)])),
        show: lab.show ?? [],
        listeners: lab.listeners.map((one) => ({
          ...one,
          address: formatIp(one.address),
          groups: (one.groups ?? []).map(({ group, device }) => ({
            group: formatIp(group),
            device,
          })),
          ...(one.protocol === "udp" && one.port === 53 && Object.keys(replies).length > 0
            ? { replies }
            : {}),
        })),
        probes: probes.map((one) => ({
          ...one,
          address: formatIp(one.address),
          ttl: one.ttl ?? 0,
          frame: one.frame === undefined ? "" : formatHex(encodeFrame(one.frame)),
        })),
      }),
    );
    const seen: {
      results: string[];
      shown: string[];
      frames: { ns: string; dev: string; direction: "rx" | "tx"; bytes: string }[];
    } = JSON.parse(agent);
    const each = async (
      argv: readonly string[],
      has: (ns: string) => boolean = () => true,
    ): Promise<ReadonlyMap<string, string>> => {
      const texts = new Map<string, string>();
      for (const ns of lab.namespaces)
        texts.set(
          ns,
          has(ns) ? await run("ip", ["netns", "exec", netnsName(ns, prefix), ...argv]) : "",
        );
      return texts;
    };
    // A namespace that no command gave rules has none to show and tracks nothing.
    const ruled = new Set(lab.commands.filter(({ argv }) => !isPlain(argv)).map(({ ns }) => ns));
    const hasRules = (ns: string): boolean => ruled.has(ns);
    const rules6 = savers6(lab).map((name) => `${name} -c`);
    return {
      results: seen.results,
      frames: seen.frames.map((frame) => ({
        ...frame,
        bytes: Uint8Array.from(Buffer.from(frame.bytes, "hex")),
      })),
      rules: await each(["iptables-save", "-c"], hasRules),
      rules6: await each(
        ["sh", "-c", rules6.join("\n")],
        (ns) => rules6.length > 0 && hasRules(ns),
      ),
      conntrack: await each(["conntrack", "-L"], hasRules),
      neighbours: await each(["ip", "neigh", "show"]),
      shown: seen.shown,
    };
  } finally {
    await run("sh", [script, "down"]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The profile goes in right after the namespaces are made, before the lab's own commands. */
export function withProfile(script: string, lab: Lab, prefix: string): string {
  const lines = script.split("\n");
  const last = lines.findLastIndex(
    (line) => line.startsWith("ip -n ") && line.endsWith("link set lo up"),
  );
  const knobs = lab.namespaces.map(
    (ns) =>
      `ip netns exec ${netnsName(ns, prefix)} sysctl -qw ${[...profile, ...(usesIpv6(lab) ? profile6 : [])].join(" ")}`,
  );
  return lines.toSpliced(last + 1, 0, ...knobs).join("\n");
}

/** Whether a command is about devices, addresses, routes and knobs alone. */
function isPlain([program = ""]: readonly string[]): boolean {
  return program === "ip" || program === "bridge" || program === "sysctl";
}

/** `NAME=VALUE` of sysctl as a file below /proc/sys and what is written there. */
function knobFile(knob: string): readonly [string, string] {
  const [name = "", value = ""] = knob.split("=");
  return [name.replaceAll(".", "/"), value];
}
