import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Simulation } from "../../src/core/simulation.js";
import { buildLab } from "../../src/lab/build.js";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import { traceRequest, type TraceRequest } from "../../src/lab/trace.js";
import { type ClusterWorld, loadWorld } from "../../src/lab/world.js";
import { runTool } from "../../src/tools/index.js";
import { verdictName } from "../../src/view/outcome.js";
import { captureNotes, tracePcapng } from "../../src/view/pcapng.js";
import { type TraceView, viewOf } from "../../src/view/trace-view.js";
import { flannelConfigMap } from "./flannel-texts.js";
import { cluster, mistakesOf, repositoryText, shown, topology } from "./texts.js";

const VXLAN = flannelConfigMap('{"Type": "vxlan"}');
const HOST_GW = flannelConfigMap('{"Type": "host-gw"}');

function world(texts: readonly { readonly file: string; readonly text: string }[]): ClusterWorld {
  const loaded = loadWorld(texts, "test");
  if (loaded.kind !== "cluster") throw new Error(loaded.kind);
  return loaded;
}

function shop(flannel: string): ClusterWorld {
  return world([...topology("shop"), { file: "flannel.yaml", text: flannel }]);
}

function shell(sim: Simulation, ns: string, line: string): readonly string[] {
  const { stdout, stderr } = runTool(sim, { ns, argv: line.split(" ") });
  expect(stderr).toBe("");
  return stdout.split("\n").flatMap((text) => (text.trim() === "" ? [] : [text.trim()]));
}

function trace(where: ClusterWorld, source: string, destination: string): TraceView {
  const request: TraceRequest = {
    source,
    destination,
    protocol: "tcp",
    sourcePort: 40_000,
    ttl: undefined,
    seed: 1,
    endpoint: undefined,
    oneWay: false,
  };
  return viewOf(traceRequest(where, request));
}

