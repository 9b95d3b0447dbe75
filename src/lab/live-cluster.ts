import type { RuleMaker } from "../core/recording.js";
import type { Simulation } from "../core/simulation.js";
import { UserError } from "../base/errors.js";
import type { Cluster, ClusterPod } from "../kube/cluster.js";
import { parseCorefile } from "../kube/dns/corefile.js";
import { DnsServer } from "../kube/dns/dns-server.js";
import type { KubernetesView } from "../kube/dns/kubernetes-view.js";
import { packetUpstream } from "../kube/dns/packet-upstream.js";
import { podResolvConf, type ResolvConf } from "../kube/dns/resolv-conf.js";
import { serveDns } from "../kube/dns/server.js";
import { podNamespace } from "../kube/nodes.js";
import { nameOf, namespaceOf } from "../kube/objects.js";
import { formatIpv4, parseIpv4 } from "../wire/ip.js";
import { buildLab } from "./build.js";
import { clusterLab, type ClusterPart } from "./cluster-lab.js";
import type { ClusterWorld } from "./world.js";

/** A cluster that packets can be sent in. */
export interface LiveCluster {
  readonly sim: Simulation;
  readonly makers: ReadonlyMap<string, RuleMaker>;
  /** Filled when a DNS server meets something that is not modelled. */
  readonly unknown: string[];
}

/** A node's own resolv.conf is not in the world: this address stands for whatever it names, and nobody knows what that answers. */
const NODE_RESOLVER = "192.0.2.53";
const NODE_RESOLV_CONF = `nameserver ${NODE_RESOLVER}\n`;
const NODE_RESOLVER_UNKNOWN =
  "CoreDNS forwards the name to its node's own resolver, and the world does not say what that answers";

/** Builds nodes and pods, and CoreDNS in its pods. */
export function buildLiveCluster(
  world: ClusterWorld,
  seed: number,
  part?: ClusterPart,
): LiveCluster {
  const { cluster } = world;
  const { lab, makers } = clusterLab(world, part);
  const servers = dnsPods(cluster).filter(({ key }) => part === undefined || part.pods.has(key));
  const names = new Set(servers.map(podNamespace));
  const listeners = lab.listeners.filter(({ ns, port }) => !(port === 53 && names.has(ns)));
  const sim = buildLab({ ...lab, listeners }, seed);
  const unknown: string[] = [];
  for (const pod of servers) startDns(sim, world, pod, unknown);
  return { sim, makers, unknown };
}

/** The pods behind the cluster's DNS Service. */
export function dnsPods(cluster: Cluster): readonly ClusterPod[] {
  const { dns } = cluster;
  if (dns === undefined) return [];
  const addresses = new Set(
    cluster.endpointSlices
      .filter(
        ({ object }) =>
          namespaceOf(object) === namespaceOf(dns.object) &&
          object.metadata?.labels?.["kubernetes.io/service-name"] === nameOf(dns.object),
      )
      .flatMap(({ object }) =>
        (object.endpoints ?? []).flatMap((endpoint) => endpoint.addresses.map(parseIpv4)),
      ),
  );
  return cluster.pods.filter(({ address }) => address !== undefined && addresses.has(address));
}

/** The pod's /etc/resolv.conf as its kubelet writes it. */
export function resolvConfOf(cluster: Cluster, pod: ClusterPod | undefined): ResolvConf {
  const spec = pod?.loaded.object.spec;
  const dnsAddress = cluster.dns?.object.spec?.clusterIP;
  return podResolvConf(
    {
      namespace: pod?.namespace ?? "default",
      dnsPolicy: pod === undefined ? "Default" : spec?.dnsPolicy,
      hostNetwork: pod === undefined ? true : spec?.hostNetwork,
      dnsConfig: spec?.dnsConfig,
    },
    {
      nodeResolvConf: NODE_RESOLV_CONF,
      clusterDns: dnsAddress === undefined ? [] : [dnsAddress],
      clusterDomain: cluster.networks.dnsDomain,
    },
  ).conf;
}

function startDns(sim: Simulation, world: ClusterWorld, pod: ClusterPod, unknown: string[]): void {
  const { cluster } = world;
  const ns = sim.namespaces.get(podNamespace(pod) ?? "");
  if (ns === undefined) return;
  const { text, file } = corefileOf(world);
  const known = new Set(
    [
      ...cluster.pods.map(({ address }) => address),
      ...cluster.nodes.map(({ address }) => address),
    ].flatMap((address) => (address === undefined ? [] : [formatIpv4(address)])),
  );
  const server = new DnsServer({
    sim,
    name: ns.name,
    corefile: parseCorefile(text, file),
    files: new Map([["/etc/resolv.conf", NODE_RESOLV_CONF]]),
    upstream: packetUpstream(ns, (address) => known.has(address)),
    kubernetes: kubernetesView(cluster),
    localAddresses: pod.address === undefined ? [] : [formatIpv4(pod.address)],
    hostname: pod.name,
  });
  for (const port of server.ports) {
    const listening = serveDns(ns, server, {
      port,
      onUnknown: (reason) =>
        unknown.push(reason.includes(NODE_RESOLVER) ? NODE_RESOLVER_UNKNOWN : reason),
    });
    if (typeof listening === "string")
      throw new UserError(
        "DNS_LISTEN",
        `CoreDNS cannot listen on udp/${port} in ${ns.name}: ${listening}`,
      );
  }
}

/** The Corefile of a cluster's DNS. Throws UserError when there is none. */
export function corefileOf({ cluster, corefile }: ClusterWorld): {
  readonly text: string;
  readonly file: string;
} {
  if (corefile !== undefined) return corefile;
  const found = cluster.configMaps.find(
    ({ object }) => namespaceOf(object) === "kube-system" && nameOf(object) === "coredns",
  );
  const text = found?.object.data?.["Corefile"];
  if (text === undefined) {
    throw new UserError("DNS_NO_COREFILE", "the cluster has DNS pods and no Corefile", {
      help: "add the ConfigMap kube-system/coredns, or a Corefile, to the world",
    });
  }
  return { text, file: "kube-system/coredns/Corefile" };
}

/** What CoreDNS sees of the cluster. */
export function kubernetesView(cluster: Cluster): KubernetesView {
  return {
    synced: true,
    serial: 0,
    namespaces: cluster.namespaces.map(({ object }) => object),
    services: cluster.services.map(({ object }) => object),
    endpointSlices: cluster.endpointSlices.map(({ object }) => object),
    pods: cluster.pods.map(({ loaded }) => loaded.object),
  };
}
