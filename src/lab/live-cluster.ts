import type { RuleMaker } from "../core/recording.js";
import type { Simulation } from "../core/simulation.js";
import { UserError } from "../base/errors.js";
import type { Cluster, ClusterPod } from "../kube/cluster.js";
import type { KubernetesView } from "../kube/dns/kubernetes-view.js";
import { podResolvConf, type ResolvConf } from "../kube/dns/resolv-conf.js";
import { podNamespace } from "../kube/nodes.js";
import { nameOf, namespaceOf } from "../kube/objects.js";
import { podAddresses } from "../kube/own-addresses.js";
import { parseIpv4, parseIpv6 } from "../wire/ip.js";
import { buildLab, settleIpv6 } from "./build.js";
import { usesIpv6 } from "./lab.js";
import { ProxyHealth } from "./proxy-health.js";
import { healthCheckPorts, HEALTHZ_PORT } from "../kube/proxy/health.js";
import { clusterLab, type ClusterPart } from "./cluster-lab.js";
import { type DnsPodStart, type LiveDns, settleDns, startDns } from "./live-dns.js";
import { nodeLocalDnsPods, setUpNodeLocalDns } from "./node-local-dns.js";
import { NODE_RESOLVER, nodeResolvConf, startResolvers } from "./resolvers.js";
import type { RecordedGap } from "./recorded/recorded-gaps.js";
import { loadRecordedConnections } from "./recorded/cluster-records.js";
import type { ClusterWorld } from "./world.js";

/** A cluster that packets can be sent in. */
export interface LiveCluster {
  readonly sim: Simulation;
  readonly makers: ReadonlyMap<string, RuleMaker>;
  /** What of nodes' dumps could not be built. */
  readonly gaps: readonly RecordedGap[];
  /** Filled when a DNS server meets something that is not modelled. */
  readonly unknown: string[];
  /** What DNS servers log, `POD: LINE`. */
  readonly log: readonly string[];
  /** CoreDNS in its pods, NodeLocal DNSCache left out. */
  readonly dns: readonly LiveDns[];
  /** Lets CoreDNS and kube-proxy's health checks see the cluster as it is now. */
  show(cluster: Cluster): void;
  /** Starts CoreDNS in a pod that came later. */
  startDnsIn(pod: ClusterPod): void;
}

/** Builds nodes and pods, and CoreDNS in its pods. */
export function buildLiveCluster(
  world: ClusterWorld,
  seed: number,
  part?: ClusterPart,
  startTime?: number,
): LiveCluster {
  const { cluster } = world;
  const { lab, makers, gaps } = clusterLab(world, part);
  const servers = dnsPods(cluster).filter(({ key }) => part === undefined || part.pods.has(key));
  const locals = nodeLocalDnsPods(cluster).filter(
    ({ node }) => part === undefined || part.nodes.has(node),
  );
  const names = new Set([...servers, ...locals.map(({ pod }) => pod)].map(podNamespace));
  const nodes = new Set(cluster.nodes.map(({ name }) => name));
  const probed = new Set([HEALTHZ_PORT, ...healthCheckPorts(cluster).keys()]);
  const listeners = lab.listeners.filter(
    ({ ns, port, protocol }) =>
      !(port === 53 && names.has(ns)) && !(protocol === "tcp" && nodes.has(ns) && probed.has(port)),
  );
  const sim = buildLab({ ...lab, listeners }, seed);
  if (usesIpv6(lab)) settleIpv6(sim);
  loadRecordedConnections(sim, world.records.values());
  const health = new ProxyHealth(sim, cluster, world.records);
  const reports = { unknown: [], log: [] };
  startResolvers(sim, world, reports.unknown);
  const kubernetes = { ...kubernetesView(cluster) };
  const start = (pod: ClusterPod, corefile: DnsPodStart["corefile"]): readonly LiveDns[] => {
    const conf = resolvConfOf(cluster, pod, nodeResolvConf(world));
    const live = startDns(sim, world, { pod, corefile, conf, kubernetes, startTime }, reports);
    return live === undefined ? [] : [live];
  };
  for (const local of locals) {
    setUpNodeLocalDns(sim, local);
    start(local.pod, local.corefile);
  }
  const dns = servers.flatMap((pod) => start(pod, corefileOf(world)));
  settleDns(sim);
  return {
    sim,
    makers,
    gaps,
    dns,
    ...reports,
    show: (now) => {
      Object.assign(kubernetes, kubernetesView(now));
      health.show(now);
    },
    startDnsIn: (pod) => void start(pod, corefileOf(world)),
  };
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
        (object.endpoints ?? []).flatMap((endpoint) =>
          endpoint.addresses.map((text) => parseIpv4(text) ?? parseIpv6(text)),
        ),
      ),
  );
  return cluster.pods.filter((pod) => podAddresses(pod).some((address) => addresses.has(address)));
}

/** The pod's /etc/resolv.conf as its kubelet writes it. */
export function resolvConfOf(
  cluster: Cluster,
  pod: ClusterPod | undefined,
  ofNode = `nameserver ${NODE_RESOLVER}\n`,
): ResolvConf {
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
      nodeResolvConf: ofNode,
      clusterDns: dnsAddress === undefined ? [] : [dnsAddress],
      clusterDomain: cluster.networks.dnsDomain,
    },
  ).conf;
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
