import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { devQueueXmit } from "../../src/core/device.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { encodeFrame, type Frame } from "../../src/wire/frame.js";
import { formatFrame } from "../../src/wire/format-frame.js";
import { ipv4 } from "../../src/wire/ip.js";
import { encodeVxlan, VXLAN_HF_VNI } from "../../src/wire/vxlan.js";
import { build, run } from "../tools/tool-fixtures.js";
import { drops, listen, type Seen, testFrame } from "./link-fixtures.js";

const A = "02:00:00:00:00:0a";
const B = "02:00:00:00:00:0b";
const HOST_A = ipv4(0x0a00_0001);
const HOST_B = ipv4(0x0a00_0002);

interface Tunnel {
  readonly sim: Simulation;
  readonly events: TraceEvent[];
  readonly seen: Seen[];
  /** Sends a frame into a's device. */
  readonly send: (frame: Frame) => void;
}

/** Two hosts on a wire, each with a VXLAN device `vx` for network 5 on port 4789; `options` are those of b's. */
function tunnel(options = "nolearning"): Tunnel {
  const sim = createLinux({ seed: 1 });
  for (const name of ["a", "b"]) sim.createNamespace(name);
  build(
    sim,
    `a: ip link add eth0 type veth peer name eth0 netns b
     a: ip link set eth0 up
     b: ip link set eth0 up
     a: ip addr add 10.0.0.1/24 dev eth0
     b: ip addr add 10.0.0.2/24 dev eth0
     a: ip link add vx address ${A} type vxlan id 5 local 10.0.0.1 dev eth0 dstport 4789 nolearning
     b: ip link add vx address ${B} type vxlan id 5 local 10.0.0.2 dev eth0 dstport 4789 ${options}
     a: ip link set vx up
     b: ip link set vx up`,
  );
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  return { sim, events, seen: listen(ns(sim, "b")), send: (frame) => send(sim, "a", frame) };
}

function ns(sim: Simulation, name: string) {
  const found = sim.namespaces.get(name);
  if (found === undefined) throw new Error(name);
  return found;
}

function send(sim: Simulation, from: string, frame: Frame, dev = "vx"): void {
  devQueueXmit(newSkb(ns(sim, from), frame, "test"), ns(sim, from).device(dev));
  sim.runUntilIdle(later(sim.queue.now, seconds(1)));
}

/** What leaves a host by a device, as tcpdump would print it. */
function sent(events: readonly TraceEvent[], host: string, dev: string): readonly string[] {
  return events.flatMap((event) =>
    event.kind === "device" &&
    event.direction === "tx" &&
    event.ns === host &&
    event.dev === dev &&
    event.frame.network?.kind === "ipv4"
      ? [formatFrame(event.frame)]
      : [],
  );
}

/** A datagram to b's VXLAN port with these bytes. */
function sendBytes(sim: Simulation, bytes: Uint8Array): void {
  new UdpSocket(ns(sim, "a")).sendTo(bytes, HOST_B, 4789);
  sim.runUntilIdle(later(sim.queue.now, seconds(1)));
}

function vxlan(frame: Frame, header: Partial<Parameters<typeof encodeVxlan>[0]> = {}): Uint8Array {
  const inner = encodeFrame(frame);
  const bytes = new Uint8Array(8 + inner.length);
  encodeVxlan({ flags: VXLAN_HF_VNI, vni: 5, reserved: 0, ...header }, bytes);
  bytes.set(inner, 8);
  return bytes;
}

