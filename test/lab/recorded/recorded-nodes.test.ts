import { describe, expect, it } from "vitest";
import { checkWorld } from "../../../src/lab/check.js";
import { verdictName } from "../../../src/view/outcome.js";
import { viewOf } from "../../../src/view/trace-view.js";
import { type DumpFile, json, link, loopback, openRules, recordedWorld, trace } from "./dumps.js";

/** A router between two networks with a default route, seen by its own tools. */
function router(more: readonly DumpFile[] = []): readonly DumpFile[] {
  return [
    { file: "dump/nodes/r1/iptables-save.txt", text: openRules },
    json("dump/nodes/r1/ip-addr.json", [
      loopback,
      link(2, "eth0", [["192.0.2.10", 24]]),
      link(3, "eth1", [["10.0.0.1", 24]]),
    ]),
    json("dump/nodes/r1/ip-route.json", [
      { dst: "default", gateway: "192.0.2.1", dev: "eth0", flags: [] },
      {
        dst: "10.0.0.0/24",
        dev: "eth1",
        protocol: "kernel",
        scope: "link",
        prefsrc: "10.0.0.1",
        flags: [],
      },
      {
        dst: "192.0.2.0/24",
        dev: "eth0",
        protocol: "kernel",
        scope: "link",
        prefsrc: "192.0.2.10",
        flags: [],
      },
      { type: "unreachable", dst: "198.18.0.0/15", flags: [] },
    ]),
    ...more,
  ];
}

function verdict(recording: ReturnType<typeof trace>): string {
  return verdictName(viewOf(recording).verdict);
}

describe("a recorded node", () => {
  it("routes as its dump says, whatever order the dump has", () => {
    const recording = trace(router(), "10.0.0.7", "203.0.113.5:80", { inputDevice: "eth1" });
    expect(verdict(recording)).toBe("LEFT-CLUSTER");
    expect(viewOf(recording).steps.at(-1)?.step).toBe("outside: 203.0.113.5 behind r1 eth0");
    expect(recording.events).toContainEqual(
      expect.objectContaining({ kind: "route", ns: "r1", via: "192.0.2.1", out: "eth0" }),
    );
  });

  it("refuses what an unreachable route refuses", () => {
    const recording = trace(router(), "10.0.0.7", "198.18.0.1:80", { inputDevice: "eth1" });
    expect(verdict(recording)).toBe("NO-ROUTE");
  });

  it("asks nobody on a device without ARP", () => {
    const files = router().map((one) =>
      one.file.endsWith("ip-addr.json")
        ? { ...one, text: one.text.replaceAll('"BROADCAST"', '"BROADCAST","NOARP"') }
        : one,
    );
    expect(files).not.toEqual(router());
    const recording = trace(files, "10.0.0.7", "203.0.113.5:80", { inputDevice: "eth1" });
    const states = recording.events.flatMap((event) =>
      event.kind === "neighbour" && event.ns === "r1" ? [event.to] : [],
    );
    expect(new Set(states)).toEqual(new Set(["NOARP"]));
  });

  it("does not forward where its knobs say so", () => {
    const files = router([
      {
        file: "dump/nodes/r1/sysctl.txt",
        text: "net.core.somaxconn = 4096\nnet.ipv4.ip_forward = 0\n",
      },
    ]);
    const recording = trace(files, "10.0.0.7", "203.0.113.5:80", { inputDevice: "eth1" });
    expect(verdict(recording)).toBe("NO-ROUTE");
  });

  it("follows policy rules and their tables", () => {
    const files = router([
      json("dump/nodes/r1/ip-rule.json", [
        { priority: 0, src: "all", table: "local" },
        { priority: 100, src: "10.0.0.7", table: "100" },
        { priority: 32_766, src: "all", table: "main" },
        { priority: 32_767, src: "all", table: "default" },
      ]),
    ]).map((file) =>
      file.file.endsWith("ip-route.json")
        ? json(file.file, [
            ...JSON.parse(file.text),
            { dst: "default", gateway: "10.0.0.99", dev: "eth1", table: "100", flags: [] },
          ])
        : file,
    );
    const recording = trace(files, "10.0.0.7", "203.0.113.5:80", { inputDevice: "eth1" });
    expect(recording.events).toContainEqual(
      expect.objectContaining({ kind: "route", ns: "r1", via: "10.0.0.99", out: "eth1" }),
    );
  });

  it("lets a recorded connection through that a new one would not pass", () => {
    const rules = {
      file: "dump/nodes/r1/iptables-save.txt",
      text: "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n",
    };
    const connection = {
      file: "dump/nodes/r1/conntrack.txt",
      text: "udp      17 170 src=10.0.0.7 dst=203.0.113.5 sport=40000 dport=53 src=203.0.113.5 dst=10.0.0.7 sport=53 dport=40000 [ASSURED] mark=0 use=1\n",
    };
    const udp = { protocol: "udp", inputDevice: "eth1" } as const;
    const base = router().filter(({ file }) => !file.endsWith("iptables-save.txt"));
    expect(verdict(trace([...base, rules], "10.0.0.7", "203.0.113.5:53", udp))).toBe("DROPPED");
    expect(verdict(trace([...base, rules, connection], "10.0.0.7", "203.0.113.5:53", udp))).toBe(
      "LEFT-CLUSTER",
    );
  });

  it("knows from its sockets who does not listen", () => {
    const files = router([
      { file: "dump/nodes/r1/sockets.txt", text: "tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n" },
    ]);
    const to = (port: number): string =>
      verdict(trace(files, "10.0.0.7", `10.0.0.1:${port}`, { inputDevice: "eth1" }));
    expect(to(22)).toBe("DELIVERED");
    expect(to(23)).toBe("NOT-LISTENING");
  });

  it("has no neighbour where it has given up on one", () => {
    const files = router([
      json("dump/nodes/r1/ip-neigh.json", [{ dst: "192.0.2.1", dev: "eth0", state: ["FAILED"] }]),
    ]);
    const recording = trace(files, "10.0.0.7", "203.0.113.5:80", { inputDevice: "eth1" });
    expect(verdict(recording)).toBe("NO-NEIGHBOUR");
  });

  it("gives no certain answer without its rules, and says what is missing", () => {
    const files = router().filter(({ file }) => !file.endsWith("iptables-save.txt"));
    const recording = trace(files, "10.0.0.7", "203.0.113.5:80", { inputDevice: "eth1" });
    expect(verdict(recording)).toBe("UNKNOWN");
    expect(recording.unknown).toEqual([
      "no iptables-save of r1 was recorded, so what its rules do is not known",
    ]);
  });

  it("gives no certain answer through a device that is not modelled, and names it", () => {
    const files = router().map((file) =>
      file.file.endsWith("ip-addr.json")
        ? json(file.file, [
            loopback,
            link(2, "eth0", [["192.0.2.10", 24]], { linkinfo: { info_kind: "wireguard" } }),
            link(3, "eth1", [["10.0.0.1", 24]]),
          ])
        : file,
    );
    const recording = trace(files, "10.0.0.7", "203.0.113.5:80", { inputDevice: "eth1" });
    expect(verdict(recording)).toBe("UNKNOWN");
    expect(recording.unknown[0]).toContain("a device of kind wireguard (eth0) is not modelled");
  });

  it("a device without a carrier has its address, and nothing comes in by it", () => {
    const unplugged = [
      { file: "dump/nodes/r1/iptables-save.txt", text: openRules },
      json("dump/nodes/r1/ip-addr.json", [
        loopback,
        link(2, "eth0", [["192.0.2.10", 24]]),
        link(3, "eth1", [["10.0.0.1", 24]], {
          flags: ["BROADCAST", "MULTICAST", "NO-CARRIER", "UP"],
        }),
      ]),
      json("dump/nodes/r1/ip-route.json", [
        { dst: "192.0.2.0/24", dev: "eth0", protocol: "kernel", scope: "link", flags: [] },
        { dst: "10.0.0.0/24", dev: "eth1", protocol: "kernel", scope: "link", flags: ["linkdown"] },
      ]),
    ];
    expect(checkWorld(recordedWorld(unplugged)).summary).toMatch(/^1 recorded node/);
    expect(verdict(trace(unplugged, "192.0.2.7", "10.0.0.1:80"))).toBe("DELIVERED");
    expect(() => trace(unplugged, "10.0.0.9", "10.0.0.1:80", { inputDevice: "eth1" })).toThrow(
      "no packet can come in by r1:eth1",
    );
  });

  it("check lists what is recorded, missing and not modelled", () => {
    const { summary, notes } = checkWorld(recordedWorld(router()));
    expect(summary).toBe("1 recorded node, 0 rules");
    expect(notes.find(({ what }) => what === "recorded")?.text).toBe(
      "r1: rules, devices and addresses, routes",
    );
    expect(notes.filter(({ what }) => what === "missing").map(({ text }) => text)).toContain(
      "r1: knobs (sysctl -a); forwarding is assumed to be on, the rest as the kernel begins",
    );
  });
});

