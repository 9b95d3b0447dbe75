import { parseCidr } from "./addresses.js";
import type { ProxyConfig } from "./config.js";
import { localTraffic, nftablesMatch } from "./local-traffic.js";
import { NftScript } from "./nft-script.js";
import { layoutOf, nftPortRules, type NftSettings } from "./nftables-port.js";
import { writeNftElements, writeNftChains } from "./nftables-service.js";
import { nodePortAddresses, primaryIP, type ProxyNode } from "./node.js";
import { always, type RenderedText } from "./rendered-text.js";
import type { ServiceState } from "./service-state.js";

/**
 * The commands by which kube-proxy in nftables mode fills its table in an empty kernel, for `nft -f`. Services stand in the
 * order of `state.ports`. An empty `nodePortAddresses` means `primary`. Mirrors pkg/proxy/nftables/proxier.go:syncProxyRules().
 */
export function renderNftables(
  state: ServiceState,
  node: ProxyNode,
  config: ProxyConfig,
): RenderedText {
  const script = new NftScript(state.family);
  const settings = settingsOf(state, node, config);
  script.table("rules for kube-proxy", always("kube-proxy keeps everything in one table"));
  writeSets(script, settings);
  writeBaseChains(script, settings);
  writeMasquerade(script, settings);
  writeCheckChains(script, settings, config);
  for (const port of state.ports) {
    const rules = nftPortRules(script, port, settings);
    writeNftChains(rules);
    writeNftElements(rules);
  }
  return script.rendered();
}

function settingsOf(state: ServiceState, node: ProxyNode, config: ProxyConfig): NftSettings {
  const setting = config.nodePortAddresses.length === 0 ? ["primary"] : config.nodePortAddresses;
  const layout = layoutOf(config.nftLayout);
  const local = localTraffic(config, node, state.family);
  const match = (inverted: boolean): string | undefined =>
    local && nftablesMatch(local, state.family, inverted, layout.bridgeByIndex);
  return {
    family: state.family,
    ip: state.family === 4 ? "ip" : "ip6",
    layout,
    mark: config.masqueradeMark,
    masqueradeAll: config.masqueradeAll,
    isLocal: match(false),
    notLocal: match(true),
    nodeIP: primaryIP(node, state.family),
    nodePorts: nodePortAddresses(setting, node, state.family),
  };
}

/** The sets and maps in the order of their creation, which `nft list` keeps. */
function writeSets(script: NftScript, { family, layout, nodePorts }: NftSettings): void {
  const address = family === 4 ? "ipv4_addr" : "ipv6_addr";
  const endpoint = `${address} . inet_proto . inet_service`;
  const add = (kind: "set" | "map", name: string, type: string, comment: string): void =>
    script.set(kind, name, `type ${type} ; comment "${comment}"`, always(comment));
  if (layout.hairpinSet)
    add("set", "hairpin-connections", `${address} . ${endpoint}`, "service hairpin connections");
  add("set", "cluster-ips", address, "Active ClusterIPs");
  if (!nodePorts.matchAll) add("set", "nodeport-ips", address, "IPs that accept NodePort traffic");
  add(
    "map",
    "no-endpoint-services",
    `${endpoint} : verdict`,
    "vmap to drop or reject packets to services with no endpoints",
  );
  add(
    "map",
    "no-endpoint-nodeports",
    "inet_proto . inet_service : verdict",
    "vmap to drop or reject packets to service nodeports with no endpoints",
  );
  add(
    "map",
    "firewall-ips",
    `${endpoint} : verdict`,
    "destinations that are subject to LoadBalancerSourceRanges",
  );
  add(
    "map",
    "service-ips",
    `${endpoint} : verdict`,
    "ClusterIP, ExternalIP and LoadBalancer IP traffic",
  );
  add("map", "service-nodeports", "inet_proto . inet_service : verdict", "NodePort traffic");
  for (const { text } of nodePorts.addresses) {
    if (text === "::1" || text.startsWith("127.")) continue;
    script.element("nodeport-ips", text, always(`nodePortAddresses has ${text}`));
  }
}

/** Hooks, and the jumps out of them; each target is made right before the first jump to it. */
function writeBaseChains(script: NftScript, { layout }: NftSettings): void {
  for (const [name, type, hook, priority] of layout.baseChains) {
    script.chain(
      name,
      always(`kube-proxy's place in ${hook}`),
      `type ${type} hook ${hook} priority ${priority}`,
    );
  }
  const made = new Set<string>();
  for (const { from, to, onlyNew } of layout.jumps) {
    if (!made.has(to)) script.chain(to, always("a chain of kube-proxy"));
    made.add(to);
    script.rule(
      from,
      `${onlyNew ? "ct state new " : ""}jump ${to}`,
      always(`sends ${from} to ${to}`),
    );
  }
}

