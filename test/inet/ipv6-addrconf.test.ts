import { describe, expect, it } from "vitest";
import type { NetDevice } from "../../src/core/device.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import type { Simulation } from "../../src/core/simulation.js";
import { addresses6Of } from "../../src/inet/ipv6/addresses.js";
import { addAddress6 } from "../../src/inet/ipv6/addrconf.js";
import { groupsOf } from "../../src/inet/ipv6/multicast.js";
import { createVethPair } from "../../src/link/veth.js";
import { later, seconds } from "../../src/sim/time.js";
import { formatFrame } from "../../src/wire/format-frame.js";
import { formatIpv6, type Ipv6, type Mac, parseIpv6 } from "../../src/wire/ip.js";
import { host, set, simulation } from "./inet-fixtures.js";

function ip6(text: string): Ipv6 {
  const address = parseIpv6(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

interface Pair {
  readonly sim: Simulation;
  readonly a: NetDevice;
  readonly b: NetDevice;
}

/** Two hosts on one link that is down yet; IPv6 is on. */
function pair(): Pair {
  const sim = simulation();
  const [one, two] = [host(sim, "one"), host(sim, "two")];
  for (const ns of [one, two]) set(ns, "net.ipv6.conf.all.disable_ipv6", 0);
  const ends = [
    { name: "e0", ns: one, mac: 0x0200_0000_0101 as Mac },
    { name: "e0", ns: two, mac: 0x0200_0000_0102 as Mac },
  ] as const;
  const [a, b] = createVethPair(sim, ends[0], ends[1]);
  return { sim, a, b };
}

/** What leaves a device, one line each. */
function sentBy(sim: Simulation, dev: NetDevice): string[] {
  const lines: string[] = [];
  sim.trace = (event) => {
    if (event.kind === "device" && event.direction === "tx" && event.ns === dev.ns.name)
      lines.push(formatFrame(event.frame));
  };
  return lines;
}

function shown(dev: NetDevice): string[] {
  return addresses6Of(dev).map(
    ({ address, tentative, dadFailed }) =>
      `${formatIpv6(address)}${tentative ? " tentative" : ""}${dadFailed ? " dadfailed" : ""}`,
  );
}

function wait(sim: Simulation, time: number): void {
  sim.runUntilIdle(later(sim.queue.now, seconds(time)));
}

describe("a link that comes up with IPv6", () => {
  it("tells its groups, asks for its link-local address and then for routers, as the kernel was seen to", () => {
    const { sim, a, b } = pair();
    set(b.ns, "net.ipv6.conf.e0.disable_ipv6", 1);
    const lines = sentBy(sim, a);
    a.setUp(true);
    b.setUp(true);
    wait(sim, 60);
    const report = "HBH ICMP6, multicast listener report v2, 1 group record(s), length 28";
    expect(lines.filter((line) => line.includes("::ff") || line.includes("ff02"))).toEqual(lines);
    expect(lines.toSorted()).toEqual(
      [
        `IP6 :: > ff02::16: ${report}`,
        `IP6 :: > ff02::16: ${report}`,
        "IP6 :: > ff02::1:ff00:101: ICMP6, neighbor solicitation, who has fe80::ff:fe00:101, length 32",
        `IP6 fe80::ff:fe00:101 > ff02::16: ${report}`,
        `IP6 fe80::ff:fe00:101 > ff02::16: ${report}`,
        ...[1, 2, 3].map(
          () => "IP6 fe80::ff:fe00:101 > ff02::2: ICMP6, router solicitation, length 16",
        ),
      ].toSorted(),
    );
    const sure = lines.findIndex((line) => line.startsWith("IP6 fe80"));
    expect(lines[sure]).toContain("multicast listener report");
    expect(lines[sure + 1]).toContain("router solicitation");
    expect(shown(a)).toEqual(["fe80::ff:fe00:101"]);
  });

  it("is in the groups of its addresses, and in those of routers while it forwards", () => {
    const { sim, a, b } = pair();
    a.setUp(true);
    b.setUp(true);
    wait(sim, 5);
    const groups = (): string[] => groupsOf(a).map(({ group }) => formatIpv6(group));
    const own = ["ff01::1", "ff02::1", "ff02::1:ff00:101"];
    expect(groups()).toEqual(own);
    set(a.ns, "net.ipv6.conf.all.forwarding", 1);
    // The network's own address, fe80::, is a router's as well.
    expect(groups()).toEqual([...own, "ff02::2", "ff01::2", "ff05::2", "ff02::1:ff00:0"]);
    set(a.ns, "net.ipv6.conf.all.forwarding", 0);
    expect(groups()).toEqual(own);
  });

  it("asks no routers when it forwards", () => {
    const { sim, a, b } = pair();
    set(a.ns, "net.ipv6.conf.all.forwarding", 1);
    const lines = sentBy(sim, a);
    a.setUp(true);
    b.setUp(true);
    wait(sim, 60);
    expect(lines.some((line) => line.includes("router solicitation"))).toBe(false);
  });

  it("has no link-local address while the other end is down, and none without addr_gen_mode", () => {
    const { sim, a, b } = pair();
    a.setUp(true);
    wait(sim, 5);
    expect(shown(a)).toEqual([]);
    set(b.ns, "net.ipv6.conf.e0.addr_gen_mode", 1);
    b.setUp(true);
    wait(sim, 5);
    expect(shown(a)).toEqual(["fe80::ff:fe00:101"]);
    expect(shown(b)).toEqual([]);
  });
});

describe("an address that is added", () => {
  function linkUp(): Pair {
    const links = pair();
    links.a.setUp(true);
    links.b.setUp(true);
    wait(links.sim, 30);
    return links;
  }

  function give(dev: NetDevice, text: string, noDad = false): void {
    expect(addAddress6(dev, { address: ip6(text), length: 64, noDad })).toBeUndefined();
  }

  it("is tentative for one to two seconds, with nodad at once there", () => {
    const { sim, a } = linkUp();
    give(a, "2001:db8::1");
    give(a, "2001:db8::2", true);
    expect(shown(a).slice(0, 2)).toEqual(["2001:db8::2", "2001:db8::1 tentative"]);
    wait(sim, 0.99);
    expect(shown(a)[1]).toBe("2001:db8::1 tentative");
    wait(sim, 1.02);
    expect(shown(a)[1]).toBe("2001:db8::1");
  });

  it("is told to the link's multicast routers, with what was told before anybody could answer", () => {
    const { sim, a } = linkUp();
    const lines = sentBy(sim, a);
    give(a, "2001:db8::5", true);
    wait(sim, 5);
    const report =
      "IP6 fe80::ff:fe00:101 > ff02::16: HBH ICMP6, multicast listener report v2, 2 group record(s), length 48";
    expect(lines).toEqual([report, report]);
  });

  it("is never used when another host has it, and the other one answers for it", () => {
    const { sim, a, b } = linkUp();
    give(b, "2001:db8::5");
    wait(sim, 3);
    const lines = sentBy(sim, b);
    give(a, "2001:db8::5");
    wait(sim, 3);
    expect(shown(a)[0]).toBe("2001:db8::5 tentative dadfailed");
    expect(shown(b)[0]).toBe("2001:db8::5");
    expect(lines).toContain(
      "IP6 2001:db8::5 > ff02::1: ICMP6, neighbor advertisement, tgt is 2001:db8::5, length 32",
    );
  });

  it("is used by neither of two hosts that ask for it at the same time", () => {
    const { sim, a, b } = linkUp();
    give(a, "2001:db8::6");
    give(b, "2001:db8::6");
    wait(sim, 3);
    const [first, second] = [shown(a)[0], shown(b)[0]];
    expect([first, second]).toContain("2001:db8::6 tentative dadfailed");
  });

  it("goes with its link, and the link-local one comes back", () => {
    const { sim, a } = linkUp();
    give(a, "2001:db8::1", true);
    a.setUp(false);
    expect(shown(a)).toEqual([]);
    a.setUp(true);
    wait(sim, 5);
    expect(shown(a)).toEqual(["fe80::ff:fe00:101"]);
  });
});

describe("a namespace whose IPv6 is off", () => {
  it("takes no address, sends nothing and drops what it gets", () => {
    const sim = simulation();
    const [one, two] = [host(sim, "one"), host(sim, "two")];
    set(two, "net.ipv6.conf.all.disable_ipv6", 0);
    const drops: string[] = [];
    const [a, b] = createVethPair(sim, { name: "e0", ns: one }, { name: "e0", ns: two });
    sim.trace = (event) => {
      if (event.kind === "dropped") drops.push(`${event.ns} ${event.reason}`);
    };
    a.setUp(true);
    b.setUp(true);
    wait(sim, 30);
    expect(addAddress6(a, { address: ip6("2001:db8::1"), length: 64 })).toBe(
      "Error: ipv6: IPv6 is disabled on this device.",
    );
    expect(new Set(drops)).toEqual(new Set(["one IPV6DISABLED"]));
    expect(sentFrom(one)).toBe(0);
  });
});

function sentFrom(ns: NetworkNamespace): number {
  return ns.device("e0").counters.txPackets;
}
