import { UserError } from "../base/errors.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { Simulation } from "../core/simulation.js";
import { addresses6Of } from "../inet/ipv6/addresses.js";
import type { ClusterPod } from "../kube/cluster.js";
import { parseCorefile } from "../kube/dns/corefile.js";
import { DnsServer } from "../kube/dns/dns-server.js";
import type { KubernetesView } from "../kube/dns/kubernetes-view.js";
import { packetUpstream } from "../kube/dns/packet-upstream.js";
import { formatResolvConf, type ResolvConf } from "../kube/dns/resolv-conf.js";
import { type DnsListener, serveDns } from "../kube/dns/server.js";
import { podNamespace } from "../kube/nodes.js";
import { nodeAddresses, podAddresses } from "../kube/own-addresses.js";
import { later, milliseconds } from "../sim/time.js";
import {
  formatIp,
  type IpAddress,
  IPV6_LOOPBACK,
  ipv6PrefixContains,
  parseIpv4,
  parseIpv6,
  prefixContains,
} from "../wire/ip.js";
import { programs } from "./build.js";
import { knowsNodeResolver, NODE_RESOLVER } from "./resolvers.js";
import type { ClusterWorld } from "./world.js";

/** A DNS server that runs in a pod of the cluster. */
export interface LiveDns {
  readonly pod: ClusterPod;
  readonly server: DnsServer;
}

/** What one DNS pod is started with. */
export interface DnsPodStart {
  readonly pod: ClusterPod;
  readonly corefile: { readonly text: string; readonly file: string };
  readonly conf: ResolvConf;
  readonly kubernetes: KubernetesView;
  /** The wall clock at the start of the run, in seconds since 1970. */
  readonly startTime: number | undefined;
}

/** What is heard of the servers while the run lasts. */
export interface DnsReports {
  /** Filled when a server meets something that is not modelled. */
  readonly unknown: string[];
  /** What servers log, `POD: LINE`. */
  readonly log: string[];
}

const NODE_RESOLVER_UNKNOWN =
  "CoreDNS forwards the name to its node's own resolver, and the world does not say what that answers";

/** Starts CoreDNS in a pod's namespace. Undefined when the pod is not part of what was built. */
export function startDns(
  sim: Simulation,
  world: ClusterWorld,
  start: DnsPodStart,
  reports: DnsReports,
): LiveDns | undefined {
  const { pod, corefile } = start;
  const ns = sim.namespaces.get(podNamespace(pod) ?? "");
  if (ns === undefined) return undefined;
  const listeners: DnsListener[] = [];
  let ended = false;
  const log = (line: string): void => {
    if (!ended) reports.log.push(`${pod.key}: ${line}`);
  };
  const server = new DnsServer({
    sim,
    name: pod.hostNetwork ? pod.key : ns.name,
    corefile: parseCorefile(corefile.text, corefile.file),
    files: new Map([["/etc/resolv.conf", formatResolvConf(start.conf)]]),
    upstream: packetUpstream(ns, isModelled(world)),
    kubernetes: start.kubernetes,
    localAddresses: podAddresses(pod).map(formatIp),
    hostname: pod.name,
    startTime: start.startTime,
    log,
    fatal(line) {
      log(line);
      ended = true;
      for (const listener of listeners.splice(0)) listener.close();
    },
  });
  const onUnknown = (reason: string): void =>
    void reports.unknown.push(
      reason.includes(NODE_RESOLVER) && !knowsNodeResolver(world) ? NODE_RESOLVER_UNKNOWN : reason,
    );
  for (const { address, port } of listensOn(server, isIpv6On(ns))) {
    const listening = serveDns(ns, server, { address, port, onUnknown });
    if (typeof listening === "string")
      throw new UserError(
        "DNS_LISTEN",
        `CoreDNS cannot listen on udp/${port} in ${ns.name}: ${listening}`,
      );
    listeners.push(listening);
  }
  programs(ns).add({
    stop() {
      ended = true;
      for (const listener of listeners.splice(0)) listener.close();
    },
  });
  server.start();
  return { pod, server };
}

/** The self-tests of starting servers take no time; what they leave to be done later stays queued. */
export function settleDns(sim: Simulation): void {
  const end = later(sim.queue.now, milliseconds(1));
  for (let next = sim.queue.nextAt; next !== undefined && next <= end; next = sim.queue.nextAt)
    sim.step();
}

/** Every address and port, each once: `bind` of the block, else all addresses, of IPv6 too where the pod has it. */
function listensOn(
  server: DnsServer,
  ipv6: boolean,
): readonly { readonly address: IpAddress; readonly port: number }[] {
  const found = new Map<string, { address: IpAddress; port: number }>();
  const everywhere = ipv6 ? ["0.0.0.0", "::"] : ["0.0.0.0"];
  for (const { bind, served } of server.configs)
    for (const { port } of served.filter(({ scheme }) => scheme === "dns"))
      for (const text of bind.length === 0 ? everywhere : bind) {
        const address = parseIpv4(text) ?? (ipv6 ? parseIpv6(text) : undefined);
        if (address !== undefined) found.set(`${text} ${port}`, { address, port });
      }
  return [...found.values()];
}

/** Some device of it has an IPv6 address. */
function isIpv6On(ns: NetworkNamespace): boolean {
  return [...ns.devices.values()].some((dev) => addresses6Of(dev).length > 0);
}

/** Whether the world tells what is behind an address: its own nodes, pods and Services, and its resolvers. */
function isModelled(world: ClusterWorld): (address: string) => boolean {
  const { cluster, resolvers } = world;
  const known = new Set([
    ...[...cluster.pods.flatMap(podAddresses), ...cluster.nodes.flatMap(nodeAddresses)].map(
      formatIp,
    ),
    ...resolvers.resolvers.keys(),
  ]);
  return (text) => {
    const address = parseIpv4(text) ?? parseIpv6(text);
    if (address === undefined) return false;
    if (known.has(formatIp(address)) || text.startsWith("127.") || text.startsWith("169.254."))
      return true;
    const { services, services6 } = cluster.networks;
    if (typeof address === "number") return prefixContains(services.prefix, address);
    return (
      address === IPV6_LOOPBACK ||
      (services6 !== undefined && ipv6PrefixContains(services6, address))
    );
  };
}