function writeMasquerade(script: NftScript, { layout, mark, ip }: NftSettings): void {
  const rule = (text: string, why: string): void => script.rule("masquerading", text, always(why));
  if (layout.inlineMarks) {
    rule(
      `mark and ${mark} != 0 mark set mark xor ${mark} masquerade fully-random`,
      "marked packets leave with the node's address and without the mark",
    );
  } else {
    script.chain("mark-for-masquerade", always("marks a packet for masquerade"));
    script.rule(
      "mark-for-masquerade",
      `mark set mark or ${mark}`,
      always("marks a packet for masquerade"),
    );
    rule(`mark and ${mark} == 0 return`, "only marked packets are masqueraded");
    rule(`mark set mark xor ${mark}`, "a masqueraded packet loses its mark");
    rule("masquerade fully-random", "marked packets leave with the node's address");
  }
  if (!layout.hairpinSet) return;
  rule(
    `ct status dnat ${ip} saddr . ${ip} daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random`,
    "an endpoint that reaches itself through its service is masqueraded",
  );
}

function writeCheckChains(script: NftScript, settings: NftSettings, config: ProxyConfig): void {
  const { ip, nodePorts, family, layout } = settings;
  const loopback = family === 4 ? "127.0.0.0/8" : "::1";
  const nodePort = "meta l4proto . th dport vmap";
  const onNode = nodePorts.matchAll ? `${ip} daddr != ${loopback}` : `${ip} daddr @nodeport-ips`;
  const toService = `${ip} daddr . meta l4proto . th dport vmap`;
  const rejectComment = "helper for @no-endpoint-services / @no-endpoint-nodeports";
  script.chain("reject-chain", always(rejectComment), `comment "${rejectComment}"`);
  script.rule("reject-chain", "reject", always("answers for services without endpoints"));
  const unserved = always("turns away traffic to services without usable endpoints");
  script.rule("nodeport-endpoints-check", `${onNode} ${nodePort} @no-endpoint-nodeports`, unserved);
  script.rule("service-endpoints-check", `${toService} @no-endpoint-services`, unserved);
  script.rule(
    "firewall-check",
    `${toService} @firewall-ips`,
    always("checks loadBalancerSourceRanges"),
  );
  if (layout.hairpinSet) masqueradeClusterIPs(script, settings);
  script.rule(
    "services",
    `${toService} @service-ips`,
    always("traffic to an address of a service"),
  );
  const localNodePort = nodePorts.matchAll ? `fib daddr type local ${onNode}` : onNode;
  script.rule(
    "services",
    `${localNodePort} ${nodePort} @service-nodeports`,
    always("traffic to a node port"),
  );
  writeClusterIPsCheck(script, settings, config);
}

/** Layout L5 marks all cluster-IP traffic in one place. */
function masqueradeClusterIPs(
  script: NftScript,
  { ip, mark, masqueradeAll, notLocal }: NftSettings,
): void {
  const set = `mark set mark or ${mark}`;
  const toClusterIP = `${ip} daddr @cluster-ips`;
  const all = "masquerade all clusterIP traffic";
  const outside = "masquerade clusterIP traffic from outside cluster";
  if (masqueradeAll) script.rule("services", `${toClusterIP} ${set} comment "${all}"`, always(all));
  else if (notLocal !== undefined) {
    script.rule(
      "services",
      `${toClusterIP} ${notLocal} ${set} comment "${outside}"`,
      always(outside),
    );
  }
}

function writeClusterIPsCheck(
  script: NftScript,
  { ip, family }: NftSettings,
  config: ProxyConfig,
): void {
  const check = (text: string, comment: string): void =>
    script.rule("cluster-ips-check", `${text} comment "${comment}"`, always(comment));
  check(`${ip} daddr @cluster-ips reject`, "Reject traffic to invalid ports of ClusterIPs");
  const cidrs = serviceCIDRText(config.serviceCIDRs, family);
  if (cidrs !== "")
    check(`${ip} daddr { ${cidrs} } drop`, "Drop traffic to unallocated ClusterIPs");
}

/** The service CIDRs of one family, joined as kube-proxy joins them. */
export function serviceCIDRText(serviceCIDRs: readonly string[], family: 4 | 6): string {
  const cidrs = serviceCIDRs
    .flatMap((text) => parseCidr(text) ?? [])
    .filter((cidr) => cidr.family === family);
  return cidrs.map(({ text }) => text).join(",");
}