describe("demo:shop with flannel's VXLAN", () => {
  const shopVxlan = shop(VXLAN);
  const sim = buildLab(clusterLab(shopVxlan).lab, 1);

  it("says so", () => {
    expect(shopVxlan.cluster.notes.map(({ text }) => text)).toContain(
      "pod network between nodes: flannel VXLAN 1, as kube-flannel-cfg says",
    );
  });

  it("has a device, a neighbour, a forwarding entry and an onlink route for each other node", () => {
    expect(shell(sim, "worker-1", "ip route")).toEqual([
      "default via 192.168.10.1 dev eth0",
      "10.244.0.0/24 via 10.244.0.0 dev flannel.1 onlink",
      "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
      "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
      "192.168.10.0/24 dev eth0 proto kernel scope link src 192.168.10.11",
    ]);
    const [neighbour = ""] = shell(sim, "worker-1", "ip neigh show dev flannel.1").filter((line) =>
      line.startsWith("10.244.2.0 "),
    );
    const mac = /lladdr (\S+) PERMANENT/.exec(neighbour)?.[1];
    expect(shell(sim, "worker-1", "bridge fdb show dev flannel.1")).toContain(
      `${mac} dst 192.168.10.12 self permanent`,
    );
    expect(shell(sim, "worker-2", "ip link show flannel.1").join(" ")).toContain(
      `mtu 1450 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000 link/ether ${mac} `,
    );
  });

  it("gives pods the smaller MTU and routes to the whole pod network", () => {
    expect(shell(sim, "shop/web-0", "ip link show eth0").join(" ")).toContain(" mtu 1450 ");
    expect(shell(sim, "shop/web-0", "ip route")).toEqual([
      "default via 10.244.1.1 dev eth0",
      "10.244.0.0/16 via 10.244.1.1 dev eth0",
      "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.5",
    ]);
  });

  it("has flanneld's rules in flanneld's order", () => {
    expect(
      shell(sim, "worker-1", "iptables-save").filter((line) => line.startsWith("-A FLANNEL")),
    ).toEqual([
      '-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT',
      '-A FLANNEL-FWD -d 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT',
      '-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN',
      '-A FLANNEL-POSTRTG -s 10.244.1.0/24 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j RETURN',
      '-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" -j RETURN',
      '-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" -j RETURN',
      '-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully',
      '-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully',
    ]);
  });

  it("carries a request to another node in UDP between the nodes", () => {
    const view = trace(shopVxlan, "shop/web-0", "shop/db-0:5432");
    expect(verdictName(view.verdict)).toBe("DELIVERED");
    expect(view.steps.map(({ step }) => step)).toEqual(
      expect.arrayContaining(["flannel.1 encapsulates", "flannel.1 decapsulates"]),
    );
  });

  it.skipIf(!hasTshark())("gives captures that tshark reads as VXLAN with packets in it", () => {
    const view = trace(shopVxlan, "shop/web-0", "shop/db-0:5432");
    const folder = mkdtempSync(join(tmpdir(), "hopwise-tshark-"));
    try {
      const file = join(folder, "trace.pcapng");
      writeFileSync(file, tracePcapng(view));
      const fields = ["vxlan.vni", "ip.src", "ip.dst", "tcp.dstport"].flatMap((name) => [
        "-e",
        name,
      ]);
      const command = ["-r", file, "-d", "udp.port==8472,vxlan", "-Y", "vxlan", "-T", "fields"];
      const lines = execFileSync("tshark", [...command, ...fields], {
        encoding: "utf8",
        stdio: "pipe",
      })
        .trim()
        .split("\n");
      expect(lines.length).toBeGreaterThan(1);
      expect(captureNotes(view)).toEqual([
        "VXLAN is on UDP port 8472 here: tshark -d udp.port==8472,vxlan",
      ]);
      expect(lines).toContain("1\t192.168.10.11,10.244.1.5\t192.168.10.12,10.244.2.6\t5432");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

function hasTshark(): boolean {
  try {
    execFileSync("tshark", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe("flannel's configuration", () => {
  const nodes = ["a", "b", "c"].map(
    (name, index) =>
      `---\napiVersion: v1\nkind: Node\nmetadata: {name: ${name}${index === 1 ? ', annotations: {flannel.alpha.coreos.com/public-ip: 192.168.9.2, flannel.alpha.coreos.com/backend-data: \'{"VNI":7,"VtepMAC":"aa:bb:cc:00:00:02"}\'}' : ""}}\nspec: {podCIDR: 10.5.${index}.0/24}\nstatus: {addresses: [{type: InternalIP, address: 192.168.${index === 2 ? 8 : 9}.${index + 1}}]}\n`,
  );
  const routesOf = (backend: string): readonly string[] => {
    const text = `${flannelConfigMap(backend, "10.5.0.0/16")}${nodes.join("")}`;
    const sim = buildLab(clusterLab(world([{ file: "w.yaml", text }])).lab, 1);
    return shell(sim, "a", "ip route").filter((line) => /^10\.5\..* via /.test(line));
  };

  it("host-gw reaches nodes of the own segment, and no others", () => {
    expect(routesOf('{"Type": "host-gw"}')).toEqual(["10.5.1.0/24 via 192.168.9.2 dev eth0"]);
  });

  it("VXLAN reaches all nodes; DirectRouting goes without it where it can", () => {
    expect(routesOf('{"Type": "vxlan", "VNI": 7}')).toEqual([
      "10.5.1.0/24 via 10.5.1.0 dev flannel.7 onlink",
      "10.5.2.0/24 via 10.5.2.0 dev flannel.7 onlink",
    ]);
    expect(routesOf('{"Type": "vxlan", "VNI": 7, "DirectRouting": true}')).toEqual([
      "10.5.1.0/24 via 192.168.9.2 dev eth0",
      "10.5.2.0/24 via 10.5.2.0 dev flannel.7 onlink",
    ]);
  });

  it("takes the tunnel's MAC address from the node's annotations", () => {
    const text = `${flannelConfigMap('{"Type": "vxlan", "VNI": 7, "Port": 4789}', "10.5.0.0/16")}${nodes.join("")}`;
    const sim = buildLab(clusterLab(world([{ file: "w.yaml", text }])).lab, 1);
    expect(shell(sim, "a", "bridge fdb show dev flannel.7")).toContain(
      "aa:bb:cc:00:00:02 dst 192.168.9.2 self permanent",
    );
  });

  it("gives the cluster its pod network, and complains about what is not modelled", () => {
    const built = cluster(flannelConfigMap('{"Type": "vxlan"}', "10.5.0.0/16"));
    expect(built.nodes.map(({ podCidr }) => (podCidr?.address ?? 0) >>> 16)).toContain(0x0a05);
    const wrong = (backend: string, network?: string): readonly string[] =>
      mistakesOf(() => cluster(flannelConfigMap(backend, network))).map(shown);
    expect(wrong('{"Type": "wireguard"}')).toEqual([
      'world.yaml:14:3: flannel: backend "wireguard" is not modelled\nhelp: vxlan and host-gw are',
    ]);
    expect(wrong('{"Type": "vxlam"}')).toEqual([
      'world.yaml:14:3: flannel: unknown backend type: vxlam\nhelp: did you mean "vxlan"?',
    ]);
    expect(wrong('{"Type": "vxlan", "VNI": 99999999}')).toEqual([
      "world.yaml:14:3: flannel: error decoding VXLAN backend config: VNI 99999999 is not a number from 1 to 16777215",
    ]);
    expect(wrong('{"Type": "vxlan"}', "10.5/16")).toEqual([
      'world.yaml:14:3: flannel: invalid Network "10.5/16": an IPv4 network is expected',
    ]);
    expect(wrong("nonsense")).toEqual([
      "world.yaml:14:3: flannel: error unmarshaling config: net-conf.json is not JSON",
    ]);
  });
});

describe("Online Boutique on three nodes", () => {
  const manifests = {
    file: "boutique.yaml",
    text: repositoryText("test/golden/worlds/online-boutique/kubernetes-manifests.yaml"),
  };
  const nodes = {
    file: "nodes.yaml",
    text: [1, 2, 3]
      .map(
        (number) =>
          `---\napiVersion: v1\nkind: Node\nmetadata: {name: node-${number}}\nspec: {podCIDR: 10.244.${number}.0/24}\nstatus: {addresses: [{type: InternalIP, address: 192.168.10.${number}0}]}\n`,
      )
      .join(""),
  };
  const worlds = [undefined, VXLAN, HOST_GW].map((flannel) =>
    world([
      manifests,
      nodes,
      ...(flannel === undefined ? [] : [{ file: "flannel.yaml", text: flannel }]),
    ]),
  );
  const [plain] = worlds;
  const podOf = (app: string): string =>
    plain?.cluster.pods.find(({ name }) => name.startsWith(`${app}-`))?.key ?? app;

  const calls: readonly (readonly [string, string])[] = [
    ["loadgenerator", "http://frontend"],
    ["frontend", "cartservice:7070"],
    ["frontend", "productcatalogservice:3550"],
    ["frontend", "adservice:9555"],
    ["checkoutservice", "emailservice:5000"],
    ["cartservice", "redis-cart:6379"],
    ["adservice", "redis-cart:6380"],
  ];

  it("has pods that call each other across nodes", () => {
    const nodeOf = (app: string): string | undefined =>
      plain?.cluster.pods.find(({ name }) => name.startsWith(`${app}-`))?.node;
    const crossing = calls.filter(
      ([from, to]) => nodeOf(from) !== nodeOf(to.replace(/^http:\/\/|:\d+$/g, "")),
    );
    expect(crossing.length).toBeGreaterThan(3);
  });

  it.each(calls)("gives %s → %s one verdict with routes, VXLAN and host-gw", (from, to) => {
    const names = worlds.map((where) => verdictName(trace(where, podOf(from), to).verdict));
    expect(new Set(names).size).toBe(1);
    expect(names[0]).toBe(to.endsWith(":6380") ? "NO-ROUTE" : "DELIVERED");
  });
});
