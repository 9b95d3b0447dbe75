import { cidrContains, type Address, type IpFamily } from "./addresses.js";
import type { NodeEndpoint } from "./categorize.js";
import { iptablesMatch, type LocalTraffic } from "./local-traffic.js";
import { endpointChain, serviceChains, type ServiceChains } from "./names.js";
import { at, type ObjectRef } from "./objects.js";
import type { LineOrigin, RestoreTable } from "./restore-text.js";
import { externallyReachable, type Vip } from "./service-port.js";
import type { PortState, Reach } from "./service-state.js";

export interface IptablesTables {
  readonly filter: RestoreTable;
  readonly nat: RestoreTable;
}

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

/** Writes the chains and rules of one service port, in kube-proxy's order. */
export function writeServicePort(
  tables: IptablesTables,
  state: PortState,
  settings: IptablesSettings,
): void {
  const writer = new PortWriter(tables, state, settings);
  writer.clusterIP();
  writer.externalIPs();
  writer.loadBalancerIPs();
  writer.nodePort();
  writer.healthCheckNodePort();
  writer.internalMasquerade();
  writer.externalChain();
  writer.firewallChain();
  writer.endpointChains();
}

/** The rules of one service port; each method is a step of kube-proxy's loop over services. */
class PortWriter {
  readonly #filter: RestoreTable;
  readonly #nat: RestoreTable;
  readonly #state: PortState;
  readonly #settings: IptablesSettings;
  readonly #chains: ServiceChains;
  readonly #usesFirewall: boolean;
  /** Chain and whether it is used, per endpoint of `reachable`. */
  readonly #endpointChains: ReadonlyMap<string, string>;

