import { describe, expect, test } from "vitest";
import { devQueueXmit } from "../../src/core/device.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { ETH_P_IP, ETH_P_IPV6 } from "../../src/wire/ethernet.js";
import { formatFrame } from "../../src/wire/format-frame.js";
import { type Frame, NO_BYTES } from "../../src/wire/frame.js";
import { encodeIgmp, type IgmpMessage, IPV4_ROUTER_ALERT } from "../../src/wire/igmp.js";
import { multicastMac, multicastMac6, parseIpv6, putIpv6 } from "../../src/wire/ip.js";
import { MLD_ROUTER_ALERT } from "../../src/wire/mld.js";
import { ip } from "../inet/inet-fixtures.js";
import { build, run } from "../tools/tool-fixtures.js";
import { mac } from "./link-fixtures.js";

/** Ports p1, p2, p3 of br0 with their other ends e1, e2, e3 in the same namespace. */
function bridge(options = ""): Simulation {
  const sim = createLinux({ seed: 1 });
  sim.createNamespace("n");
  build(sim, `n: ip link add br0 address 02:00:00:00:00:b0 type bridge ${options}`);
  for (const number of [1, 2, 3])
    build(
      sim,
      `n: ip link add p${number} type veth peer name e${number} address 02:00:00:00:02:0${number}
       n: ip link set p${number} master br0
       n: ip link set p${number} up
       n: ip link set e${number} up`,
    );
  build(sim, "n: ip link set br0 up");
  return sim;
}

function pass(sim: Simulation, time: number): void {
  sim.runUntilIdle(later(sim.queue.now, seconds(time)));
}

/** Puts a frame on a cable and tells which other ends and whether the host got it. */
function put(sim: Simulation, from: number, frame: Frame): readonly string[] {
  const ns = sim.namespaces.get("n");
  if (ns === undefined) throw new Error("n");
  const got: string[] = [];
  sim.trace = (event: TraceEvent) => {
    if (event.kind === "device" && event.direction === "rx" && /^(e\d|br0)$/.test(event.dev ?? ""))
      got.push(event.dev ?? "");
  };
  devQueueXmit(newSkb(ns, frame, "test"), ns.device(`e${from}`));
  pass(sim, 0.01);
  sim.trace = undefined;
  return got.toSorted();
}

function packet(group: string, protocol: number, payload: Uint8Array, source = "10.0.0.9"): Frame {
  return {
    link: {
      source: mac("02:00:00:00:02:01"),
      destination: multicastMac(ip(group)),
      etherType: ETH_P_IP,
    },
    network: {
      kind: "ipv4",
      tos: 0,
      id: 1,
      dontFragment: false,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 1,
      protocol,
      source: ip(source),
      destination: ip(group),
      options: protocol === 2 ? IPV4_ROUTER_ALERT : NO_BYTES,
    },
    transport: undefined,
    payload,
  };
}

function igmp(message: IgmpMessage, to: string, source?: string): Frame {
  return packet(to, 2, encodeIgmp(message), source);
}

const data = (group: string): Frame => packet(group, 99, new Uint8Array(4));
const report = (group: string): Frame =>
  igmp({ kind: "report", version: 2, group: ip(group) }, group);
const leave = (group: string): Frame => igmp({ kind: "leave", group: ip(group) }, "224.0.0.2");
const query = (source = "10.0.0.1", responseCode = 10): Frame =>
  igmp(
    { kind: "query", group: ip("0.0.0.0"), responseCode, version3: undefined },
    "224.0.0.1",
    source,
  );

const mdb = (sim: Simulation, options = ""): string =>
  run(sim, "n", `bridge ${options} mdb show`.replace("  ", " ")).stdout;

