import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ACCEPT } from "../../../src/core/hooks.js";
import { formatTuple } from "../../../src/netfilter/conntrack/text.js";
import { registerNatLookup } from "../../../src/netfilter/nat/hooks.js";
import type { NatRange } from "../../../src/netfilter/nat/range.js";
import { setupDnat } from "../../../src/netfilter/nat/targets.js";
import { ip6, rig, udp6 } from "../rig.js";

interface Recorded {
  readonly rules: readonly string[];
  /** Source, destination, and the tuple of the answers as `conntrack -L` showed it; in the order they were sent. */
  readonly flows: readonly (readonly [string, string, string])[];
}

const recorded: Recorded = JSON.parse(
  readFileSync(new URL("../../golden/nat6-choices.json", import.meta.url), "utf8"),
);

/** The range of each rule by the port that it asks for. */
const ranges = new Map(
  recorded.rules.map((rule): [number, NatRange] => {
    const [, port, low = "", high = ""] =
      /--dport (\d+) .*--to-destination ([\da-f:]+)-([\da-f:]+)/.exec(rule) ?? [];
    const persistent = rule.endsWith("--persistent");
    return [Number(port), { addresses: { low: ip6(low), high: ip6(high) }, persistent }];
  }),
);

test("IPv6 addresses of ranges are chosen word by word as on the kernel", () => {
  expect(recorded.flows).toHaveLength(70);
  const world = rig();
  registerNatLookup(world.ns, "ipv6", "PREROUTING", (skb, state) => {
    const { transport } = skb.frame;
    const range = transport?.kind === "udp" ? ranges.get(transport.destinationPort) : undefined;
    return range === undefined ? ACCEPT : setupDnat(skb, state, range);
  });
  const chosen = recorded.flows.map(([from, to]) => {
    const entry = world.forward(udp6(from, to))?.ct?.entry;
    return [from, to, entry === undefined ? "dropped" : formatTuple(entry.reply)];
  });
  expect(chosen).toEqual(recorded.flows);
});
