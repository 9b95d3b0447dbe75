import { describe, expect, test } from "vitest";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import type { Simulation } from "../../src/core/simulation.js";
import { familyOf } from "../../src/inet/families.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { isValidOnBridge } from "../../src/netfilter/br-validate-ipv6.js";
import { conntrack } from "../../src/netfilter/conntrack/table.js";
import { later, seconds } from "../../src/sim/time.js";
import { runTool } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";
import { IPV6_ANY } from "../../src/wire/ip.js";
import { IPPROTO_UDP } from "../../src/wire/ipv4.js";
import type { Ipv6Extension } from "../../src/wire/ipv6-extension.js";
import { build } from "../tools/tool-fixtures.js";
import { hex } from "../wire/support.js";
import { ip6, packet6 } from "./rig.js";

/** Pods a (fd00::2) and b (fd00::3) on br0 of a node (fd00::1). */
function nodeLab(rules: string): { readonly sim: Simulation; readonly node: NetworkNamespace } {
  const sim = createLinux({ seed: 1 });
  const on = (ns: string): string => `${ns}: sysctl -qw net.ipv6.conf.all.disable_ipv6=0`;
  build(
    sim,
    `ip netns add node
    ip netns add a
    ip netns add b
    ${on("node")}
    ${on("a")}
    ${on("b")}
    node: ip link add br0 type bridge
    ip link add pa netns node address 02:00:00:00:01:0a type veth peer name eth0 netns a address 02:00:00:00:02:0a
    ip link add pb netns node address 02:00:00:00:01:0b type veth peer name eth0 netns b address 02:00:00:00:02:0b
    node: ip link set pa master br0
    node: ip link set pb master br0
    node: ip link set pa up
    node: ip link set pb up
    node: ip link set br0 up
    node: ip -6 addr add fd00::1/64 dev br0 nodad
    a: ip link set eth0 up
    b: ip link set eth0 up
    a: ip -6 addr add fd00::2/64 dev eth0 nodad
    b: ip -6 addr add fd00::3/64 dev eth0 nodad
    a: ip -6 route add default via fd00::1
    b: ip -6 route add default via fd00::1`,
  );
  const result = runTool(sim, { ns: "node", argv: ["ip6tables-restore"], stdin: rules });
  expect(result).toMatchObject({ code: 0, stderr: "" });
  sim.runUntilIdle(later(sim.queue.now, seconds(3)));
  const node = sim.namespaces.get("node");
  if (node === undefined) throw new Error("no node");
  return { sim, node };
}

/** What b hears when a sends "hello" to port 53 of an address: from whom. */
function send({ sim }: ReturnType<typeof nodeLab>, to: string): string[] {
  const [a, b] = ["a", "b"].map((name) => sim.namespaces.get(name));
  if (a === undefined || b === undefined) throw new Error("no pods");
  const heard: string[] = [];
  const family = familyOf(IPV6_ANY);
  const server = new UdpSocket(b, {}, family);
  server.bind(IPV6_ANY, 53);
  server.onDatagram = ({ data }) => heard.push(new TextDecoder().decode(data));
  const client = new UdpSocket(a, {}, family);
  client.sendTo(new TextEncoder().encode("hello"), ip6(to), 53);
  sim.runUntilIdle(later(sim.queue.now, seconds(3)));
  return heard;
}

const DNAT = `*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d fd00:96::10/128 -p udp -j DNAT --to-destination fd00::3
COMMIT
`;

describe("bridged IPv6 frames", () => {
  test("meet the node's nat rules, and come out by the other port with the neighbour's address", () => {
    const lab = nodeLab(DNAT);
    expect(send(lab, "fd00:96::10")).toEqual(["hello"]);
    const lines = [...conntrack(lab.node).entries()].map(({ original }) => original.protocol);
    expect(lines).toEqual([IPPROTO_UDP]);
  });

  test("meet no rule with bridge-nf-call-ip6tables 0", () => {
    const drop = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p ipv6-icmp -j ACCEPT\nCOMMIT\n";
    expect(send(nodeLab(drop), "fd00::3")).toEqual([]);
    const lab = nodeLab(drop);
    runTool(lab.sim, {
      ns: "node",
      argv: ["sysctl", "-qw", "net.bridge.bridge-nf-call-ip6tables=0"],
    });
    expect(send(lab, "fd00::3")).toEqual(["hello"]);
  });
});

describe("hop-by-hop options of a bridged frame", () => {
  const header = (type: 0 | 60, body: string): Parameters<typeof isValidOnBridge>[0] => {
    const extensions: readonly Ipv6Extension[] = [{ kind: "options", type, body: hex(body) }];
    const { network } = packet6("fd00::2", "fd00::3", 17, undefined, new Uint8Array(), extensions);
    if (network?.kind !== "ipv6") throw new Error("an IPv6 packet");
    return network;
  };

  /** As a 6.18 kernel let them pass (lab v6-hop-by-hop-on-a-bridge), or read from its source. */
  test.each([
    [0, "010400000000", true],
    [0, "000000000000", true],
    [0, "050200000100", true],
    [0, "010900000000", false],
    [0, "000000000001", false],
    [0, "c20400000009", false],
    [60, "010900000000", true],
  ] as const)("of header %i and bytes %s: passes %s", (type, body, expected) => {
    expect(isValidOnBridge(header(type, body))).toBe(expected);
  });

  test("are not there in a header that is cut short", () => {
    const { network } = packet6("fd00::2", "fd00::3", 0, undefined, new Uint8Array(3));
    expect(network?.kind === "ipv6" && isValidOnBridge(network)).toBe(false);
  });
});
