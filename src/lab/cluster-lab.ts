import { counted } from "../base/counted.js";
import type { ContainerPort, Service } from "kubernetes-types/core/v1.js";
import type { RuleMaker } from "../core/recording.js";
import type { Cluster, ClusterNode, ClusterPod } from "../kube/cluster.js";
import {
  NodeNetwork,
  nodeCommands,
  podNamespace,
  UNDERLAY,
  underlayCommands,
} from "../kube/nodes.js";
import { nodeAddresses, podAddresses } from "../kube/own-addresses.js";
import {
  clusterProxyConfig,
  endpointGates,
  proxyConfigOfAnyMode,
} from "../kube/proxy/cluster-settings.js";
import type { Loaded } from "../kube/objects.js";
import { gateIsOn, type ProxyConfig } from "../kube/proxy/config.js";
import { localhostNodePorts } from "../kube/proxy/iptables.js";
import { proxyObjects } from "../kube/proxy/loaded.js";
import { renderKubelet } from "../kube/proxy/kubelet.js";
import { renderNodeIptables } from "../kube/proxy/node-rules.js";
import { proxyNodeOf } from "../kube/local-addresses.js";
import type { RenderedText } from "../kube/proxy/rendered-text.js";
import { type KubeRouterText, renderKubeRouter } from "../kube/policy/kube-router.js";
import { policyObjectsOf, policyWorld } from "../kube/policy/world.js";
import { serviceObjects, type ServiceObjects, serviceState } from "../kube/proxy/service-state.js";
import type { LabCommand } from "../tools/command.js";
import {
  formatIp,
  formatIpv4,
  formatIpv4Prefix,
  formatIpv6Prefix,
  IPV4_ANY,
  IPV6_ANY,
  parseIpv4,
  parseIpv6,
} from "../wire/ip.js";
import type { Lab, Listener } from "./lab.js";
import { felixCommands, felixRulesFile } from "../kube/calico.js";
import { agentMaker, felixMaker, flannelMaker, podRules, renderedMaker } from "./provenance.js";
import type { NodeRecord } from "./recorded/node-record.js";
import type { RecordedGap } from "./recorded/recorded-gaps.js";
import { socketListeners } from "./recorded/recorded-lab.js";
import { recordedWins } from "./recorded/cluster-records.js";
import type { ClusterWorld } from "./world.js";

/** A cluster as commands, and who wrote which rules. */
export interface ClusterLab {
  readonly lab: Lab;
  readonly makers: ReadonlyMap<string, RuleMaker>;
  /** What of nodes' dumps could not be built. */
  readonly gaps: readonly RecordedGap[];
}

/** Which part of a cluster is built: nodes and pods off the packet's path need not be. */
export interface ClusterPart {
  readonly nodes: ReadonlySet<string>;
  readonly pods: ReadonlySet<string>;
}

/** The part that holds everything. */
export function wholeCluster(cluster: Cluster): ClusterPart {
  return {
    nodes: new Set(cluster.nodes.map(({ name }) => name)),
    pods: new Set(cluster.pods.map(({ key }) => key)),
  };
}

/**
 * A cluster as a lab: the wires, each node with its kubelet, kube-proxy and CNI, each pod. Everything is a command line that a
 * real Linux takes too.
 */
