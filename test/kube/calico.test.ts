import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Recording } from "../../src/core/recording.js";
import type { Simulation } from "../../src/core/simulation.js";
import { buildLab } from "../../src/lab/build.js";
import { checkWorld } from "../../src/lab/check.js";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import { traceRequest } from "../../src/lab/trace.js";
import { type ClusterWorld, loadWorld } from "../../src/lab/world.js";
import { runTool } from "../../src/tools/index.js";
import { formatIpv4, IPV4_ANY } from "../../src/wire/ip.js";
import { verdictName } from "../../src/view/outcome.js";
import { viewOf } from "../../src/view/trace-view.js";
import { ipPool } from "./calico-texts.js";
import { cluster, mistakesOf, repositoryText, shown, topology } from "./texts.js";

function world(...texts: readonly string[]): ClusterWorld {
  const files = texts.map((text, index) => ({
    file: `${index + 1}.${text.startsWith("{") ? "conflist" : "yaml"}`,
    text,
  }));
  const loaded = loadWorld(files, "test");
  if (loaded.kind !== "cluster") throw new Error(loaded.kind);
  return loaded;
}

/** demo:shop on Calico: its manifests without its bridge's configuration. */
function shop(...texts: readonly string[]): ClusterWorld {
  return world(...topology("shop").map(({ text }) => text), ...texts);
}

function shell(sim: Simulation, ns: string, line: string): readonly string[] {
  const { stdout, stderr } = runTool(sim, { ns, argv: line.split(" ") });
  expect(stderr).toBe("");
  return stdout.split("\n").flatMap((text) => (text.trim() === "" ? [] : [text.trim()]));
}

function record(where: ClusterWorld, source: string, destination: string): Recording {
  const protocol = destination.includes(":") ? ("tcp" as const) : ("icmp" as const);
  const flow = { protocol, sourcePort: 40_000, ttl: undefined, seed: 1 };
  const request = { source, destination, ...flow, endpoint: undefined, oneWay: false };
  return traceRequest(where, request);
}

const verdict = (recording: Recording): string => verdictName(viewOf(recording).verdict);

const cali = (pod: string): string =>
  `cali${createHash("sha1").update(pod).digest("hex").slice(0, 11)}`;

describe("demo:shop on Calico without a tunnel", () => {
  const calico = shop(ipPool());
  const sim = buildLab(clusterLab(calico).lab, 1);

  it("says so", () => {
    expect(calico.cluster.notes.map(({ text }) => text)).toContain(
      "pod network between nodes: Calico, pool default-ipv4-ippool 10.244.0.0/16 in blocks of /26, routes without a tunnel, natOutgoing",
    );
  });

  it("has a route to each block and each own pod, and a blackhole for its own block", () => {
    expect(shell(sim, "worker-1", "ip route")).toEqual([
      "default via 192.168.10.1 dev eth0",
      "10.244.0.0/26 via 192.168.10.10 dev eth0 proto bird",
      "blackhole 10.244.1.0/26 proto bird",
      `10.244.1.5 dev ${cali("shop.web-0")} scope link`,
      `10.244.1.6 dev ${cali("shop.api-0")} scope link`,
      "10.244.2.0/26 via 192.168.10.12 dev eth0 proto bird",
      "192.168.10.0/24 dev eth0 proto kernel scope link src 192.168.10.11",
    ]);
  });

  it("gives a pod a /32 address and a gateway that its node answers for", () => {
    expect(shell(sim, "shop/web-0", "ip route")).toEqual([
      "default via 169.254.1.1 dev eth0",
      "169.254.1.1 dev eth0 scope link",
    ]);
    expect(shell(sim, "shop/web-0", "ip addr show eth0")).toContain(
      "inet 10.244.1.5/32 scope global eth0",
    );
    const link = shell(sim, "worker-1", `ip link show ${cali("shop.web-0")}`).join(" ");
    expect(link).toContain("link/ether ee:ee:ee:ee:ee:ee ");
  });

  it("carries requests between pods of one node and of two, and to Services", () => {
    for (const to of ["shop/api-0:8080", "shop/db-0:5432", "shop/db:5432", "http://api.shop"])
      expect(verdict(record(calico, "shop/web-0", to)), to).toBe("DELIVERED");
  });

  it("masquerades what leaves its pools where natOutgoing says so, and nothing else", () => {
    const sources = (natOutgoing: boolean, to: string): readonly string[] =>
      record(shop(ipPool({ natOutgoing })), "shop/web-0", to).events.flatMap((event) =>
        event.kind === "route" && event.ns === "net" && event.frame.network?.kind === "ipv4"
          ? [formatIpv4(event.frame.network.source)]
          : [],
      );
    expect(sources(true, "203.0.113.9")).toContain("192.168.10.11");
    expect(sources(false, "203.0.113.9")).toContain("10.244.1.5");
    const between = record(calico, "shop/web-0", "shop/db-0:5432").events;
    expect(between.filter(({ kind }) => kind === "rewrite")).toEqual([]);
  });
});

