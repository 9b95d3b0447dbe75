import { cidrContains } from "./addresses.js";
import { because } from "./rendered-text.js";
import { serviceField, externallyReachable } from "./service-port.js";
import { vipMatch, type PortRules } from "./iptables-port.js";
import { iptablesMatch } from "./local-traffic.js";

/** What happens between the capture of a packet and the choice of its endpoint: masquerade, traffic policy, source ranges. */
export function writePolicyChains(rules: PortRules): void {
  internalMasquerade(rules);
  externalChain(rules);
  firewallChain(rules);
}

/** The chain is also entered from the external chain, so the rule asks for the cluster IP again. */
function internalMasquerade({ port, state, settings, internalChain, nat }: PortRules): void {
  const { masqueradeAll, local } = settings;
  if (state.internal !== "endpoints" || (!masqueradeAll && local === undefined)) return;
  const others = masqueradeAll || local === undefined ? "" : ` ${iptablesMatch(local, true)}`;
  nat.rule(
    `-A ${internalChain} -m comment --comment "${port.name} cluster IP" ${vipMatch(port, port.clusterIP)}${others}` +
      " -j KUBE-MARK-MASQ",
    because(
      masqueradeAll ? "masqueradeAll is set" : "clients that are not pods here are masqueraded",
      port.object,
    ),
  );
}

function externalChain(rules: PortRules): void {
  const { port, state, chains, nat } = rules;
  if (!state.usable || !externallyReachable(port)) return;
  const chain = chains.external;
  nat.chain(chain, because(`entry of outside traffic to ${port.name}`, port.object));
  if (port.externalPolicyLocal) shortCircuits(rules);
  else {
    nat.rule(
      `-A ${chain} -m comment --comment "masquerade traffic for ${port.name} external destinations" -j KUBE-MARK-MASQ`,
      because(
        "externalTrafficPolicy Cluster: the reply must come back through this node",
        port.object,
      ),
    );
  }
  if (state.external !== "endpoints") return;
  const to = port.externalPolicyLocal ? chains.local : chains.cluster;
  nat.rule(`-A ${chain} -j ${to}`, because(`outside traffic to ${port.name}`, port.object));
}

/** With policy Local outside clients keep their address; pods and the node itself go to all endpoints. */
function shortCircuits({ port, chains, settings, nat }: PortRules): void {
  const head = (what: string): string =>
    `-A ${chains.external} -m comment --comment "${what} traffic for ${port.name} external destinations"`;
  const origin = because(
    "externalTrafficPolicy Local does not bind clients inside the cluster",
    serviceField(port, "spec", "externalTrafficPolicy"),
  );
  if (settings.local !== undefined) {
    nat.rule(`${head("pod")} ${iptablesMatch(settings.local, false)} -j ${chains.cluster}`, origin);
  }
  nat.rule(`${head("masquerade LOCAL")} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`, origin);
  nat.rule(`${head("route LOCAL")} -m addrtype --src-type LOCAL -j ${chains.cluster}`, origin);
}

function firewallChain({ port, chains, settings, usesFirewall, nat }: PortRules): void {
  if (!usesFirewall) return;
  const chain = chains.firewall;
  const origin = because(
    `loadBalancerSourceRanges of ${port.name}`,
    serviceField(port, "spec", "loadBalancerSourceRanges"),
  );
  const accept = (source: string): void => {
    const comment = `-m comment --comment "${port.name} loadbalancer IP"`;
    nat.rule(`-A ${chain} ${comment} -s ${source} -j ${chains.external}`, origin);
  };
  nat.chain(chain, origin);
  for (const range of port.sourceRanges) accept(range.text);
  // What the node sends to a load-balancer IP that it holds itself has that IP as its source.
  const { nodeIP } = settings;
  if (nodeIP !== undefined && port.sourceRanges.some((range) => cidrContains(range, nodeIP))) {
    for (const vip of port.loadBalancerIPs) accept(vip.address.text);
  }
  nat.rule(
    `-A ${chain} -m comment --comment "other traffic to ${port.name} will be dropped by KUBE-PROXY-FIREWALL"`,
    origin,
  );
}
