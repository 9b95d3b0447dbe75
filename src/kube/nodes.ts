import { UserError } from "../base/errors.js";
import { sha512 } from "../base/sha512.js";
import type { LabCommand } from "../tools/command.js";
import {
  addToIpv4,
  formatIp,
  formatIpv4,
  formatIpv4Prefix,
  formatIpv6,
  formatIpv6Prefix,
  type IpAddress,
  type Ipv4,
  type Ipv6,
  linkLocalOf,
  maskIpv4,
  maskIpv6,
  parseMac,
} from "../wire/ip.js";
import { CniFailure } from "./cni/failure.js";
import { CniHost, macFor } from "./cni/host.js";
import { addNetwork, type Attachment, deleteNetwork, type PortMapping } from "./cni/network.js";
import type { CniResult } from "./cni/result.js";
import { newLink } from "./cni/veth.js";
import { calicoCommands, fabricRoutes } from "./calico.js";
import type { Cluster, ClusterNode, ClusterPod } from "./cluster.js";
import { flannelCommands } from "./flannel.js";
import { masqueradeCommands } from "./masquerade-agents.js";
import { nodeAddresses, ofFamily, podAddresses } from "./own-addresses.js";

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

/** The same of IPv6. */
const SEGMENT6_LENGTH = 64;

/** One segment of the underlay. */
interface Segment {
  readonly bridge: string;
  readonly network: Ipv4;
  readonly router: Ipv4;
  /** Its IPv6 network; undefined where its nodes have no IPv6 address. */
  readonly v6: Segment6 | undefined;
}

/** Nodes have their addresses in a /64 with a router in it; alone where segments share that /64: then the router's link-local address leads on. */
interface Segment6 {
  readonly length: 64 | 128;
  readonly router: Ipv6;
  /** The nodes' own addresses. */
  readonly nodes: readonly Ipv6[];
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
    const bridge = `segment-${index}`;
    return { bridge, network, router, v6: segment6Of(cluster, network, bridge) };
  });
}

function segment6Of({ nodes }: Cluster, network: Ipv4, bridge: string): Segment6 | undefined {
  const isHere = ({ address }: ClusterNode): boolean =>
    maskIpv4(address, SEGMENT_LENGTH) === network;
  const own = nodes.filter(isHere).flatMap(({ address6 }) => address6 ?? []);
  const [first] = own;
  if (first === undefined) return undefined;
  const prefix = maskIpv6(first, SEGMENT6_LENGTH);
  const elsewhere = nodes.filter((node) => !isHere(node)).flatMap(({ address6 }) => address6 ?? []);
  const apart = own.every((address) => maskIpv6(address, SEGMENT6_LENGTH) === prefix);
  if (!apart || elsewhere.some((address) => maskIpv6(address, SEGMENT6_LENGTH) === prefix)) {
    const mac = parseMac(macFor(`${UNDERLAY} ${bridge}`));
    return mac === undefined ? undefined : { length: 128, router: linkLocalOf(mac), nodes: own };
  }
  const wanted = (prefix + 1n) as Ipv6;
  const router = own.includes(wanted) ? ((prefix + 0xffffn) as Ipv6) : wanted;
  return { length: SEGMENT6_LENGTH, router, nodes: own };
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
    ...(hasIpv6(cluster) ? [inNs(UNDERLAY, "sysctl", "-w", "net.ipv6.conf.all.forwarding=1")] : []),
  ];
  for (const { bridge, router, v6 } of segments) {
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
      ...(v6 === undefined ? [] : segment6Commands(bridge, v6)),
    );
  }
  // Addresses of Services that no machine has; see `findExternalRoutes`.
  for (const { address, node } of cluster.externalRoutes) {
    const via = ofFamily(nodeAddresses(node), typeof address === "bigint" ? 6 : 4);
    if (via !== undefined)
      commands.push(inNs(UNDERLAY, "ip", "route", "add", formatIp(address), "via", formatIp(via)));
  }
  return commands;
}

/** Whether nodes and pods of the cluster have IPv6. */
function hasIpv6({ networks }: Cluster): boolean {
  return networks.families.includes(6);
}

function segment6Commands(
  bridge: string,
  { length, router, nodes }: Segment6,
): readonly LabCommand[] {
  const add = (...words: readonly string[]): LabCommand => inNs(UNDERLAY, "ip", ...words);
  return length === 64
    ? [add("addr", "add", `${formatIpv6(router)}/${length}`, "dev", bridge)]
    : nodes.map((node) => add("route", "add", `${formatIpv6(node)}/128`, "dev", bridge));
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
    ...(hasIpv6(cluster)
      ? [
          run("sysctl", "-w", "net.ipv6.conf.all.forwarding=1"),
          run("sysctl", "-w", "net.bridge.bridge-nf-call-ip6tables=1"),
        ]
      : []),
    run(
      ...["ip", "link", "add", "eth0", "address", macFor(`${name} eth0`), "type", "veth"],
      ...["peer", "name", port, "address", macFor(`${UNDERLAY} ${port}`), "netns", UNDERLAY],
    ),
    inNs(UNDERLAY, "ip", "link", "set", port, "master", segment.bridge),
    inNs(UNDERLAY, "ip", "link", "set", port, "up"),
    run("ip", "link", "set", "eth0", "up"),
    run("ip", "addr", "add", `${address}/${SEGMENT_LENGTH}`, "brd", "+", "dev", "eth0"),
    run("ip", "route", "add", "default", "via", formatIpv4(segment.router), "dev", "eth0"),
    ...node6Commands(node, segment),
    ...networkBetweenNodes(cluster, node, segments),
  ];
}

