import { unreachable } from "../../base/errors.js";
import { parseCidr, type IpFamily } from "./addresses.js";
import type { ProxySettings } from "./config.js";
import type { ProxyNode } from "./node.js";

/** How traffic of the node's own pods is told from other traffic. */
export type LocalTraffic =
  | { readonly kind: "cidr"; readonly cidr: string }
  | { readonly kind: "bridge"; readonly name: string }
  | { readonly kind: "prefix"; readonly name: string };

/** What `detectLocalMode` comes to on a node; undefined when nothing is known for the family. Mirrors cmd/kube-proxy/app:getLocalDetectors(). */
export function localTraffic(
  config: ProxySettings,
  node: Pick<ProxyNode, "podCIDRs">,
  family: IpFamily,
): LocalTraffic | undefined {
  switch (config.detectLocalMode) {
    case "ClusterCIDR":
      return firstOf(config.clusterCIDRs, family);
    case "NodeCIDR":
      return firstOf(node.podCIDRs, family);
    case "BridgeInterface":
      return { kind: "bridge", name: config.bridgeInterface };
    case "InterfaceNamePrefix":
      return { kind: "prefix", name: config.interfaceNamePrefix };
    default:
      return unreachable(config.detectLocalMode);
  }
}

function firstOf(cidrs: readonly string[], family: IpFamily): LocalTraffic | undefined {
  const first = cidrs
    .flatMap((text) => parseCidr(text) ?? [])
    .find((cidr) => cidr.family === family);
  return first && { kind: "cidr", cidr: first.text };
}

/** The iptables match for local traffic, or, inverted, for all other. */
export function iptablesMatch(local: LocalTraffic, inverted: boolean): string {
  const not = inverted ? "! " : "";
  switch (local.kind) {
    case "cidr":
      return `${not}-s ${local.cidr}`;
    case "bridge":
      return `${not}-i ${local.name}`;
    case "prefix":
      return `${not}-i ${local.name}+`;
    default:
      return unreachable(local);
  }
}

/** The same for nftables. Until layout L1 a bridge was matched by its index. */
export function nftablesMatch(
  local: LocalTraffic,
  family: IpFamily,
  inverted: boolean,
  bridgeByIndex: boolean,
): string {
  const not = inverted ? "!= " : "";
  switch (local.kind) {
    case "cidr":
      return `${family === 4 ? "ip" : "ip6"} saddr ${not}${local.cidr}`;
    case "bridge":
      return `${bridgeByIndex ? "iif" : "iifname"} ${not}${local.name}`;
    case "prefix":
      return `iifname ${not}${local.name}*`;
    default:
      return unreachable(local);
  }
}