export function clusterLab(
  world: ClusterWorld,
  part: ClusterPart = wholeCluster(world.cluster),
): ClusterLab {
  const { cluster } = world;
  const inputs = nodeRuleInputs(cluster, proxyConfigOfAnyMode(cluster));
  const makers = new Map<string, RuleMaker>();
  const nodes = cluster.nodes.filter(({ name }) => part.nodes.has(name));
  const pods = cluster.pods.filter(
    (pod) => part.pods.has(pod.key) && pod.node !== undefined && podAddresses(pod).length > 0,
  );
  const rendered = [
    ...underlayCommands(cluster),
    ...nodes.flatMap((node) => [
      ...withAgentMaker(nodeCommands(cluster, node), node, cluster, makers),
      ...ruleCommands(world, node, inputs, makers),
      ...podCommands(node, pods, makers),
    ]),
  ];
  const { commands: own, gaps } = recordedWins(world.records, cluster, rendered);
  const namespaces = [
    UNDERLAY,
    ...nodes.map(({ name }) => name),
    ...pods.filter(({ hostNetwork }) => !hostNetwork).map(({ key }) => key),
  ];
  const extra = (world.extra ?? []).filter(
    ({ ns, device }) =>
      namespaces.includes(ns) &&
      (device === undefined || own.some(({ argv }) => argv.includes(device))),
  );
  const commands = [...own, ...extra];
  return {
    lab: {
      name: world.name,
      about: `${counted(nodes.length, "node")}, ${counted(pods.length, "pod")}`,
      namespaces,
      commands: withoutNamespaces(commands),
      listeners: withRecordedSockets(
        listenersOf(cluster, pods).filter(({ ns }) => namespaces.includes(ns)),
        world.records,
        namespaces,
      ),
      probes: [],
    },
    makers,
    gaps,
  };
}

/**
 * What of nodes' dumps cannot be built, without rules and for each node by itself: quick in a big cluster. A pod that cannot be
 * modelled is passed over.
 */
export function recordedGaps({ cluster, records }: ClusterWorld): readonly RecordedGap[] {
  return cluster.nodes.flatMap((node) => {
    const record = records.get(node.name);
    if (record === undefined) return [];
    const pods = cluster.pods.filter(
      (pod) => pod.node === node.name && pod.address !== undefined && pod.unmodelled === undefined,
    );
    const rendered = [
      ...nodeCommands(cluster, node),
      ...(node.conflist === undefined ? [] : podCommands(node, pods, new Map())),
    ];
    return recordedWins(new Map([[node.name, record]]), cluster, rendered).gaps;
  });
}

/** Programs of a node are those that its sockets tell, where they were recorded. */
function withRecordedSockets(
  listeners: readonly Listener[],
  records: ClusterWorld["records"],
  namespaces: readonly string[],
): readonly Listener[] {
  const recorded = [...records.values()].filter(
    ({ name, sockets }) => sockets !== undefined && namespaces.includes(name),
  );
  const names = new Set(recorded.map(({ name }) => name));
  return [...listeners.filter(({ ns }) => !names.has(ns)), ...socketListeners(recorded)];
}

/** Namespaces are made by whoever builds a lab, their loopback with them. */
function withoutNamespaces(commands: readonly LabCommand[]): readonly LabCommand[] {
  return commands.filter(
    ({ argv }) => argv[1] !== "netns" && argv.join(" ") !== "ip link set lo up",
  );
}

function podCommands(
  node: ClusterNode,
  pods: readonly ClusterPod[],
  makers: Map<string, RuleMaker>,
): readonly LabCommand[] {
  const network = new NodeNetwork(node);
  return pods
    .filter((pod) => pod.node === node.name)
    .flatMap((pod) =>
      network.addPod(pod).commands.map((command) => {
        if (command.stdin === undefined) return command;
        const made = podRules(command, pod, node.name);
        makers.set(made.file, made.maker);
        return made.command;
      }),
    );
}

/** Of a node's own commands only the network's agent's bring rules. */
function withAgentMaker(
  commands: readonly LabCommand[],
  node: ClusterNode,
  cluster: Cluster,
  makers: Map<string, RuleMaker>,
): readonly LabCommand[] {
  const { network } = cluster;
  const agent = network.kind === "routes" ? network.agent : undefined;
  for (const { stdin, stdinName } of commands)
    if (stdin !== undefined && stdinName !== undefined)
      makers.set(
        stdinName,
        agent === undefined
          ? flannelMaker(stdin, node.name, cluster)
          : agentMaker(agent, stdin, node.name),
      );
  return commands;
}