// Compared with Linux 6.18: labs vxlan-flannel, vxlan-learning and vxlan-drops.
describe("a VXLAN device", () => {
  test("sends a frame to the host of its fdb entry, in UDP from this host", () => {
    const { sim, events, seen, send: sendA } = tunnel();
    build(sim, `a: bridge fdb append ${B} dev vx dst 10.0.0.2 self permanent`);
    sendA(testFrame(A, B));
    expect(seen.map(({ dev, skb }) => [dev, skb.packetType])).toEqual([["vx", "HOST"]]);
    const [outer = ""] = sent(events, "a", "eth0");
    expect(outer.replace(/10\.0\.0\.1\.\d+/, "10.0.0.1.PORT")).toBe(
      `IP 10.0.0.1.PORT > 10.0.0.2.4789: VXLAN, flags [I] (0x08), vni 5: ${A} > ${B}, ethertype Unknown (0x88b5), length 60`,
    );
    expect(drops({ events })).toEqual([]);
  });

  test("has nobody to send an unknown address to without an entry for all", () => {
    const { events, send: sendA } = tunnel();
    sendA(testFrame(A, B));
    expect(drops({ events })).toEqual(["NO_TX_TARGET vxlan_xmit"]);
  });

  test("sends a copy to each host of the entry for all addresses", () => {
    const { sim, events, send: sendA } = tunnel();
    build(
      sim,
      `a: ip neigh add 10.0.0.3 lladdr 02:00:00:00:00:33 dev eth0
       a: bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.2 self permanent
       a: bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.3 port 8472 vni 9 self permanent`,
    );
    sendA(testFrame(A, "ff:ff:ff:ff:ff:ff"));
    expect(
      sent(events, "a", "eth0").map((line) => /> (10\S+: VXLAN.* vni \d+):/.exec(line)?.[1]),
    ).toEqual([
      "10.0.0.3.8472: VXLAN, flags [I] (0x08), vni 9",
      "10.0.0.2.4789: VXLAN, flags [I] (0x08), vni 5",
    ]);
  });

  test("uses one source port for a flow and its replies, from the ephemeral range", () => {
    const { sim, events } = tunnel();
    build(
      sim,
      `a: ip addr add 10.9.0.1/24 dev vx
       b: ip addr add 10.9.0.2/24 dev vx
       a: bridge fdb append ${B} dev vx dst 10.0.0.2 self permanent
       b: bridge fdb append ${A} dev vx dst 10.0.0.1 self permanent
       a: ip neigh add 10.9.0.2 lladdr ${B} dev vx
       b: ip neigh add 10.9.0.1 lladdr ${A} dev vx`,
    );
    const socket = new UdpSocket(ns(sim, "a"));
    for (let count = 0; count < 3; count++) socket.sendTo(new Uint8Array(3), ipv4(0x0a09_0002), 53);
    sim.runUntilIdle(later(sim.queue.now, seconds(1)));
    const ports = sent(events, "a", "eth0").map((line) => Number(/\.(\d+) >/.exec(line)?.[1]));
    expect(ports).toHaveLength(3);
    expect(new Set(ports).size).toBe(1);
    expect(ports[0]).toBeGreaterThanOrEqual(32_768);
    expect(ports[0]).toBeLessThan(60_999);
  });

  test.each([
    ["VXLAN_INVALID_HDR", { flags: 0 }],
    ["VXLAN_INVALID_HDR", { flags: VXLAN_HF_VNI | 1 }],
    ["VXLAN_INVALID_HDR", { reserved: 1 }],
    ["VXLAN_VNI_NOT_FOUND", { vni: 6 }],
  ])("drops with %s a header with %o", (reason, header) => {
    const { sim, events } = tunnel();
    sendBytes(sim, vxlan(testFrame(A, B), header));
    expect(drops({ events })).toEqual([`${reason} vxlan_rcv`]);
  });

  test("drops what claims to come from its own address", () => {
    const { sim, events } = tunnel();
    sendBytes(sim, vxlan(testFrame(B, B)));
    expect(drops({ events })).toEqual(["LOCAL_MAC vxlan_rcv"]);
  });

  test("takes a frame for another address as one for another host", () => {
    const { sim, seen } = tunnel();
    sendBytes(sim, vxlan(testFrame(A, "02:00:00:00:00:99")));
    expect(seen.map(({ skb }) => skb.packetType)).toEqual(["OTHERHOST"]);
  });

  test("learns where a sender is, moves it, and forgets it after 300 s", () => {
    const { sim } = tunnel("learning");
    sendBytes(sim, vxlan(testFrame(A, B)));
    expect(run(sim, "b", "bridge fdb show dev vx").stdout).toBe(`${A} dst 10.0.0.1 self \n`);
    build(sim, "a: ip addr add 10.0.0.9/24 dev eth0");
    const other = new UdpSocket(ns(sim, "a"));
    other.bind(ipv4(0x0a00_0009), 1234);
    other.sendTo(vxlan(testFrame(A, B)), HOST_B, 4789);
    sim.runUntilIdle(later(sim.queue.now, seconds(1)));
    expect(run(sim, "b", "bridge fdb show dev vx").stdout).toBe(`${A} dst 10.0.0.9 self \n`);
    sim.queue.advanceTo(later(sim.queue.now, seconds(300)));
    expect(run(sim, "b", "bridge fdb show dev vx").stdout).toBe("");
  });

  test("refuses a sender that a static entry places elsewhere, but only when it learns", () => {
    const learning = tunnel("learning");
    build(learning.sim, `b: bridge fdb append ${A} dev vx dst 10.0.0.77 self permanent`);
    sendBytes(learning.sim, vxlan(testFrame(A, B)));
    expect(drops(learning)).toEqual(["VXLAN_ENTRY_EXISTS vxlan_rcv"]);
    const plain = tunnel("nolearning");
    build(plain.sim, `b: bridge fdb append ${A} dev vx dst 10.0.0.77 self permanent`);
    sendBytes(plain.sim, vxlan(testFrame(A, B)));
    expect(drops(plain)).toEqual([]);
  });

  test("a learning device takes no frame from a multicast or zero address", () => {
    const { sim, events } = tunnel("learning");
    sendBytes(sim, vxlan(testFrame("00:00:00:00:00:00", B)));
    expect(drops({ events })).toEqual(["MAC_INVALID_SOURCE vxlan_rcv"]);
  });

  test("fails without a route to the other host, and when the route leads back into itself", () => {
    const { sim, events, send: sendA } = tunnel();
    build(sim, `a: bridge fdb append ${B} dev vx dst 198.51.100.1 self permanent`);
    sendA(testFrame(A, B));
    build(sim, "a: ip addr add 198.51.100.2/24 dev vx");
    sendA(testFrame(A, B));
    expect(drops({ events })).toEqual([
      "IP_OUTNOROUTES vxlan_xmit_one",
      "RECURSION_LIMIT vxlan_xmit_one",
    ]);
  });

  test("hands a frame straight to another device of the same host", () => {
    const { sim, events } = tunnel();
    build(
      sim,
      `b: ip link add near address 02:00:00:00:00:0c type vxlan id 6 local 10.0.0.2 dev eth0 dstport 8472
       b: ip link set near up
       b: bridge fdb append 02:00:00:00:00:0c dev vx dst 10.0.0.2 port 8472 vni 6 self permanent
       b: bridge fdb append 02:00:00:00:00:0d dev vx dst 10.0.0.2 port 8472 vni 7 self permanent`,
    );
    const seen = listen(ns(sim, "b"));
    send(sim, "b", testFrame(B, "02:00:00:00:00:0c"));
    send(sim, "b", testFrame(B, "02:00:00:00:00:0d"));
    expect(seen.map(({ dev }) => dev)).toEqual(["near"]);
    expect(drops({ events })).toEqual(["VXLAN_VNI_NOT_FOUND vxlan_xmit_one"]);
    expect(sent(events, "b", "eth0")).toEqual([]);
  });

  test("a packet too large for the underlay is cut in pieces outside, and makes its own route smaller", () => {
    const { sim, events } = tunnel();
    build(
      sim,
      `a: ip link add big address 02:00:00:00:00:1a type vxlan id 9 local 10.0.0.1 dstport 8472
       a: ip link set big up
       a: ip addr add 10.9.0.1/24 dev big
       a: ip neigh add 10.9.0.2 lladdr ${B} dev big
       a: bridge fdb append ${B} dev big dst 10.0.0.2 self permanent`,
    );
    const socket = new UdpSocket(ns(sim, "a"));
    socket.sendTo(new Uint8Array(1472), ipv4(0x0a09_0002), 53);
    sim.runUntilIdle(later(sim.queue.now, seconds(1)));
    expect(sent(events, "a", "eth0")).toHaveLength(2);
    events.length = 0;
    socket.sendTo(new Uint8Array(1472), ipv4(0x0a09_0002), 53);
    sim.runUntilIdle(later(sim.queue.now, seconds(1)));
    expect(sent(events, "a", "big")).toHaveLength(2);
  });

  test("tells the inner packet of congestion outside, and loses one that cannot carry that", () => {
    for (const [innerTos, expected] of [
      [2, 3],
      [0, undefined],
    ] as const) {
      const { sim, events } = tunnel();
      const frame: Frame = {
        ...testFrame(A, B, 4),
        link: { ...testFrame(A, B).link, etherType: 0x0800 },
        network: {
          kind: "ipv4",
          tos: innerTos,
          id: 1,
          dontFragment: false,
          moreFragments: false,
          fragmentOffset: 0,
          ttl: 64,
          protocol: 253,
          source: HOST_A,
          destination: HOST_B,
          options: new Uint8Array(0),
        },
      };
      const socket = new UdpSocket(ns(sim, "a"));
      socket.tos = 3;
      socket.sendTo(vxlan(frame), HOST_B, 4789);
      sim.runUntilIdle(later(sim.queue.now, seconds(1)));
      const inner = events.find((event) => event.kind === "device" && event.dev === "vx");
      const network = inner !== undefined && "frame" in inner ? inner.frame.network : undefined;
      expect(network?.kind === "ipv4" ? network.tos : undefined).toBe(expected);
      if (expected === undefined) expect(drops({ events })).toEqual(["IP_TUNNEL_ECN vxlan_rcv"]);
    }
  });

  test("whatever bytes come to its port, each packet ends once and nothing is thrown", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, framed) => {
        const { sim } = tunnel("learning");
        const good = vxlan(testFrame(A, B));
        if (framed) good.set(bytes.subarray(0, good.length - 8), 8);
        sendBytes(sim, framed ? good : bytes);
        const { born, delivered, dropped } = sim.packets;
        expect(delivered + dropped).toBe(born);
      }),
      { numRuns: 60 },
    );
  });
});