// What happens with queriers and members is compared with Linux 6.18: labs mcast-snooping and mcast-querier.
describe("a bridge that snoops", () => {
  test("sends groups to all ports and the host while nobody asks for them", () => {
    const sim = bridge();
    put(sim, 2, report("239.1.1.1"));
    expect(put(sim, 1, data("239.1.1.1"))).toEqual(["br0", "e2", "e3"]);
    expect(mdb(sim)).toBe("dev br0 port p2 grp 239.1.1.1 temp\n");
  });

  test("with another querier sends them to members and towards that querier alone, once answers had their time", () => {
    const sim = bridge();
    put(sim, 3, query());
    put(sim, 2, report("239.1.1.1"));
    expect(put(sim, 1, data("239.9.9.9"))).toEqual(["br0", "e2", "e3"]);
    pass(sim, 1);
    expect(put(sim, 1, data("239.9.9.9"))).toEqual(["e3"]);
    expect(put(sim, 1, data("239.1.1.1"))).toEqual(["e2", "e3"]);
    expect(put(sim, 1, data("224.0.0.9"))).toEqual(["br0", "e2", "e3"]);
    expect(mdb(sim, "-d")).toBe(
      "dev br0 port p2 grp 239.1.1.1 temp proto kernel \nrouter ports on br0: p3 \n",
    );
    pass(sim, 256);
    expect(put(sim, 1, data("239.9.9.9"))).toEqual(["br0", "e2", "e3"]);
  });

  test("forgets a group that nobody reports for 260 seconds", () => {
    const sim = bridge();
    put(sim, 2, report("239.1.1.1"));
    pass(sim, 259);
    expect(mdb(sim)).not.toBe("");
    pass(sim, 1.1);
    expect(mdb(sim)).toBe("");
  });

  test("takes version 3 reports as joins and leaves", () => {
    const sim = bridge("mcast_querier 1");
    pass(sim, 0.5);
    const records = (type: number): Frame =>
      igmp(
        { kind: "report3", records: [{ type, group: ip("239.1.1.1"), sources: [] }] },
        "224.0.0.22",
      );
    expect(put(sim, 2, records(4))).toEqual(["br0", "e1", "e3"]);
    expect(mdb(sim)).toBe("dev br0 port p2 grp 239.1.1.1 temp\n");
    put(sim, 2, records(3));
    pass(sim, 2.1);
    expect(mdb(sim)).toBe("");
  });

  test("as the querier asks for one group when somebody leaves it", () => {
    const sim = bridge("mcast_querier 1");
    pass(sim, 40);
    put(sim, 2, report("239.1.1.1"));
    const asked: string[] = [];
    sim.trace = (event) => {
      if (event.kind === "device" && event.direction === "rx" && event.dev === "e2")
        asked.push(formatFrame(event.frame));
    };
    const ns = sim.namespaces.get("n");
    if (ns !== undefined) devQueueXmit(newSkb(ns, leave("239.1.1.1"), "test"), ns.device("e2"));
    pass(sim, 0.01);
    expect(asked).toEqual([
      "IP 0.0.0.0 > 224.0.0.1: igmp query v2 [max resp time 10] [gaddr 239.1.1.1]",
    ]);
    expect(mdb(sim)).not.toBe("");
    pass(sim, 2);
    expect(mdb(sim)).toBe("");
  });

  test("asks again after 31 and then every 125 seconds", () => {
    const sim = bridge();
    build(sim, "n: ip link set br0 type bridge mcast_querier 1");
    const times: number[] = [];
    sim.trace = (event) => {
      if (event.kind === "device" && event.direction === "rx" && event.dev === "e1")
        times.push(Math.round(event.time / 10_000) / 100);
    };
    pass(sim, 300);
    expect(times).toEqual([0, 31.25, 156.25, 281.25]);
  });

  test("knows its own host's groups", () => {
    const sim = bridge("mcast_querier 1");
    build(sim, "n: bridge mdb add dev br0 port br0 grp 239.2.2.2");
    pass(sim, 11);
    expect(put(sim, 1, data("239.2.2.2"))).toEqual(["br0"]);
    expect(put(sim, 1, data("239.2.2.3"))).toEqual([]);
  });

  test("drops a damaged report, and one that asks about all groups at the wrong address", () => {
    const sim = bridge();
    const wrong = igmp(
      { kind: "report", version: 2, group: ip("239.1.1.1"), checksumError: 5 },
      "239.1.1.1",
    );
    expect(put(sim, 1, wrong)).toEqual([]);
    expect(put(sim, 1, packet("239.1.1.1", 2, new Uint8Array(4)))).toEqual([]);
    expect(
      put(
        sim,
        1,
        igmp(
          { kind: "query", group: ip("0.0.0.0"), responseCode: 1, version3: undefined },
          "239.1.1.1",
        ),
      ),
    ).toEqual([]);
    expect(mdb(sim)).toBe("");
  });

  test("is a plain bridge with mcast_snooping 0", () => {
    const sim = bridge("mcast_snooping 0");
    put(sim, 3, query());
    put(sim, 2, report("239.1.1.1"));
    pass(sim, 2);
    expect(put(sim, 1, data("239.1.1.1"))).toEqual(["br0", "e2", "e3"]);
    expect(mdb(sim)).toBe("");
  });

  test("learns IPv6 groups from MLD, and sends all nodes to all", () => {
    const sim = bridge();
    const group = parseIpv6("ff05::5") ?? (0n as never);
    const mld = (type: number, about: bigint, to: string, rest = 0): Frame => {
      const payload = new Uint8Array(16);
      putIpv6(payload, 0, about as never);
      const destination = parseIpv6(to) ?? (0n as never);
      return {
        link: {
          source: mac("02:00:00:00:02:01"),
          destination: multicastMac6(destination),
          etherType: ETH_P_IPV6,
        },
        network: {
          kind: "ipv6",
          trafficClass: 0,
          flowLabel: 0,
          hopLimit: 1,
          protocol: 58,
          source: parseIpv6("fe80::1") ?? (0n as never),
          destination,
          extensions: [MLD_ROUTER_ALERT],
        },
        transport: { kind: "icmpv6", type, code: 0, rest },
        payload,
      };
    };
    put(sim, 3, mld(130, 0n, "ff02::1", 1000 * 0x1_0000));
    put(sim, 2, mld(131, group, "ff05::5"));
    pass(sim, 1.1);
    expect(mdb(sim, "-d")).toBe(
      "dev br0 port p2 grp ff05::5 temp proto kernel \nrouter ports on br0: p3 \n",
    );
    const plain = (to: string): Frame => {
      const frame = mld(1, 0n, to);
      return frame.network?.kind === "ipv6"
        ? { ...frame, network: { ...frame.network, extensions: [] } }
        : frame;
    };
    expect(put(sim, 1, plain("ff05::5"))).toEqual(["e2", "e3"]);
    expect(put(sim, 1, plain("ff05::6"))).toEqual(["e3"]);
    expect(put(sim, 1, plain("ff02::1"))).toEqual(["br0", "e2", "e3"]);
  });
});