describe("Calico's VXLAN", () => {
  const calico = shop(ipPool({ vxlanMode: "Always" }));
  const sim = buildLab(clusterLab(calico).lab, 1);

  it("has a device whose MAC follows from the node's name, with all that leads to the others", () => {
    expect(shell(sim, "worker-1", "ip route").filter((line) => line.includes("vxlan"))).toEqual([
      "10.244.0.0/26 via 10.244.0.0 dev vxlan.calico proto 80 onlink",
      "10.244.2.0/26 via 10.244.2.0 dev vxlan.calico proto 80 onlink",
    ]);
    const digest = createHash("sha1").update("worker-2").digest("hex");
    const mac = `66${digest.slice(0, 10)}`.match(/../g)?.join(":") ?? "";
    expect(shell(sim, "worker-1", "bridge fdb show dev vxlan.calico")).toContain(
      `${mac} dst 192.168.10.12 self permanent`,
    );
    expect(shell(sim, "worker-1", "ip neigh show dev vxlan.calico")).toContain(
      `10.244.2.0 lladdr ${mac} PERMANENT`,
    );
    expect(shell(sim, "shop/web-0", "ip link show eth0").join(" ")).toContain(" mtu 1450 ");
  });

  it("carries requests between nodes in UDP to port 4789", () => {
    const recording = record(calico, "shop/web-0", "shop/db-0:5432");
    expect(verdict(recording)).toBe("DELIVERED");
    const ports = recording.events.flatMap((event) =>
      "frame" in event && event.frame.transport?.kind === "udp"
        ? [event.frame.transport.destinationPort]
        : [],
    );
    expect(new Set(ports)).toEqual(new Set([4789]));
  });

  it("is left out between nodes of one segment where it is for other subnets only", () => {
    const near = shop(ipPool({ vxlanMode: "CrossSubnet" }));
    const routes = shell(buildLab(clusterLab(near).lab, 1), "worker-1", "ip route");
    expect(routes).toContain("10.244.2.0/26 via 192.168.10.12 dev eth0 proto 80");
  });
});

describe("Calico's IPIP", () => {
  it("ends UNKNOWN by name where a packet needs the tunnel", () => {
    const calico = shop(ipPool({ ipipMode: "Always" }));
    const recording = record(calico, "shop/web-0", "shop/db-0:5432");
    expect(verdict(recording)).toBe("UNKNOWN");
    expect(recording.unknown[0]).toBe(
      "Calico's IPIP tunnel from worker-1 to worker-2 is not modelled (pool default-ipv4-ippool, ipipMode Always)",
    );
    expect(verdict(record(calico, "shop/web-0", "shop/api-0:8080"))).toBe("DELIVERED");
  });

  it("is not needed between nodes of one segment where it is for other subnets only", () => {
    const calico = shop(ipPool({ ipipMode: "CrossSubnet" }));
    expect(verdict(record(calico, "shop/web-0", "shop/db-0:5432"))).toBe("DELIVERED");
  });
});

describe("policies on Calico", () => {
  const policies = ["api", "db"].map((name) =>
    repositoryText(`topologies/shop/policies/${name}.yaml`),
  );
  const calico = shop(...policies, ipPool());

  it("make an answer UNKNOWN where the evaluator refuses, and no other", () => {
    expect(verdict(record(calico, "shop/web-0", "shop/api-0:8080"))).toBe("DELIVERED");
    expect(verdict(record(calico, "shop/api-0", "shop/db:5432"))).toBe("DELIVERED");
    const refused = record(calico, "shop/web-0", "shop/db:5432");
    expect(verdict(refused)).toBe("UNKNOWN");
    expect(refused.unknown).toEqual([
      "Calico's own policy chains are not rendered, and the evaluator says of shop/web-0 to shop/db-0 TCP 5432: denied by shop/db-from-api; hopwise why tells more",
    ]);
  });

  it("are not turned into kube-router's rules, and check says so", () => {
    const rules = shell(buildLab(clusterLab(calico).lab, 1), "worker-2", "iptables-save");
    expect(rules.filter((line) => line.includes("KUBE-POD-FW"))).toEqual([]);
    expect(checkWorld(calico).notes.map(({ text }) => text)).toContain(
      "Calico's policy chains are not rendered; a trace asks the policy evaluator, and ends UNKNOWN where that refuses",
    );
  });

  it("of kinds that only their plugin knows are never passed over", () => {
    const foreign = (kind: string): readonly string[] =>
      record(
        shop(`apiVersion: crd.projectcalico.org/v1\nkind: ${kind}\nmetadata: {name: deny}\n`),
        "shop/web-0",
        "shop/api-0:8080",
      ).unknown;
    expect(foreign("GlobalNetworkPolicy")).toEqual([
      "GlobalNetworkPolicy deny of crd.projectcalico.org/v1 (4.yaml:1) is not modelled",
    ]);
    expect(foreign("StagedGlobalNetworkPolicy")).toEqual([]);
  });
});

