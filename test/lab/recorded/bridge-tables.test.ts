import { describe, expect, it } from "vitest";
import { buildLab } from "../../../src/lab/build.js";
import { checkRecorded } from "../../../src/lab/recorded/check-recorded.js";
import { runTool } from "../../../src/tools/index.js";
import { verdictName } from "../../../src/view/outcome.js";
import { viewOf } from "../../../src/view/trace-view.js";
import { type DumpFile, json, link, loopback, openRules, recordedWorld, trace } from "./dumps.js";

const port = (ifindex: number, name: string, mac: string): object =>
  link(ifindex, name, [], {
    master: "br0",
    address: mac,
    link_index: ifindex,
    link_netnsid: ifindex,
    linkinfo: { info_kind: "veth", info_data: {}, info_slave_data: {} },
  });

/** A node with a bridge of two ports; what is behind them was not recorded. */
function bridged(settings: object, more: readonly DumpFile[]): readonly DumpFile[] {
  return [
    json("gw/ip-addr.json", [
      loopback,
      link(2, "br0", [["10.0.0.1", 24]], {
        linkinfo: { info_kind: "bridge", info_data: settings },
      }),
      port(3, "p1", "02:00:00:00:01:01"),
      port(4, "p2", "02:00:00:00:01:02"),
    ]),
    { file: "gw/iptables-save.txt", text: openRules },
    json("gw/ip-neigh.json", [
      { dst: "10.0.0.7", dev: "br0", lladdr: "02:00:00:00:00:07", state: ["REACHABLE"] },
    ]),
    ...more,
  ];
}

/** As `bridge -j fdb` of iproute2 6.1 printed it. */
const fdb = json("gw/bridge-fdb.json", [
  { mac: "33:33:00:00:00:01", ifname: "br0", flags: ["self"], state: "permanent" },
  { mac: "02:00:00:00:00:07", ifname: "p2", flags: [], master: "br0", state: "" },
  { mac: "02:00:00:00:00:97", ifname: "p1", flags: [], master: "br0", state: "permanent" },
  { mac: "02:00:00:00:00:99", ifname: "p1", flags: [], master: "br0", state: "static" },
  { mac: "02:00:00:00:01:01", ifname: "p1", flags: [], master: "br0", state: "permanent" },
  { mac: "02:00:00:00:01:01", ifname: "p1", vlan: 1, flags: [], master: "br0", state: "permanent" },
]);

/** As `bridge -j mdb` printed it. */
const mdb = json("gw/bridge-mdb.json", [
  {
    mdb: [
      { index: 2, dev: "br0", port: "p1", grp: "ff05::5", state: "permanent", flags: [] },
      { index: 2, dev: "br0", port: "p2", grp: "239.1.2.3", state: "temp", flags: [] },
      { index: 2, dev: "br0", port: "br0", grp: "ff02::6a", state: "temp", flags: [] },
    ],
    router: {},
  },
]);

function said(files: readonly DumpFile[], ...argv: readonly string[]): readonly string[] {
  const sim = buildLab(recordedWorld(files).lab, 1);
  return runTool(sim, { ns: "gw", argv })
    .stdout.split("\n")
    .map((line) => line.trim());
}

describe("a recorded bridge", () => {
  it("knows what it had learned, what was typed, and its own addresses", () => {
    const lines = said(bridged({}, [fdb]), "bridge", "fdb", "show");
    expect(lines).toContain("02:00:00:00:00:07 dev p2 master br0");
    expect(lines).toContain("02:00:00:00:00:97 dev p1 master br0 permanent");
    expect(lines).toContain("02:00:00:00:00:99 dev p1 master br0 static");
    expect(lines).toContain("02:00:00:00:01:01 dev p1 master br0 permanent");
  });

  it("sends to the port where it saw the neighbour, and to no other", () => {
    const recording = trace(bridged({}, [fdb]), "gw", "10.0.0.7:80");
    const out = recording.events.flatMap((event) =>
      event.kind === "bridge" && event.ns === "gw" && event.to.length > 0 ? [event.to] : [],
    );
    expect(out[0]).toEqual(["p2"]);
    expect(verdictName(viewOf(recording).verdict)).toBe("LEFT-CLUSTER");
  });

  it("knows the groups behind its ports, and has its own settings", () => {
    const files = bridged({ mcast_querier: 1, ageing_time: 6000 }, [mdb]);
    const lines = said(files, "bridge", "mdb", "show");
    expect(lines).toContain("dev br0 port p1 grp ff05::5 permanent");
    expect(lines).toContain("dev br0 port p2 grp 239.1.2.3 temp");
    expect(recordedWorld(files).lab.commands.map(({ argv }) => argv.join(" "))).toContain(
      "ip link add br0 address 02:00:00:00:00:02 type bridge ageing_time 6000 mcast_querier 1",
    );
  });

  it("that keeps VLANs apart makes an answer through it UNKNOWN", () => {
    const files = bridged({ vlan_filtering: 1 }, [fdb]);
    const recording = trace(files, "gw", "10.0.0.7:80");
    expect(recording.unknown).toEqual([
      "bridge br0 of gw keeps VLANs apart, and which of its ports are in which is not read from dumps",
    ]);
    expect(checkRecorded(recordedWorld(files)).notes.map(({ text }) => text)).toContain(
      "bridge br0 of gw keeps VLANs apart, and which of its ports are in which is not read from dumps",
    );
  });
});

describe("a recorded VXLAN device", () => {
  it("has its group, its switches, and the routers among its entries", () => {
    const settings = { id: 5, group: "239.1.1.1", link: "eth0", port: 4789, limit: 9 };
    const files = [
      { file: "gw/iptables-save.txt", text: openRules },
      json("gw/ip-addr.json", [
        loopback,
        link(2, "eth0", [["192.0.2.1", 24]]),
        link(3, "vx", [], {
          linkinfo: { info_kind: "vxlan", info_data: { ...settings, proxy: true, rsc: true } },
        }),
      ]),
      json("gw/bridge-fdb.json", [
        { mac: "00:00:00:00:00:00", ifname: "vx", dst: "239.1.1.1", flags: ["self"] },
        {
          mac: "02:00:00:00:aa:05",
          ifname: "vx",
          dst: "192.0.2.9",
          flags: ["self", "router"],
          state: "permanent",
        },
      ]),
    ];
    expect(said(files, "ip", "-d", "link", "show", "vx").join(" ")).toContain(
      "vxlan id 5 group 239.1.1.1 dev eth0 srcport 0 0 dstport 4789 proxy rsc ttl auto ageing 300 maxaddr 9 ",
    );
    expect(said(files, "bridge", "fdb", "show", "dev", "vx").toSorted()).toEqual([
      "",
      "00:00:00:00:00:00 dst 239.1.1.1 via eth0 self permanent",
      "02:00:00:00:aa:05 dst 192.0.2.9 self router permanent",
    ]);
  });
});
