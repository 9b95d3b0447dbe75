import type { Node, Pod } from "kubernetes-types/core/v1.js";
import {
  formatIpv6,
  type Ipv6,
  type Ipv6Prefix,
  maskIpv6,
  parseIpv6,
  parseIpv6Prefix,
} from "../../wire/ip.js";
import type { ClusterPod } from "../cluster.js";
import { type Loaded, nameOf } from "../objects.js";
import { podIpv6 } from "./endpoint-slices.js";

/* The second family of a dual-stack cluster: blocks of nodes and addresses of pods, beside those of IPv4. */

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
 * the last block have none, which IPv4 tells of first.
 */
export function assignPodCidrs6(
  nodes: readonly Loaded<Node>[],
  cluster: Ipv6Prefix | undefined,
): ReadonlyMap<string, Ipv6Prefix> {
  const assigned = new Map<string, Ipv6Prefix>();
  if (cluster === undefined) return assigned;
  for (const { object } of nodes) {
    const given = (object.spec?.podCIDRs ?? []).find((text) => text.includes(":"));
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

/** What of a node gives its pods their second address. */
interface Node6 {
  readonly name: string;
  readonly address6: Ipv6 | undefined;
  readonly podCidr6: Ipv6Prefix | undefined;
}

/**
 * Pods with the IPv6 address of their status, of their node for the host network, else the next of the node's block, after
 * the gateway's. Only pods that have an IPv4 address, as one CNI ADD gives both.
 */
export function assignPodAddresses6(
  pods: readonly ClusterPod[],
  nodes: readonly Node6[],
): readonly ClusterPod[] {
  if (nodes.every(({ podCidr6 }) => podCidr6 === undefined)) return pods;
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const used = new Set(
    pods.flatMap(({ loaded }) => {
      const given = podIpv6(loaded.object);
      return given === undefined ? [] : (parseIpv6(given) ?? []);
    }),
  );
  const next = new Map<string, bigint>();
  return pods.map((pod) => {
    const node = byName.get(pod.node ?? "");
    if (node === undefined || pod.address === undefined) return pod;
    const given = podIpv6(pod.loaded.object);
    if (given !== undefined) return { ...pod, address6: parseIpv6(given) };
    if (pod.hostNetwork) return node.address6 === undefined ? pod : withSecond(pod, node.address6);
    if (node.podCidr6 === undefined) return pod;
    let host = next.get(node.name) ?? 2n;
    while (used.has((node.podCidr6.address + host) as Ipv6)) host++;
    next.set(node.name, host + 1n);
    return withSecond(pod, (node.podCidr6.address + host) as Ipv6);
  });
}

function withSecond(pod: ClusterPod, address6: Ipv6): ClusterPod {
  const { object, origin } = pod.loaded;
  const podIPs = [...(object.status?.podIPs ?? []), { ip: formatIpv6(address6) }];
  const changed: Pod = { ...object, status: { ...object.status, podIPs } };
  return { ...pod, address6, loaded: { object: changed, origin } };
}