describe("Calico's addresses", () => {
  const nodes = (...addresses: readonly string[]): string =>
    addresses
      .map(
        (address, index) =>
          `---\napiVersion: v1\nkind: Node\nmetadata: {name: n${index + 1}}\nstatus: {addresses: [{type: InternalIP, address: ${address}}]}\n`,
      )
      .join("");
  const pods = (node: string, count: number, first = 0): string =>
    Array.from(
      { length: count },
      (_, index) =>
        `---\napiVersion: v1\nkind: Pod\nmetadata: {name: ${node}-${first + index}}\nspec: {nodeName: ${node}, containers: [{name: c, ports: [{containerPort: 80}]}]}\n`,
    ).join("");
  const given = (name: string, node: string, address: string): string =>
    `---\napiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec: {nodeName: ${node}, containers: [{name: c, ports: [{containerPort: 80}]}]}\nstatus: {podIP: ${address}}\n`;
  const addressOf = ({ cluster: { pods: all } }: ClusterWorld, name: string): string =>
    formatIpv4(all.find((pod) => pod.name === name)?.address ?? IPV4_ANY);
  const routes = (where: ClusterWorld, node: string): readonly string[] =>
    shell(buildLab(clusterLab(where).lab, 1), node, "ip route").filter((line) =>
      line.includes("proto"),
    );

  it("fill a node's block from its first address, and claim another when it is full", () => {
    const calico = world(
      ipPool() + nodes("192.168.1.1", "192.168.1.2") + pods("n1", 65) + pods("n2", 1),
    );
    expect(["n1-0", "n1-63", "n1-64", "n2-0"].map((name) => addressOf(calico, name))).toEqual([
      "10.244.0.0",
      "10.244.0.63",
      "10.244.0.128",
      "10.244.0.64",
    ]);
    expect(routes(calico, "n2").filter((line) => line.includes("10.244"))).toEqual([
      "10.244.0.0/26 via 192.168.1.1 dev eth0 proto bird",
      "blackhole 10.244.0.64/26 proto bird",
      "10.244.0.128/26 via 192.168.1.1 dev eth0 proto bird",
    ]);
  });

  it("of a pod in another node's block have a route of their own", () => {
    const calico = world(
      ipPool() +
        nodes("192.168.1.1", "192.168.1.2", "192.168.1.3") +
        given("a", "n1", "10.244.7.1") +
        given("b", "n2", "10.244.7.2") +
        pods("n3", 1),
    );
    expect(routes(calico, "n3")).toEqual(
      expect.arrayContaining([
        "10.244.7.0/26 via 192.168.1.1 dev eth0 proto bird",
        "10.244.7.2 via 192.168.1.2 dev eth0 proto bird",
      ]),
    );
    for (const to of ["default/a:80", "default/b:80"])
      expect(verdict(record(calico, "default/n3-0", to))).toBe("DELIVERED");
    expect(verdict(record(calico, "default/a", "default/b:80"))).toBe("DELIVERED");
  });

  it("follow BlockAffinity objects", () => {
    const affinity =
      "---\napiVersion: crd.projectcalico.org/v1\nkind: BlockAffinity\nmetadata: {name: x}\nspec: {cidr: 10.244.9.64/26, node: n2, state: confirmed}\n";
    const calico = world(ipPool() + affinity + nodes("192.168.1.1", "192.168.1.2") + pods("n2", 1));
    expect(addressOf(calico, "n2-0")).toBe("10.244.9.64");
  });

  it("cross segments by the routers that know the blocks", () => {
    const calico = world(
      ipPool() + nodes("192.168.1.1", "192.168.2.1") + pods("n1", 1) + pods("n2", 1),
    );
    expect(routes(calico, "n1")).toContain("10.244.0.64/26 via 192.168.1.254 dev eth0 proto bird");
    expect(verdict(record(calico, "default/n1-0", "default/n2-0:80"))).toBe("DELIVERED");
  });

  it("cross segments in VXLAN where the pool says so", () => {
    const calico = world(
      ipPool({ vxlanMode: "CrossSubnet" }) +
        nodes("192.168.1.1", "192.168.2.1") +
        pods("n1", 1) +
        pods("n2", 1),
    );
    expect(addressOf(calico, "n1-0")).toBe("10.244.0.1");
    expect(verdict(record(calico, "default/n1-0", "default/n2-0:80"))).toBe("DELIVERED");
  });

  it("are of the node's pod CIDR where the conflist names host-local", () => {
    const conflist = JSON.stringify({
      name: "k8s-pod-network",
      cniVersion: "0.3.1",
      plugins: [{ type: "calico", ipam: { type: "host-local", subnet: "usePodCidr" } }],
    });
    const text =
      nodes("192.168.1.1", "192.168.1.2").replaceAll(/status/g, "spec: {}\nstatus") +
      pods("n1", 1) +
      pods("n2", 1);
    const calico = world(text, conflist);
    expect(addressOf(calico, "n2-0")).toBe("10.244.1.2");
    expect(routes(calico, "n1")).toContain("10.244.1.0/24 via 192.168.1.2 dev eth0 proto bird");
    expect(verdict(record(calico, "default/n1-0", "default/n2-0:80"))).toBe("DELIVERED");
  });

  it("come from pools that make sense", () => {
    const wrong = (fields: Parameters<typeof ipPool>[0]): readonly string[] =>
      mistakesOf(() => cluster(ipPool(fields))).map(shown);
    const at = (column: number): string => `world.yaml:4:${column}: IPPool default-ipv4-ippool: `;
    expect(wrong({ cidr: "10.244.0.0" })).toEqual([`${at(15)}invalid CIDR address: "10.244.0.0"`]);
    const unfit = "does not fit: 20 to 32, within the pool";
    expect(wrong({ blockSize: 8 })).toEqual([`${at(43)}a block of /8 ${unfit}`]);
    expect(wrong({ cidr: "10.244.0.0/27" })).toEqual([`${at(43)}a block of /26 ${unfit}`]);
    expect(wrong({ ipipMode: "Always", vxlanMode: "Always" })).toEqual([
      `${at(135)}IPIP and VXLAN cannot both be enabled for one pool`,
    ]);
    expect(wrong({ ipipMode: "always" })[0]).toContain("one of Never, CrossSubnet, Always");
  });
});

