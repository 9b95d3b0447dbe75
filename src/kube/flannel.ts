import type { LabCommand } from "../tools/command.js";
import {
  formatIpv4,
  formatIpv4Prefix,
  formatIpv6,
  formatIpv6Prefix,
  networkOf,
} from "../wire/ip.js";
import { macFor } from "./cni/host.js";
import type { ClusterNode } from "./cluster.js";
import { type FlannelNetwork, leaseOf, podMtu } from "./flannel-config.js";

type Family = 4 | 6;

/** What flanneld does on one node: its devices, its rules, and the way to every other node, for each of its families. */
export function flannelCommands(
  flannel: FlannelNetwork,
  node: ClusterNode,
  others: readonly ClusterNode[],
  sameSegment: (other: ClusterNode) => boolean,
): readonly LabCommand[] {
  const run = (...argv: readonly string[]): LabCommand => ({ ns: node.name, argv });
  const tunnelled = flannel.backend === "vxlan";
  const families = ([4, 6] as const).filter(
    (family) => networkText(flannel, family) !== undefined && subnetOf(node, family) !== undefined,
  );
  return [
    ...families.flatMap((family) =>
      tunnelled ? deviceCommands(flannel, node, family).map((argv) => run(...argv)) : [],
    ),
    ...families.flatMap((family) => ruleCommands(flannel, node, family)),
    ...others.flatMap((other) =>
      families.flatMap((family) => {
        const direct = sameSegment(other) && (!tunnelled || flannel.directRouting);
        if (direct) return directRoute(other, family).map((argv) => run(...argv));
        return tunnelled ? tunnelRoute(flannel, other, family).map((argv) => run(...argv)) : [];
      }),
    ),
  ];
}

function networkText({ network, network6 }: FlannelNetwork, family: Family): string | undefined {
  return family === 4
    ? network && formatIpv4Prefix(network)
    : network6 && formatIpv6Prefix(network6);
}

/** A node's own block of pods. */
function subnetOf({ podCidr, podCidr6 }: ClusterNode, family: Family): string | undefined {
  return family === 4
    ? podCidr && formatIpv4Prefix(podCidr)
    : podCidr6 && formatIpv6Prefix(podCidr6);
}

function deviceName({ vni }: FlannelNetwork, family: Family): string {
  return family === 4 ? `flannel.${vni}` : `flannel-v6.${vni}`;
}

/** The MAC address of a node's end: what the node says, else one that follows from its name. */
function vtepMac(flannel: FlannelNetwork, { name, loaded }: ClusterNode, family: Family): string {
  const { vtepMac: v4, vtepMac6: v6 } = leaseOf(loaded.object);
  return (family === 4 ? v4 : v6) ?? macFor(`${name} ${deviceName(flannel, family)}`);
}

function publicIp({ address, address6, loaded }: ClusterNode, family: Family): string {
  const lease = leaseOf(loaded.object);
  if (family === 4) return formatIpv4(lease.publicIp ?? address);
  const own = lease.publicIp6 ?? address6;
  return own === undefined ? "" : formatIpv6(own);
}

/** Mirrors github.com/flannel-io/flannel/pkg/backend/vxlan/device.go:newVXLANDevice(), Configure() and ConfigureIPv6(). */
function deviceCommands(
  flannel: FlannelNetwork,
  node: ClusterNode,
  family: Family,
): readonly (readonly string[])[] {
  const name = deviceName(flannel, family);
  const length = family === 4 ? 32 : 128;
  return [
    [
      ...["ip", "link", "add", name, "address", vtepMac(flannel, node, family)],
      ...["mtu", String(podMtu(flannel)), "type", "vxlan", "id", String(flannel.vni)],
      ...["local", publicIp(node, family), "dev", "eth0", "srcport", "0", "0"],
      ...["dstport", String(flannel.port), "nolearning"],
    ],
    ["ip", "addr", "add", `${tunnelAddress(node, family)}/${length}`, "dev", name],
    ["ip", "link", "set", name, "up"],
  ];
}

