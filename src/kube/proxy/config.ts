import { parseCidr } from "./addresses.js";

export type ProxyMode = "iptables" | "nftables" | "ipvs" | "userspace";
export type DetectLocalMode =
  | "ClusterCIDR"
  | "NodeCIDR"
  | "BridgeInterface"
  | "InterfaceNamePrefix";

/** What shapes a kube-proxy's rules: its settings, and what it found on the machine when it started. */
export interface ProxyConfig extends ProxySettings, ProxyMachine {}

/** Settings of KubeProxyConfiguration, resolved. */
export interface ProxySettings {
  readonly mode: ProxyMode;
  /** One CIDR for each family, in any order. */
  readonly clusterCIDRs: readonly string[];
  readonly detectLocalMode: DetectLocalMode;
  readonly bridgeInterface: string;
  readonly interfaceNamePrefix: string;
  /** The mark as rules spell it; see `markText`. */
  readonly masqueradeMark: string;
  readonly masqueradeAll: boolean;
  /** `--iptables-localhost-nodeports`. */
  readonly localhostNodePorts: boolean;
  /** CIDRs, or `primary`; empty for the mode's default. */
  readonly nodePortAddresses: readonly string[];
  readonly featureGates: { readonly [gate: string]: boolean };
}

/**
 * How nftables mode laid its rules out, by the releases that did: L1 1.29-1.30, L2 1.31-1.33, L3 1.34, L4 1.35, L5 1.36.
 * L4 is known from a description only.
 */
export type NftLayout = "L1" | "L2" | "L3" | "L4" | "L5";

/** What kube-proxy is, and what it asks the machine and the cluster when it starts. */
export interface ProxyMachine {
  /** iptables knows `MASQUERADE --random-fully` (1.6.2). */
  readonly randomFully: boolean;
  /** The nfacct object `ct_state_invalid_dropped_pkts` could be made. */
  readonly nfacctInvalid: boolean;
  /** The nfacct object `localhost_nps_accepted_pkts` could be made. */
  readonly nfacctLocalhost: boolean;
  /** The sysctl net.netfilter.nf_conntrack_tcp_be_liberal. */
  readonly conntrackTcpBeLiberal: boolean;
  /** nftables mode: the release's layout. */
  readonly nftLayout: NftLayout;
  /** nftables mode: the CIDRs of the cluster's ServiceCIDR objects; empty while they are not known. */
  readonly serviceCIDRs: readonly string[];
}

/** `masqueradeBit` as rules spell the mark: bit 14 is `0x00004000`. */
export function markText(bit: number): string {
  return `0x${(2 ** bit).toString(16).padStart(8, "0")}`;
}

/** A kube-proxy without settings. */
export const DEFAULT_SETTINGS: ProxySettings = {
  mode: "iptables",
  clusterCIDRs: [],
  detectLocalMode: "ClusterCIDR",
  bridgeInterface: "",
  interfaceNamePrefix: "",
  masqueradeMark: markText(14),
  masqueradeAll: false,
  localhostNodePorts: true,
  nodePortAddresses: [],
  featureGates: {},
};

/** A node of today without nfnetlink_acct. */
export const DEFAULT_MACHINE: ProxyMachine = {
  randomFully: true,
  nfacctInvalid: false,
  nfacctLocalhost: false,
  conntrackTcpBeLiberal: false,
  nftLayout: "L3",
  serviceCIDRs: [],
};

/** Stages of Kubernetes 1.34; a gate that is not listed is on only when it is set. */
const GATES_ON_BY_DEFAULT: readonly string[] = [
  "PreferSameTrafficDistribution",
  "LoadBalancerIPMode",
];

export function gateIsOn(config: Pick<ProxySettings, "featureGates">, gate: string): boolean {
  return (
    config.featureGates[gate] ??
    (config.featureGates["AllBeta"] !== false && GATES_ON_BY_DEFAULT.includes(gate))
  );
}

/** `a,b` as a list; undefined when one part is not a CIDR. */
export function cidrList(text: string): readonly string[] | undefined {
  const parts = text === "" ? [] : text.split(",");
  return parts.every((part) => parseCidr(part.trim()) !== undefined)
    ? parts.map((part) => part.trim())
    : undefined;
}