/** The node's own rules first, then kubelet's and kube-proxy's, as they come when a node starts. */
function ruleCommands(
  world: ClusterWorld,
  node: ClusterNode,
  { services, services6, config }: NodeRuleInputs,
  makers: Map<string, RuleMaker>,
): readonly LabCommand[] {
  const own = world.nodeRules.get(node.name);
  const proxied = proxyNodeOf(world.cluster, node, recordedAddresses(world.records.get(node.name)));
  // Of other modes only kubelet's part is known; a packet to a Service ends UNKNOWN then.
  const render = (objects: ServiceObjects): RenderedText =>
    config.mode === "iptables"
      ? renderNodeIptables(serviceState(objects, proxied, endpointGates(config)), proxied, config)
      : renderKubelet(objects.family);
  const rendered = render(services);
  const file = `${node.name}/kube-proxy.rules`;
  makers.set(file, renderedMaker("kube-proxy", rendered, world.cluster));
  const restore = (stdin: string, stdinName: string): LabCommand => ({
    ns: node.name,
    argv: ["iptables-restore", "--noflush", "--counters"],
    stdin,
    stdinName,
  });
  const rules6 = (services: ServiceObjects): readonly LabCommand[] => {
    const rendered6 = render(services);
    const stdinName = `${node.name}/kube-proxy.rules6`;
    makers.set(stdinName, renderedMaker("kube-proxy", rendered6, world.cluster));
    const argv = ["ip6tables-restore", "--noflush", "--counters"];
    return [{ ns: node.name, argv, stdin: rendered6.text, stdinName }];
  };
  const localhost = ["sysctl", "-w", "net.ipv4.conf.all.route_localnet=1"];
  return [
    ...(own === undefined ? [] : [restore(own.text, own.file)]),
    ...(localhostNodePorts(proxied, config) ? [{ ns: node.name, argv: localhost }] : []),
    restore(rendered.text, file),
    ...(services6 === undefined ? [] : rules6(services6)),
    ...policyCommands(world.cluster, node, makers),
    ...calicoRules(world.cluster, node, makers),
  ];
}

/** Felix puts its rules before everybody else's. */
function calicoRules(
  { network }: Cluster,
  { name }: ClusterNode,
  makers: Map<string, RuleMaker>,
): readonly LabCommand[] {
  if (network.kind !== "calico") return [];
  const commands = felixCommands(network, name);
  for (const { stdin, stdinName } of commands)
    if (stdin !== undefined && stdinName === felixRulesFile(name))
      makers.set(stdinName, felixMaker(stdin, name));
  return commands;
}

/** The addresses of a node's dump; undefined where it has none. */
export function recordedAddresses(record: NodeRecord | undefined): readonly string[] | undefined {
  return record?.hasAddresses === true
    ? (record.links ?? []).flatMap(({ addresses }) =>
        addresses.map(({ address }) => formatIpv4(address)),
      )
    : undefined;
}

/** What kube-router writes for the policies of the cluster, sets first, for each family; nothing where there are none. */
function policyCommands(
  cluster: Cluster,
  node: ClusterNode,
  makers: Map<string, RuleMaker>,
): readonly LabCommand[] {
  if (!rendersPolicies(cluster)) return [];
  return cluster.networks.families.flatMap((family) => {
    const rendered = renderNodePolicies(cluster, node, "1", family);
    const six = family === 6 ? "6" : "";
    const file = `${node.name}/kube-router.rules${six}`;
    makers.set(file, renderedMaker("kube-router", rendered.iptables, cluster));
    const { name: ns } = node;
    return [
      {
        ns,
        argv: ["ipset", "restore"],
        stdin: rendered.ipset.text,
        stdinName: `${node.name}/kube-router.ipset${six}`,
      },
      {
        ns,
        argv: [`ip${six}tables-restore`, "--noflush"],
        stdin: rendered.iptables.text,
        stdinName: file,
      },
    ];
  });
}

/** Whether there are policies that are turned into rules: Calico's own chains of them are not rendered. */
export function rendersPolicies({ objects, network }: Cluster): boolean {
  return objects.NetworkPolicy.length > 0 && network.kind !== "calico";
}

/** The policies of the cluster as kube-router on a node writes them; `version` is what its chain names are salted with. */
export function renderNodePolicies(
  cluster: Cluster,
  node: ClusterNode,
  version: string,
  family: 4 | 6 = 4,
): KubeRouterText {
  const { services, services6 } = cluster.networks;
  const services6Text = services6 === undefined ? [] : [formatIpv6Prefix(services6)];
  return renderKubeRouter(policyWorld(policyObjectsOf(cluster)), {
    node: { name: node.name, addresses: nodeAddresses(node).map(formatIp) },
    family: `IPv${family}`,
    clusterCidrs: family === 4 ? [formatIpv4Prefix(services.prefix)] : services6Text,
    nodePorts: "30000:32767",
    version,
    jumps: "insert",
  });
}

