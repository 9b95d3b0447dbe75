import { sha1 } from "../base/sha1.js";
import type { LabCommand } from "../tools/command.js";
import { formatIpv4, formatIpv4Prefix, type Ipv4, type Ipv4Prefix } from "../wire/ip.js";
import {
  blockOf,
  calicoMtu,
  type CalicoNetwork,
  type CalicoPool,
  type Encapsulation,
  poolOf,
} from "./calico-config.js";
import type { Cluster, ClusterNode } from "./cluster.js";

/*
 * What Calico's agents make on a node beside the pods' own links, which its CNI plugin makes: BIRD's or Felix's routes to the
 * blocks of the other nodes, the VXLAN device, and masquerading. Felix's chains of policies are not rendered.
 */

const VXLAN_DEVICE = "vxlan.calico";
const VXLAN_ID = "4096";
const VXLAN_PORT = "4789";

/** Where the addresses of a pool's part are: a block, or one pod that has an address of another node's block. */
export interface CalicoDestination {
  readonly to: Ipv4Prefix;
  readonly node: string;
  /** Undefined for blocks that are no pool's: those of host-local. */
  readonly pool: CalicoPool | undefined;
}

/** What every node has a route to, in the order of the addresses: blocks in use, and pods outside of their node's blocks. */
export function calicoDestinations(
  network: CalicoNetwork,
  { pods, nodes }: Pick<Cluster, "pods" | "nodes">,
): readonly CalicoDestination[] {
  if (network.hostLocal)
    return nodes.flatMap(({ name, podCidr }) =>
      podCidr === undefined
        ? []
        : [{ to: podCidr, node: name, pool: poolOf(network.pools, podCidr.address) }],
    );
  const { pools } = network;
  const found = new Map<Ipv4, CalicoDestination>();
  const known = new Set(nodes.map(({ name }) => name));
  const claim = (address: Ipv4, node: string): CalicoDestination | undefined => {
    const to = blockOf(pools, address);
    if (to === undefined) return undefined;
    const held = found.get(to.address);
    if (held !== undefined) return held;
    const made = { to, node, pool: poolOf(pools, address) };
    found.set(to.address, made);
    return made;
  };
  for (const [address, node] of network.owners) if (known.has(node)) claim(address, node);
  for (const [node, { tunnel }] of network.nodes) if (tunnel !== undefined) claim(tunnel, node);
  const borrowed: CalicoDestination[] = [];
  for (const { address, node, hostNetwork } of pods) {
    if (address === undefined || node === undefined || hostNetwork) continue;
    const held = claim(address, node);
    if (held !== undefined && held.node !== node)
      borrowed.push({ to: { address, length: 32 }, node, pool: held.pool });
  }
  return [...found.values(), ...borrowed].toSorted((a, b) => a.to.address - b.to.address);
}

/** How a node's packets come to another's pods: straight, or in which tunnel. */
export type CalicoWay = "direct" | "vxlan" | "ipip";

export function calicoWay(pool: CalicoPool | undefined, sameSegment: boolean): CalicoWay {
  const tunnels = (when: Encapsulation): boolean =>
    when === "Always" || (when === "CrossSubnet" && !sameSegment);
  if (tunnels(pool?.vxlan ?? "Never")) return "vxlan";
  return tunnels(pool?.ipip ?? "Never") ? "ipip" : "direct";
}

/** Where a node is, as far as routes hang on it. */
export interface CalicoSurroundings {
  readonly cluster: Cluster;
  readonly sameSegment: (other: ClusterNode) => boolean;
  /** The router of the node's segment. */
  readonly router: Ipv4;
}

/** What BIRD and Felix do on one node, rules left out. */
export function calicoCommands(
  network: CalicoNetwork,
  node: ClusterNode,
  { cluster, sameSegment, router }: CalicoSurroundings,
): readonly LabCommand[] {
  const run = (...argv: readonly string[]): LabCommand => ({ ns: node.name, argv });
  const others = new Map(
    cluster.nodes.filter((other) => other !== node).map((other) => [other.name, other]),
  );
  const proto = usesVxlan(network) ? "80" : "bird";
  const routes = calicoDestinations(network, cluster).flatMap(({ to, node: holder, pool }) => {
    const prefix = to.length === 32 ? formatIpv4(to.address) : formatIpv4Prefix(to);
    if (holder === node.name)
      return to.length === 32
        ? []
        : [run("ip", "route", "add", "blackhole", prefix, "proto", proto)];
    const other = others.get(holder);
    const way = other === undefined ? "ipip" : calicoWay(pool, sameSegment(other));
    if (other === undefined || way === "ipip") return [];
    const via = sameSegment(other) ? other.address : router;
    const target =
      way === "vxlan"
        ? [formatIpv4(tunnelOf(network, other)), "dev", VXLAN_DEVICE, "onlink"]
        : [formatIpv4(via), "dev", "eth0"];
    return [run("ip", "route", "add", prefix, "via", ...target, "proto", proto)];
  });
  return [
    ...(usesVxlan(network) ? vxlanDevice(network, node).map((argv) => run(...argv)) : []),
    ...(usesVxlan(network)
      ? [...others.values()].flatMap((other) =>
          vxlanPeer(network, other).map((argv) => run(...argv)),
        )
      : []),
    ...routes,
  ];
}

/** What the routers between segments know: the blocks of nodes whose packets come without a tunnel, as BGP tells them. */
export function fabricRoutes(
  network: CalicoNetwork,
  node: ClusterNode,
  cluster: Cluster,
): readonly (readonly string[])[] {
  return calicoDestinations(network, cluster).flatMap(({ to, node: holder, pool }) =>
    holder === node.name && calicoWay(pool, false) === "direct"
      ? [["ip", "route", "add", formatIpv4Prefix(to), "via", formatIpv4(node.address)]]
      : [],
  );
}

