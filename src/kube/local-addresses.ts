import type { Cluster, ClusterNode } from "./cluster.js";
import { isMapping } from "./load/check.js";
import { addToIpv4, formatIp, formatIpv4, networkOf } from "../wire/ip.js";
import { nodeAddresses } from "./own-addresses.js";
import { type ProxyNode, proxyNode } from "./proxy/node.js";

/**
 * A node as its kube-proxy sees it: which addresses are its own it asks the interfaces. `recorded` are those that a dump of the
 * node has. Mirrors pkg/proxy/util/network.go:RealNetwork.InterfaceAddrs().
 */
export function proxyNodeOf(
  cluster: Cluster,
  node: ClusterNode,
  recorded?: readonly string[],
): ProxyNode {
  const all = ["127.0.0.1", "::1", ...(recorded ?? interfaceAddresses(cluster, node))];
  return proxyNode(node.loaded.object, [...new Set(all)]);
}

/** The node's own addresses, that of its bridge or of its pods' gateways, and of its tunnels. */
function interfaceAddresses(cluster: Cluster, node: ClusterNode): readonly string[] {
  const { network } = cluster;
  const { podCidr, name } = node;
  const tunnel =
    network.kind === "calico"
      ? network.nodes.get(name)?.tunnel
      : network.kind === "flannel" && network.backend === "vxlan" && podCidr !== undefined
        ? networkOf(podCidr).address
        : undefined;
  const hasPods = cluster.pods.some((pod) => pod.node === name && !pod.hostNetwork);
  return [
    ...nodeAddresses(node).map(formatIp),
    ...(tunnel === undefined ? [] : [formatIpv4(tunnel)]),
    ...(hasPods ? gatewayAddresses(node) : []),
  ];
}

/** The gateway that a bridge, or the node's end of a ptp link, holds. */
function gatewayAddresses({ conflist, podCidr }: ClusterNode): readonly string[] {
  if (podCidr === undefined) return [];
  const plugin = conflist?.plugins.find(({ type }) => ["bridge", "ptp", "flannel"].includes(type));
  const raw = plugin?.raw ?? {};
  const isHeld =
    plugin?.type !== "bridge" || raw["isGateway"] === true || raw["isDefaultGateway"] === true;
  if (plugin === undefined || !isHeld) return [];
  const ranges: unknown = isMapping(raw["ipam"]) ? raw["ipam"]["ranges"] : undefined;
  const [, given] = /"gateway":"([^"]+)"/.exec(JSON.stringify(ranges ?? "")) ?? [];
  return [given ?? formatIpv4(addToIpv4(networkOf(podCidr).address, 1))];
}
