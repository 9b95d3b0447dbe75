import { cidrContains } from "./addresses.js";
import { because } from "./rendered-text.js";
import { serviceField, externallyReachable } from "./service-port.js";
import type { Vip } from "./vips.js";
import { writeNftEndpoints } from "./nftables-endpoints.js";
import type { NftPortRules } from "./nftables-port.js";
import { at } from "./objects.js";
import type { Reach } from "./service-state.js";

/** The chains of one service port and their rules. */
export function writeNftChains(rules: NftPortRules): void {
  const { script, port, state, chains, usesFirewall } = rules;
  const usesExternal = state.usable && externallyReachable(port);
  writeNftEndpoints(rules, () => {
    if (usesExternal)
      script.chain(
        chains.external,
        because(`entry of outside traffic to ${port.name}`, port.object),
      );
    const ranges = serviceField(port, "spec", "loadBalancerSourceRanges");
    if (usesFirewall)
      script.chain(chains.firewall, because(`loadBalancerSourceRanges of ${port.name}`, ranges));
    internalMasquerade(rules);
  });
  if (usesExternal) externalRules(rules);
  if (usesFirewall) firewallRule(rules);
}

/** The map entries that lead traffic to the chains, or turn it away. */
export function writeNftElements(rules: NftPortRules): void {
  const { script, port, state, chains, internalChain, usesFirewall, settings } = rules;
  script.element(
    "cluster-ips",
    port.clusterIP.address.text,
    because(`cluster IP of ${port.name}`, port.clusterIP.object),
  );
  if (state.internal === "endpoints") serve(rules, port.clusterIP, internalChain, "cluster IP");
  else refuse(rules, port.clusterIP, state.internal);
  for (const [what, vip] of [
    ...port.externalIPs.map((one) => ["external IP", one] as const),
    ...port.loadBalancerIPs.map((one) => ["loadbalancer IP", one] as const),
  ]) {
    if (state.usable) serve(rules, vip, chains.external, what);
    if (state.external !== "endpoints") refuse(rules, vip, state.external);
  }
  for (const vip of usesFirewall ? port.loadBalancerIPs : []) {
    const comment = settings.layout.firewallComments ? ` comment "${port.name}"` : "";
    const origin = because(
      `loadBalancerSourceRanges of ${port.name}`,
      serviceField(port, "spec", "loadBalancerSourceRanges"),
    );
    script.element(
      "firewall-ips",
      `${key(rules, vip)}${comment} : goto ${chains.firewall}`,
      origin,
    );
  }
  nodePortElements(rules);
}

function nodePortElements({ script, port, state, chains }: NftPortRules): void {
  if (port.nodePort === 0) return;
  const element = `${port.protocol} . ${port.nodePort}`;
  const field = at(port.object, "nodePort");
  const what = `node port ${port.nodePort}`;
  if (state.usable) {
    script.element(
      "service-nodeports",
      `${element} : goto ${chains.external}`,
      because(`${what} of ${port.name}`, field),
    );
  }
  if (state.external === "endpoints") return;
  script.element(
    "no-endpoint-nodeports",
    `${element} comment "${port.name}" : ${refusal(state.external)}`,
    because(`${what}: ${port.name} has ${state.external}`, field),
  );
}

function serve(rules: NftPortRules, vip: Vip, chain: string, what: string): void {
  rules.script.element(
    "service-ips",
    `${key(rules, vip)} : goto ${chain}`,
    because(`${what} of ${rules.port.name}`, vip.object),
  );
}

function refuse(rules: NftPortRules, vip: Vip, reach: Reach): void {
  const { name } = rules.port;
  rules.script.element(
    "no-endpoint-services",
    `${key(rules, vip)} comment "${name}" : ${refusal(reach)}`,
    because(`${name} has ${reach}`, vip.object),
  );
}

function refusal(reach: Reach): string {
  return reach === "no local endpoints" ? "drop" : "goto reject-chain";
}

function key({ port }: NftPortRules, { address }: Vip): string {
  return `${address.text} . ${port.protocol} . ${port.port}`;
}

/** First in the chain of the cluster IP. Layout L5 does it for all services at once. */
function internalMasquerade({
  script,
  port,
  state,
  settings,
  internalChain,
  markAction,
}: NftPortRules): void {
  const { layout, masqueradeAll, notLocal, ip } = settings;
  if (
    layout.hairpinSet ||
    state.internal !== "endpoints" ||
    (!masqueradeAll && notLocal === undefined)
  )
    return;
  const named = layout.masqueradeNamesPort ? ` ${port.protocol} dport ${port.port}` : "";
  const others = masqueradeAll ? "" : ` ${notLocal}`;
  script.rule(
    internalChain,
    `${ip} daddr ${port.clusterIP.address.text}${named}${others} ${markAction}`,
    because(
      masqueradeAll ? "masqueradeAll is set" : "clients that are not pods here are masqueraded",
      port.object,
    ),
  );
}

function externalRules({ script, port, state, settings, chains, markAction }: NftPortRules): void {
  const chain = chains.external;
  if (!port.externalPolicyLocal) {
    const origin = because(
      "externalTrafficPolicy Cluster: the reply must come back through this node",
      port.object,
    );
    script.rule(
      chain,
      `${markAction}${settings.layout.hairpinSet ? ' comment "masquerade"' : ""}`,
      origin,
    );
    script.rule(
      chain,
      `goto ${chains.cluster}`,
      because(`outside traffic to ${port.name}`, port.object),
    );
    return;
  }
  const policy = because(
    "externalTrafficPolicy Local does not bind clients inside the cluster",
    serviceField(port, "spec", "externalTrafficPolicy"),
  );
  if (settings.isLocal !== undefined) {
    script.rule(
      chain,
      `${settings.isLocal} goto ${chains.cluster} comment "short-circuit pod traffic"`,
      policy,
    );
  }
  script.rule(
    chain,
    `fib saddr type local ${markAction} comment "masquerade local traffic"`,
    policy,
  );
  script.rule(
    chain,
    `fib saddr type local goto ${chains.cluster} comment "short-circuit local traffic"`,
    policy,
  );
  if (state.external !== "endpoints") return;
  script.rule(
    chain,
    `goto ${chains.local}`,
    because(`outside traffic to ${port.name}`, port.object),
  );
}

/** It runs before DNAT, so the destination is still the load-balancer IP; what it lets through falls out of its end. */
function firewallRule({ script, port, settings, chains }: NftPortRules): void {
  const { nodeIP, ip } = settings;
  const holdsNode =
    nodeIP !== undefined && port.sourceRanges.some((range) => cidrContains(range, nodeIP));
  const sources = [
    ...port.sourceRanges.map(({ text }) => text),
    // What the node sends to a load-balancer IP that it holds itself has that IP as its source.
    ...(holdsNode ? port.loadBalancerIPs.map(({ address }) => address.text) : []),
  ];
  script.rule(
    chains.firewall,
    `${ip} saddr != { ${sources.join(" , ")} } drop`,
    because(
      `the client is outside loadBalancerSourceRanges of ${port.name}`,
      serviceField(port, "spec", "loadBalancerSourceRanges"),
    ),
  );
}
