import type { ProxyConfig } from "./config.js";
import { writeCaptureRules } from "./iptables-capture.js";
import { writeEndpointChains } from "./iptables-endpoints.js";
import { writePolicyChains } from "./iptables-policy.js";
import { portRules, type IptablesSettings, type IptablesTables } from "./iptables-port.js";
import { localTraffic } from "./local-traffic.js";
import { nodePortAddresses, primaryIP, type NodePortAddresses, type ProxyNode } from "./node.js";
import { always, type RenderedText } from "./rendered-text.js";
import { restoreText, RestoreTable } from "./restore-text.js";
import type { ServiceState } from "./service-state.js";

/** Above this many endpoints the rules for single endpoints go without comments. */
const LARGE_CLUSTER_ENDPOINTS = 1000;

/**
 * The text that kube-proxy in iptables mode gives to `iptables-restore --noflush --counters` (ip6tables-restore for
 * family 6) at a full sync. Services stand in the order of `state.ports`.
 * Mirrors pkg/proxy/iptables/proxier.go:syncProxyRules().
 */
export function renderIptables(
  state: ServiceState,
  node: ProxyNode,
  config: ProxyConfig,
): RenderedText {
  const nodePorts = nodePortAddresses(config.nodePortAddresses, node, state.family);
  const settings = settingsOf(state, node, config, nodePorts);
  const tables: IptablesTables = {
    filter: new RestoreTable("filter"),
    nat: new RestoreTable("nat"),
  };
  declareChains(tables, settings);
  writeFirstRules(tables, settings, config);
  for (const port of state.ports) {
    const rules = portRules(tables, port, settings);
    writeCaptureRules(rules);
    writePolicyChains(rules);
    writeEndpointChains(rules);
  }
  writeNodePortJumps(tables.nat, settings, nodePorts);
  writeForwardRules(tables.filter, config);
  return restoreText([tables.filter, tables.nat]);
}

/** True when node ports answer on 127.0.0.1, for which kube-proxy sets net.ipv4.conf.all.route_localnet. */
export function localhostNodePorts(node: ProxyNode, config: ProxyConfig): boolean {
  return (
    config.localhostNodePorts &&
    nodePortAddresses(config.nodePortAddresses, node, 4).containsIPv4Loopback
  );
}

function settingsOf(
  state: ServiceState,
  node: ProxyNode,
  config: ProxyConfig,
  nodePorts: NodePortAddresses,
): IptablesSettings {
  const localhost =
    state.family === 4 && config.localhostNodePorts && nodePorts.containsIPv4Loopback;
  return {
    family: state.family,
    nodeIP: primaryIP(node, state.family),
    local: localTraffic(config, node, state.family),
    masqueradeAll: config.masqueradeAll,
    localhostNodePorts: localhost,
    countLocalhost: localhost && config.nfacctLocalhost,
    endpointComments: state.totalEndpoints <= LARGE_CLUSTER_ENDPOINTS,
  };
}

function declareChains(
  { filter, nat }: IptablesTables,
  { localhostNodePorts: localhost }: IptablesSettings,
): void {
  const origin = always("a chain of kube-proxy");
  filter.chain("KUBE-SERVICES", origin);
  filter.chain("KUBE-EXTERNAL-SERVICES", origin);
  filter.chain("KUBE-FORWARD", origin);
  filter.chain("KUBE-NODEPORTS", origin);
  filter.chain("KUBE-PROXY-FIREWALL", origin);
  if (localhost) filter.chain("KUBE-FIREWALL", always("a chain that kubelet and kube-proxy share"));
  for (const name of ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"])
    nat.chain(name, origin);
}

/** The rule by which kubelet, and kube-proxy with localhost node ports, keep other hosts away from 127.0.0.1. */
export const MARTIAN_RULE: string =
  '-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8' +
  " -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP";

function writeFirstRules(
  { filter, nat }: IptablesTables,
  settings: IptablesSettings,
  config: ProxyConfig,
): void {
  const mark = config.masqueradeMark;
  if (settings.localhostNodePorts)
    filter.rule(MARTIAN_RULE, always("route_localnet must not open 127.0.0.1 to others"));
  const unmarked = always("only marked packets are masqueraded");
  nat.rule(`-A KUBE-POSTROUTING -m mark ! --mark ${mark}/${mark} -j RETURN`, unmarked);
  nat.rule(
    `-A KUBE-POSTROUTING -j MARK --xor-mark ${mark}`,
    always("a masqueraded packet loses its mark"),
  );
  nat.rule(
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE' +
      (config.randomFully ? " --random-fully" : ""),
    always("marked packets leave with the node's address"),
  );
  nat.rule(`-A KUBE-MARK-MASQ -j MARK --or-mark ${mark}`, always("marks a packet for masquerade"));
}

/** The dispatch to node ports, last in KUBE-SERVICES. Loopback addresses count only with localhost node ports. */
function writeNodePortJumps(
  nat: RestoreTable,
  settings: IptablesSettings,
  nodePorts: NodePortAddresses,
): void {
  const rule = (match: string, why: string): void =>
    nat.rule(
      '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"' +
        ` ${match} -j KUBE-NODEPORTS`,
      always(why),
    );
  if (nodePorts.matchAll) {
    const loopback = settings.family === 4 ? "127.0.0.0/8" : "::1/128";
    const except = settings.localhostNodePorts ? "" : ` ! -d ${loopback}`;
    rule(`-m addrtype --dst-type LOCAL${except}`, "node ports answer on every address of the node");
    return;
  }
  for (const address of nodePorts.addresses) {
    const isLoopback =
      address.family === 4 ? address.text.startsWith("127.") : address.text === "::1";
    if (isLoopback && !settings.localhostNodePorts) continue;
    rule(`-d ${address.text}`, `nodePortAddresses has ${address.text}`);
  }
}

function writeForwardRules(filter: RestoreTable, config: ProxyConfig): void {
  const mark = config.masqueradeMark;
  if (!config.conntrackTcpBeLiberal) {
    const count = config.nfacctInvalid
      ? " -m nfacct --nfacct-name ct_state_invalid_dropped_pkts"
      : "";
    filter.rule(
      `-A KUBE-FORWARD -m conntrack --ctstate INVALID${count} -j DROP`,
      always(
        "a packet that conntrack cannot place would leave without its NAT and reset the client's connection",
      ),
    );
  }
  filter.rule(
    `-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark ${mark}/${mark} -j ACCEPT`,
    always("service traffic that will be masqueraded may be forwarded"),
  );
  filter.rule(
    '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule"' +
      " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    always("traffic of known connections may be forwarded"),
  );
}
