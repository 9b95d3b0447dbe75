import type { Address, IpFamily } from "./addresses.js";
import type { LocalTraffic } from "./local-traffic.js";
import { serviceChains, type ServiceChains } from "./names.js";
import type { RestoreTable } from "./restore-text.js";
import type { ServicePort } from "./service-port.js";
import type { Vip } from "./vips.js";
import type { PortState } from "./service-state.js";

/** What of node and configuration the rules of a service port depend on. */
export interface IptablesSettings {
  readonly family: IpFamily;
  readonly nodeIP: Address | undefined;
  readonly local: LocalTraffic | undefined;
  readonly masqueradeAll: boolean;
  /** Node ports answer on 127.0.0.0/8. */
  readonly localhostNodePorts: boolean;
  /** Such connections are counted with nfacct. */
  readonly countLocalhost: boolean;
  /** False in large clusters: rules for single endpoints go without comment. */
  readonly endpointComments: boolean;
}

export interface IptablesTables {
  readonly filter: RestoreTable;
  readonly nat: RestoreTable;
}

/** One service port while its rules are written. */
export interface PortRules extends IptablesTables {
  readonly state: PortState;
  readonly port: ServicePort;
  readonly settings: IptablesSettings;
  readonly chains: ServiceChains;
  /** The chain that serves the cluster IP. */
  readonly internalChain: string;
  /** Load-balancer traffic passes the check of its source first. */
  readonly usesFirewall: boolean;
}

export function portRules(
  { filter, nat }: IptablesTables,
  state: PortState,
  settings: IptablesSettings,
): PortRules {
  const { port, usable } = state;
  const chains = serviceChains(port.name, port.protocol);
  return {
    filter,
    nat,
    state,
    port,
    settings,
    chains,
    internalChain: port.internalPolicyLocal ? chains.local : chains.cluster,
    usesFirewall: usable && port.loadBalancerIPs.length > 0 && port.sourceRanges.length > 0,
  };
}

/** The match of a port's protocol. */
export function protocolMatch({ protocol }: ServicePort): string {
  return `-m ${protocol} -p ${protocol}`;
}

/** The match of traffic to a service's port at one of its addresses. */
export function vipMatch(port: ServicePort, { address }: Vip): string {
  return `${protocolMatch(port)} -d ${address.text} --dport ${port.port}`;
}