describe("`ip link` and `bridge fdb` of VXLAN devices", () => {
  test("refuse what the kernel refuses, in the tools' words", () => {
    const { sim } = tunnel();
    const said = (line: string): string => {
      const { code, stderr } = run(sim, "a", line);
      return `${code} ${stderr.split("\n")[0] ?? ""}`;
    };
    expect(said("ip link add v type vxlan")).toBe(
      "2 Error: Required attributes not provided to perform the operation.",
    );
    expect(said("ip link add v type vxlan id 16777216")).toBe(
      '255 Error: argument "16777216" is wrong: invalid id',
    );
    expect(said("ip link add v type vxlan id 1 id 2")).toBe(
      '255 Error: either "id" is duplicate, or "2" is a garbage.',
    );
    expect(said("ip link add v type vxlan id 1 ttl 999")).toBe(
      '255 Error: argument "999" is wrong: TTL must be <= 255',
    );
    expect(said("ip link add v type vxlan id 1 bogus")).toBe('1 vxlan: unknown command "bogus"?');
    expect(said("ip link add v type vxlan id 1 dev nope")).toBe('255 Cannot find device "nope"');
    expect(said("ip link add v type vxlan id 5 dstport 4789")).toBe(
      "2 Error: A VXLAN device with the specified VNI already exists.",
    );
    expect(said("ip link set vx mtu 1451")).toBe("2 RTNETLINK answers: Invalid argument");
    expect(said("bridge fdb add 02:00:00:00:00:99 dev vx self permanent")).toBe(
      "255 RTNETLINK answers: Invalid argument",
    );
    expect(said("bridge fdb add 02:00:00:00:00:99 dev vx dst 10.0.0.9 self permanent")).toBe("0 ");
    expect(said("bridge fdb add 02:00:00:00:00:99 dev vx dst 10.0.0.9 self permanent")).toBe(
      "255 RTNETLINK answers: File exists",
    );
    expect(said("bridge fdb del 02:00:00:00:00:98 dev vx")).toBe(
      "255 RTNETLINK answers: No such file or directory",
    );
    expect(said("bridge fdb add 02:00:00:00:00:98 dev vx dst 10.0.0.9 port x")).toBe(
      '255 Error: argument "x" is wrong: invalid port',
    );
  });

  test("a device over another one gets 50 bytes less, however much is asked for", () => {
    const { sim } = tunnel();
    build(sim, "a: ip link add v mtu 1500 type vxlan id 8 dev eth0 dstport 4789");
    expect(run(sim, "a", "ip link show v").stdout).toContain(
      ": v: <BROADCAST,MULTICAST> mtu 1450 qdisc noop state DOWN ",
    );
    build(sim, "a: ip link set v up");
    expect(run(sim, "a", "ip link show v").stdout).toContain(
      ": v: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UNKNOWN ",
    );
  });

  test("a device does not come up while a program has its port, and gives the port back when down", () => {
    const { sim } = tunnel();
    const socket = new UdpSocket(ns(sim, "a"));
    expect(socket.bind(HOST_A, 4789)).toBe("EADDRINUSE");
    build(sim, "a: ip link set vx down");
    expect(socket.bind(HOST_A, 4789)).toBeUndefined();
    expect(run(sim, "a", "ip link set vx up")).toEqual({
      code: 2,
      stdout: "",
      stderr: "RTNETLINK answers: Address already in use\n",
    });
  });

  test("entries are listed as `bridge fdb` prints them, and changed as the kernel changes them", () => {
    const { sim } = tunnel();
    build(
      sim,
      `a: bridge fdb add 02:00:00:00:02:02 dev vx dst 10.0.0.2 self permanent
       a: bridge fdb append 02:00:00:00:02:02 dev vx dst 10.0.0.3 self permanent
       a: bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.2
       a: bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.3 port 99 vni 7 via eth0
       a: bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.4 self dynamic
       a: bridge fdb add 02:00:00:00:02:06 dev vx dst 10.0.0.4 self static
       a: bridge fdb replace 02:00:00:00:02:06 dev vx dst 10.0.0.5 self static`,
    );
    expect(run(sim, "a", "bridge fdb show").stdout).toBe(
      `02:00:00:00:02:06 dev vx dst 10.0.0.5 self static
00:00:00:00:00:00 dev vx dst 10.0.0.2 self 
00:00:00:00:00:00 dev vx dst 10.0.0.3 port 99 vni 7 via eth0 self 
00:00:00:00:00:00 dev vx dst 10.0.0.4 self 
02:00:00:00:02:02 dev vx dst 10.0.0.2 self permanent
`,
    );
    build(
      sim,
      `a: bridge fdb del 02:00:00:00:02:02 dev vx dst 10.0.0.3
       a: bridge fdb del 00:00:00:00:00:00 dev vx dst 10.0.0.4
       a: bridge fdb del 02:00:00:00:02:06 dev vx`,
    );
    expect(run(sim, "a", "bridge fdb show dev vx").stdout).toBe(
      `00:00:00:00:00:00 dst 10.0.0.2 self 
00:00:00:00:00:00 dst 10.0.0.3 port 99 vni 7 via eth0 self 
02:00:00:00:02:02 dst 10.0.0.2 self permanent
`,
    );
  });

  test("a VXLAN device goes with the device below it", () => {
    const { sim } = tunnel();
    build(sim, "a: ip link del eth0");
    expect([...ns(sim, "a").devices.keys()]).toEqual(["lo"]);
  });
});
