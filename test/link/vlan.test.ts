import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { devQueueXmit } from "../../src/core/device.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { decodeFrame, encodeFrame, type Frame, NO_BYTES } from "../../src/wire/frame.js";
import { ipv4 } from "../../src/wire/ip.js";
import { tagFrame, untagFrame, vlanOf } from "../../src/wire/vlan.js";
import { build, run } from "../tools/tool-fixtures.js";
import { drops, mac, testFrame } from "./link-fixtures.js";

const A = "02:00:00:00:00:0a";
const B = "02:00:00:00:00:0b";

function namespace(sim: Simulation, name: string) {
  const ns = sim.namespaces.get(name);
  if (ns === undefined) throw new Error(name);
  return ns;
}

/** Two hosts on a wire; a has VLAN 5, b the VLANs of `ids`. */
function wire(ids: readonly number[]) {
  const sim = createLinux({ seed: 1 });
  for (const name of ["a", "b"]) sim.createNamespace(name);
  build(
    sim,
    `a: ip link add eth0 address ${A} type veth peer name eth0 address ${B} netns b
     a: ip link set eth0 up
     b: ip link set eth0 up
     a: ip link add v5 link eth0 type vlan id 5
     a: ip link set v5 up
     a: ip addr add 10.5.0.1/24 dev v5
     b: ip addr add 10.6.0.2/24 dev eth0
${ids.map((id) => `b: ip link add v${id} link eth0 type vlan id ${id}\nb: ip link set v${id} up\nb: ip addr add 10.${id}.0.2/24 dev v${id}`).join("\n")}`,
  );
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  return { sim, events };
}

// From the source: the machine's kernel has no 802.1Q. The drop of an unknown VLAN is compared (spec linux-datapath 1.1).
describe("a VLAN device", () => {
  test("tags what leaves and takes what comes with its tag, ARP and all", () => {
    const { sim, events } = wire([5]);
    const server = new UdpSocket(namespace(sim, "b"));
    const got: number[] = [];
    server.bind(ipv4(0), 53);
    server.onDatagram = ({ data }) => got.push(data.length);
    new UdpSocket(namespace(sim, "a")).sendTo(new Uint8Array(7), ipv4(0x0a05_0002), 53);
    sim.runUntilIdle(later(sim.queue.now, seconds(1)));
    expect(got).toEqual([7]);
    const seen = events.flatMap((event) =>
      event.kind === "device" && event.ns === "a" && event.direction === "tx"
        ? [`${event.dev} ${vlanOf(event.frame) ?? "-"}`]
        : [],
    );
    expect(seen).toEqual(["v5 -", "eth0 5", "v5 -", "eth0 5"]);
  });

  test("a frame of a VLAN that nobody has is somebody else's; one of VLAN 0 is everybody's", () => {
    const frame: Frame = {
      link: { source: mac(A), destination: mac(B), etherType: 0x0800 },
      network: {
        kind: "ipv4",
        tos: 0,
        id: 1,
        dontFragment: false,
        moreFragments: false,
        fragmentOffset: 0,
        ttl: 64,
        protocol: 253,
        source: ipv4(0x0a06_0001),
        destination: ipv4(0x0a06_0002),
        options: NO_BYTES,
      },
      transport: undefined,
      payload: new Uint8Array(4),
    };
    for (const [id, expected] of [
      [7, "OTHERHOST ip_rcv_core"],
      [0, "IP_NOPROTO ip_protocol_deliver_rcu"],
    ] as const) {
      const { sim, events } = wire([]);
      const ns = namespace(sim, "a");
      devQueueXmit(newSkb(ns, tagFrame(frame, id), "test"), ns.device("eth0"));
      sim.runUntilIdle(later(sim.queue.now, seconds(1)));
      expect(drops({ events })).toContain(expected);
    }
  });

  test("goes up and down with the device below, follows its address and MTU, and goes with it", () => {
    const { sim } = wire([]);
    const shown = (): string => run(sim, "a", "ip link show v5").stdout.replaceAll("\n", " ");
    expect(shown()).toMatch(
      new RegExp(`^\\d+: v5@eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 .* state UP .*${A}`),
    );
    build(sim, "a: ip link set eth0 down");
    expect(shown()).toContain(": v5@eth0: <BROADCAST,MULTICAST,M-DOWN> mtu 1500 ");
    expect(run(sim, "a", "ip link set v5 up").stderr).toBe("RTNETLINK answers: Network is down\n");
    build(sim, "a: ip link set eth0 address 02:00:00:00:00:1a mtu 1300 up");
    expect(shown()).toMatch(/<BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1300 .*02:00:00:00:00:1a/);
    expect(run(sim, "a", "ip link set v5 mtu 1301").stderr).toBe(
      "RTNETLINK answers: Numerical result out of range\n",
    );
    build(sim, "a: ip link del eth0");
    expect([...namespace(sim, "a").devices.keys()]).toEqual(["lo"]);
  });

  test("is refused without a number, a device, or when it is there", () => {
    const { sim } = wire([]);
    const said = (line: string): string => run(sim, "a", line).stderr.trim();
    expect(said("ip link add x link eth0 type vlan")).toBe("Error: 8021q: VLAN id not specified.");
    expect(said("ip link add x type vlan id 9")).toBe("Error: 8021q: link not specified.");
    expect(said("ip link add x link eth0 type vlan id 5000")).toBe(
      'Error: argument "5000" is wrong: id is invalid',
    );
    expect(said("ip link add x link eth0 type vlan id 5")).toBe(
      "Error: 8021q: VLAN device already exists.",
    );
  });
});

describe("a VLAN tag", () => {
  test("stands between the addresses and the EtherType", () => {
    const frame = testFrame(A, B, 3);
    const tagged = tagFrame(frame, 0x0abc);
    expect(Buffer.from(encodeFrame(tagged)).toString("hex")).toBe(
      "02000000000b02000000000a81000abc88b5000000",
    );
    expect(vlanOf(tagged)).toBe(0x0abc);
    expect(untagFrame(tagged)).toEqual(frame);
  });

  test("any bytes are untagged to a frame or to nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const framed = new Uint8Array(14 + bytes.length);
        framed.set([0x81, 0x00], 12);
        framed.set(bytes, 14);
        const read = decodeFrame(framed);
        if (read.ok) untagFrame(read.value);
      }),
    );
  });
});