// Answers as the real bridge of iproute2 6.1 gave them on Linux 6.18.
describe("bridge mdb", () => {
  test.each([
    ["add dev br0 port p1 grp 239.1.1.1", "0"],
    [
      "add dev br0 port p2 grp 239.7.7.7",
      "255 Error: bridge: (*, G) group is already joined by port.",
    ],
    [
      "add dev br0 port br0 grp 239.1.1.3 permanent",
      "255 Error: bridge: Flags are not allowed for host groups.",
    ],
    [
      "add dev br0 port p1 grp 224.0.0.5",
      "255 Error: IPv4 entry group address is local multicast.",
    ],
    [
      "add dev br0 port p1 grp 10.0.0.1",
      "255 Error: IPv4 entry group address is not multicast or 0.0.0.0.",
    ],
    [
      "add dev br0 port p1 grp ff02::1",
      "255 Error: IPv6 entry group address is link-local all nodes.",
    ],
    [
      "add dev br0 port p1 grp 01:00:5e:00:00:78",
      "255 Error: bridge: Only permanent L2 entries allowed.",
    ],
    ["add dev br0 port p1 grp foo", '255 Invalid address "foo"'],
    ["add dev nope port p1 grp 239.1.1.1", '255 Cannot find device "nope"'],
    ["add dev br0 port e1 grp 239.1.1.1", "255 Error: bridge: Net device is not a bridge port."],
    [
      "add port e1 grp 239.1.1.1",
      "255 Device, group address and port name are required arguments.",
    ],
    ["del dev br0 port p1 grp 239.9.9.9", "255 RTNETLINK answers: Invalid argument"],
    ["frob", '255 Command "frob" is unknown, try "bridge mdb help".'],
  ])("%s is answered with %s", (line, answer) => {
    const sim = bridge();
    build(sim, "n: bridge mdb add dev br0 port p2 grp 239.7.7.7");
    const { code, stderr } = run(sim, "n", `bridge mdb ${line}`);
    expect(`${code} ${stderr.split("\n")[0]}`.trim()).toBe(answer);
  });

  test("lists the newest entry first, with and without details", () => {
    const sim = bridge();
    build(
      sim,
      `n: bridge mdb add dev br0 port p1 grp 239.1.1.1
       n: bridge mdb add dev br0 port p2 grp 239.1.1.1 permanent
       n: bridge mdb add dev br0 port br0 grp 239.1.1.3
       n: bridge mdb add dev br0 port p1 grp ff05::5
       n: bridge mdb add dev br0 port p1 grp 01:00:5e:00:00:77 permanent
       n: bridge mdb add dev br0 port p1 grp 239.1.1.9 vid 5
       n: bridge link set dev p2 mcast_router 2`,
    );
    expect(mdb(sim, "-d")).toBe(
      [
        "dev br0 port p1 grp 239.1.1.9 temp proto static  vid 5",
        "dev br0 port p1 grp 01:00:5e:00:00:77 permanent proto static ",
        "dev br0 port p1 grp ff05::5 temp proto static ",
        "dev br0 port br0 grp 239.1.1.3 temp",
        "dev br0 port p2 grp 239.1.1.1 permanent proto static ",
        "dev br0 port p1 grp 239.1.1.1 temp proto static ",
        "router ports on br0: p2 ",
        "",
      ].join("\n"),
    );
    build(sim, "n: ip link set p1 down");
    expect(mdb(sim)).toBe(
      "dev br0 port p1 grp 01:00:5e:00:00:77 permanent\ndev br0 port br0 grp 239.1.1.3 temp\ndev br0 port p2 grp 239.1.1.1 permanent\n",
    );
  });
});
