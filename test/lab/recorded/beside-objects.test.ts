import { describe, expect, it } from "vitest";
import type { Recording } from "../../../src/core/recording.js";
import { checkWorld } from "../../../src/lab/check.js";
import { buildLiveCluster, type LiveCluster } from "../../../src/lab/live-cluster.js";
import { loadWorld } from "../../../src/lab/world.js";
import { runTool } from "../../../src/tools/index.js";
import { verdictName } from "../../../src/view/outcome.js";
import { viewOf } from "../../../src/view/trace-view.js";
import { formatIpv4 } from "../../../src/wire/ip.js";
import { topology } from "../../kube/texts.js";
import { type DumpFile, json, link, loopback, trace } from "./dumps.js";

const shop: readonly DumpFile[] = topology("shop");

function live(files: readonly DumpFile[]): LiveCluster {
  const world = loadWorld(files, "shop");
  if (world.kind !== "cluster") throw new Error("no cluster");
  return buildLiveCluster(world, 1);
}

function shell({ sim }: LiveCluster, ns: string, line: string): readonly string[] {
  const { stdout, stderr } = runTool(sim, { ns, argv: line.split(" ") });
  expect(stderr).toBe("");
  return stdout.split("\n").flatMap((text) => (text.trim() === "" ? [] : [text.trim()]));
}

const verdict = (recording: Recording): string => verdictName(viewOf(recording).verdict);

/** What a node of a live cluster prints, as the dump of a node of that name. */
function dumped(from: LiveCluster, node: string): readonly DumpFile[] {
  const save = runTool(from.sim, { ns: node, argv: ["iptables-save"] }).stdout;
  const links = shell(from, node, "ip -br addr").map((line, index) => {
    const [name = "", , ...addresses] = line.split(/\s+/);
    const dev = name.split("@")[0] ?? "";
    const [, , address] = (shell(from, node, `ip -br link show ${dev}`)[0] ?? "").split(/\s+/);
    const info = { address, linkinfo: { info_kind: dev === "cni0" ? "bridge" : "veth" } };
    const own = addresses.map(
      (text) => [text.split("/")[0] ?? "", Number(text.split("/")[1])] as const,
    );
    return dev === "lo" ? loopback : link(index + 1, dev, own, info);
  });
  const routes = shell(from, node, "ip route").map((line) => {
    const [dst = "", ...words] = line.split(" ");
    const after = (word: string): string | undefined =>
      words.includes(word) ? words[words.indexOf(word) + 1] : undefined;
    const names = { gateway: "via", dev: "dev", protocol: "proto", scope: "scope", prefsrc: "src" };
    const given = Object.entries(names).map(([field, word]) => [field, after(word)] as const);
    return { dst, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) };
  });
  const rules = [
    { priority: 0, src: "all", table: "local" },
    { priority: 32766, src: "all", table: "main" },
    { priority: 32767, src: "all", table: "default" },
  ];
  return [
    {
      file: `nodes/${node}/iptables-save.txt`,
      text: save,
    },
    json(`nodes/${node}/ip-addr.json`, links),
    json(`nodes/${node}/ip-route.json`, routes),
    json(`nodes/${node}/ip-rule.json`, rules),
    json(`nodes/${node}/ip-neigh.json`, []),
  ];
}

describe("a node's whole dump beside the objects of its cluster", () => {
  const calls = [
    ["shop/web-0", "shop/api:80"],
    ["shop/web-0", "shop/db-0:5432"],
    ["shop/db-0", "shop/web-0:8080"],
    ["cp-1", "shop/db:5432"],
    ["shop/web-0", "203.0.113.9:80"],
  ] as const;

  it("gives the same steps as the rendered node that it is a dump of", () => {
    const files = [...shop, ...dumped(live(shop), "worker-1")];
    const steps = (recording: Recording): readonly string[] =>
      viewOf(recording)
        .steps.map(({ ns, step, effect }) => `${ns} ${step} ${effect}`)
        .filter((line) => !/policy ACCEPT after 0 rules/.test(line));
    for (const [from, to] of calls)
      expect(steps(trace(files, from, to)), `${from} ${to}`).toEqual(steps(trace(shop, from, to)));
  });

  it("gives the same steps when its rules were saved by the older iptables", () => {
    const older = dumped(live(shop), "worker-1").map(({ file, text }) => ({
      file,
      text: text.replaceAll(" (nf_tables)", ""),
    }));
    expect(older.some(({ text }) => text.includes("nf_tables"))).toBe(false);
    // Both sides of the kernel would look at each packet, were the rendered rules left on the newer one.
    const looks = (files: readonly DumpFile[]): number =>
      viewOf(trace(files, "shop/web-0", "shop/db:5432")).steps.filter(({ step }) =>
        step.startsWith("filter FORWARD["),
      ).length;
    expect(looks([...shop, ...older])).toBe(looks(shop));
  });

  it("says that everything of it is recorded", () => {
    const world = loadWorld([...shop, ...dumped(live(shop), "worker-1")], "shop");
    const notes = checkWorld(world).notes.filter(({ text }) => text.startsWith("worker-1"));
    expect(notes.map(({ what, text }) => `${what} ${text}`)).toEqual([
      "recorded worker-1: rules (mangle, filter, nat), devices and addresses, routes, policy rules, neighbours",
      "rendered worker-1: programs from objects",
    ]);
  });
});

