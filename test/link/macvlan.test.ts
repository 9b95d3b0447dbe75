import { describe, expect, test } from "vitest";
import { devQueueXmit, netifReceiveSkb } from "../../src/core/device.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import { createLinux } from "../../src/tools/stack.js";
import type { Frame } from "../../src/wire/frame.js";
import { formatMac } from "../../src/wire/ip.js";
import { build, run } from "../tools/tool-fixtures.js";
import { listen, type Seen, testFrame } from "./link-fixtures.js";

const A = "02:00:00:00:00:0a";
const B = "02:00:00:00:00:0b";
const LOWER = "02:00:00:00:00:01";
const EXT = "02:00:00:00:00:02";
const ALL = "ff:ff:ff:ff:ff:ff";

interface Wire {
  readonly sim: Simulation;
  /** What each namespace's protocols got, as `ns dev TYPE`. */
  readonly got: () => readonly string[];
  readonly send: (from: string, dev: string, frame: Frame) => void;
}

/** `node` eth0 on a wire to `ext`, with the children `a` and `b` in namespaces of their own. */
function wire(modeA: string, modeB = modeA): Wire {
  const sim = createLinux({ seed: 1 });
  const names = ["node", "ext", "a", "b"];
  for (const name of names) sim.createNamespace(name);
  build(
    sim,
    `node: ip link add eth0 address ${LOWER} type veth peer name eth0 address ${EXT} netns ext
     node: ip link set eth0 up
     ext: ip link set eth0 up
     node: ip link add mva link eth0 address ${A} netns a type macvlan mode ${modeA}
     node: ip link add mvb link eth0 address ${B} netns b type macvlan mode ${modeB}
     a: ip link set mva up
     b: ip link set mvb up`,
  );
  const seen = new Map<string, readonly Seen[]>(
    names.map((name) => [name, listen(namespace(sim, name))]),
  );
  return {
    sim,
    got: () =>
      [...seen].flatMap(([name, all]) =>
        all.map(({ dev, skb }) => `${name} ${dev} ${skb.packetType}`),
      ),
    send(from, dev, frame) {
      const ns = namespace(sim, from);
      devQueueXmit(newSkb(ns, frame, "test"), ns.device(dev));
      sim.runUntilIdle();
    },
  };
}

function namespace(sim: Simulation, name: string) {
  const ns = sim.namespaces.get(name);
  if (ns === undefined) throw new Error(name);
  return ns;
}