describe("namespaces of one dump", () => {
  it("are joined where two devices name each other's index and namespace", () => {
    const veth = (peer: number, netnsid: number): object => ({
      link_index: peer,
      link_netnsid: netnsid,
      linkinfo: { info_kind: "veth" },
    });
    const files: readonly DumpFile[] = [
      { file: "n/w1/iptables-save.txt", text: openRules },
      json("n/w1/ip-addr.json", [
        loopback,
        link(2, "eth0", [["192.168.10.11", 24]]),
        link(7, "vethab", [["10.244.1.1", 24]], veth(2, 0)),
      ]),
      json("n/w1/netns-ids.json", [{ nsid: 0, name: "cni-1" }]),
      { file: "n/w1/netns/cni-1/iptables-save.txt", text: "" },
      json("n/w1/netns/cni-1/ip-addr.json", [
        loopback,
        link(2, "eth0", [["10.244.1.5", 24]], veth(7, 0)),
      ]),
      json("n/w1/netns/cni-1/ip-route.json", [
        { dst: "default", gateway: "10.244.1.1", dev: "eth0", flags: [] },
        {
          dst: "10.244.1.0/24",
          dev: "eth0",
          protocol: "kernel",
          scope: "link",
          prefsrc: "10.244.1.5",
          flags: [],
        },
      ]),
    ];
    const recording = trace(files, "10.244.1.5", "192.168.10.77:80");
    expect(recording.request.sourceNs).toBe("cni-1");
    expect(verdict(recording)).toBe("LEFT-CLUSTER");
    expect(recording.events).toContainEqual(
      expect.objectContaining({ kind: "device", ns: "w1", dev: "vethab", direction: "rx" }),
    );
  });

  it("share a segment where their networks overlap", () => {
    const node = (name: string, address: string, mac: string): readonly DumpFile[] => [
      { file: `n/${name}/iptables-save.txt`, text: openRules },
      json(`n/${name}/ip-addr.json`, [
        loopback,
        link(2, "eth0", [[address, 24]], { address: mac }),
      ]),
    ];
    const files = [
      ...node("w1", "192.168.10.11", "02:00:00:00:01:01"),
      ...node("w2", "192.168.10.12", "02:00:00:00:01:02"),
    ];
    const recording = trace(files, "w1", "w2:80");
    expect(verdict(recording)).toBe("DELIVERED");
    expect(recording.notes).toContain("a program is assumed to listen on tcp/80 in w2");
  });
});