function usesVxlan({ pools }: CalicoNetwork): boolean {
  return pools.some(({ vxlan }) => vxlan !== "Never");
}

function tunnelOf({ nodes }: CalicoNetwork, { name, address }: ClusterNode): Ipv4 {
  return nodes.get(name)?.tunnel ?? address;
}

/** The MAC address of a node's tunnel device follows from its name. Mirrors felix/calc/vxlan_resolver.go:vtepMACForHost(). */
function vtepMac({ name, loaded }: ClusterNode): string {
  const given = loaded.object.metadata?.annotations?.["projectcalico.org/VXLANTunnelMACAddr"];
  if (given !== undefined && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(given))
    return given.toLowerCase();
  const bytes = [0x66, ...sha1(new TextEncoder().encode(name)).subarray(0, 5)];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Mirrors felix/dataplane/linux/vxlan_mgr.go:configureVXLANDevice(). */
function vxlanDevice(network: CalicoNetwork, node: ClusterNode): readonly (readonly string[])[] {
  return [
    [
      ...["ip", "link", "add", VXLAN_DEVICE, "address", vtepMac(node)],
      ...["mtu", String(calicoMtu(network)), "type", "vxlan", "id", VXLAN_ID],
      ...["local", formatIpv4(node.address), "dev", "eth0", "srcport", "0", "0"],
      ...["dstport", VXLAN_PORT, "nolearning"],
    ],
    ["ip", "addr", "add", `${formatIpv4(tunnelOf(network, node))}/32`, "dev", VXLAN_DEVICE],
    ["ip", "link", "set", VXLAN_DEVICE, "up"],
  ];
}

/** Mirrors felix/vxlanfdb/vxlan_fdb.go:VXLANFDB.Apply(). */
function vxlanPeer(network: CalicoNetwork, other: ClusterNode): readonly (readonly string[])[] {
  const mac = vtepMac(other);
  const tunnel = formatIpv4(tunnelOf(network, other));
  const address = formatIpv4(other.address);
  return [
    ["ip", "neigh", "replace", tunnel, "lladdr", mac, "dev", VXLAN_DEVICE, "nud", "permanent"],
    ["bridge", "fdb", "add", mac, "dev", VXLAN_DEVICE, "dst", address, "self", "permanent"],
  ];
}

/** The name of the file of Felix's rules on a node. */
export function felixRulesFile(node: string): string {
  return `${node}/felix.rules`;
}

/**
 * Felix's sets of pools and its nat table, put before everybody else's rules: what leaves the pools is masqueraded. Mirrors
 * felix/rules/static.go:StaticNATPostroutingChains() and felix/rules/nat.go:MakeNatOutgoingRule().
 */
export function felixCommands(network: CalicoNetwork, node: string): readonly LabCommand[] {
  const { pools } = network;
  const masqueraded = pools.filter(({ natOutgoing }) => natOutgoing);
  const set = (name: string, members: readonly CalicoPool[]): readonly string[] => [
    `create ${name} hash:net family inet hashsize 1024 maxelem 1048576`,
    ...members.map((pool) => `add ${name} ${formatIpv4Prefix(pool.network)}`),
  ];
  const sets = [
    ...set("cali40all-ipam-pools", pools),
    ...set("cali40masq-ipam-pools", masqueraded),
  ];
  const jump = (from: string, hash: string, to: string, how = "-A"): string =>
    `${how} ${from} -m comment --comment "cali:${hash}" -j ${to}`;
  const outOf = (device: string, hash: string): string =>
    `-A cali-POSTROUTING -o ${device} -m comment --comment "cali:${hash}" -m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL -j MASQUERADE --random-fully`;
  const nat = [
    "*nat",
    ...["OUTPUT", "POSTROUTING", "PREROUTING", "fip-dnat", "fip-snat", "nat-outgoing"].map(
      (name) => `:cali-${name} - [0:0]`,
    ),
    jump("PREROUTING", "6gwbT8clXdHdC1b1", "cali-PREROUTING", "-I"),
    jump("OUTPUT", "tVnHkvAo15HuiPy0", "cali-OUTPUT", "-I"),
    jump("POSTROUTING", "O3lYWMrLQYEMJtB5", "cali-POSTROUTING", "-I"),
    jump("cali-OUTPUT", "GBTAv2p5CwevEyJm", "cali-fip-dnat"),
    jump("cali-POSTROUTING", "Z-c7XtVd2Bq7s_hA", "cali-fip-snat"),
    jump("cali-POSTROUTING", "nYKhEzDlr11Jccal", "cali-nat-outgoing"),
    ...(pools.some(({ ipip }) => ipip !== "Never") ? [outOf("tunl0", "SXWvdsbh4Mw7wOln")] : []),
    ...(usesVxlan(network) ? [outOf(VXLAN_DEVICE, "e9dnSgSVNmIcpVhP")] : []),
    jump("cali-PREROUTING", "r6XmIziWUJsdOK6Z", "cali-fip-dnat"),
    ...(masqueraded.length === 0
      ? []
      : [
          '-A cali-nat-outgoing -m comment --comment "cali:flqWnvo8yq4ULQLa" -m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE --random-fully',
        ]),
    "COMMIT",
    "",
  ];
  const restore = { argv: ["iptables-restore", "--noflush"], stdinName: felixRulesFile(node) };
  return [
    {
      ns: node,
      argv: ["ipset", "restore"],
      stdin: `${sets.join("\n")}\n`,
      stdinName: `${node}/felix.ipset`,
    },
    { ns: node, ...restore, stdin: nat.join("\n") },
  ];
}
