/*
 * What the API leaves to the plugin, as switches. spec/network-policy.md section 1.15. A verdict that hangs on one of
 * them is only as good as the dialect, so every output names the dialect it was made under.
 */

export interface Dialect {
  readonly name: string;
  /** Whether `ipBlock` (and nothing else: `networks` always does) matches addresses of pods. */
  readonly ipBlockMatchesPods: boolean;
  /** A pod that talks to its own address. */
  readonly selfTraffic: "allow" | "evaluate";
  /** A pod that reaches itself through a Service. */
  readonly hairpin: "evaluate" | "allow";
  readonly ingressFromOwnNode: "allow" | "evaluate";
  readonly egressToOwnNode: "evaluate" | "allow";
  /** Pods of the host network: the node's address like any other, or pods that selectors see and policies govern. */
  readonly hostNetworkPods: "node-address" | "pod";
  /** Protocols that a policy cannot name: ICMP, GRE, ESP. */
  readonly otherProtocols: "rule-without-ports" | "allow" | "deny";
  /** What a refused client sees: nothing, or an ICMP error at once. */
  readonly refusal: "drop" | "reject";
  /** Connections that were allowed when they began and no longer are. */
  readonly openConnections: "keep" | "re-evaluate";
  /** Without it only `port` of a range is allowed. */
  readonly endPort: boolean;
}

/** The API's words, and where they say nothing what most plugins do. */
export const defaultDialect: Dialect = {
  name: "default",
  ipBlockMatchesPods: true,
  selfTraffic: "allow",
  hairpin: "evaluate",
  ingressFromOwnNode: "allow",
  egressToOwnNode: "evaluate",
  hostNetworkPods: "node-address",
  otherProtocols: "rule-without-ports",
  refusal: "drop",
  openConnections: "keep",
  endPort: true,
};

/** The plugins whose switches are known; `default` first. */
export const dialects: readonly Dialect[] = [
  defaultDialect,
  { ...defaultDialect, name: "kube-router", otherProtocols: "allow", refusal: "reject" },
  { ...defaultDialect, name: "kube-network-policies", openConnections: "re-evaluate" },
  { ...defaultDialect, name: "calico" },
  {
    ...defaultDialect,
    name: "netpol-analyzer",
    ipBlockMatchesPods: false,
    ingressFromOwnNode: "evaluate",
    hostNetworkPods: "pod",
  },
];

/** The dialect of a name, as `--dialect` takes it. */
export function dialectNamed(name: string): Dialect | undefined {
  return dialects.find((dialect) => dialect.name === name);
}

/** The switches of a dialect that differ from the default, as words for the end of an answer; empty for the default. */
export function describeDialect(dialect: Dialect): readonly string[] {
  const said: string[] = [];
  if (!dialect.ipBlockMatchesPods) said.push("ipBlock does not match pods");
  if (dialect.selfTraffic === "evaluate") said.push("a pod's own address is policed");
  if (dialect.hairpin === "allow") said.push("a pod reaches itself through a Service");
  if (dialect.ingressFromOwnNode === "evaluate") said.push("the pod's own node is policed");
  if (dialect.egressToOwnNode === "allow") said.push("the pod may reach its own node");
  if (dialect.hostNetworkPods === "pod") said.push("host-network pods are pods");
  if (dialect.otherProtocols === "allow") said.push("ICMP and other protocols are allowed");
  if (dialect.otherProtocols === "deny")
    said.push("ICMP and other protocols are denied when isolated");
  if (dialect.refusal === "reject") said.push("refused clients get an ICMP error");
  if (dialect.openConnections === "re-evaluate") said.push("open connections are judged again");
  if (!dialect.endPort) said.push("endPort is not supported");
  return said;
}
