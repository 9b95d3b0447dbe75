import type { Node } from "kubernetes-types/core/v1.js";
import { type Ipv6, type Ipv6Prefix, maskIpv6, parseIpv6, parseIpv6Prefix } from "../../wire/ip.js";
import { type Loaded, nameOf } from "../objects.js";

/* IPv6 of nodes: their addresses, and the blocks of their pods. */

/** `--node-cidr-mask-size-ipv6`. */
const NODE_MASK_LENGTH = 64;

/** The most blocks that a cluster CIDR may have, in bits. Mirrors cidrset.clusterSubnetMaxDiff. */
const MAX_BLOCK_BITS = 16;

/** The IPv6 InternalIP of a node. */
export function internalIp6(node: Node): Ipv6 | undefined {
  const texts = (node.status?.addresses ?? []).filter(({ type }) => type === "InternalIP");
  return texts.flatMap(({ address }) => parseIpv6(address) ?? [])[0];
}

/**
 * The IPv6 pod CIDR of every node by name: as given, else the next block of the cluster's that no other has. Nodes beyond
 * the last block have none.
 */
export function assignPodCidrs6(
  nodes: readonly Loaded<Node>[],
  cluster: Ipv6Prefix | undefined,
): ReadonlyMap<string, Ipv6Prefix> {
  const assigned = new Map<string, Ipv6Prefix>();
  if (cluster === undefined) return assigned;
  for (const { object } of nodes) {
    const { podCIDR = "", podCIDRs = [] } = object.spec ?? {};
    const given = [...podCIDRs, podCIDR].find((text) => text.includes(":"));
    const prefix = parseIpv6Prefix(given ?? "");
    if (prefix !== undefined)
      assigned.set(nameOf(object), {
        address: maskIpv6(prefix.address, prefix.length),
        length: prefix.length,
      });
  }
  const length = Math.max(NODE_MASK_LENGTH, cluster.length);
  const used = new Set([...assigned.values()].map(({ address }) => maskIpv6(address, length)));
  const blocks = 2 ** Math.min(MAX_BLOCK_BITS, length - cluster.length);
  let next = 0;
  for (const { object } of nodes) {
    const name = nameOf(object);
    while (!assigned.has(name) && next < blocks) {
      const address = (cluster.address + (BigInt(next++) << BigInt(128 - length))) as Ipv6;
      if (!used.has(address)) assigned.set(name, { address, length });
    }
  }
  return assigned;
}