/** What every node's rules are made of. */
export interface NodeRuleInputs {
  readonly services: ServiceObjects;
  /** The same of IPv6, in a cluster that has it. */
  readonly services6: ServiceObjects | undefined;
  readonly config: ProxyConfig;
}

export function nodeRuleInputs(
  cluster: Cluster,
  config: ProxyConfig = clusterProxyConfig(cluster),
): NodeRuleInputs {
  const objects = proxyObjects(
    gateIsOn(config, "LoadBalancerIPMode") ? cluster.services : cluster.services.map(withoutIpMode),
    cluster.endpointSlices,
  );
  const dualStack = cluster.networks.families.includes(6);
  return {
    services: serviceObjects(objects, 4),
    services6: dualStack ? serviceObjects(objects, 6) : undefined,
    config,
  };
}

/** Without its gate, kube-proxy captures every address of a load balancer. */
function withoutIpMode({ object, origin }: Loaded<Service>): Loaded<Service> {
  const { ingress } = object.status?.loadBalancer ?? {};
  if (ingress === undefined) return { object, origin };
  const plain = ingress.map(({ ipMode: _mode, ...rest }) => rest);
  const loadBalancer = { ...object.status?.loadBalancer, ingress: plain };
  return { object: { ...object, status: { ...object.status, loadBalancer } }, origin };
}

/**
 * Programs: on the ports that containers declare. A pod that declares none listens wherever an EndpointSlice sends
 * traffic to it; so does a node.
 */
export function listenersOf(cluster: Cluster, pods: readonly ClusterPod[]): readonly Listener[] {
  const found = new Map<string, Listener>();
  // A program listens on every address: with sockets of one family each, one for each.
  const everywhere = cluster.networks.families.includes(6) ? [IPV4_ANY, IPV6_ANY] : [IPV4_ANY];
  const add = (
    ns: string | undefined,
    protocol: string | undefined,
    port: number | undefined,
  ): void => {
    if (ns === undefined || port === undefined) return;
    const name = (protocol ?? "TCP").toLowerCase();
    if (name !== "tcp" && name !== "udp") return;
    for (const address of everywhere) {
      const key = `${ns} ${name} ${port} ${typeof address}`;
      if (!found.has(key)) found.set(key, { ns, protocol: name, port, address });
    }
  };
  const declared = (pod: ClusterPod): readonly ContainerPort[] =>
    (pod.loaded.object.spec?.containers ?? []).flatMap(({ ports = [] }) => ports);
  for (const pod of pods.filter(({ ready }) => ready)) {
    for (const { containerPort, protocol } of declared(pod))
      add(podNamespace(pod), protocol, containerPort);
  }
  // Where load balancers ask kube-proxy whether a node has endpoints.
  for (const { object } of cluster.services)
    for (const { name } of (object.spec?.healthCheckNodePort ?? 0) === 0 ? [] : cluster.nodes)
      add(name, "TCP", object.spec?.healthCheckNodePort);
  const podAt = new Map(
    pods.flatMap((pod) => podAddresses(pod).map((address) => [address, pod] as const)),
  );
  const nodeAt = new Map(
    cluster.nodes.flatMap((node) =>
      nodeAddresses(node).map((address) => [address, node.name] as const),
    ),
  );
  for (const { object } of cluster.endpointSlices) {
    for (const endpoint of object.endpoints ?? []) {
      for (const text of endpoint.addresses) {
        const address = parseIpv4(text) ?? parseIpv6(text);
        if (address === undefined) continue;
        const pod = podAt.get(address);
        const ns =
          pod === undefined
            ? nodeAt.get(address)
            : pod.ready && declared(pod).length === 0
              ? podNamespace(pod)
              : undefined;
        for (const { port, protocol } of object.ports ?? []) add(ns, protocol, port);
      }
    }
  }
  return [...found.values()];
}
