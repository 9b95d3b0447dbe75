import { readFileSync } from "node:fs";
import type { Service } from "kubernetes-types/core/v1.js";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";
import type { IpFamily } from "../../../src/kube/proxy/addresses.js";
import {
  DEFAULT_MACHINE,
  DEFAULT_SETTINGS,
  type ProxyConfig,
} from "../../../src/kube/proxy/config.js";
import type { ProxyNode } from "../../../src/kube/proxy/node.js";
import {
  serviceObjects,
  serviceState,
  type ServiceState,
} from "../../../src/kube/proxy/service-state.js";

/** How test/golden/kube-proxy.json spells a configuration. */
export interface CaseConfig {
  readonly mode?: "iptables" | "nftables";
  readonly family: IpFamily;
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly hostAddrs: readonly string[];
  readonly mark: string;
  readonly masqueradeAll?: boolean;
  readonly detectLocal: {
    readonly kind: "cidr";
    readonly v4: string | null;
    readonly v6: string | null;
  };
  readonly localhostNodePorts?: boolean;
  readonly nodePortAddresses: readonly string[];
  readonly serviceCIDRs?: readonly string[];
  readonly nfacctInvalid?: boolean;
  readonly nfacctLocalhost?: boolean;
  readonly randomFully?: boolean;
  readonly conntrackTCPLiberal?: boolean;
}

/** A packet and what becomes of it, in the words of the file's `about.tracer`. */
export interface Flow {
  readonly name: string;
  readonly sourceIP: string;
  readonly protocol: string;
  readonly destIP: string;
  readonly destPort: number;
  readonly output: string;
  readonly masq: boolean;
}

export interface Expected {
  readonly iptablesSorted?: string;
  readonly flows?: readonly Flow[];
  readonly containsRules?: readonly string[];
  readonly lacksRules?: readonly string[];
  readonly metrics?: {
    readonly noLocalEndpoints: { readonly internal: number; readonly external: number };
  };
  readonly nftLines?: readonly string[];
}

export interface Inputs {
  readonly config: CaseConfig;
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
}

export interface Case extends Inputs {
  readonly id: string;
  readonly layout?: "L3" | "L5";
  readonly expected: Expected;
  readonly derived?: Expected;
}

export interface CategorizeRow {
  readonly name: string;
  readonly nodeLabels: { readonly [label: string]: string };
  readonly service: {
    readonly internalPolicyLocal: boolean;
    readonly externalPolicyLocal: boolean;
    readonly nodePort: number;
  };
  readonly endpoints: readonly {
    readonly endpoint: string;
    readonly ready: boolean;
    readonly serving: boolean;
    readonly terminating: boolean;
    readonly isLocal: boolean;
    readonly zoneHints?: readonly string[] | null;
  }[];
  readonly expected: CategorizeResult;
  readonly derivedHintsEra?: CategorizeResult;
}

export interface CategorizeResult {
  readonly clusterEndpoints: readonly string[] | null;
  readonly localEndpoints: readonly string[] | null;
  readonly allReachableEndpoints: readonly string[];
  readonly hasAnyEndpoints: boolean;
}

interface Golden {
  readonly nameHashes: readonly {
    readonly kind: string;
    readonly input: string;
    readonly chain: string;
  }[];
  readonly probabilities: readonly { readonly n: number; readonly text: string }[];
  readonly serviceCIDRs: readonly {
    readonly family: IpFamily;
    readonly event: readonly string[];
    readonly text: string;
  }[];
  readonly categorizeEndpoints: { readonly rows: readonly CategorizeRow[] };
  readonly ipvsCases: readonly { readonly id: string }[];
  readonly workedExample: Inputs & {
    readonly iptablesRestoreInput: string;
    readonly iptablesSave_nat_filter_mangle_withKubelet: string;
    readonly iptablesSave_withoutKubelet: string;
    readonly nftListL3: string;
    readonly nftListL5: string;
  };
  readonly kernelTexts: {
    readonly iptablesSaveOverall: string;
    readonly nftListOverallL3: string;
    readonly nftListOverallL5: string;
    readonly nftListOverallL3MatchAllNodePorts: string;
  };
  readonly cases: readonly Case[];
}

/** Recorded from upstream's tests and real tools; the file's `about` says how. */
export const golden: Golden = JSON.parse(
  readFileSync(new URL("../../golden/kube-proxy.json", import.meta.url), "utf8"),
) as Golden;

export const iptablesCases: readonly Case[] = golden.cases.filter(
  ({ config }) => config.mode === "iptables",
);
export const nftablesCases: readonly Case[] = golden.cases.filter(
  ({ config }) => config.mode === "nftables",
);

export function configOf(config: CaseConfig): ProxyConfig {
  const { v4, v6 } = config.detectLocal;
  return {
    ...DEFAULT_SETTINGS,
    ...DEFAULT_MACHINE,
    mode: config.mode ?? "iptables",
    clusterCIDRs: [v4, v6].filter((cidr) => cidr !== null),
    masqueradeMark: config.mark,
    masqueradeAll: config.masqueradeAll ?? false,
    localhostNodePorts: config.localhostNodePorts ?? false,
    nodePortAddresses: config.nodePortAddresses,
    nfacctInvalid: config.nfacctInvalid ?? false,
    nfacctLocalhost: config.nfacctLocalhost ?? false,
    randomFully: config.randomFully ?? false,
    conntrackTcpBeLiberal: config.conntrackTCPLiberal ?? false,
    serviceCIDRs: config.serviceCIDRs ?? [],
  };
}

export function nodeOf(config: CaseConfig): ProxyNode {
  return {
    name: config.nodeName,
    labels: {},
    podCIDRs: [],
    primaryIPs: [config.nodeIP],
    localAddresses: config.hostAddrs.map((address) => address.replace(/\/\d+$/, "")),
  };
}

export function stateOf({ config, services, endpointSlices }: Inputs): ServiceState {
  return serviceState(serviceObjects({ services, endpointSlices }, config.family), nodeOf(config));
}
