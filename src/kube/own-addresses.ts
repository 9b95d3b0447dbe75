import type { Service } from "kubernetes-types/core/v1.js";
import { type IpAddress, parseIpv4, parseIpv6 } from "../wire/ip.js";
import type { Cluster, ClusterNode, ClusterPod } from "./cluster.js";

/** The addresses of a pod or node, IPv4 first. */
function both({
  address,
  address6,
}: {
  readonly address: IpAddress | undefined;
  readonly address6: IpAddress | undefined;
}): readonly IpAddress[] {
  return [address, address6].filter((one) => one !== undefined);
}

/** A pod's addresses, IPv4 first; none while it is Pending. */
export function podAddresses(pod: Pick<ClusterPod, "address" | "address6">): readonly IpAddress[] {
  return both(pod);
}

/** The addresses of a node's eth0, IPv4 first. */
export function nodeAddresses(
  node: Pick<ClusterNode, "address" | "address6">,
): readonly IpAddress[] {
  return both(node);
}

/** Those of a family, as `typeof` tells them apart. */
export function ofFamily(addresses: readonly IpAddress[], family: 4 | 6): IpAddress | undefined {
  return addresses.find((address) => (typeof address === "bigint") === (family === 6));
}

/** A Service's cluster IPs, its first family's first; none for a headless one. */
export function clusterIpsOf({ spec }: Service): readonly IpAddress[] {
  const texts = new Set([spec?.clusterIP ?? "", ...(spec?.clusterIPs ?? [])]);
  return [...texts].flatMap((text) => parseIpv4(text) ?? parseIpv6(text) ?? []);
}

/** The node that has an address. */
export function nodeAt({ nodes }: Cluster, address: IpAddress): ClusterNode | undefined {
  return nodes.find((node) => nodeAddresses(node).includes(address));
}

/** The pod that has an address, those of the host network left out: they have their node's. */
export function podAt({ pods }: Cluster, address: IpAddress): ClusterPod | undefined {
  return pods.find((pod) => !pod.hostNetwork && podAddresses(pod).includes(address));
}
