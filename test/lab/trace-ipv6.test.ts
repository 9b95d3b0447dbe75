import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { traceRequest } from "../../src/lab/trace.js";
import { loadWorld } from "../../src/lab/world.js";
import { verdictName } from "../../src/view/outcome.js";
import { viewOf } from "../../src/view/trace-view.js";

/** The outcome of one request in a lab that ships: verdict, and what the sender is told. */
function outcome(
  lab: string,
  [source, destination]: readonly [string, string],
  protocol: "tcp" | "udp" | "icmp",
  change: (text: string) => string = (text) => text,
): string {
  const file = `topologies/labs/${lab}.yaml`;
  const world = loadWorld([{ file, text: change(readFileSync(file, "utf8")) }], file);
  const { verdict } = viewOf(
    traceRequest(world, {
      source,
      destination,
      protocol,
      sourcePort: 40_000,
      ttl: undefined,
      seed: 1,
      endpoint: undefined,
      oneWay: false,
    }),
  );
  return `${verdictName(verdict)} ${verdict.senderSees}`;
}

describe("a request between IPv6 hosts of a lab", () => {
  it.each([
    [["client", "[2001:db8:2::2]:80"], "tcp"],
    [["client", "2001:db8:2::2"], "icmp"],
    [["client", "[2001:db8:2::2]:53"], "udp"],
    [["client", "server:80"], "tcp"],
  ] as const)("%s by %s arrives", (ends, protocol) => {
    expect(outcome("v6-routed", ends, protocol)).toMatch(/^DELIVERED/);
  });

  it("goes to a link-local address by the device that is named", () => {
    expect(outcome("v6-link-local", ["a", "fe80::ff:fe00:102%eth0"], "icmp")).toMatch(/^DELIVERED/);
  });

  it("is told what a router's route says", () => {
    expect(outcome("v6-no-route", ["client", "2001:db8:a2::1"], "icmp")).toMatch(/EACCES/);
    expect(outcome("v6-routed", ["client", "[2001:db8:2::2]:81"], "tcp")).toMatch(/ECONNREFUSED/);
  });

  it("meets the rules and policies of ip6tables", () => {
    const withRule = (rule: string) => (text: string) =>
      text.replace("commands:\n", `commands:\n  - node: ip6tables ${rule}\n`);
    const ends = ["client", "2001:db8:2::2"] as const;
    expect(outcome("v6-routed", ends, "icmp", withRule("-A FORWARD -j DROP"))).toMatch(/^DROPPED/);
    expect(outcome("v6-routed", ends, "icmp", withRule("-P FORWARD DROP"))).toMatch(/^DROPPED/);
    expect(outcome("v6-routed", ends, "icmp", withRule("-N spare"))).toMatch(/^DELIVERED/);
  });
});
