import { describe, expect, test } from "vitest";
import { ARPOP_REPLY } from "../../src/wire/arp.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { build, run } from "../tools/tool-fixtures.js";
import {
  address,
  arpSent,
  hear,
  neigh,
  type PairLab,
  pairLab,
  stateOf,
  wait,
} from "./neighbour-fixtures.js";

const OWN = "02:00:00:00:00:01";
const STRANGER = "02:00:00:00:00:99";

/** One more device and one more address on lo: the host of spec section 2.3's table. */
function weakHost(): PairLab {
  const lab = pairLab();
  build(
    lab.sim,
    `one: ip link add e1 address 02:00:00:00:00:11 type veth peer name far
    one: ip link set e1 up
    one: ip link set far up
    one: ip addr add 10.21.0.1/24 dev e1
    one: ip addr add 10.22.0.1/32 dev lo`,
  );
  return lab;
}

function answers(lab: PairLab, target: string, sender = "10.0.0.9"): boolean {
  lab.events.length = 0;
  hear(lab.one, "e0", { senderIp: sender, targetIp: target });
  return arpSent(lab.events, "one").length > 0;
}

function sysctl(lab: PairLab, setting: string): void {
  const result = run(lab.sim, "one", `sysctl -qw ${setting}`);
  if (result.code !== 0) throw new Error(result.stderr);
}

// Every row was observed on Linux 6.18.
describe("an ARP request", () => {
  test("for our address is answered to the asker, who is known as stale from then on", () => {
    const lab = pairLab();
    hear(lab.one, "e0", { senderIp: "10.0.0.9", senderMac: STRANGER, targetIp: "10.0.0.1" });
    expect(arpSent(lab.events, "one")).toEqual([`0 e0 10.0.0.1 is-at ${OWN} to ${STRANGER}`]);
    expect(neigh(lab, "one")).toBe(`10.0.0.9 dev e0 lladdr ${STRANGER} STALE \n`);
  });

  test.each(["10.0.0.1", "10.21.0.1", "10.22.0.1"])(
    "for %s is answered on any device",
    (target) => {
      expect(answers(weakHost(), target)).toBe(true);
    },
  );

  test.each([
    ["10.0.0.7", "another host's"],
    ["10.0.0.255", "the broadcast"],
    ["224.0.0.1", "a group's"],
    ["127.0.0.1", "the loopback"],
  ])("for %s (%s address) is not answered", (target) => {
    expect(answers(weakHost(), target)).toBe(false);
  });

  test("for somebody else neither makes an entry nor answers, but updates a known one", () => {
    const lab = pairLab();
    hear(lab.one, "e0", { senderIp: "10.0.0.9", targetIp: "10.0.0.7" });
    expect(neigh(lab, "one")).toBe("");
    run(lab.sim, "one", `ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:98 dev e0 nud stale`);
    wait(lab, 2);
    hear(lab.one, "e0", { senderIp: "10.0.0.9", targetIp: "10.0.0.7" });
    expect(neigh(lab, "one")).toBe(`10.0.0.9 dev e0 lladdr ${STRANGER} STALE \n`);
  });

  test("from an address of another subnet is answered", () => {
    const lab = pairLab();
    run(lab.sim, "one", "ip route add default via 10.0.0.2");
    expect(answers(lab, "10.0.0.1", "99.9.9.9")).toBe(true);
  });

  test("whose sender claims our own address is not answered", () => {
    expect(answers(pairLab(), "10.0.0.1", "10.0.0.1")).toBe(false);
  });

  test("from nobody yet is answered without learning", () => {
    const lab = pairLab();
    expect(answers(lab, "10.0.0.1", "0.0.0.0")).toBe(true);
    expect(neigh(lab, "one")).toBe("");
  });

  test("for another machine's MAC address is passed over without a trace of a drop", () => {
    const lab = pairLab();
    hear(lab.one, "e0", {
      senderIp: "10.0.0.9",
      targetIp: "10.0.0.1",
      destination: "02:00:00:00:00:77",
    });
    expect(arpSent(lab.events, "one")).toEqual([]);
    expect(lab.events.some((event) => event.kind === "dropped")).toBe(false);
    expect(lab.events.some((event) => event.kind === "delivered")).toBe(true);
  });

  test("is lost where a hook of its family drops it", () => {
    const lab = pairLab();
    lab.one.hooks.register("arp", {
      name: "wall",
      hook: "INPUT",
      priority: 0,
      run: () => ({ kind: "drop", reason: "NETFILTER_DROP", where: "nft_do_chain" }),
    });
    expect(answers(lab, "10.0.0.1")).toBe(false);
  });
});

