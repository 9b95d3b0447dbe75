import { UserError } from "../base/errors.js";
import { sha512 } from "../base/sha512.js";
import type { LabCommand } from "../tools/command.js";
import { addToIpv4, formatIpv4, formatIpv4Prefix, type Ipv4, maskIpv4 } from "../wire/ip.js";
import { CniFailure } from "./cni/failure.js";
import { CniHost, macFor } from "./cni/host.js";
import { addNetwork, type Attachment, deleteNetwork, type PortMapping } from "./cni/network.js";
import type { CniResult } from "./cni/result.js";
import { newLink } from "./cni/veth.js";
import { calicoCommands, fabricRoutes } from "./calico.js";
import type { Cluster, ClusterNode, ClusterPod } from "./cluster.js";
import { flannelCommands } from "./flannel.js";
import { masqueradeCommands } from "./masquerade-agents.js";

/*
 * Nodes and pods as network namespaces. Nodes whose addresses share a /24 are on one segment: a bridge in the namespace
 * `net`, which is also the router between segments and to the outside.
 *
 *   worker-1 eth0 ── port-1 ┐
 *   worker-2 eth0 ── port-2 ┤ segment-0 (192.168.10.1/24) in net ── outside
 */

/** The namespace of the wires and the router between nodes. */
export const UNDERLAY = "net";

/** The prefix length of a segment. */
const SEGMENT_LENGTH = 24;

/** The name of a namespace as `ip netns` takes it: `shop/web-0` is `shop.web-0`. Namespaces of Kubernetes have no dots. */
export function netnsName(ns: string): string {
  return ns.replace("/", ".");
}

/** The namespace that a pod's packets are in. */
export function podNamespace(pod: ClusterPod): string | undefined {
  return pod.hostNetwork ? pod.node : pod.node === undefined ? undefined : pod.key;
}

/** One segment of the underlay. */
interface Segment {
  readonly bridge: string;
  readonly network: Ipv4;
  readonly router: Ipv4;
}

/** The segments of a cluster's nodes, in the order of the nodes. */
function segmentsOf(cluster: Cluster): readonly Segment[] {
  const used = new Set(cluster.nodes.map(({ address }) => address));
  const networks = [
    ...new Set(cluster.nodes.map(({ address }) => maskIpv4(address, SEGMENT_LENGTH))),
  ];
  return networks.map((network, index) => {
    const first = addToIpv4(network, 1);
    const router = used.has(first) ? addToIpv4(network, 254) : first;
    return { bridge: `segment-${index}`, network, router };
  });
}

function segmentOf(segments: readonly Segment[], { address }: ClusterNode): Segment | undefined {
  return segments.find(({ network }) => network === maskIpv4(address, SEGMENT_LENGTH));
}

/** Whether two nodes are on one segment. */
export function sameSegment(cluster: Cluster, a: ClusterNode, b: ClusterNode): boolean {
  const segments = segmentsOf(cluster);
  return segmentOf(segments, a) === segmentOf(segments, b);
}

/** Makes the wires between nodes: the namespace `net`, its segments, and nothing of the nodes themselves. */
export function underlayCommands(cluster: Cluster): readonly LabCommand[] {
  const segments = segmentsOf(cluster);
  const commands: LabCommand[] = [
    ...newNamespace(UNDERLAY),
    inNs(UNDERLAY, "sysctl", "-w", "net.ipv4.ip_forward=1"),
  ];
  for (const { bridge, router } of segments) {
    commands.push(
      inNs(
        UNDERLAY,
        "ip",
        "link",
        "add",
        bridge,
        "address",
        macFor(`${UNDERLAY} ${bridge}`),
        "type",
        "bridge",
      ),
      inNs(UNDERLAY, "ip", "link", "set", bridge, "up"),
      inNs(
        UNDERLAY,
        "ip",
        "addr",
        "add",
        `${formatIpv4(router)}/${SEGMENT_LENGTH}`,
        "brd",
        "+",
        "dev",
        bridge,
      ),
    );
  }
  // Addresses of Services that no machine has; see `findExternalRoutes`.
  for (const { address, node } of cluster.externalRoutes)
    commands.push(
      inNs(UNDERLAY, "ip", "route", "add", formatIpv4(address), "via", formatIpv4(node.address)),
    );
  return commands;
}