describe("Calico's pools for some nodes", () => {
  const pool = (name: string, cidr: string, nodeSelector: string): string =>
    JSON.stringify({
      apiVersion: "crd.projectcalico.org/v1",
      kind: "IPPool",
      metadata: { name },
      spec: { cidr, nodeSelector },
    });
  const objects = [
    pool("east", "10.50.0.0/16", "zone == 'east'"),
    pool("west", "10.60.0.0/16", "has(zone) && zone != 'east'"),
    ...["a", "b", "c"].map((name, index) =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "Node",
        metadata: { name, labels: { zone: name === "b" ? "west" : "east" } },
        status: { addresses: [{ type: "InternalIP", address: `192.168.10.${11 + index}` }] },
      }),
    ),
    ...["a", "b", "c"].map((node) =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: `on-${node}` },
        spec: { nodeName: node, containers: [{ name: "c", ports: [{ containerPort: 80 }] }] },
      }),
    ),
  ];
  const zones = world(objects.join("\n---\n"));

  it("give pods addresses by the labels of their nodes, and routes between them", () => {
    expect(
      zones.cluster.pods
        .filter(({ namespace }) => namespace === "default")
        .map(({ name, address }) => `${name} ${formatIpv4(address ?? IPV4_ANY)}`),
    ).toEqual(["on-a 10.50.0.0", "on-b 10.60.0.0", "on-c 10.50.0.64"]);
    const sim = buildLab(clusterLab(zones).lab, 1);
    expect(shell(sim, "a", "ip route").filter((line) => line.includes("bird"))).toEqual([
      "blackhole 10.50.0.0/26 proto bird",
      "10.50.0.64/26 via 192.168.10.13 dev eth0 proto bird",
      "10.60.0.0/26 via 192.168.10.12 dev eth0 proto bird",
    ]);
    expect(verdict(record(zones, "default/on-a", "default/on-b:80"))).toBe("DELIVERED");
  });

  it("that select no node of a pod leave it without an address, in calico-ipam's words", () => {
    const texts = objects.map((text) => text.replace('"zone":"west"', '"zoned":"west"'));
    expect(() => buildLab(clusterLab(world(texts.join("\n---\n"))).lab, 1)).toThrow(
      /no configured Calico pools for node b/,
    );
  });

  it("with a selector that cannot be read are refused where it goes wrong", () => {
    const texts = objects.map((text) => text.replace("zone == 'east'", "zone = 'east'"));
    expect(() => world(texts.join("\n---\n"))).toThrow(
      /IPPool east: nodeSelector "zone = 'east'" cannot be read: expected an operator at character 6/,
    );
  });
});
