import type { Node } from "kubernetes-types/core/v1.js";
import {
  bitsOf,
  cidrContains,
  cidrOf,
  isLoopback,
  parseAddress,
  parseCidr,
  type Address,
  type Cidr,
  type IpFamily,
} from "./addresses.js";
import { compareText } from "./endpoints.js";

/** The node a kube-proxy runs on. */
export interface ProxyNode {
  readonly name: string;
  readonly labels: { readonly [key: string]: string };
  /** `spec.podCIDRs`; for detectLocalMode NodeCIDR. */
  readonly podCIDRs: readonly string[];
  /** The node's own address, at most one for each family. */
  readonly primaryIPs: readonly string[];
  /** The addresses of all its interfaces, loopback included, without prefix lengths. */
  readonly localAddresses: readonly string[];
}

/**
 * What a Node object says of the node. Its interfaces are not in the object: without `localAddresses` they are taken
 * to hold the loopback addresses and the object's own.
 */
export function proxyNode(node: Node, localAddresses?: readonly string[]): ProxyNode {
  const addresses = node.status?.addresses ?? [];
  const internal = addresses
    .filter(({ type }) => type === "InternalIP")
    .map(({ address }) => address);
  const others = addresses
    .filter(({ type }) => type === "ExternalIP")
    .map(({ address }) => address);
  const primaryIPs = ([4, 6] as const).flatMap(
    (family) =>
      [...internal, ...others].find((text) => parseAddress(text)?.family === family) ?? [],
  );
  const podCIDR = node.spec?.podCIDR;
  return {
    name: node.metadata?.name ?? "",
    labels: node.metadata?.labels ?? {},
    podCIDRs: node.spec?.podCIDRs ?? (podCIDR === undefined ? [] : [podCIDR]),
    primaryIPs,
    localAddresses: localAddresses ?? ["127.0.0.1", "::1", ...internal],
  };
}

/** The node's own address of a family. */
export function primaryIP(node: ProxyNode, family: IpFamily): Address | undefined {
  return node.primaryIPs.map(parseAddress).find((address) => address?.family === family);
}

/** On which of a node's addresses node ports answer. Mirrors pkg/proxy/util/nodeport_addresses.go. */
export interface NodePortAddresses {
  readonly matchAll: boolean;
  /** Some loopback address of IPv4 is among them. */
  readonly containsIPv4Loopback: boolean;
  /** The node's addresses among them, sorted by text; empty for `matchAll`. */
  readonly addresses: readonly Address[];
}

/** Reads the setting `nodePortAddresses`: CIDRs, or the one word `primary`. No CIDR of the family means all addresses. */
export function nodePortAddresses(
  setting: readonly string[],
  node: ProxyNode,
  family: IpFamily,
): NodePortAddresses {
  const cidrs = cidrsOf(setting, node, family);
  if (cidrs.length === 0 || cidrs.some((cidr) => cidr.length === 0)) {
    return { matchAll: true, containsIPv4Loopback: family === 4, addresses: [] };
  }
  const local = node.localAddresses
    .flatMap((text) => parseAddress(text) ?? [])
    .filter((address) => cidrs.some((cidr) => cidrContains(cidr, address)));
  const unique = new Map(local.map((address) => [address.text, address]));
  return {
    matchAll: false,
    containsIPv4Loopback: cidrs.some(holdsIPv4Loopback),
    addresses: [...unique.values()].toSorted((a, b) => compareText(a.text, b.text)),
  };
}

function cidrsOf(setting: readonly string[], node: ProxyNode, family: IpFamily): Cidr[] {
  if (setting.length === 1 && setting[0] === "primary") {
    const primary = primaryIP(node, family);
    return primary === undefined
      ? []
      : [cidrOf(primary, bitsOf(family))].filter((cidr) => cidr !== undefined);
  }
  return setting.flatMap((text) => parseCidr(text) ?? []).filter((cidr) => cidr.family === family);
}

/** It lies in 127.0.0.0/8 or holds its first address. */
function holdsIPv4Loopback(cidr: Cidr): boolean {
  if (cidr.family !== 4) return false;
  const network = parseAddress("127.0.0.0");
  return (
    isLoopback({ family: 4, bits: cidr.bits, text: "" }) ||
    (network !== undefined && cidrContains(cidr, network))
  );
}
