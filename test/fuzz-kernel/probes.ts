import type { DraftProbe } from "./draft.js";
import { type Network, serverPorts, subnet, virtual } from "./network.js";

/** Requests of programs: most to somebody who is there, some to nobody. */
export function makeProbes(network: Network): readonly DraftProbe[] {
  const { choose } = network;
  const senders = network.namespaces.filter((ns) => network.of(ns).length > 0);
  let sport = 40_000;
  return choose.times(3, 8, () => {
    sport++;
    const from = choose.one(senders);
    const proto = choose.one(["tcp", "tcp", "udp", "udp", "icmp"] as const);
    return {
      from,
      to: target(network, from),
      proto,
      port: proto === "icmp" ? 0 : choose.one(serverPorts),
      sport: proto === "icmp" ? sport - 40_000 : sport,
      // A TTL of one's own is for datagrams: see docs/labs.md.
      ...(choose.chance(0.15) ? { ttl: choose.one([1, 2, 3]) } : {}),
      ...(choose.chance(0.1) ? { data: "x".repeat(choose.one([0, 1, 100, 1400])) } : {}),
    };
  });
}

function target(network: Network, from: string): string {
  const { choose } = network;
  const others = network.addresses.filter(({ ns }) => ns !== from);
  const other = choose.one(others).address;
  return choose.make([
    () => other,
    () => other,
    () => other,
    () => other,
    () => choose.one(virtual),
    () => choose.one(virtual),
    () => choose.one(network.of(from)).address,
    () => `${subnet(other)}.77`,
    () => choose.one(["127.0.0.1", "127.0.0.9", "203.0.113.1", "10.9.9.9"]),
  ]);
}
