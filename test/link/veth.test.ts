import { describe, expect, test } from "vitest";
import { devQueueXmit } from "../../src/core/device.js";
import { newSkb } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { Dummy } from "../../src/link/dummy.js";
import { createVethPair } from "../../src/link/veth.js";
import { drops, linkSimulation, listen, mac, testFrame } from "./link-fixtures.js";

const A = "02:00:00:00:00:0a";
const B = "02:00:00:00:00:0b";

function cable(sameNamespace: boolean) {
  const sim = linkSimulation();
  const ns = sim.createNamespace("one");
  const other = sameNamespace ? ns : sim.createNamespace("two");
  const [a, b] = createVethPair(
    sim,
    { name: "a", ns, mac: mac(A) },
    { name: "b", ns: other, mac: mac(B) },
  );
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  return { sim, ns, other, a, b, seen: listen(other), events };
}

// Compared with Linux 6.18 (skb:kfree_skb, nft mark counters).
describe("a veth pair", () => {
  test("has carrier only while both ends are up", () => {
    const { a, b } = cable(false);
    const states = () => [a.carrier, b.carrier];
    expect(states()).toEqual([false, false]);
    a.setUp(true);
    expect(states()).toEqual([false, false]);
    b.setUp(true);
    expect(states()).toEqual([true, true]);
    a.setUp(false);
    expect(states()).toEqual([false, false]);
  });

  test("tells both ends when carrier comes and goes", () => {
    const { a, b, ns, other } = cable(false);
    const heard: string[] = [];
    ns.onDeviceNotice((notice, dev) => heard.push(`${dev.name} ${notice}`));
    other.onDeviceNotice((notice, dev) => heard.push(`${dev.name} ${notice}`));
    a.setUp(true);
    b.setUp(true);
    a.setUp(false);
    expect(heard).toEqual([
      "a up",
      "b up",
      "b carrier",
      "a carrier",
      "a down",
      "a carrier",
      "b carrier",
    ]);
  });

  test("gives the peer the lower index, as ip link add does", () => {
    const { a, b } = cable(true);
    expect([b.ifindex, a.ifindex]).toEqual([2, 3]);
  });

  test("loses frames in the queue while there is no carrier, and no tap sees them", () => {
    const lab = cable(false);
    lab.a.setUp(true);
    expect(devQueueXmit(newSkb(lab.ns, testFrame(A, B), "test"), lab.a)).toBeUndefined();
    expect(drops(lab)).toEqual(["QDISC_DROP __dev_queue_xmit"]);
    expect(lab.events.some((event) => event.kind === "device")).toBe(false);
  });

  test("takes four bytes more than the peer's MTU and drops beyond", () => {
    const lab = cable(false);
    lab.a.setUp(true);
    lab.b.setUp(true);
    lab.b.mtu = 1300;
    devQueueXmit(newSkb(lab.ns, testFrame(A, B, 1304), "test"), lab.a);
    devQueueXmit(newSkb(lab.ns, testFrame(A, B, 1305), "test"), lab.a);
    lab.sim.runUntilIdle();
    expect(lab.seen).toHaveLength(1);
    expect(drops(lab)).toEqual(["NOT_SPECIFIED __dev_forward_skb2"]);
    expect([lab.a.counters.txDropped, lab.b.counters.rxDropped]).toEqual([1, 1]);
  });

  test.each([
    [true, 7],
    [false, 0],
  ])("in one namespace (%s) leaves the mark as %i", (same, mark) => {
    const lab = cable(same);
    lab.a.setUp(true);
    lab.b.setUp(true);
    const skb = newSkb(lab.ns, testFrame(A, B), "test");
    skb.mark = 7;
    skb.priority = 5;
    skb.nfTrace = true;
    skb.ct = { entry: undefined, info: "UNTRACKED" };
    devQueueXmit(skb, lab.a);
    lab.sim.runUntilIdle();
    expect(lab.seen[0]?.skb.mark).toBe(mark);
    expect([skb.ct, skb.nfTrace, skb.route, skb.priority]).toEqual([
      undefined,
      false,
      undefined,
      0,
    ]);
  });

  test("delivers through the queue, in order", () => {
    const lab = cable(false);
    lab.a.setUp(true);
    lab.b.setUp(true);
    for (const length of [50, 60, 70])
      devQueueXmit(newSkb(lab.ns, testFrame(A, B, length), "test"), lab.a);
    expect(lab.seen).toHaveLength(0);
    lab.sim.runUntilIdle();
    expect(lab.seen.map(({ skb }) => skb.frame.payload.length)).toEqual([50, 60, 70]);
  });

  test.each([
    [B, "HOST"],
    ["ff:ff:ff:ff:ff:ff", "BROADCAST"],
    ["01:00:5e:00:00:01", "MULTICAST"],
    ["02:00:00:00:00:0c", "OTHERHOST"],
  ])("shows a frame to %s as %s", (destination, type) => {
    const lab = cable(false);
    lab.a.setUp(true);
    lab.b.setUp(true);
    devQueueXmit(newSkb(lab.ns, testFrame(A, destination), "test"), lab.a);
    lab.sim.runUntilIdle();
    expect(lab.seen[0]?.skb.packetType).toBe(type);
  });

  test("goes with its other end, and frames on their way die", () => {
    const lab = cable(false);
    lab.a.setUp(true);
    lab.b.setUp(true);
    devQueueXmit(newSkb(lab.ns, testFrame(A, B), "test"), lab.a);
    lab.a.destroy();
    expect([lab.ns.devices.has("a"), lab.other.devices.has("b")]).toEqual([false, false]);
    lab.sim.runUntilIdle();
    expect(drops(lab)).toEqual(["DEV_READY netif_receive_skb"]);
  });
});

describe("the loopback device", () => {
  test("gives back what it is sent, with its route and connection, but without its socket", () => {
    const sim = linkSimulation();
    const ns = sim.createNamespace("one");
    const seen = listen(ns);
    const lo = ns.device("lo");
    lo.setUp(true);
    const skb = newSkb(ns, testFrame("00:00:00:00:00:00", "00:00:00:00:00:00"), "test");
    skb.ct = { entry: undefined, info: "NEW" };
    skb.mark = 9;
    skb.socket = {
      description: "test",
      mark: 0,
      boundDevice: undefined,
      holder: "program",
      uid: 0,
    };
    devQueueXmit(skb, lo);
    expect(seen).toHaveLength(0);
    sim.runUntilIdle();
    expect(seen.map(({ dev }) => dev)).toEqual(["lo"]);
    expect([skb.ct?.info, skb.mark, skb.socket, skb.packetType]).toEqual([
      "NEW",
      9,
      undefined,
      "HOST",
    ]);
  });

  test("has the index 1 in every namespace", () => {
    const sim = linkSimulation();
    expect([
      sim.createNamespace("one").device("lo").ifindex,
      sim.createNamespace("two").device("lo").ifindex,
    ]).toEqual([1, 1]);
  });
});

describe("a dummy device", () => {
  test("swallows what it is sent", () => {
    const sim = linkSimulation();
    const ns = sim.createNamespace("one");
    const dummy = new Dummy({ name: "d0", ns, mac: mac(A), mtu: 1500 }).register();
    dummy.setUp(true);
    devQueueXmit(newSkb(ns, testFrame(A, B), "test"), dummy);
    expect(sim.packets).toEqual({ born: 1, delivered: 1, dropped: 0 });
  });
});