// Compared with Linux 6.18: labs macvlan-bridge, macvlan-private and macvlan-vepa.
describe("macvlan devices", () => {
  test("take frames for their own address off the wire, and leave the others to the device below", () => {
    const { got, send } = wire("bridge");
    send("ext", "eth0", testFrame(EXT, A));
    send("ext", "eth0", testFrame(EXT, LOWER));
    expect(got()).toEqual(["node eth0 HOST", "a mva HOST"]);
  });

  test("all get a broadcast from outside, and so does the host", () => {
    const { got, send } = wire("private");
    send("ext", "eth0", testFrame(EXT, ALL));
    expect(got()).toEqual(["node eth0 BROADCAST", "a mva BROADCAST", "b mvb BROADCAST"]);
  });

  test.each([
    ["bridge", ["b mvb HOST"]],
    ["private", ["ext eth0 OTHERHOST"]],
    ["vepa", ["ext eth0 OTHERHOST"]],
  ])("in mode %s a frame from one to the other is seen by %j", (mode, expected) => {
    const { got, send } = wire(mode);
    send("a", "mva", testFrame(A, B));
    expect(got()).toEqual(expected);
  });

  test.each([
    ["bridge", ["ext eth0 BROADCAST", "b mvb BROADCAST"]],
    ["private", ["ext eth0 BROADCAST"]],
    ["vepa", ["ext eth0 BROADCAST"]],
  ])("in mode %s a broadcast of one is seen by %j", (mode, expected) => {
    const { got, send } = wire(mode);
    send("a", "mva", testFrame(A, ALL));
    expect(got()).toEqual(expected);
  });

  test("a child never reaches its own host", () => {
    const { got, send } = wire("bridge");
    send("a", "mva", testFrame(A, LOWER));
    expect(got()).toEqual(["ext eth0 OTHERHOST"]);
  });

  test("a frame that a switch sends back reaches the other child in vepa mode", () => {
    const { got, send } = wire("vepa");
    send("ext", "eth0", testFrame(A, ALL));
    expect(got()).toEqual(["node eth0 BROADCAST", "b mvb BROADCAST"]);
  });

  const SENDER = "02:00:00:00:0b:01";

  test.each([
    ["", B, ["a mva OTHERHOST", "node eth0 OTHERHOST"]],
    ["", A, ["a mva HOST", "node eth0 OTHERHOST"]],
    ["", LOWER, ["a mva HOST", "node eth0 HOST"]],
    ["", ALL, ["a mva BROADCAST", "node eth0 BROADCAST"]],
    ["nodst", LOWER, ["a mva HOST"]],
    ["nodst", ALL, ["a mva BROADCAST"]],
  ])("in mode source, %s, a listed sender's frame to %s is seen by %j", (flag, to, expected) => {
    const { sim, got, send } = wire("source");
    build(sim, `a: ip link set mva type macvlan ${flag} macaddr add ${SENDER}`);
    send("ext", "eth0", testFrame(SENDER, to));
    expect(new Set(got())).toEqual(new Set(expected));
  });

  test("in mode source nobody else's frames are taken, not even those to the device's own address", () => {
    const { sim, got, send } = wire("source");
    build(sim, `a: ip link set mva type macvlan macaddr add ${SENDER}`);
    build(sim, `a: ip link set mva type macvlan macaddr flush`);
    for (const to of [A, ALL]) send("ext", "eth0", testFrame(SENDER, to));
    expect(got()).toEqual(["node eth0 OTHERHOST", "node eth0 BROADCAST"]);
  });

  test("one of mode passthru changes the address of the device below, and follows it", () => {
    const sim = createLinux({ seed: 1 });
    build(
      sim,
      `ip netns add node
       node: ip link add eth0 address ${LOWER} type veth peer name eth1
       node: ip link add pt link eth0 type macvlan mode passthru
       node: ip link set pt address ${A}`,
    );
    const node = namespace(sim, "node");
    expect([node.device("eth0").mac, node.device("pt").mac].map(formatMac)).toEqual([A, A]);
  });

  test("follow carrier and MTU of the device below, and go with it", () => {
    const { sim } = wire("bridge");
    build(sim, "node: ip link set eth0 mtu 1400");
    expect(run(sim, "a", "ip link show mva").stdout).toMatch(
      /^\d+: mva@if\d+: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400 qdisc noqueue state UP /,
    );
    build(sim, "ext: ip link set eth0 down");
    expect(run(sim, "a", "ip link show mva").stdout).toContain(
      "<NO-CARRIER,BROADCAST,MULTICAST,UP>",
    );
    build(sim, "node: ip link del eth0");
    expect([...namespace(sim, "a").devices.keys()]).toEqual(["lo"]);
  });

  test("are refused where the kernel refuses them", () => {
    const { sim } = wire("bridge");
    const said = (ns: string, line: string): string => {
      const { code, stderr } = run(sim, ns, line);
      return `${code} ${stderr.trim()}`;
    };
    expect(said("node", "ip link add x link eth0 type macvlan mode passthru")).toBe(
      "2 RTNETLINK answers: Invalid argument",
    );
    expect(said("node", "ip link add x type macvlan mode bridge")).toBe(
      "2 RTNETLINK answers: Invalid argument",
    );
    expect(said("node", "ip link add x link eth0 type macvlan mode zzz")).toBe(
      '1 Error: argument of "mode" must be "private", "vepa", "bridge", "passthru" or "source", not "zzz"',
    );
    expect(said("a", "ip link set mva mtu 1600")).toBe("2 RTNETLINK answers: Invalid argument");
    build(sim, `node: ip link add twin link eth0 address ${A} type macvlan mode bridge`);
    expect(said("node", "ip link set twin up")).toBe("2 RTNETLINK answers: Address already in use");
  });

  test("the last child gives the device below back", () => {
    const { sim, got } = wire("bridge");
    build(sim, "a: ip link del mva\nb: ip link del mvb");
    const ns = namespace(sim, "node");
    netifReceiveSkb(newSkb(ns, testFrame(EXT, A), "test"), ns.device("eth0"));
    expect(got()).toEqual(["node eth0 HOST"]);
    build(sim, "node: ip link add br0 type bridge\nnode: ip link set eth0 master br0");
  });
});
