import { because } from "./rendered-text.js";
import { protocolMatch, vipMatch, type PortRules } from "./iptables-port.js";
import { serviceField } from "./service-port.js";
import type { Vip } from "./vips.js";
import { at } from "./objects.js";
import type { Reach } from "./service-state.js";

/** The rules that catch traffic to a service port, and those that turn it away where nobody can answer. */
export function writeCaptureRules(rules: PortRules): void {
  clusterIP(rules);
  externalIPs(rules);
  loadBalancerIPs(rules);
  nodePort(rules);
  healthCheckNodePort(rules);
}

function clusterIP(rules: PortRules): void {
  const { port, state } = rules;
  if (state.internal === "endpoints")
    capture(rules, port.clusterIP, "cluster IP", rules.internalChain);
  else refuse(rules, "KUBE-SERVICES", port.clusterIP, state.internal);
}

/** Both rules can exist: with no local endpoints clients inside the cluster are still served. */
function externalIPs(rules: PortRules): void {
  const { port, state, chains } = rules;
  for (const vip of port.externalIPs) {
    if (state.usable) capture(rules, vip, "external IP", chains.external);
    if (state.external !== "endpoints")
      refuse(rules, "KUBE-EXTERNAL-SERVICES", vip, state.external);
  }
}

function loadBalancerIPs(rules: PortRules): void {
  const { port, state, chains, usesFirewall, filter } = rules;
  for (const vip of port.loadBalancerIPs) {
    if (state.usable)
      capture(rules, vip, "loadbalancer IP", usesFirewall ? chains.firewall : chains.external);
    if (!usesFirewall) continue;
    filter.rule(
      `-A KUBE-PROXY-FIREWALL -m comment --comment "${port.name} traffic not accepted by ${chains.firewall}"` +
        ` ${vipMatch(port, vip)} -j DROP`,
      because(
        `the client is outside loadBalancerSourceRanges of ${port.name}`,
        serviceField(port, "spec", "loadBalancerSourceRanges"),
      ),
    );
  }
  if (state.external === "endpoints") return;
  for (const vip of port.loadBalancerIPs)
    refuse(rules, "KUBE-EXTERNAL-SERVICES", vip, state.external);
}

function nodePort({ port, state, settings, chains, filter, nat }: PortRules): void {
  if (port.nodePort === 0) return;
  const field = at(port.object, "nodePort");
  const origin = because(`node port ${port.nodePort} of ${port.name}`, field);
  const head = `-A KUBE-NODEPORTS -m comment --comment ${port.name} ${protocolMatch(port)}`;
  if (state.usable && settings.countLocalhost) {
    const count = "-m nfacct --nfacct-name localhost_nps_accepted_pkts";
    nat.rule(
      `${head} -d 127.0.0.0/8 --dport ${port.nodePort} ${count} -j ${chains.external}`,
      origin,
    );
  }
  if (state.usable) nat.rule(`${head} --dport ${port.nodePort} -j ${chains.external}`, origin);
  if (state.external === "endpoints") return;
  filter.rule(
    `-A KUBE-EXTERNAL-SERVICES -m comment --comment "${port.name} has ${state.external}" -m addrtype --dst-type LOCAL` +
      ` ${protocolMatch(port)} --dport ${port.nodePort} -j ${refusal(state.external)}`,
    because(`node port ${port.nodePort}: ${port.name} has ${state.external}`, field),
  );
}

/** kube-proxy itself listens there; the rule only lets the probes in. */
function healthCheckNodePort({ port, filter }: PortRules): void {
  if (port.healthCheckNodePort === 0) return;
  filter.rule(
    `-A KUBE-NODEPORTS -m comment --comment "${port.name} health check node port" -m tcp -p tcp` +
      ` --dport ${port.healthCheckNodePort} -j ACCEPT`,
    because(
      `health check node port of ${port.name}`,
      serviceField(port, "spec", "healthCheckNodePort"),
    ),
  );
}

/** Sends what goes to an address of the service on to `chain`. */
function capture({ port, nat }: PortRules, vip: Vip, what: string, chain: string): void {
  nat.rule(
    `-A KUBE-SERVICES -m comment --comment "${port.name} ${what}" ${vipMatch(port, vip)} -j ${chain}`,
    because(`${what} of ${port.name}`, vip.object),
  );
}

function refuse({ port, filter }: PortRules, chain: string, vip: Vip, reach: Reach): void {
  filter.rule(
    `-A ${chain} -m comment --comment "${port.name} has ${reach}" ${vipMatch(port, vip)} -j ${refusal(reach)}`,
    because(`${port.name} has ${reach}`, vip.object),
  );
}

/** Nobody can answer: tell the client. Somebody elsewhere could: stay silent, so that a load balancer turns away. */
function refusal(reach: Reach): "REJECT" | "DROP" {
  return reach === "no local endpoints" ? "DROP" : "REJECT";
}
