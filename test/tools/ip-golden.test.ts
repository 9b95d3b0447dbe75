import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createLinux } from "../../src/tools/stack.js";
import { run } from "./tool-fixtures.js";

interface Step {
  readonly ns: string | null;
  readonly line: string;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Session {
  readonly title: string;
  readonly steps: readonly Step[];
}

const sessions = [
  "ip-sessions",
  "ip6-sessions",
  "device-sessions",
  "vxlan-sessions",
  "route-get-sessions",
  "route6-get-sessions",
  "addrlabel-sessions",
].flatMap((name) => {
  const file = new URL(`../golden/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { readonly sessions: readonly Session[] })
    .sessions;
});

// What the real ip, bridge and sysctl said in fresh namespaces of a 6.18 kernel (scripts/record-ip-golden.py).
describe.each(sessions)("$title", ({ steps }) => {
  const sim = createLinux({ seed: 1 });
  test.each(steps.map((step, index) => ({ ...step, index })))(
    "$index $ns: $line",
    ({ ns, line, code, stdout, stderr }) => {
      const result = run(sim, ns ?? undefined, line);
      expect(withoutUsage(result)).toEqual(
        withoutUsage({ code, stdout: withoutRandomMacs(oneQueue(stdout), result.stdout), stderr }),
      );
    },
  );
});

/** The tools add pages of usage to some refusals; the first line is what counts. */
function withoutUsage<T extends { readonly stderr: string }>(result: T): T {
  const at = result.stderr.indexOf("Usage:");
  return at < 0 ? result : { ...result, stderr: result.stderr.slice(0, at) };
}

/** A veth has as many queues as the machine has processors. */
function oneQueue(text: string): string {
  return text.replaceAll(/\bnum([tr])xqueues 2\b/g, "num$1xqueues 1");
}

/** Addresses that nobody gave are random there and numbered here: where the real one is no 02:00:00 address, ours is put in. */
function withoutRandomMacs(recorded: string, ours: string): string {
  const mine = [...ours.matchAll(MAC)].map(([mac]) => mac);
  let index = 0;
  return recorded.replaceAll(MAC, (mac) => {
    const replacement = mine[index++] ?? mac;
    return /^(02:00:00|00:00:00|ff:ff:ff)/.test(mac) || !replacement.startsWith("0a:00:00")
      ? mac
      : replacement;
  });
}

const MAC = /\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/g;
