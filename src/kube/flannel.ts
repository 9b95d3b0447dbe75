import type { LabCommand } from "../tools/command.js";
import { formatIpv4, formatIpv4Prefix, networkOf } from "../wire/ip.js";
import { macFor } from "./cni/host.js";
import type { ClusterNode } from "./cluster.js";
import { type FlannelNetwork, leaseOf, podMtu } from "./flannel-config.js";

/** What flanneld does on one node: its device, its rules, and the way to every other node. */
export function flannelCommands(
  flannel: FlannelNetwork,
  node: ClusterNode,
  others: readonly ClusterNode[],
  sameSegment: (other: ClusterNode) => boolean,
): readonly LabCommand[] {
  if (node.podCidr === undefined) return [];
  const run = (...argv: readonly string[]): LabCommand => ({ ns: node.name, argv });
  const tunnelled = flannel.backend === "vxlan";
  return [
    ...(tunnelled ? deviceCommands(flannel, node).map((argv) => run(...argv)) : []),
    ...ruleCommands(flannel, node),
    ...others.flatMap((other) => {
      const direct = sameSegment(other) && (!tunnelled || flannel.directRouting);
      if (direct) return directRoute(other).map((argv) => run(...argv));
      return tunnelled ? tunnelRoute(flannel, other).map((argv) => run(...argv)) : [];
    }),
  ];
}

function deviceName({ vni }: FlannelNetwork): string {
  return `flannel.${vni}`;
}

/** The MAC address of a node's end: what the node says, else one that follows from its name. */
function vtepMac(flannel: FlannelNetwork, { name, loaded }: ClusterNode): string {
  return leaseOf(loaded.object).vtepMac ?? macFor(`${name} ${deviceName(flannel)}`);
}

function publicIp({ address, loaded }: ClusterNode): string {
  return formatIpv4(leaseOf(loaded.object).publicIp ?? address);
}

/** Mirrors github.com/flannel-io/flannel/pkg/backend/vxlan/device.go:newVXLANDevice() and Configure(). */
function deviceCommands(
  flannel: FlannelNetwork,
  node: ClusterNode,
): readonly (readonly string[])[] {
  const name = deviceName(flannel);
  return [
    [
      ...["ip", "link", "add", name, "address", vtepMac(flannel, node)],
      ...["mtu", String(podMtu(flannel)), "type", "vxlan", "id", String(flannel.vni)],
      ...["local", publicIp(node), "dev", "eth0", "srcport", "0", "0"],
      ...["dstport", String(flannel.port), "nolearning"],
    ],
    ["ip", "addr", "add", `${tunnelAddress(node)}/32`, "dev", name],
    ["ip", "link", "set", name, "up"],
  ];
}

/** A node's address inside the tunnel: the network address of its pods. */
function tunnelAddress({ podCidr }: ClusterNode): string {
  return podCidr === undefined ? "" : formatIpv4(networkOf(podCidr).address);
}

/** Neighbour, forwarding entry, route. Mirrors pkg/backend/vxlan/vxlan_network.go:handleSubnetEvents(). */
function tunnelRoute(flannel: FlannelNetwork, other: ClusterNode): readonly (readonly string[])[] {
  if (other.podCidr === undefined) return [];
  const name = deviceName(flannel);
  const mac = vtepMac(flannel, other);
  const via = tunnelAddress(other);
  const to = formatIpv4Prefix(other.podCidr);
  return [
    ["ip", "neigh", "replace", via, "lladdr", mac, "dev", name, "nud", "permanent"],
    ["bridge", "fdb", "add", mac, "dev", name, "dst", publicIp(other), "self", "permanent"],
    ["ip", "route", "add", to, "via", via, "dev", name, "onlink"],
  ];
}

/** Mirrors pkg/backend/route_network.go:handleSubnetEvents(). */
function directRoute(other: ClusterNode): readonly (readonly string[])[] {
  if (other.podCidr === undefined) return [];
  const to = formatIpv4Prefix(other.podCidr);
  return [["ip", "route", "add", to, "via", publicIp(other), "dev", "eth0"]];
}

/** Masquerade and forwarding, appended: kube-proxy's own jumps stand before them. Mirrors pkg/trafficmngr/iptables/iptables.go:masqRules() and forwardRules(). */
function ruleCommands(
  { network, masquerade }: FlannelNetwork,
  { name, podCidr }: ClusterNode,
): readonly LabCommand[] {
  if (podCidr === undefined) return [];
  const all = formatIpv4Prefix(network);
  const own = formatIpv4Prefix(podCidr);
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
    `-A FLANNEL-POSTRTG -s ${all} ! -d 224.0.0.0/4 ${masq} -j MASQUERADE --random-fully`,
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
  const stdin = [...(masquerade ? nat : []), ...filter, ""].join("\n");
  const argv = ["iptables-restore", "--noflush"];
  return [{ ns: name, argv, stdin, stdinName: `${name}/flanneld.rules` }];
}