describe("recorded addresses, routes, policy rules and neighbours", () => {
  const kernel = { dst: "10.244.1.0/24", dev: "cni0", protocol: "kernel", scope: "link" };
  const own = { dst: "192.168.10.0/24", dev: "eth0", protocol: "kernel", scope: "link" };
  const routes = (...list: readonly object[]): readonly DumpFile[] => [
    ...shop,
    json("nodes/worker-1/ip-route.json", [kernel, own, ...list]),
  ];
  const others = { dst: "10.244.2.0/24", gateway: "192.168.10.12", dev: "eth0" };

  it("routes are the recorded ones and no others", () => {
    const world = live(
      routes(others, { dst: "default", gateway: "192.168.10.254", dev: "eth0", metric: 100 }),
    );
    expect(shell(world, "worker-1", "ip route")).toEqual([
      "default via 192.168.10.254 dev eth0 metric 100",
      "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
      "10.244.2.0/24 via 192.168.10.12 dev eth0",
      "192.168.10.0/24 dev eth0 proto kernel scope link src 192.168.10.11",
    ]);
    // Nobody knew of that gateway before: the segment's router answers for it.
    expect(
      verdict(
        trace(
          routes(others, { dst: "default", gateway: "192.168.10.254", dev: "eth0" }),
          "shop/web-0",
          "203.0.113.9:80",
        ),
      ),
    ).toBe("LEFT-CLUSTER");
  });

  it("a route that was not recorded is not there: the packet dies as on the node", () => {
    const recording = trace(routes(), "shop/api-0", "shop/db:5432");
    expect(verdict(recording)).toBe("NO-ROUTE");
    expect(recording.unknown).toEqual([]);
  });

  it("a blackhole wins over a shorter route", () => {
    const files = routes(others, { dst: "10.244.2.6", type: "blackhole" });
    expect(verdict(trace(files, "shop/api-0", "shop/db:5432"))).toBe("NO-ROUTE");
    expect(verdict(trace(files, "shop/web-0", "shop/api-1:8080"))).toBe("DELIVERED");
  });

  it("a gateway that is no node takes packets to the segment's router", () => {
    const files = routes({ dst: "10.244.2.0/24", gateway: "192.168.10.77", dev: "eth0" });
    const recording = trace(files, "shop/api-0", "shop/db:5432");
    expect(recording.events).toContainEqual(
      expect.objectContaining({ kind: "route", ns: "worker-1", via: "192.168.10.77" }),
    );
    expect(recording.events.some(({ ns, kind }) => ns === "net" && kind === "route")).toBe(true);
  });

  it("a route that no node can have makes the answer UNKNOWN", () => {
    const cut = routes({ dst: "10.244.2.0/24", gateway: "172.16.0.1", dev: "eth0" });
    expect(trace(cut, "shop/web-0", "shop/db-0:5432").unknown[0]).toMatch(
      /^worker-1 recorded the route "10\.244\.2\.0\/24 via 172\.16\.0\.1 dev eth0" \(.*\), and no recorded route leads to its gateway 172\.16\.0\.1$/,
    );
  });

  it("an address that only the dump has is the node's own", () => {
    const files = [
      ...shop,
      json("nodes/worker-1/ip-addr.json", [
        loopback,
        link(2, "eth0", [["192.168.10.11", 24]]),
        link(3, "cni0", [["10.244.1.1", 24]], { linkinfo: { info_kind: "bridge" } }),
        link(4, "vip0", [["192.168.10.99", 32]], { linkinfo: { info_kind: "dummy" } }),
      ]),
    ];
    const world = live(files);
    expect(shell(world, "worker-1", "ip addr show vip0")).toContain(
      "inet 192.168.10.99/32 scope global vip0",
    );
    expect(verdict(trace(files, "shop/db-0", "192.168.10.99:7777"))).toBe("NOT-LISTENING");
    expect(verdict(trace(files, "shop/api-0", "shop/db:5432"))).toBe("DELIVERED");
  });

  it("policy rules send packets to their own tables", () => {
    const files = [
      ...routes(others, { dst: "10.244.2.6", type: "blackhole", table: "7" }),
      json("nodes/worker-1/ip-rule.json", [
        { priority: 0, src: "all", table: "local" },
        { priority: 100, src: "10.244.1.6", table: "7" },
        { priority: 32766, src: "all", table: "main" },
        { priority: 32767, src: "all", table: "default" },
      ]),
    ];
    expect(shell(live(files), "worker-1", "ip rule")).toContain("100:\tfrom 10.244.1.6 lookup 7");
    expect(verdict(trace(files, "shop/api-0", "shop/db:5432"))).toBe("NO-ROUTE");
    expect(verdict(trace(files, "shop/web-0", "shop/db:5432"))).toBe("DELIVERED");
  });

  it("neighbours are known at once, and have the MAC addresses that were recorded", () => {
    const mac = "02:00:00:00:00:99";
    const files = [
      ...shop,
      json("nodes/worker-1/ip-neigh.json", [
        { dst: "192.168.10.12", dev: "eth0", lladdr: mac, state: ["REACHABLE"] },
        { dst: "192.168.10.200", dev: "eth0", state: ["FAILED"] },
      ]),
    ];
    const world = live(files);
    expect(shell(world, "worker-1", "ip neigh show dev eth0")).toEqual([
      `192.168.10.12 lladdr ${mac} REACHABLE`,
    ]);
    expect(shell(world, "worker-2", "ip link show eth0").join(" ")).toContain(mac);
    const recording = trace(files, "shop/api-0", "shop/db:5432");
    expect(verdict(recording)).toBe("DELIVERED");
    // The other node is not asked for.
    const asked = recording.events.flatMap(({ ns, ...event }) =>
      ns === "worker-1" &&
      "frame" in event &&
      event.frame.network?.kind === "arp" &&
      event.frame.network.operation === 1
        ? [formatIpv4(event.frame.network.targetIp)]
        : [],
    );
    expect(asked).not.toContain("192.168.10.12");
  });

  it("a device that leads nobody knows where makes the answer of what goes there UNKNOWN", () => {
    const files = [
      ...routes(others, { dst: "198.51.100.0/24", dev: "eth1" }),
      json("nodes/worker-1/ip-addr.json", [
        loopback,
        link(2, "eth0", [["192.168.10.11", 24]]),
        link(3, "cni0", [["10.244.1.1", 24]], { linkinfo: { info_kind: "bridge" } }),
        link(4, "eth1", [["172.31.0.2", 24]]),
      ]),
    ];
    expect(verdict(trace(files, "shop/api-0", "shop/db:5432"))).toBe("DELIVERED");
    const recording = trace(files, "shop/web-0", "198.51.100.7:80");
    expect(verdict(recording)).toBe("UNKNOWN");
    expect(recording.unknown[0]).toBe(
      "nobody knows where device eth1 of worker-1 leads: its dump has it, and objects do not",
    );
  });

  it("a bridge knows what it had learned and been told, behind ports that are there", () => {
    const port = shell(live(shop), "worker-1", "ip -br link show")
      .map((line) => line.split(/[@\s]/)[0] ?? "")
      .find((name) => name.startsWith("veth"));
    const entry = (mac: string, ifname: string, state = "") => ({
      mac,
      ifname,
      flags: [],
      master: "cni0",
      state,
    });
    const fdb = json("nodes/worker-1/bridge-fdb.json", [
      entry("02:00:00:00:77:01", port ?? ""),
      entry("02:00:00:00:77:02", port ?? "", "static"),
      entry("02:00:00:00:77:03", "veth00000000"),
    ]);
    const known = shell(live([...shop, fdb]), "worker-1", "bridge fdb show");
    expect(known.filter((line) => line.includes(":77:"))).toEqual([
      `02:00:00:00:77:02 dev ${port ?? ""} master cni0 static`,
      `02:00:00:00:77:01 dev ${port ?? ""} master cni0`,
    ]);
    expect(verdict(trace([...shop, fdb], "shop/web-0", "shop/api:80"))).toBe("DELIVERED");
  });

  it("programs of the node are those that its sockets tell", () => {
    const files = [
      ...shop,
      { file: "nodes/worker-2/ss.txt", text: "tcp LISTEN 0 4096 0.0.0.0:9999 0.0.0.0:*\n" },
    ];
    expect(verdict(trace(files, "shop/web-0", "192.168.10.12:9999"))).toBe("DELIVERED");
    expect(verdict(trace(shop, "shop/web-0", "192.168.10.12:9999"))).toBe("NOT-LISTENING");
  });
});