  constructor(tables: IptablesTables, state: PortState, settings: IptablesSettings) {
    const { port, usable, reachable } = state;
    this.#filter = tables.filter;
    this.#nat = tables.nat;
    this.#state = state;
    this.#settings = settings;
    this.#chains = serviceChains(port.name, port.protocol);
    this.#usesFirewall = usable && port.loadBalancerIPs.length > 0 && port.sourceRanges.length > 0;
    this.#endpointChains = new Map(
      reachable.map(({ text }) => [text, endpointChain(port.name, port.protocol, text)]),
    );
  }

  clusterIP(): void {
    const { port, internal } = this.#state;
    if (internal !== "endpoints") return this.#refuse("KUBE-SERVICES", port.clusterIP, internal);
    this.#capture(port.clusterIP, "cluster IP", this.#internalChain);
  }

  externalIPs(): void {
    const { port, usable, external } = this.#state;
    for (const vip of port.externalIPs) {
      if (usable) this.#capture(vip, "external IP", this.#chains.external);
      if (external !== "endpoints") this.#refuse("KUBE-EXTERNAL-SERVICES", vip, external);
    }
  }

  loadBalancerIPs(): void {
    const { port, usable, external } = this.#state;
    const { firewall, external: externalChain } = this.#chains;
    for (const vip of port.loadBalancerIPs) {
      if (usable)
        this.#capture(vip, "loadbalancer IP", this.#usesFirewall ? firewall : externalChain);
      if (!this.#usesFirewall) continue;
      this.#filter.rule(
        `-A KUBE-PROXY-FIREWALL -m comment --comment "${port.name} traffic not accepted by ${firewall}"` +
          ` ${this.#toVip(vip)} -j DROP`,
        this.#because(
          `a client outside loadBalancerSourceRanges of ${port.name}`,
          this.#service("spec", "loadBalancerSourceRanges"),
        ),
      );
    }
    if (external === "endpoints") return;
    for (const vip of port.loadBalancerIPs) this.#refuse("KUBE-EXTERNAL-SERVICES", vip, external);
  }

  nodePort(): void {
    const { port, usable, external } = this.#state;
    if (port.nodePort === 0) return;
    const origin = this.#because(
      `node port ${port.nodePort} of ${port.name}`,
      at(port.object, "nodePort"),
    );
    const head = `-A KUBE-NODEPORTS -m comment --comment ${port.name} ${this.#protocol()}`;
    const tail = `-j ${this.#chains.external}`;
    if (usable && this.#settings.countLocalhost) {
      const count = "-m nfacct --nfacct-name localhost_nps_accepted_pkts";
      this.#nat.rule(`${head} -d 127.0.0.0/8 --dport ${port.nodePort} ${count} ${tail}`, origin);
    }
    if (usable) this.#nat.rule(`${head} --dport ${port.nodePort} ${tail}`, origin);
    if (external === "endpoints") return;
    this.#filter.rule(
      `-A KUBE-EXTERNAL-SERVICES -m comment --comment "${port.name} has ${external}" -m addrtype --dst-type LOCAL` +
        ` ${this.#protocol()} --dport ${port.nodePort} -j ${refusal(external)}`,
      this.#because(
        `node port ${port.nodePort}: ${port.name} has ${external}`,
        at(port.object, "nodePort"),
      ),
    );
  }

  /** kube-proxy itself listens there; the rule only lets the probes in. */
  healthCheckNodePort(): void {
    const { port } = this.#state;
    if (port.healthCheckNodePort === 0) return;
    this.#filter.rule(
      `-A KUBE-NODEPORTS -m comment --comment "${port.name} health check node port" -m tcp -p tcp` +
        ` --dport ${port.healthCheckNodePort} -j ACCEPT`,
      this.#because(
        `health check node port of ${port.name}`,
        this.#service("spec", "healthCheckNodePort"),
      ),
    );
  }

  /** The chain is also entered from the external chain, so the rule asks for the cluster IP again. */
  internalMasquerade(): void {
    const { port, internal } = this.#state;
    const { masqueradeAll, local } = this.#settings;
    if (internal !== "endpoints" || (!masqueradeAll && local === undefined)) return;
    const others = masqueradeAll || local === undefined ? "" : ` ${iptablesMatch(local, true)}`;
    this.#nat.rule(
      `-A ${this.#internalChain} -m comment --comment "${port.name} cluster IP" ${this.#toVip(port.clusterIP)}${others}` +
        " -j KUBE-MARK-MASQ",
      this.#because(
        masqueradeAll
          ? "masqueradeAll is set"
          : "clients that are not pods of the cluster are masqueraded",
        port.object,
      ),
    );
  }

  externalChain(): void {
    const { port, usable, external } = this.#state;
    if (!usable || !externallyReachable(port)) return;
    const chain = this.#chains.external;
    this.#nat.chain(chain, this.#because(`entry of outside traffic to ${port.name}`, port.object));
    if (port.externalPolicyLocal) this.#shortCircuits();
    else {
      this.#nat.rule(
        `-A ${chain} -m comment --comment "masquerade traffic for ${port.name} external destinations" -j KUBE-MARK-MASQ`,
        this.#because(
          "externalTrafficPolicy Cluster: the reply must come back through this node",
          port.object,
        ),
      );
    }
    if (external !== "endpoints") return;
    const to = port.externalPolicyLocal ? this.#chains.local : this.#chains.cluster;
    this.#nat.rule(
      `-A ${chain} -j ${to}`,
      this.#because(`outside traffic to ${port.name}`, port.object),
    );
  }

  /** With policy Local outside clients keep their address; pods and the node itself go to all endpoints. */
  #shortCircuits(): void {
    const { name, object } = this.#state.port;
    const { external: chain, cluster } = this.#chains;
    const policy = this.#because(
      "externalTrafficPolicy Local does not bind clients inside the cluster",
      object,
    );
    if (this.#settings.local !== undefined) {
      this.#nat.rule(
        `-A ${chain} -m comment --comment "pod traffic for ${name} external destinations"` +
          ` ${iptablesMatch(this.#settings.local, false)} -j ${cluster}`,
        policy,
      );
    }
    this.#nat.rule(
      `-A ${chain} -m comment --comment "masquerade LOCAL traffic for ${name} external destinations"` +
        " -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ",
      policy,
    );
    this.#nat.rule(
      `-A ${chain} -m comment --comment "route LOCAL traffic for ${name} external destinations"` +
        ` -m addrtype --src-type LOCAL -j ${cluster}`,
      policy,
    );
  }

  firewallChain(): void {
    if (!this.#usesFirewall) return;
    const { port } = this.#state;
    const { firewall: chain, external } = this.#chains;
    const origin = this.#because(
      `loadBalancerSourceRanges of ${port.name}`,
      this.#service("spec", "loadBalancerSourceRanges"),
    );
    const accept = (source: string): void =>
      this.#nat.rule(
        `-A ${chain} -m comment --comment "${port.name} loadbalancer IP" -s ${source} -j ${external}`,
        origin,
      );
    this.#nat.chain(chain, origin);
    for (const range of port.sourceRanges) accept(range.text);
    // What the node sends to a load-balancer IP that it holds itself has that IP as its source.
    const { nodeIP } = this.#settings;
    if (nodeIP !== undefined && port.sourceRanges.some((range) => cidrContains(range, nodeIP))) {
      for (const vip of port.loadBalancerIPs) accept(vip.address.text);
    }
    this.#nat.rule(
      `-A ${chain} -m comment --comment "other traffic to ${port.name} will be dropped by KUBE-PROXY-FIREWALL"`,
      origin,
    );
  }

  endpointChains(): void {
    const { port, cluster = [], local = [], reachable } = this.#state;
    const balanced = [
      { chain: this.#chains.cluster, endpoints: cluster, why: `all endpoints of ${port.name}` },
      {
        chain: this.#chains.local,
        endpoints: local,
        why: `endpoints of ${port.name} on this node`,
      },
    ].filter(({ endpoints }) => endpoints.length > 0);
    for (const { chain, why } of balanced) this.#nat.chain(chain, this.#because(why, port.object));
    for (const { chain, endpoints } of balanced) this.#balance(chain, endpoints);
    for (const endpoint of reachable) this.#endpoint(endpoint);
  }

  /** One rule an endpoint, each with an equal share of what the rules before it left; affinity comes first. */
  #balance(chain: string, endpoints: readonly NodeEndpoint[]): void {
    const { port } = this.#state;
    const { affinitySeconds: seconds } = port;
    const head = ({ text }: NodeEndpoint): string =>
      `-A ${chain}${this.#settings.endpointComments ? ` -m comment --comment "${port.name} -> ${text}"` : ""}`;
    if (seconds !== undefined) {
      for (const endpoint of endpoints) {
        const to = this.#chainOf(endpoint);
        this.#nat.rule(
          `${head(endpoint)} -m recent --name ${to} --rcheck --seconds ${seconds} --reap -j ${to}`,
          this.#because(
            `a client of the last ${seconds} seconds stays with ${endpoint.text}`,
            port.object,
            endpoint.object,
          ),
        );
      }
    }
    for (const [index, endpoint] of endpoints.entries()) {
      const left = endpoints.length - index;
      const share =
        left > 1 ? ` -m statistic --mode random --probability ${probability(left)}` : "";
      this.#nat.rule(
        `${head(endpoint)}${share} -j ${this.#chainOf(endpoint)}`,
        this.#because(
          `endpoint ${index + 1} of ${endpoints.length} of ${port.name}`,
          port.object,
          endpoint.object,
        ),
      );
    }
  }

  #endpoint(endpoint: NodeEndpoint): void {
    const { port } = this.#state;
    const chain = this.#chainOf(endpoint);
    const comment = this.#settings.endpointComments ? ` -m comment --comment ${port.name}` : "";
    const recent = port.affinitySeconds === undefined ? "" : ` -m recent --name ${chain} --set`;
    const origin = this.#because(
      `endpoint ${endpoint.text} of ${port.name}`,
      port.object,
      endpoint.object,
    );
    this.#nat.chain(chain, origin);
    this.#nat.rule(
      `-A ${chain}${comment} -s ${endpoint.address.text} -j KUBE-MARK-MASQ`,
      this.#because(
        "an endpoint that reaches itself through its service is masqueraded",
        port.object,
        endpoint.object,
      ),
    );
    this.#nat.rule(
      `-A ${chain}${comment}${recent} ${this.#protocol()} -j DNAT --to-destination ${endpoint.text}`,
      origin,
    );
  }

  get #internalChain(): string {
    return this.#state.port.internalPolicyLocal ? this.#chains.local : this.#chains.cluster;
  }

  #chainOf(endpoint: NodeEndpoint): string {
    return this.#endpointChains.get(endpoint.text) ?? "";
  }

  /** Sends what goes to an address of the service on to `chain`. */
  #capture(vip: Vip, what: string, chain: string): void {
    const { name } = this.#state.port;
    this.#nat.rule(
      `-A KUBE-SERVICES -m comment --comment "${name} ${what}" ${this.#toVip(vip)} -j ${chain}`,
      this.#because(`${what} of ${name}`, vip.object),
    );
  }

  #refuse(chain: string, vip: Vip, reach: Reach): void {
    const { name } = this.#state.port;
    this.#filter.rule(
      `-A ${chain} -m comment --comment "${name} has ${reach}" ${this.#toVip(vip)} -j ${refusal(reach)}`,
      this.#because(`${name} has ${reach}`, vip.object),
    );
  }

  #toVip(vip: Vip): string {
    return `${this.#protocol()} -d ${vip.address.text} --dport ${this.#state.port.port}`;
  }

  #protocol(): string {
    const { protocol } = this.#state.port;
    return `-m ${protocol} -p ${protocol}`;
  }

  #service(...path: readonly string[]): ObjectRef {
    return { ...this.#state.port.object, path };
  }

  #because(why: string, ...objects: readonly ObjectRef[]): LineOrigin {
    return { objects, why };
  }
}

/** Nobody can answer: tell the client. Somebody elsewhere could: stay silent, so that a load balancer turns away. */
function refusal(reach: Reach): "REJECT" | "DROP" {
  return reach === "no local endpoints" ? "DROP" : "REJECT";
}

/** 1/n with ten decimals. Mirrors pkg/proxy/iptables/proxier.go:computeProbability(). */
export function probability(n: number): string {
  return (1 / n).toFixed(10);
}
