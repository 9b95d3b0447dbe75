import { beforeEach, describe, expect, it } from "vitest";
import type { Route } from "../../src/core/route.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import { decideInput } from "../../src/inet/route-input.js";
import { createLinux } from "../../src/tools/stack.js";
import { IPV4_ANY, parseIpv4 } from "../../src/wire/ip.js";
import { build } from "../tools/tool-fixtures.js";

describe("the route of forwarded packets", () => {
  let router: NetworkNamespace;
  let run: (commands: string) => void;

  /** How the router sends on what comes by eth1 from 10.0.1.2. */
  const routeTo = (destination: string): Route => {
    const { decision } = decideInput({
      source: parseIpv4("10.0.1.2") ?? IPV4_ANY,
      destination: parseIpv4(destination) ?? IPV4_ANY,
      tos: 0,
      mark: 0,
      dev: router.device("eth1"),
      frame: undefined,
    });
    if (typeof decision === "string") throw new Error(decision);
    return decision;
  };

  beforeEach(() => {
    const sim = createLinux({ seed: 1 });
    run = (commands) => build(sim, commands);
    run(`ip netns add router
      ip netns add other
      ip link add eth0 netns router type veth peer name eth0 netns other
      ip link add eth1 netns router type veth peer name eth1 netns other
      router: sysctl -qw net.ipv4.ip_forward=1
      router: ip link set eth0 up
      router: ip link set eth1 up
      other: ip link set eth0 up
      other: ip link set eth1 up
      router: ip addr add 10.0.1.1/24 dev eth1
      router: ip addr add 10.0.2.1/24 dev eth0
      router: ip route add 10.1.0.0/16 via 10.0.2.2
      router: ip route add 10.2.0.0/16 via 10.0.2.3`);
    const found = sim.namespaces.get("router");
    if (found === undefined) throw new Error("no router");
    router = found;
  });

  it("is one for all destinations of a nexthop", () => {
    expect(routeTo("10.1.0.1")).toBe(routeTo("10.1.99.1"));
    expect(routeTo("10.2.0.1").gateway).toBe(parseIpv4("10.0.2.3"));
    expect(routeTo("10.1.0.1").gateway).toBe(parseIpv4("10.0.2.2"));
  });

  it("is another one as soon as anything changes", () => {
    const before = routeTo("10.1.0.1");
    run("router: ip route replace 10.1.0.0/16 via 10.0.2.9 mtu 1400");
    expect(routeTo("10.1.0.1")).toMatchObject({ gateway: parseIpv4("10.0.2.9"), mtu: 1_400 });
    expect(routeTo("10.1.0.1")).not.toBe(before);
  });

  it("is a packet's own where the sender is told of a nearer way", () => {
    run("router: sysctl -qw net.ipv4.conf.eth1.proxy_arp_pvlan=1");
    run("router: ip route add 10.3.0.0/16 via 10.0.1.3");
    expect(routeTo("10.3.0.1").redirect).toBe(true);
    expect(routeTo("10.3.0.1")).not.toBe(routeTo("10.3.0.2"));
    run("router: sysctl -qw net.ipv4.conf.all.send_redirects=0");
    run("router: sysctl -qw net.ipv4.conf.eth1.send_redirects=0");
    expect(routeTo("10.3.0.1").redirect).toBe(false);
    expect(routeTo("10.3.0.1")).toBe(routeTo("10.3.0.2"));
  });
});