describe("arp_ignore", () => {
  test.each([
    [0, { "10.0.0.1": true, "10.21.0.1": true, "10.22.0.1": true }],
    [1, { "10.0.0.1": true, "10.21.0.1": false, "10.22.0.1": false }],
    [2, { "10.0.0.1": true, "10.21.0.1": false, "10.22.0.1": false }],
    [3, { "10.0.0.1": true, "10.21.0.1": true, "10.22.0.1": true }],
    [8, { "10.0.0.1": false, "10.21.0.1": false, "10.22.0.1": false }],
  ])("%i decides for which of our addresses we answer", (value, expected) => {
    const lab = weakHost();
    sysctl(lab, `net.ipv4.conf.e0.arp_ignore=${value}`);
    const seen = Object.fromEntries(
      Object.keys(expected).map((target) => [target, answers(lab, target)]),
    );
    expect(seen).toEqual(expected);
  });

  test("2 wants the asker in the address's subnet, or nowhere yet", () => {
    const lab = weakHost();
    run(lab.sim, "one", "ip route add default via 10.0.0.2");
    sysctl(lab, "net.ipv4.conf.all.arp_ignore=2");
    expect([
      answers(lab, "10.0.0.1", "99.9.9.9"),
      answers(lab, "10.0.0.1"),
      answers(lab, "10.0.0.1", "0.0.0.0"),
    ]).toEqual([false, true, true]);
  });

  test("3 keeps addresses of scope host to itself", () => {
    const lab = weakHost();
    build(lab.sim, "one: ip addr add 10.23.0.1/32 dev lo scope host");
    sysctl(lab, "net.ipv4.conf.all.arp_ignore=3");
    expect([answers(lab, "10.23.0.1"), answers(lab, "10.22.0.1")]).toEqual([false, true]);
  });
});

test("arp_filter answers only on the device that leads back to the asker", () => {
  const lab = weakHost();
  sysctl(lab, "net.ipv4.conf.e0.arp_filter=1");
  expect([answers(lab, "10.0.0.1"), answers(lab, "10.0.0.1", "0.0.0.0")]).toEqual([true, true]);
  run(lab.sim, "one", "ip route add 99.9.9.0/24 dev e1");
  expect(answers(lab, "10.0.0.1", "99.9.9.9")).toBe(false);
});

describe("an ARP reply", () => {
  const reply = {
    operation: ARPOP_REPLY,
    senderIp: "10.0.0.9",
    targetIp: "10.0.0.1",
    targetMac: OWN,
    destination: OWN,
  };

  test("that nobody asked for makes no entry", () => {
    const lab = pairLab();
    hear(lab.one, "e0", reply);
    expect(neigh(lab, "one")).toBe("");
  });

  test("makes a known neighbour reachable when it was sent to us", () => {
    const lab = pairLab();
    run(lab.sim, "one", `ip neigh add 10.0.0.9 lladdr ${STRANGER} dev e0 nud stale`);
    hear(lab.one, "e0", reply);
    expect(stateOf(lab.one, "10.0.0.9")).toBe("REACHABLE");
  });

  test("with another MAC address is not believed within a second of the last change", () => {
    const lab = pairLab();
    run(lab.sim, "one", `ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:98 dev e0 nud stale`);
    wait(lab, 0.9);
    hear(lab.one, "e0", reply);
    expect(neigh(lab, "one")).toContain("02:00:00:00:00:98");
    wait(lab, 0.2);
    hear(lab.one, "e0", reply);
    expect(neigh(lab, "one")).toBe(`10.0.0.9 dev e0 lladdr ${STRANGER} REACHABLE \n`);
  });

  test("never changes a permanent entry", () => {
    const lab = pairLab();
    run(lab.sim, "one", `ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:98 dev e0`);
    wait(lab, 10);
    hear(lab.one, "e0", reply);
    expect(neigh(lab, "one")).toBe("10.0.0.9 dev e0 lladdr 02:00:00:00:00:98 PERMANENT \n");
  });
});

describe("a gratuitous ARP", () => {
  const news = { senderIp: "10.0.0.9", targetIp: "10.0.0.9" };

  test("makes no entry unless arp_accept says so", () => {
    const lab = pairLab();
    hear(lab.one, "e0", news);
    expect(neigh(lab, "one")).toBe("");
    sysctl(lab, "net.ipv4.conf.e0.arp_accept=1");
    hear(lab.one, "e0", news);
    expect(neigh(lab, "one")).toBe(`10.0.0.9 dev e0 lladdr ${STRANGER} STALE \n`);
  });

  test("moves a known neighbour at once, lock or not", () => {
    const lab = pairLab();
    run(lab.sim, "one", `ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:98 dev e0 nud reachable`);
    hear(lab.one, "e0", news);
    expect(neigh(lab, "one")).toBe(`10.0.0.9 dev e0 lladdr ${STRANGER} STALE \n`);
  });

  test("is dropped where drop_gratuitous_arp is set", () => {
    const lab = pairLab();
    sysctl(lab, "net.ipv4.conf.e0.drop_gratuitous_arp=1");
    run(lab.sim, "one", `ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:98 dev e0 nud stale`);
    wait(lab, 2);
    hear(lab.one, "e0", news);
    expect(neigh(lab, "one")).toContain("02:00:00:00:00:98");
  });

  test("is sent by a device that comes up with arp_notify, one for each address", () => {
    const lab = pairLab();
    sysctl(lab, "net.ipv4.conf.e0.arp_notify=1");
    run(lab.sim, "one", "ip addr add 10.0.5.1/24 dev e0");
    expect(arpSent(lab.events, "one")).toEqual([]);
    run(lab.sim, "one", "ip link set e0 down");
    run(lab.sim, "one", "ip link set e0 up");
    expect(arpSent(lab.events, "one")).toEqual([
      "0 e0 who-has 10.0.0.1 tell 10.0.0.1 to ff:ff:ff:ff:ff:ff",
      "0 e0 who-has 10.0.5.1 tell 10.0.5.1 to ff:ff:ff:ff:ff:ff",
    ]);
  });
});