describe("a dump of a node whose pods have links of their own", () => {
  it("gives the veths the recorded names, by the routes that lead to pods", () => {
    const kindnet = {
      file: "10-kindnet.conflist",
      text: JSON.stringify({
        name: "kindnet",
        cniVersion: "0.3.1",
        plugins: [
          {
            type: "ptp",
            ipMasq: false,
            ipam: {
              type: "host-local",
              routes: [{ dst: "0.0.0.0/0" }],
              ranges: [[{ subnet: "{{.PodCIDR}}" }]],
            },
          },
        ],
      }),
    };
    const files = [
      ...shop,
      kindnet,
      json("nodes/worker-1/ip-addr.json", [
        loopback,
        link(2, "ens5", [["192.168.10.11", 24]]),
        link(3, "veth1111", [["10.244.1.1", 32]], { linkinfo: { info_kind: "veth" } }),
        link(4, "veth2222", [["10.244.1.1", 32]], { linkinfo: { info_kind: "veth" } }),
        link(5, "veth3333", [["10.244.1.1", 32]], { linkinfo: { info_kind: "veth" } }),
      ]),
      json("nodes/worker-1/ip-route.json", [
        { dst: "default", gateway: "192.168.10.1", dev: "ens5" },
        { dst: "10.244.1.5", dev: "veth1111", scope: "host" },
        { dst: "10.244.1.6", dev: "veth2222", scope: "host" },
        { dst: "10.244.1.77", dev: "veth3333", scope: "host" },
        { dst: "10.244.2.0/24", gateway: "192.168.10.12", dev: "ens5" },
        { dst: "192.168.10.0/24", dev: "ens5", protocol: "kernel", scope: "link" },
      ]),
    ];
    const names = shell(live(files), "worker-1", "ip -br link").map(
      (line) => line.split(/[ @]/)[0],
    );
    expect(names).toEqual(["lo", "ens5", "veth1111", "veth2222"]);
    for (const [from, to] of [
      ["shop/web-0", "shop/api-0:8080"],
      ["shop/web-0", "shop/db-0:5432"],
      ["shop/db-0", "shop/web-0:8080"],
    ] as const)
      expect(verdict(trace(files, from, to)), `${from} ${to}`).toBe("DELIVERED");
    // That pod is no object's, and its device is not built.
    const recording = trace(files, "shop/web-0", "10.244.1.77:80");
    expect(verdict(recording)).toBe("UNKNOWN");
    expect(recording.unknown[0]).toMatch(
      /^worker-1 recorded the route "10\.244\.1\.77 dev veth3333 scope host" \(.*\), and its device veth3333 is not built$/,
    );
  });
});

describe("check of dumps beside objects", () => {
  it("names what of them cannot be built", () => {
    const files = [
      ...shop,
      json("nodes/worker-1/ip-addr.json", [
        loopback,
        link(2, "eth0", [["192.168.10.11", 24]]),
        link(4, "eth1", [["172.31.0.2", 24]]),
        link(5, "bond0", [], { linkinfo: { info_kind: "bond" } }),
      ]),
    ];
    const notes = checkWorld(loadWorld(files, "shop")).notes;
    expect(notes.flatMap(({ what, text }) => (what === "unmodelled" ? [text] : []))).toEqual([
      "nobody knows where device eth1 of worker-1 leads: its dump has it, and objects do not",
      "device bond0 of worker-1 is recorded as a bond, which is not built beside objects",
    ]);
  });
});
