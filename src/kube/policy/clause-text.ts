import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type { NetworkPolicyPeer, NetworkPolicyPort } from "kubernetes-types/networking/v1.js";
import type { ClusterPeer } from "./api.js";
import type { PortRange } from "./cluster-policy.js";

/** `app=api`, `app in (a, b), !tier`; `{}` for everything. */
export function selectorText({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const labels = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  const expressions = matchExpressions.map(({ key, operator, values = [] }) => {
    if (operator === "Exists") return key;
    if (operator === "DoesNotExist") return `!${key}`;
    return `${key} ${operator === "In" ? "in" : "notin"} (${values.join(", ")})`;
  });
  const all = [...labels, ...expressions];
  return all.length === 0 ? "{}" : all.join(",");
}

export function peerText({ podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer): string {
  if (ipBlock !== undefined) {
    const except =
      (ipBlock.except ?? []).length === 0 ? "" : ` except ${(ipBlock.except ?? []).join(", ")}`;
    return `ipBlock ${ipBlock.cidr}${except}`;
  }
  const parts: string[] = [];
  if (namespaceSelector !== undefined)
    parts.push(`namespaceSelector ${selectorText(namespaceSelector)}`);
  if (podSelector !== undefined) parts.push(`podSelector ${selectorText(podSelector)}`);
  return parts.length === 0 ? "nobody (an empty peer)" : parts.join(" and ");
}

/** `port 5432`, `udp port 53`, `ports 80-90`, `port http`, `all tcp ports`. */
export function portText({ protocol = "TCP", port, endPort }: NetworkPolicyPort): string {
  const before = protocol === "TCP" ? "" : `${protocol.toLowerCase()} `;
  if (port === undefined) return `all ${protocol.toLowerCase()} ports`;
  return endPort === undefined ? `${before}port ${port}` : `${before}ports ${port}-${endPort}`;
}

/** `from podSelector app=api, port 5432`. */
export function ruleText(
  direction: "ingress" | "egress",
  peers: readonly NetworkPolicyPeer[],
  ports: readonly NetworkPolicyPort[],
): string {
  const word = direction === "ingress" ? "from" : "to";
  const whom =
    peers.length === 0
      ? direction === "ingress"
        ? "anyone"
        : "anywhere"
      : peers.map(peerText).join(" or ");
  return `${word} ${whom}, ${ports.length === 0 ? "any port" : ports.map(portText).join(" or ")}`;
}

export function clusterPeerText({
  namespaces,
  pods,
  nodes,
  networks,
  domainNames,
}: ClusterPeer): string {
  if (namespaces !== undefined) return `all pods of ${whichOnes("namespaces", namespaces)}`;
  if (pods !== undefined)
    return `${whichOnes("pods", pods.podSelector)} of ${whichOnes("namespaces", pods.namespaceSelector)}`;
  if (nodes !== undefined) return whichOnes("nodes", nodes);
  if (networks !== undefined) return `networks ${networks.join(", ")}`;
  return domainNames === undefined
    ? "a peer of an unknown kind"
    : `domain names ${domainNames.join(", ")}`;
}

/** `pods app=web`, `all namespaces`. */
function whichOnes(what: string, selector: LabelSelector = {}): string {
  const text = selectorText(selector);
  return text === "{}" ? `all ${what}` : `${what} ${text}`;
}

export function portRangeText(port: PortRange): string {
  if (port.kind === "named") return `port ${port.name}`;
  const protocol = port.protocol.toLowerCase();
  return port.first === port.last
    ? `${protocol}/${port.first}`
    : `${protocol}/${port.first}-${port.last}`;
}
