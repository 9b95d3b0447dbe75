import { randomBetween, type Random, seededRandom } from "../../src/base/random.js";

/*
 * Random clusters, small and dense: few pods and labels, so that Services share endpoints, and every kind of Service,
 * traffic policy and endpoint turns up within a few dozen seeds.
 */

/** What a random cluster may hold. */
export interface ClusterTaste {
  /** SCTP ports: rules only, as nobody listens. */
  readonly sctp: boolean;
  /** NetworkPolicies of the networking.k8s.io API. */
  readonly policies: boolean;
  /** A second address family. */
  readonly dualStack: boolean;
  /** Without the first one. */
  readonly ipv6Only?: boolean;
}

/** The cluster of a seed, as `kubectl get -A -o json` prints one. The same seed gives the same text. */
export function randomClusterText(seed: number, taste: ClusterTaste): string {
  const items = new Generator(seededRandom(seed), taste).items();
  return JSON.stringify({ apiVersion: "v1", kind: "List", items }, undefined, 1);
}

type Item = Readonly<Record<string, unknown>>;

const apps = ["red", "green", "blue"] as const;
const zones = ["z1", "z2"] as const;

class Generator {
  readonly #random: Random;
  readonly #taste: ClusterTaste;
  readonly #nodes: string[] = [];
  #pods = 0;
  #addresses = 0;

  constructor(random: Random, taste: ClusterTaste) {
    this.#random = random;
    this.#taste = taste;
  }