/** The node's own IPv6 address, and the way out. */
function node6Commands({ name, address6 }: ClusterNode, { v6 }: Segment): readonly LabCommand[] {
  if (address6 === undefined || v6 === undefined) return [];
  const router = formatIpv6(v6.router);
  return [
    inNs(name, "ip", "addr", "add", `${formatIpv6(address6)}/${v6.length}`, "dev", "eth0"),
    inNs(name, "ip", "-6", "route", "add", "default", "via", router, "dev", "eth0"),
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
    const { families, pods: pods4, pods6 } = cluster.networks;
    const pods = families.flatMap((family) =>
      family === 4
        ? [formatIpv4Prefix(pods4.prefix)]
        : pods6 === undefined
          ? []
          : [formatIpv6Prefix(pods6)],
    );
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
    if (other === node || segmentOf(segments, other) !== own) continue;
    for (const { to, via } of podRoutes(other)) {
      // Without a prefix on the link the neighbour's address is behind it all the same.
      const onlink = via.includes(":") && own?.v6?.length === 128 ? ["onlink"] : [];
      commands.push(
        inNs(node.name, "ip", "route", "add", to, "via", via, "dev", "eth0", ...onlink),
      );
    }
  }
  if (segments.length > 1)
    for (const { to, via } of podRoutes(node))
      commands.push(inNs(UNDERLAY, "ip", "route", "add", to, "via", via));
  return commands;
}

/** A node's blocks of pods, each with the node's own address of its family. */
export function podRoutes({
  address,
  address6,
  podCidr,
  podCidr6,
}: ClusterNode): readonly { readonly to: string; readonly via: string }[] {
  return [
    ...(podCidr === undefined ? [] : [{ to: formatIpv4Prefix(podCidr), via: formatIpv4(address) }]),
    ...(podCidr6 === undefined || address6 === undefined
      ? []
      : [{ to: formatIpv6Prefix(podCidr6), via: formatIpv6(address6) }]),
  ];
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
    addresses: podAddresses(pod).map(formatIp),
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
export function outsideCommands(cluster: Cluster, address: IpAddress): readonly LabCommand[] {
  const inside = cluster.nodes.find((node) =>
    nodeAddresses(node).some((own) => networkText(own) === networkText(address)),
  );
  if (inside !== undefined) {
    throw new UserError(
      "OUTSIDE_ADDRESS",
      `${formatIp(address)} is not outside: node ${inside.name} is on the same segment`,
    );
  }
  const neighbours = cluster.externalRoutes;
  const taken = new Set([address, ...neighbours.map((route) => route.address)]);
  const gateway = gatewaysBeside(address).find((one) => !taken.has(one)) ?? address;
  const length = typeof address === "bigint" ? SEGMENT6_LENGTH : SEGMENT_LENGTH;
  const six = typeof address === "bigint";
  const broadcast = six ? [] : ["brd", "+"];
  const addressOf = (ns: string, one: IpAddress, dev: string): LabCommand =>
    inNs(ns, "ip", "addr", "add", `${formatIp(one)}/${length}`, ...broadcast, "dev", dev);
  const besides = neighbours.filter((route) => networkText(route.address) === networkText(address));
  return [
    ...newNamespace("outside"),
    inNs(
      "outside",
      ...["ip", "link", "add", "eth0", "address", macFor("outside eth0"), "type", "veth"],
      ...["peer", "name", "outside-0", "address", macFor("net outside-0"), "netns", UNDERLAY],
    ),
    ...(six ? knownAtOnce("outside", "eth0") : []),
    ...(six ? knownAtOnce(UNDERLAY, "outside-0") : []),
    inNs(UNDERLAY, "ip", "link", "set", "outside-0", "up"),
    addressOf(UNDERLAY, gateway, "outside-0"),
    // An address of a Service in the host's own network is asked for there: the router answers for it.
    ...standIn(besides.map((route) => route.address)),
    inNs("outside", "ip", "link", "set", "eth0", "up"),
    addressOf("outside", address, "eth0"),
    inNs(
      "outside",
      ...["ip", ...(six ? ["-6"] : []), "route", "add", "default"],
      ...["via", formatIp(gateway), "dev", "eth0"],
    ),
  ];
}

/** IPv6 without a wait for others that might have the address. */
function knownAtOnce(ns: string, dev: string): readonly LabCommand[] {
  return [
    inNs(ns, "sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=0"),
    inNs(ns, "sysctl", "-w", `net.ipv6.conf.${dev}.accept_dad=0`),
  ];
}

/** A host's own network as text: /24, or /64 of IPv6. */
function networkText(address: IpAddress): string {
  return typeof address === "bigint"
    ? formatIpv6(maskIpv6(address, SEGMENT6_LENGTH))
    : formatIpv4(maskIpv4(address, SEGMENT_LENGTH));
}

/** Addresses of the host's network that its router may have. */
function gatewaysBeside(address: IpAddress): readonly IpAddress[] {
  return [1, 254, 253, 2].map((host) =>
    typeof address === "bigint"
      ? ((maskIpv6(address, SEGMENT6_LENGTH) + BigInt(host)) as Ipv6)
      : addToIpv4(maskIpv4(address, SEGMENT_LENGTH), host),
  );
}

/** ARP and NDP for addresses that are elsewhere. */
function standIn(addresses: readonly IpAddress[]): readonly LabCommand[] {
  const [first] = addresses;
  if (first === undefined) return [];
  if (typeof first === "number")
    return [inNs(UNDERLAY, "sysctl", "-w", "net.ipv4.conf.outside-0.proxy_arp=1")];
  return [
    inNs(UNDERLAY, "sysctl", "-w", "net.ipv6.conf.outside-0.proxy_ndp=1"),
    ...addresses.map((address) =>
      inNs(UNDERLAY, "ip", "neigh", "add", "proxy", formatIp(address), "dev", "outside-0"),
    ),
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
