import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ACCEPT, type HookState } from "../../../src/core/hooks.js";
import type { SkBuff } from "../../../src/core/skbuff.js";
import { formatTuple } from "../../../src/netfilter/conntrack/text.js";
import { registerNatLookup } from "../../../src/netfilter/nat/hooks.js";
import type { NatRange } from "../../../src/netfilter/nat/range.js";
import { setupDnat, setupSnat } from "../../../src/netfilter/nat/targets.js";
import { ip, rig, udp } from "../rig.js";

interface Recorded {
  /** The rules that `pick` below stands for. */
  readonly rules: readonly string[];
  /** Source, destination, and the tuple of the answers as `conntrack -L` showed it; in the order they were sent. */
  readonly flows: readonly (readonly [string, string, string])[];
}

const recorded: Recorded = JSON.parse(
  readFileSync(new URL("../../golden/nat-choices.json", import.meta.url), "utf8"),
);

const backends: NatRange = { addresses: { low: ip("10.2.0.10"), high: ip("10.2.0.200") } };
const oneBackend = { low: ip("10.2.0.2"), high: ip("10.2.0.2") };
const ports = { low: 8000, high: 8009 };

function pick(port: number): NatRange | undefined {
  if (port === 100) return backends;
  if (port === 101) return { ...backends, persistent: true };
  if (port === 102) return { addresses: oneBackend, ports };
  return port >= 1000 && port <= 1020
    ? { addresses: oneBackend, ports, basePort: 1000 }
    : undefined;
}

function portOf(skb: SkBuff): number {
  return skb.frame.transport?.kind === "udp" ? skb.frame.transport.destinationPort : 0;
}

/** A source port that had to change is random on both sides: the class it comes from is all there is to compare. */
function masked([from, to, reply]: readonly [string, string, string]): readonly [
  string,
  string,
  string,
] {
  const own = from.split(":")[1];
  return [
    from,
    to,
    reply.replace(/dport=(\d+)$/, (text, port: string) =>
      port === own || Number(port) < 1024 ? text : "dport=random",
    ),
  ];
}

test("addresses and ports of ranges are chosen as on the kernel", () => {
  expect(recorded.rules).toHaveLength(5);
  const world = rig();
  registerNatLookup(world.ns, "ipv4", "PREROUTING", (skb: SkBuff, state: HookState) => {
    const range = pick(portOf(skb));
    return range === undefined ? ACCEPT : setupDnat(skb, state, range);
  });
  registerNatLookup(world.ns, "ipv4", "POSTROUTING", (skb, state) =>
    portOf(skb) === 200
      ? setupSnat(skb, state, { addresses: { low: ip("10.2.0.50"), high: ip("10.2.0.77") } })
      : ACCEPT,
  );
  const chosen = recorded.flows.map(([from, to]) => {
    const entry = world.forward(udp(from, to))?.ct?.entry;
    return masked([from, to, entry === undefined ? "dropped" : formatTuple(entry.reply)]);
  });
  expect(chosen).toEqual(recorded.flows.map(masked));
});
