import { describe, expect, test } from "vitest";
import type { Simulation } from "../../src/core/simulation.js";
import { buildCluster, type Cluster } from "../../src/kube/cluster.js";
import { loadObjects } from "../../src/kube/load.js";
import {
  hostInterface,
  netnsName,
  nodeCommands,
  NodeNetwork,
  outsideCommands,
  underlayCommands,
} from "../../src/kube/nodes.js";
import type { LabCommand } from "../../src/tools/command.js";
import { runTool } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";
import { parseIpv4 } from "../../src/wire/ip.js";
import { cluster, mistakesOf, topology } from "./texts.js";

function commandsOf(world: Cluster): readonly LabCommand[] {
  const commands = [...underlayCommands(world)];
  for (const node of world.nodes) {
    commands.push(...nodeCommands(world, node));
    const network = new NodeNetwork(node);
    for (const pod of world.pods)
      if (pod.node === node.name) commands.push(...network.addPod(pod).commands);
  }
  return commands;
}

function build(world: Cluster): Simulation {
  const sim = createLinux({ seed: 1 });
  for (const command of commandsOf(world)) {
    // A namespace is called as people call it; a script for a real Linux writes the slash as a dot.
    const made = /^ip netns add (.*)$/.exec(command.argv.join(" "))?.[1];
    if (made !== undefined) {
      sim.createNamespace(made);
      continue;
    }
    const { code, stderr } = runTool(sim, command);
    expect(`${code} ${stderr}`, `${command.ns ?? ""}: ${command.argv.join(" ")}`).toBe("0 ");
  }
  return sim;
}

function shell(sim: Simulation, ns: string, line: string): readonly string[] {
  const { stdout, stderr } = runTool(sim, { ns, argv: line.split(" ") });
  expect(stderr).toBe("");
  return stdout.split("\n").flatMap((text) => (text.trim() === "" ? [] : [text.trim()]));
}

const node = (name: string, podCidr: string, address: string): string =>
  `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}}\nspec: {podCIDR: ${podCidr}}\nstatus: {addresses: [{type: InternalIP, address: ${address}}]}\n`;

describe("demo:shop", () => {
  const world = buildCluster(loadObjects(topology("shop")));
  const sim = build(world);

  test("has a namespace for the wires, each node and each pod", () => {
    expect([...sim.namespaces.keys()].toSorted()).toEqual(
      ["net", "cp-1", "worker-1", "worker-2", ...world.pods.map(({ key }) => key)].toSorted(),
    );
  });

  test("has the routes of host-gw on its nodes and one way out of each pod", () => {
    expect(shell(sim, "worker-1", "ip route")).toEqual([
      "default via 192.168.10.1 dev eth0",
      "10.244.0.0/24 via 192.168.10.10 dev eth0",
      "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
      "10.244.2.0/24 via 192.168.10.12 dev eth0",
      "192.168.10.0/24 dev eth0 proto kernel scope link src 192.168.10.11",
    ]);
    expect(shell(sim, "shop/web-0", "ip route")).toEqual([
      "default via 10.244.1.1 dev eth0",
      "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.5",
    ]);
  });

  test("forwards, shows bridged packets to iptables, and hairpins on every pod's port", () => {
    expect(
      shell(sim, "worker-2", "sysctl net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables"),
    ).toEqual(["net.ipv4.ip_forward = 1", "net.bridge.bridge-nf-call-iptables = 1"]);
    const ports = shell(sim, "worker-2", "bridge -d link").filter((line) =>
      line.includes("hairpin"),
    );
    expect(ports).toHaveLength(3);
    for (const port of ports) expect(port).toContain("hairpin on");
  });

  test("gives no MAC address and no device name of the underlay twice", () => {
    const macs = [...sim.namespaces.values()].flatMap((ns) =>
      [...ns.devices.values()].filter(({ isLoopback }) => !isLoopback).map(({ mac }) => mac),
    );
    const bridges = world.nodes.length;
    expect(new Set(macs).size).toBe(macs.length);
    expect(macs.length).toBe(2 * (world.nodes.length + world.pods.length) + bridges + 1);
  });

  test("is built by the same commands in every run", () => {
    expect(commandsOf(buildCluster(loadObjects(topology("shop"))))).toEqual(commandsOf(world));
  });
});