  items(): readonly Item[] {
    const count = this.#between(1, 3);
    const segments = this.#chance(0.2) ? 2 : 1;
    const nodes = Array.from({ length: count }, (_, n) => this.#node(n, segments));
    const config = this.#proxyConfig();
    const pods = Array.from({ length: this.#between(2, 6) }, () => this.#pod());
    const services = Array.from({ length: this.#between(1, 4) }, (_, n) => this.#service(n)).flat();
    const policies = this.#taste.policies && this.#chance(0.4) ? [this.#policy()] : [];
    return [...nodes, this.#kubeadm(), ...config, ...pods, ...services, ...policies];
  }

  get #v4(): boolean {
    return this.#taste.ipv6Only !== true;
  }

  get #v6(): boolean {
    return this.#taste.dualStack || !this.#v4;
  }

  #between(low: number, high: number): number {
    return randomBetween(this.#random, low, high);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #pick<T>(values: readonly [T, ...T[]]): T {
    return values[this.#between(0, values.length - 1)] ?? values[0];
  }

  #pickNode(): string {
    return this.#nodes[this.#between(0, this.#nodes.length - 1)] ?? "";
  }

  #node(n: number, segments: number): Item {
    const name = `node-${n + 1}`;
    this.#nodes.push(name);
    const address = `192.168.${10 + (n % segments)}.${11 + n}`;
    const addresses = this.#v4 ? [{ type: "InternalIP", address }] : [];
    if (this.#v6) addresses.push({ type: "InternalIP", address: `fd00:10::${11 + n}` });
    return {
      apiVersion: "v1",
      kind: "Node",
      metadata: {
        name,
        labels: this.#chance(0.8) ? { "topology.kubernetes.io/zone": this.#pick(zones) } : {},
      },
      status: { addresses, allocatable: { cpu: String(this.#between(1, 8)) } },
    };
  }

  #kubeadm(): Item {
    const list = (v4: string, v6: string): string =>
      [...(this.#v4 ? [v4] : []), ...(this.#v6 ? [v6] : [])].join();
    const podSubnet = list("10.244.0.0/16", "fd00:10:244::/56");
    const serviceSubnet = list("10.96.0.0/16", "fd00:10:96::/112");
    const text = `networking:\n  podSubnet: ${podSubnet}\n  serviceSubnet: ${serviceSubnet}\n`;
    return configMap("kubeadm-config", "ClusterConfiguration", text);
  }

  #proxyConfig(): readonly Item[] {
    if (this.#chance(0.4)) return [];
    const local = this.#pick([
      "ClusterCIDR",
      "NodeCIDR",
      "BridgeInterface",
      "InterfaceNamePrefix",
    ] as const);
    const lines = [
      `detectLocalMode: ${local}`,
      local === "BridgeInterface" ? "detectLocal: {bridgeInterface: cni0}" : "",
      local === "InterfaceNamePrefix" ? "detectLocal: {interfaceNamePrefix: cni}" : "",
      `iptables: {masqueradeAll: ${this.#chance(0.15)}, masqueradeBit: ${this.#pick([14, 14, 0, 31])}, localhostNodePorts: ${this.#chance(0.7)}}`,
      this.#chance(0.3)
        ? `nodePortAddresses: [${this.#pick(["primary", "192.168.10.0/24", "127.0.0.0/8, 192.168.0.0/16", "0.0.0.0/0"])}]`
        : "",
    ];
    return [configMap("kube-proxy", "config.conf", lines.filter((line) => line !== "").join("\n"))];
  }

  #pod(): Item {
    const n = this.#pods++;
    const app = this.#pick(apps);
    const state = this.#pick(["ready", "ready", "ready", "unready", "draining", "dying"] as const);
    const serving = state === "ready" || state === "draining";
    const leaving = state === "draining" || state === "dying";
    const hostNetwork = this.#chance(0.1);
    const port = hostNetwork ? 8000 + n : 8080;
    const ports = [
      { name: "web", containerPort: port, protocol: "TCP" },
      { name: "dns", containerPort: port === 8080 ? 5353 : port, protocol: "UDP" },
    ];
    const hostPort = !hostNetwork && this.#chance(0.1) ? { hostPort: 9000 + n } : {};
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: `p${n}`,
        namespace: "ns",
        labels: { app },
        ...(leaving ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
      },
      spec: {
        nodeName: this.#pickNode(),
        ...(hostNetwork ? { hostNetwork } : {}),
        containers: [{ name: "c", ports: [{ ...ports[0], ...hostPort }, ports[1]] }],
      },
      status: {
        phase: "Running",
        conditions: [{ type: "Ready", status: serving ? "True" : "False" }],
      },
    };
  }

  #service(n: number): readonly Item[] {
    const type = this.#pick(["ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer"]);
    const odd = this.#random();
    if (odd < 0.05)
      return [service(`s${n}`, { type: "ExternalName", externalName: "example.org" })];
    const headless = odd > 0.95 ? { clusterIP: "None" } : {};
    const selector = this.#chance(0.9) ? { selector: { app: this.#pick(apps) } } : {};
    const exposed = type !== "ClusterIP";
    const external = this.#chance(0.25) ? { externalIPs: [this.#address()] } : {};
    const outside = exposed || "externalIPs" in external;
    const balancer = type === "LoadBalancer" ? this.#loadBalancer() : { spec: {}, status: {} };
    const spec = {
      type: "clusterIP" in headless ? "ClusterIP" : type,
      ...headless,
      ...selector,
      ...("clusterIP" in headless ? {} : { ...external, ...balancer.spec }),
      ...(outside ? { externalTrafficPolicy: this.#policyWord() } : {}),
      internalTrafficPolicy: this.#chance(0.2) ? "Local" : "Cluster",
      ...(this.#chance(0.25) ? this.#affinity() : {}),
      ...(this.#chance(0.15) ? { publishNotReadyAddresses: true } : {}),
      ...(this.#chance(0.3) ? { trafficDistribution: this.#distribution() } : {}),
      ...(this.#v4 && this.#v6 ? { ipFamilyPolicy: "PreferDualStack" } : {}),
      ports: this.#ports(),
    };
    const made = service(`s${n}`, spec, "clusterIP" in headless ? {} : balancer.status);
    return "selector" in selector ? [made] : [made, this.#slice(`s${n}`, spec.ports)];
  }

  #policyWord(): string {
    return this.#chance(0.5) ? "Local" : "Cluster";
  }

  #distribution(): string {
    return this.#pick(["PreferClose", "PreferSameZone", "PreferSameNode"]);
  }

  #affinity(): Item {
    const timeoutSeconds = this.#pick([10, 10_800]);
    return { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds } } };
  }

  #loadBalancer(): { readonly spec: Item; readonly status: Item } {
    const ranges = [
      "203.0.113.0/25",
      "10.244.0.0/16",
      "192.168.0.0/16",
      "198.51.100.0/24",
      "fd00::/8",
    ];
    const chosen = ranges.filter(() => this.#chance(0.3));
    const ingress = Array.from({ length: this.#between(0, 2) }, () => ({
      ip: this.#address(),
      ...(this.#chance(0.3) ? { ipMode: this.#pick(["VIP", "Proxy"]) } : {}),
    }));
    const spec = {
      ...(chosen.length > 0 && this.#chance(0.6) ? { loadBalancerSourceRanges: chosen } : {}),
      ...(this.#chance(0.2) ? { allocateLoadBalancerNodePorts: false } : {}),
    };
    return { spec, status: { loadBalancer: { ingress } } };
  }

  #address(): string {
    const host = 10 + this.#addresses++;
    return this.#v6 && (!this.#v4 || this.#chance(0.5))
      ? `2001:db8:18::${host}`
      : `198.18.0.${host}`;
  }

  #ports(): readonly Item[] {
    const all = [
      { name: "web", port: 80, protocol: "TCP", targetPort: this.#chance(0.5) ? "web" : 8080 },
      { name: "dns", port: 53, protocol: "UDP", targetPort: this.#chance(0.5) ? "dns" : 5353 },
      { name: "alt", port: 81, protocol: "TCP", targetPort: "web" },
    ];
    const chosen = all.slice(0, this.#between(1, all.length));
    return this.#taste.sctp && this.#chance(0.1)
      ? [...chosen, { name: "sctp", port: 90, protocol: "SCTP", targetPort: 9090 }]
      : chosen;
  }

  /** Endpoints that somebody else wrote: machines of the pods' nodes, and one outside. */
  #slice(name: string, ports: readonly Item[]): Item {
    const endpoints = Array.from({ length: this.#between(0, 3) }, (_, n) => ({
      addresses: [this.#v4 ? `192.168.10.${11 + n}` : `fd00:10::${11 + n}`],
      conditions: {
        ready: this.#chance(0.7),
        serving: this.#chance(0.7),
        terminating: this.#chance(0.3),
      },
      ...(this.#nodes[n] === undefined ? {} : { nodeName: this.#nodes[n] }),
    }));
    const own = ports.filter(({ protocol }) => protocol !== "SCTP");
    return {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, namespace: "ns", labels: { "kubernetes.io/service-name": name } },
      addressType: this.#v4 ? "IPv4" : "IPv6",
      endpoints: endpoints.filter((_, n) => n < this.#nodes.length),
      ports: own.map(({ name: port, protocol }, n) => ({ name: port, protocol, port: 7001 + n })),
    };
  }

  #policy(): Item {
    return {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "guard", namespace: "ns" },
      spec: {
        podSelector: { matchLabels: { app: this.#pick(apps) } },
        policyTypes: ["Ingress"],
        ingress: this.#chance(0.7)
          ? [{ from: [{ podSelector: { matchLabels: { app: this.#pick(apps) } } }] }]
          : [],
      },
    };
  }
}

function service(name: string, spec: Item, status: Item = {}): Item {
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "ns" }, spec, status };
}

function configMap(name: string, key: string, text: string): Item {
  const metadata = { name, namespace: "kube-system" };
  return { apiVersion: "v1", kind: "ConfigMap", metadata, data: { [key]: text } };
}
