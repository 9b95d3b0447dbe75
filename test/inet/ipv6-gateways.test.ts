import { beforeEach, describe, expect, it } from "vitest";
import type { Simulation } from "../../src/core/simulation.js";
import { runTool } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";
import { build } from "../tools/tool-fixtures.js";

/** Messages as the kernel of docs/fidelity.md gave them to the same commands in the same order. */
describe("a gateway of an IPv6 route", () => {
  let sim: Simulation;

  /** What `ip` says; undefined when the route is taken. */
  const add = (route: string): string | undefined => {
    const argv = ["ip", ...`-6 route add ${route}`.split(" ")];
    const { code, stderr } = runTool(sim, { ns: "a", argv });
    return code === 0 ? undefined : stderr.trim();
  };

  beforeEach(() => {
    sim = createLinux({ seed: 1 });
    sim.createNamespace("a");
    build(
      sim,
      `a: sysctl -qw net.ipv6.conf.all.disable_ipv6=0
       a: ip link set lo up
       ip link add e0 netns a type veth peer name e1 netns a
       a: ip link set e0 up
       a: ip link set e1 up
       a: ip -6 addr add fd00:5::1/64 dev e0 nodad
       a: ip -6 addr add fd00:6::1/64 dev e1 nodad
       a: ip -6 addr add fd00:9::1/128 dev lo nodad`,
    );
  });

  it("is not on the link when a route of its own leads there by another gateway", () => {
    expect(add("fd00:5::2 via fd00:5::2")).toBeUndefined();
    expect(add("fd00:96::/64 via fd00:5::2")).toBe("RTNETLINK answers: No route to host");
    expect(add("fd00:96::/64 via fd00:5::2 dev e0")).toBe("RTNETLINK answers: No route to host");
    expect(add("fd00:96::/64 via fd00:5::2 table 100")).toBe("RTNETLINK answers: No route to host");
  });

  it("is looked for in the route's own table before the rules are asked", () => {
    expect(add("fd00:5::2 via fd00:5::2")).toBeUndefined();
    expect(add("default dev e0 table 100")).toBeUndefined();
    expect(add("fd00:96::/64 via fd00:5::2 table 100")).toBeUndefined();
  });

  it("on the link by word may not be known by another device, a default route apart", () => {
    expect(add("fd00:96::/64 via fd00:6::2 dev e0 onlink")).toBe(
      "Error: Nexthop has invalid gateway or device mismatch.",
    );
    expect(add("fd00:96::/64 via fd00:6::2 dev e0 onlink table 100")).toBe(
      "Error: Nexthop has invalid gateway or device mismatch.",
    );
    expect(add("default dev e1")).toBeUndefined();
    expect(add("fd00:96::/64 via fd00:7::2 dev e0 onlink")).toBeUndefined();
  });

  it("on the link by word may stand behind a route that refuses", () => {
    expect(add("prohibit fd00:7::/64")).toBeUndefined();
    expect(add("fd00:96::/64 via fd00:7::2 dev e0")).toBe("RTNETLINK answers: No route to host");
    expect(add("fd00:96::/64 via fd00:7::2 dev e0 onlink")).toBeUndefined();
  });

  it("is nobody of this host, nor on lo", () => {
    expect(add("fd00:96::/64 via fd00:5::1")).toBe("Error: Gateway can not be a local address.");
    expect(add("fd00:96::/64 via fd00:6::1 dev e0")).toBe(
      "Error: Gateway can not be a local address.",
    );
    expect(add("fd00:96::/64 via fd00:9::1")).toBe(
      "Error: Egress device can not be loopback device for this route.",
    );
    expect(add("fd00:96::/64 via fd00:5::2 onlink")).toBe(
      "Error: Nexthop device required for onlink.",
    );
  });
});
