import { describe, expect, it } from "vitest";
import { type DumpFile, json, link, loopback, openRules, recordedWorld, trace } from "./dumps.js";

const rules = (node: string): DumpFile => ({ file: `${node}/iptables-save.txt`, text: openRules });
const info = (kind: string, data: object): object => ({
  linkinfo: { info_kind: kind, info_data: data },
});

/** A host with two macvlan pods, the child's end as `ip -d -j addr` prints it. */
const macvlan: readonly DumpFile[] = [
  rules("node"),
  rules("a"),
  rules("b"),
  json("node/ip-addr.json", [loopback, link(2, "eth0", [["192.0.2.1", 24]])]),
  ...["a", "b"].flatMap((name, index) => [
    json(`${name}/ip-addr.json`, [
      loopback,
      link(7 + index, `mv${name}`, [[`192.0.2.1${index}`, 24]], {
        ...info("macvlan", { mode: "bridge", bcqueuelen: 1000 }),
        link_index: 2,
        link_netnsid: 0,
      }),
    ]),
    json(`${name}/netns-ids.json`, [{ nsid: 0, name: "node" }]),
  ]),
];

const commands = (files: readonly DumpFile[]): readonly string[] =>
  recordedWorld(files).lab.commands.map(({ ns = "", argv }) => `${ns}: ${argv.join(" ")}`);

describe("devices of a dump that lie on others", () => {
  it("macvlans are made where their parent is and put into their own namespaces", () => {
    expect(commands(macvlan)).toEqual(
      expect.arrayContaining([
        "node: ip link add mva link eth0 address 02:00:00:00:00:07 netns a type macvlan mode bridge",
        "node: ip link add mvb link eth0 address 02:00:00:00:00:08 netns b type macvlan mode bridge",
      ]),
    );
    const recording = trace(macvlan, "a", "192.0.2.11", { protocol: "icmp" });
    expect(recording.unknown).toEqual([]);
    expect(recording.events.some(({ ns, kind }) => ns === "b" && kind === "delivered")).toBe(true);
  });

  it("macvlans by source get their senders in the order they were given", () => {
    const macaddr_data = ["02:00:00:00:03:02", "02:00:00:00:03:01"];
    const files = [
      rules("node"),
      json("node/ip-addr.json", [
        loopback,
        link(2, "eth0", [["192.0.2.1", 24]]),
        link(3, "mv0", [], {
          ...info("macvlan", { mode: "source", nodst: true, macaddr_count: 2, macaddr_data }),
          link: "eth0",
        }),
      ]),
    ];
    expect(commands(files)).toContain(
      "node: ip link add mv0 link eth0 address 02:00:00:00:00:03 type macvlan mode source nodst macaddr set 02:00:00:00:03:01 02:00:00:00:03:02",
    );
  });

  it("VLANs and what lies on them are made in their order", () => {
    const files = [
      rules("node"),
      json("node/ip-addr.json", [
        loopback,
        link(3, "eth0.7.mv", [], { ...info("macvlan", { mode: "private" }), link: "eth0.7" }),
        link(4, "eth0.7", [["10.7.0.1", 24]], {
          ...info("vlan", { protocol: "802.1Q", id: 7, flags: ["REORDER_HDR"] }),
          link: "eth0",
        }),
        link(5, "ipv0", [], {
          ...info("ipvlan", { mode: "l3s", mode_flag: "private" }),
          link: "eth0",
        }),
        link(2, "eth0", [["192.0.2.1", 24]]),
      ]),
    ];
    const made = commands(files).filter((line) => line.includes(" link eth0"));
    expect(made).toEqual([
      "node: ip link add eth0.7 link eth0 address 02:00:00:00:00:04 type vlan id 7",
      "node: ip link add ipv0 link eth0 type ipvlan mode l3s private",
      "node: ip link add eth0.7.mv link eth0.7 address 02:00:00:00:00:03 type macvlan mode private",
    ]);
  });

  it.each([
    ["of a mode that is not modelled", { mode: "later" }, { link: "eth0" }],
    ["whose parent no dump has", { mode: "bridge" }, { link_index: 9, link_netnsid: 4 }],
  ])("one %s makes an answer UNKNOWN", (_, data, parent) => {
    const files = [
      rules("node"),
      json("node/ip-addr.json", [
        loopback,
        link(2, "eth0", [["192.0.2.1", 24]]),
        link(3, "mv0", [["10.9.0.1", 24]], { ...info("macvlan", data), ...parent }),
      ]),
    ];
    const recording = trace(files, "node", "10.9.0.2", { protocol: "icmp" });
    expect(recording.unknown.join()).toContain("a device of kind macvlan (mv0) is not modelled");
  });

  it("a tap that no program has open is there and silent", () => {
    const files = [
      rules("node"),
      json("node/ip-addr.json", [
        loopback,
        link(2, "tap0", [["10.1.0.1", 24]], {
          ...info("tun", { type: "tap", persist: true }),
          flags: ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"],
        }),
      ]),
    ];
    expect(commands(files)).toContain("node: ip tuntap add dev tap0 mode tap");
  });
});

describe("neighbours that need no ARP", () => {
  it("are there as recorded; those that the kernel makes of groups are not put there by hand", () => {
    const files = [
      rules("node"),
      json("node/ip-addr.json", [loopback, link(2, "eth0", [["192.0.2.1", 24]])]),
      json("node/ip-neigh.json", [
        { dst: "192.0.2.7", dev: "eth0", lladdr: "02:00:00:00:00:77", state: ["NOARP"] },
        { dst: "192.0.2.255", dev: "eth0", lladdr: "ff:ff:ff:ff:ff:ff", state: ["NOARP"] },
        { dst: "127.0.0.1", dev: "lo", lladdr: "00:00:00:00:00:00", state: ["NOARP"] },
      ]),
    ];
    expect(commands(files).filter((line) => line.includes("ip neigh"))).toEqual([
      "node: ip neigh replace 192.0.2.7 lladdr 02:00:00:00:00:77 dev eth0 nud noarp",
    ]);
  });
});