/** Makes one node: its namespace, eth0 on the segment, routes to the other nodes' pods, the knobs that Kubernetes needs. */
export function nodeCommands(cluster: Cluster, node: ClusterNode): readonly LabCommand[] {
  const segments = segmentsOf(cluster);
  const segment = segmentOf(segments, node);
  if (segment === undefined) return [];
  const port = `port-${cluster.nodes.indexOf(node) + 1}`;
  const { name } = node;
  const run = (...argv: readonly string[]): LabCommand => inNs(name, ...argv);
  const address = formatIpv4(node.address);
  return [
    ...newNamespace(name),
    run("sysctl", "-w", "net.ipv4.ip_forward=1"),
    run("sysctl", "-w", "net.bridge.bridge-nf-call-iptables=1"),
    run(
      ...["ip", "link", "add", "eth0", "address", macFor(`${name} eth0`), "type", "veth"],
      ...["peer", "name", port, "address", macFor(`${UNDERLAY} ${port}`), "netns", UNDERLAY],
    ),
    inNs(UNDERLAY, "ip", "link", "set", port, "master", segment.bridge),
    inNs(UNDERLAY, "ip", "link", "set", port, "up"),
    run("ip", "link", "set", "eth0", "up"),
    run("ip", "addr", "add", `${address}/${SEGMENT_LENGTH}`, "brd", "+", "dev", "eth0"),
    run("ip", "route", "add", "default", "via", formatIpv4(segment.router), "dev", "eth0"),
    ...networkBetweenNodes(cluster, node, segments),
  ];
}

/** The routes that Calico's agents keep for blocks and pods as these come and go; none of other networks. */
export function changingRoutes(cluster: Cluster, node: ClusterNode): readonly LabCommand[] {
  if (cluster.network.kind !== "calico") return [];
  return networkBetweenNodes(cluster, node, segmentsOf(cluster)).filter(
    ({ argv }) => argv[1] === "route",
  );
}

/** How packets of this node's pods reach those of the others. */
function networkBetweenNodes(
  cluster: Cluster,
  node: ClusterNode,
  segments: readonly Segment[],
): readonly LabCommand[] {
  const { network } = cluster;
  if (network.kind === "routes") {
    const { agent } = network;
    const pods = cluster.networks.pods.prefix;
    return [
      ...routesBetweenNodes(cluster, node, segments),
      ...(agent === undefined ? [] : masqueradeCommands(agent, node.name, pods)),
    ];
  }
  const own = segmentOf(segments, node);
  const isNear = (other: ClusterNode): boolean => segmentOf(segments, other) === own;
  if (network.kind === "calico")
    return [
      ...calicoCommands(network, node, {
        cluster,
        sameSegment: isNear,
        router: own?.router ?? node.address,
      }),
      ...(segments.length > 1 ? fabricRoutes(network, node, cluster) : []).map((argv) =>
        inNs(UNDERLAY, ...argv),
      ),
    ];
  const others = cluster.nodes.filter((other) => other !== node);
  return flannelCommands(network, node, others, isNear);
}

/** Straight to neighbours of the segment, as flannel's host-gw does; over the router to the others, as a cloud does. */
function routesBetweenNodes(
  cluster: Cluster,
  node: ClusterNode,
  segments: readonly Segment[],
): readonly LabCommand[] {
  const own = segmentOf(segments, node);
  const commands: LabCommand[] = [];
  for (const other of cluster.nodes) {
    if (other === node || other.podCidr === undefined || segmentOf(segments, other) !== own)
      continue;
    const to = formatIpv4Prefix(other.podCidr);
    commands.push(
      inNs(node.name, "ip", "route", "add", to, "via", formatIpv4(other.address), "dev", "eth0"),
    );
  }
  if (segments.length > 1 && node.podCidr !== undefined) {
    commands.push(
      inNs(
        UNDERLAY,
        "ip",
        "route",
        "add",
        formatIpv4Prefix(node.podCidr),
        "via",
        formatIpv4(node.address),
      ),
    );
  }
  return commands;
}

/** What the CNI made of one pod. */
export interface PodNetwork {
  readonly commands: readonly LabCommand[];
  /** What the runtime keeps of ADD; undefined for a pod of the host network. */
  readonly result: CniResult | undefined;
}

/** One node's CNI over a run: what an earlier pod made, a later one finds. */
export class NodeNetwork {
  readonly node: ClusterNode;
  /** The node as the plugins see it: devices, chains, IPAM files. */
  readonly host: CniHost;

  constructor(node: ClusterNode) {
    this.node = node;
    this.host = new CniHost(node.name, node.files);
    const eth0 = newLink("eth0", "veth", macFor(`${node.name} eth0`));
    this.host.links(node.name).set("eth0", { ...eth0, up: true });
    this.host.defaultDevice = "eth0";
  }

  /** Makes the pod's namespace and runs CNI ADD. Throws UserError where a plugin fails, or the pod cannot be modelled. */
  addPod(pod: ClusterPod): PodNetwork {
    if (pod.hostNetwork) return { commands: [], result: undefined };
    const { conflist } = this.node;
    const details = pod.loaded.origin.details([], "value");
    const problem =
      pod.unmodelled ??
      (conflist === undefined ? `node ${this.node.name} has no pod CIDR` : undefined);
    if (conflist === undefined || problem !== undefined)
      throw new UserError("POD_NETWORK", `Pod ${pod.key}: ${problem ?? ""}`, details);
    const attachment = attachmentOf(pod);
    this.host.addSandbox(attachment.netns, pod.key);
    const before = this.host.commands.length;
    try {
      const result = addNetwork(this.host, conflist, attachment);
      const commands = [
        { ns: undefined, argv: ["ip", "netns", "add", pod.key] },
        ...this.host.commands.slice(before),
      ];
      return { commands, result };
    } catch (error) {
      if (!(error instanceof CniFailure)) throw error;
      const message = `Pod ${pod.key}: failed to setup network for sandbox: ${error.message}`;
      throw new UserError("POD_NETWORK", message, {
        ...details,
        help: `node ${this.node.name}, CNI configuration ${conflist.file}`,
      });
    }
  }