describe("proxy ARP", () => {
  /** `one` forwards, with a default route through e1: the host side of a Calico pod. */
  function router(): PairLab {
    const lab = weakHost();
    build(lab.sim, "one: ip route add default via 10.21.0.2");
    for (const setting of [
      "net.ipv4.ip_forward=1",
      "net.ipv4.conf.e0.proxy_arp=1",
      "net.ipv4.neigh.e0.proxy_delay=0",
    ])
      sysctl(lab, setting);
    return lab;
  }

  test("answers for what lies behind another device", () => {
    const lab = router();
    expect(answers(lab, "169.254.1.1")).toBe(true);
    expect(arpSent(lab.events, "one")).toEqual([`0 e0 169.254.1.1 is-at ${OWN} to ${STRANGER}`]);
    expect(stateOf(lab.one, "10.0.0.9")).toBe("STALE");
  });

  test.each([
    ["there is no route to it", "ip route del default"],
    ["forwarding is off", "sysctl -qw net.ipv4.conf.e0.forwarding=0"],
    ["proxy_arp is off", "sysctl -qw net.ipv4.conf.e0.proxy_arp=0"],
  ])("does not answer when %s", (_reason, command) => {
    const lab = router();
    run(lab.sim, "one", command);
    expect(answers(lab, "169.254.1.1")).toBe(false);
  });

  test("does not answer for what lies behind the same device", () => {
    const lab = router();
    expect(answers(lab, "10.0.0.7")).toBe(false);
    sysctl(lab, "net.ipv4.conf.e0.proxy_arp_pvlan=1");
    expect(answers(lab, "10.0.0.7")).toBe(true);
  });

  test("answers for an address that was listed by hand", () => {
    const lab = router();
    sysctl(lab, "net.ipv4.conf.e0.proxy_arp=0");
    run(lab.sim, "one", "ip neigh add proxy 169.254.1.1 dev e0");
    expect([answers(lab, "169.254.1.1"), answers(lab, "169.254.1.2")]).toEqual([true, false]);
  });

  test("answers a broadcast after a while and a direct question at once", () => {
    const lab = router();
    sysctl(lab, "net.ipv4.neigh.e0.proxy_delay=80");
    expect(answers(lab, "169.254.1.1")).toBe(false);
    wait(lab, 0.8);
    expect(arpSent(lab.events, "one")).toHaveLength(1);
    lab.events.length = 0;
    hear(lab.one, "e0", { senderIp: "10.0.0.9", targetIp: "169.254.1.1", destination: OWN });
    expect(arpSent(lab.events, "one")).toHaveLength(1);
  });
});

/** A datagram from one of our addresses through the next hop 10.0.0.50. */
function sendFrom(lab: PairLab, source: string): void {
  const socket = new UdpSocket(lab.one);
  expect(socket.bind(address(source), 4000)).toBeUndefined();
  expect(socket.sendTo(new Uint8Array(4), address("10.0.7.1"), 9)).toBeUndefined();
}

describe("arp_announce", () => {
  function asked(value: number, source: string): string | undefined {
    const lab = weakHost();
    sysctl(lab, `net.ipv4.conf.e0.arp_announce=${value}`);
    run(lab.sim, "one", "ip route add 10.0.7.0/24 via 10.0.0.50");
    sendFrom(lab, source);
    return arpSent(lab.events, "one").filter((text) => text.includes("10.0.0.50"))[0];
  }

  test.each([
    [0, "10.0.0.1", "10.0.0.1"],
    [0, "10.21.0.1", "10.21.0.1"],
    [0, "10.22.0.1", "10.22.0.1"],
    [1, "10.21.0.1", "10.0.0.1"],
    [1, "10.0.0.1", "10.0.0.1"],
    [2, "10.22.0.1", "10.0.0.1"],
  ])("%i with a packet from %s asks as %s", (value, source, expected) => {
    expect(asked(value, source)).toBe(
      `0 e0 who-has 10.0.0.50 tell ${expected} to ff:ff:ff:ff:ff:ff`,
    );
  });
});