/** A node's address inside the tunnel: the network address of its pods. */
function tunnelAddress({ podCidr, podCidr6 }: ClusterNode, family: Family): string {
  if (family === 4) return podCidr === undefined ? "" : formatIpv4(networkOf(podCidr).address);
  return podCidr6 === undefined ? "" : formatIpv6(podCidr6.address);
}

/** Neighbour, forwarding entry, route. Mirrors pkg/backend/vxlan/vxlan_network.go:handleSubnetEvents(). */
function tunnelRoute(
  flannel: FlannelNetwork,
  other: ClusterNode,
  family: Family,
): readonly (readonly string[])[] {
  const to = subnetOf(other, family);
  if (to === undefined) return [];
  const name = deviceName(flannel, family);
  const mac = vtepMac(flannel, other, family);
  const via = tunnelAddress(other, family);
  const peer = publicIp(other, family);
  return [
    ["ip", "neigh", "replace", via, "lladdr", mac, "dev", name, "nud", "permanent"],
    ["bridge", "fdb", "add", mac, "dev", name, "dst", peer, "self", "permanent"],
    ["ip", "route", "add", to, "via", via, "dev", name, "onlink"],
  ];
}

/** Mirrors pkg/backend/route_network.go:handleSubnetEvents(). */
function directRoute(other: ClusterNode, family: Family): readonly (readonly string[])[] {
  const to = subnetOf(other, family);
  const via = publicIp(other, family);
  return to === undefined || via === ""
    ? []
    : [["ip", "route", "add", to, "via", via, "dev", "eth0"]];
}

/** Masquerade and forwarding, appended: kube-proxy's own jumps stand before them. Mirrors pkg/trafficmngr/iptables/iptables.go:masqRules(), masqIP6Rules() and forwardRules(). */
function ruleCommands(
  flannel: FlannelNetwork,
  node: ClusterNode,
  family: Family,
): readonly LabCommand[] {
  const all = networkText(flannel, family);
  const own = subnetOf(node, family);
  if (all === undefined || own === undefined) return [];
  const groups = family === 4 ? "224.0.0.0/4" : "ff00::/8";
  const masq = '-m comment --comment "flanneld masq"';
  const forward = '-m comment --comment "flanneld forward"';
  const nat = [
    "*nat",
    ":FLANNEL-POSTRTG - [0:0]",
    `-A POSTROUTING ${masq} -j FLANNEL-POSTRTG`,
    `-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 ${masq} -j RETURN`,
    `-A FLANNEL-POSTRTG -s ${own} -d ${all} ${masq} -j RETURN`,
    `-A FLANNEL-POSTRTG -s ${all} -d ${own} ${masq} -j RETURN`,
    `-A FLANNEL-POSTRTG ! -s ${all} -d ${own} ${masq} -j RETURN`,
    `-A FLANNEL-POSTRTG -s ${all} ! -d ${groups} ${masq} -j MASQUERADE --random-fully`,
    `-A FLANNEL-POSTRTG ! -s ${all} -d ${all} ${masq} -j MASQUERADE --random-fully`,
    "COMMIT",
  ];
  const filter = [
    "*filter",
    ":FLANNEL-FWD - [0:0]",
    `-A FORWARD ${forward} -j FLANNEL-FWD`,
    `-A FLANNEL-FWD -s ${all} ${forward} -j ACCEPT`,
    `-A FLANNEL-FWD -d ${all} ${forward} -j ACCEPT`,
    "COMMIT",
  ];
  const stdin = [...(flannel.masquerade ? nat : []), ...filter, ""].join("\n");
  const six = family === 4 ? "" : "6";
  const argv = [`ip${six}tables-restore`, "--noflush"];
  return [{ ns: node.name, argv, stdin, stdinName: `${node.name}/flanneld.rules${six}` }];
}