test("a host port becomes the DNAT rules of portmap", () => {
  const pod =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {nodeName: a, containers: [{name: c, ports: [{containerPort: 80, hostPort: 8080, hostIP: 10.0.0.1}]}]}\n";
  const sim = build(cluster(`${node("a", "10.244.1.0/24", "10.0.0.1")}---\n${pod}`));
  const dnat = shell(sim, "a", "iptables-save -t nat").filter((line) => line.includes("DNAT --to"));
  expect(dnat.map((line) => line.replace(/CNI-DN-[0-9a-f]{21}/, "CNI-DN-…"))).toEqual([
    "-A CNI-DN-… -d 10.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.244.1.2:80",
  ]);
});

test("nodes of different segments reach each other's pods over the router", () => {
  const sim = build(
    cluster(
      [node("a", "10.244.1.0/24", "10.0.1.5"), node("b", "10.244.2.0/24", "10.0.2.1")].join(
        "---\n",
      ),
    ),
  );
  expect(shell(sim, "a", "ip route")).toContain("default via 10.0.1.1 dev eth0");
  expect(shell(sim, "b", "ip route")).toContain("default via 10.0.2.254 dev eth0");
  expect(shell(sim, "net", "ip route")).toEqual([
    "10.0.1.0/24 dev segment-0 proto kernel scope link src 10.0.1.1",
    "10.0.2.0/24 dev segment-1 proto kernel scope link src 10.0.2.254",
    "10.244.1.0/24 via 10.0.1.5 dev segment-0",
    "10.244.2.0/24 via 10.0.2.1 dev segment-1",
  ]);
});

test("a host outside hangs on the router, and an address on a node's segment is not outside", () => {
  const world = buildCluster(loadObjects(topology("shop")));
  const sim = build(world);
  const client = parseIpv4("203.0.113.9");
  const near = parseIpv4("192.168.10.77");
  if (client === undefined || near === undefined) throw new Error("addresses");
  for (const command of outsideCommands(world, client)) expect(runTool(sim, command).code).toBe(0);
  expect(shell(sim, "outside", "ip route")).toEqual([
    "default via 203.0.113.1 dev eth0",
    "203.0.113.0/24 dev eth0 proto kernel scope link src 203.0.113.9",
  ]);
  expect(mistakesOf(() => outsideCommands(world, near))[0]?.message).toBe(
    "192.168.10.77 is not outside: node cp-1 is on the same segment",
  );
});

test("a pod whose network is not modelled is refused at its place, with the reason", () => {
  const pod =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {nodeName: a, containers: []}\nstatus: {podIP: 172.16.5.5}\n";
  const world = cluster(`${node("a", "10.244.1.0/24", "10.0.0.1")}---\n${pod}`);
  const [a] = world.nodes;
  const found = world.pods.find(({ name }) => name === "p");
  if (a === undefined || found === undefined) throw new Error("world");
  expect(
    mistakesOf(() => new NodeNetwork(a).addPod(found)).map(
      ({ message, details }) => `${details.place?.line}: ${message}`,
    ),
  ).toEqual([
    "7: Pod default/p: address 172.16.5.5 lies outside the pod CIDR 10.244.1.0/24 of node a; its network is not modelled",
  ]);
});

test("namespaces have names that ip netns takes, and a pod's port on its node is known", () => {
  expect(["shop/web-0", "worker-1"].map(netnsName)).toEqual(["shop.web-0", "worker-1"]);
  const world = buildCluster(loadObjects(topology("shop")));
  const worker = world.nodes.find(({ name }) => name === "worker-1");
  const web = world.pods.find(({ key }) => key === "shop/web-0");
  if (worker === undefined || web === undefined) throw new Error("world");
  const { result } = new NodeNetwork(worker).addPod(web);
  expect(result === undefined ? undefined : hostInterface(result)).toMatch(/^veth[0-9a-f]{8}$/);
});