  /** Runs CNI DEL for a pod that was added with `result`; its namespace is left to be deleted. */
  removePod(pod: ClusterPod, result: CniResult): readonly LabCommand[] {
    const { conflist } = this.node;
    if (conflist === undefined) return [];
    const before = this.host.commands.length;
    deleteNetwork(this.host, conflist, attachmentOf(pod), result);
    return this.host.commands.slice(before);
  }
}

function attachmentOf(pod: ClusterPod): Attachment {
  return {
    containerId: sandboxId(pod),
    netns: `/var/run/netns/${netnsName(pod.key)}`,
    namespace: pod.namespace,
    pod: pod.name,
    address: pod.address === undefined ? undefined : formatIpv4(pod.address),
    portMappings: portMappingsOf(pod),
  };
}

/** A sandbox id as containerd gives: 64 hexadecimal digits. Differs: it follows from the pod's name. */
export function sandboxId(pod: ClusterPod): string {
  return sha512(`sandbox ${pod.key}`).slice(0, 64);
}

function portMappingsOf({ loaded }: ClusterPod): readonly PortMapping[] {
  return (loaded.object.spec?.containers ?? []).flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, containerPort, protocol = "TCP", hostIP = "" }) =>
      hostPort === undefined || hostPort === 0
        ? []
        : [{ hostPort, containerPort, protocol: protocol.toLowerCase(), hostIP }],
    ),
  );
}

/** The name of the interface on the node that leads to a pod: the port of its bridge. */
export function hostInterface({ interfaces }: CniResult): string | undefined {
  return interfaces.findLast(({ sandbox }) => sandbox === undefined)?.name;
}

/**
 * A host outside of the cluster with one address: the namespace `outside`, reached over the router. Addresses in a
 * node's segment or the pod network would not be outside; then a UserError says so.
 */
export function outsideCommands(cluster: Cluster, address: Ipv4): readonly LabCommand[] {
  const inside = cluster.nodes.find(
    (node) => maskIpv4(node.address, SEGMENT_LENGTH) === maskIpv4(address, SEGMENT_LENGTH),
  );
  if (inside !== undefined) {
    throw new UserError(
      "OUTSIDE_ADDRESS",
      `${formatIpv4(address)} is not outside: node ${inside.name} is on the same segment`,
    );
  }
  const network = maskIpv4(address, SEGMENT_LENGTH);
  const neighbours = cluster.externalRoutes;
  const taken = new Set([address, ...neighbours.map((route) => route.address)]);
  const gateway = [1, 254, 253, 2]
    .map((host) => addToIpv4(network, host))
    .find((one) => !taken.has(one)) as Ipv4;
  return [
    ...newNamespace("outside"),
    inNs(
      "outside",
      ...["ip", "link", "add", "eth0", "address", macFor("outside eth0"), "type", "veth"],
      ...["peer", "name", "outside-0", "address", macFor("net outside-0"), "netns", UNDERLAY],
    ),
    inNs(UNDERLAY, "ip", "link", "set", "outside-0", "up"),
    inNs(
      UNDERLAY,
      "ip",
      "addr",
      "add",
      `${formatIpv4(gateway)}/${SEGMENT_LENGTH}`,
      "brd",
      "+",
      "dev",
      "outside-0",
    ),
    // An address of a Service in the host's own network is asked for there: the router answers for it.
    ...(neighbours.some((route) => maskIpv4(route.address, SEGMENT_LENGTH) === network)
      ? [inNs(UNDERLAY, "sysctl", "-w", "net.ipv4.conf.outside-0.proxy_arp=1")]
      : []),
    inNs("outside", "ip", "link", "set", "eth0", "up"),
    inNs(
      "outside",
      "ip",
      "addr",
      "add",
      `${formatIpv4(address)}/${SEGMENT_LENGTH}`,
      "brd",
      "+",
      "dev",
      "eth0",
    ),
    inNs("outside", "ip", "route", "add", "default", "via", formatIpv4(gateway), "dev", "eth0"),
  ];
}

function newNamespace(ns: string): readonly LabCommand[] {
  return [
    { ns: undefined, argv: ["ip", "netns", "add", ns] },
    inNs(ns, "ip", "link", "set", "lo", "up"),
  ];
}

function inNs(ns: string, ...argv: readonly string[]): LabCommand {
  return { ns, argv };
}
