import type { Address, IpFamily } from "./addresses.js";
import type { NodeEndpoint } from "./categorize.js";
import type { NftLayout } from "./config.js";
import { nftEndpointName, nftServiceName } from "./names.js";
import type { NftScript } from "./nft-script.js";
import type { NodePortAddresses } from "./node.js";
import type { ServicePort } from "./service-port.js";
import type { PortState } from "./service-state.js";

interface NftJump {
  readonly from: string;
  readonly to: string;
  readonly onlyNew: boolean;
}

/** What differs between the layouts. */
export interface Layout {
  /** Name, type, hook and priority, in the order of creation. */
  readonly baseChains: readonly (readonly [
    name: string,
    type: "filter" | "nat",
    hook: string,
    priority: number,
  ])[];
  readonly jumps: readonly NftJump[];
  /** Rules set the mark themselves; there is no chain mark-for-masquerade. */
  readonly inlineMarks: boolean;
  /** A set finds hairpin connections, and endpoints have chains only for affinity. */
  readonly hairpinSet: boolean;
  /** The masquerade rule of a cluster IP names its port. */
  readonly masqueradeNamesPort: boolean;
  readonly firewallComments: boolean;
  readonly bridgeByIndex: boolean;
}

export function layoutOf(layout: NftLayout): Layout {
  const early = layout === "L1" || layout === "L2";
  return {
    baseChains: early ? EARLY_CHAINS : CHAINS,
    jumps: early ? EARLY_JUMPS : JUMPS,
    inlineMarks: layout === "L4" || layout === "L5",
    hairpinSet: layout === "L5",
    masqueradeNamesPort: early,
    firewallComments: layout === "L1",
    bridgeByIndex: layout === "L1",
  };
}

const NAT_CHAINS: Layout["baseChains"] = [
  ["nat-prerouting", "nat", "prerouting", -100],
  ["nat-output", "nat", "output", -100],
  ["nat-postrouting", "nat", "postrouting", 100],
];

const CHAINS: Layout["baseChains"] = [
  ["filter-prerouting-pre-dnat", "filter", "prerouting", -110],
  ["filter-output-pre-dnat", "filter", "output", -110],
  ["filter-input", "filter", "input", 0],
  ["filter-forward", "filter", "forward", 0],
  ["filter-output", "filter", "output", 0],
  ...NAT_CHAINS,
];

const EARLY_CHAINS: Layout["baseChains"] = [
  ["filter-prerouting", "filter", "prerouting", -110],
  ["filter-input", "filter", "input", -110],
  ["filter-forward", "filter", "forward", -110],
  ["filter-output", "filter", "output", -110],
  ["filter-output-post-dnat", "filter", "output", -90],
  ...NAT_CHAINS,
];

const JUMPS: readonly NftJump[] = jumpsWith(
  "filter-prerouting-pre-dnat",
  "filter-output-pre-dnat",
  "filter-output",
);
const EARLY_JUMPS: readonly NftJump[] = jumpsWith(
  "filter-prerouting",
  "filter-output",
  "filter-output-post-dnat",
);

/** `firewallIn` and `firewallOut` run before DNAT, `afterDnat` is output after it. */
function jumpsWith(firewallIn: string, firewallOut: string, afterDnat: string): readonly NftJump[] {
  return [
    { from: "filter-input", to: "nodeport-endpoints-check", onlyNew: true },
    { from: "filter-input", to: "service-endpoints-check", onlyNew: true },
    { from: "filter-forward", to: "service-endpoints-check", onlyNew: true },
    { from: "filter-output", to: "service-endpoints-check", onlyNew: true },
    { from: firewallIn, to: "firewall-check", onlyNew: true },
    { from: firewallOut, to: "firewall-check", onlyNew: true },
    { from: "nat-output", to: "services", onlyNew: false },
    { from: "nat-prerouting", to: "services", onlyNew: false },
    { from: "nat-postrouting", to: "masquerading", onlyNew: false },
    { from: "filter-forward", to: "cluster-ips-check", onlyNew: true },
    { from: afterDnat, to: "cluster-ips-check", onlyNew: true },
  ];
}

/** What of node and configuration the rules depend on. */
export interface NftSettings {
  readonly family: IpFamily;
  readonly ip: "ip" | "ip6";
  readonly layout: Layout;
  readonly mark: string;
  readonly masqueradeAll: boolean;
  /** The matches of traffic of the node's own pods, and of all other; undefined when nothing tells them apart. */
  readonly isLocal: string | undefined;
  readonly notLocal: string | undefined;
  readonly nodeIP: Address | undefined;
  readonly nodePorts: NodePortAddresses;
}

/** One service port while its commands are written. */
export interface NftPortRules {
  readonly script: NftScript;
  readonly state: PortState;
  readonly port: ServicePort;
  readonly settings: NftSettings;
  readonly chains: {
    readonly cluster: string;
    readonly local: string;
    readonly external: string;
    readonly firewall: string;
  };
  /** The chain that serves the cluster IP. */
  readonly internalChain: string;
  /** Unlike in iptables mode a firewall needs no endpoints. */
  readonly usesFirewall: boolean;
  /** What marks a packet for masquerade. */
  readonly markAction: string;
}

export function nftPortRules(
  script: NftScript,
  state: PortState,
  settings: NftSettings,
): NftPortRules {
  const { port } = state;
  const name = nftServiceName(
    port.object.namespace,
    port.object.name,
    port.protocol,
    port.portName,
  );
  const chains = {
    cluster: `service-${name}`,
    local: `local-${name}`,
    external: `external-${name}`,
    firewall: `firewall-${name}`,
  };
  return {
    script,
    state,
    port,
    settings,
    chains,
    internalChain: port.internalPolicyLocal ? chains.local : chains.cluster,
    usesFirewall: port.loadBalancerIPs.length > 0 && port.sourceRanges.length > 0,
    markAction: settings.layout.inlineMarks
      ? `mark set mark or ${settings.mark}`
      : "jump mark-for-masquerade",
  };
}

/** The name of an endpoint, to be prefixed with `endpoint-` or `affinity-`. */
export function endpointName({ port }: NftPortRules, endpoint: NodeEndpoint): string {
  return nftEndpointName(port.object, port.protocol, port.portName, endpoint);
}
