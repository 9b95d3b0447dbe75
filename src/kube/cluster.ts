import type { ConfigMap, Namespace, Node, Pod, Service } from "kubernetes-types/core/v1.js";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";
import { throwCollected, UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import {
  formatIpv4Prefix,
  formatIpv6Prefix,
  type Ipv4,
  type Ipv4Prefix,
  type Ipv6,
  type Ipv6Prefix,
  parseIpv4,
} from "../wire/ip.js";
import { type CalicoNetwork, calicoFiles, findCalico } from "./calico-config.js";
import {
  calicoConflist,
  type Conflist,
  withPodCidr,
  defaultConflist,
  flannelConflist,
} from "./cni/conflist.js";
import { SUBNET_ENV } from "./cni/flannel.js";
import {
  assumeApiService,
  assumeApiSlice,
  assumeDns,
  assumeNodes,
  findDnsService,
} from "./controllers/assumptions.js";
import { impliedNamespaces, internalIp, isControlPlane } from "./controllers/assumptions.js";
import { isReady, makeEndpointSlices } from "./controllers/endpoint-slices.js";
import { type ClusterNetworks, findNetworks } from "./controllers/networks.js";
import { assignPodCidrs } from "./controllers/node-ipam.js";
import { assignPodAddresses } from "./controllers/pod-addresses.js";
import { type RunningPods, withRunningPods } from "./controllers/running-pods.js";
import { assignPodCidrs6, internalIp6 } from "./controllers/second-family.js";
import { Scheduler } from "./controllers/scheduler.js";
import { allocateServices } from "./controllers/service-ips.js";
import { withStaticPods } from "./controllers/static-pods.js";
import { expandWorkloads, type WorkloadPod } from "./controllers/workloads.js";
import { describeRoute, type ExternalRoute, findExternalRoutes } from "./external-routes.js";
import { type FlannelNetwork, findFlannel, subnetEnv } from "./flannel-config.js";
import { type LoadResult, type Note, noteAt, type UnusedObject } from "./load.js";
import { findMasqueradeAgent, kindnetConflist, type MasqueradeAgent } from "./masquerade-agents.js";
import { type Kind, keyOf, type Loaded, nameOf, namespaceOf } from "./objects.js";

export interface ClusterNode {
  readonly name: string;
  readonly loaded: Loaded<Node>;
  /** The InternalIP; in a cluster of IPv6 alone the IPv4 address that eth0 is taken to have beside it. */
  readonly address: Ipv4;
  /** The IPv6 InternalIP, in a cluster that has IPv6; undefined for none. */
  readonly address6: Ipv6 | undefined;
  /** Where the node's pods get their addresses from; undefined where it has no pods of its own. */
  readonly podCidr: Ipv4Prefix | undefined;
  /** The same of IPv6. */
  readonly podCidr6: Ipv6Prefix | undefined;
  /** The networks that addresses of its pods come from where the pod CIDR does not say it: Calico's pools. */
  readonly pools: readonly Ipv4Prefix[];
  readonly controlPlane: boolean;
  /** The CNI configuration of the node; undefined without a pod CIDR. */
  readonly conflist: Conflist | undefined;
  /** What the node's agents wrote for the CNI, by path. */
  readonly files: ReadonlyMap<string, string>;
}

/** How packets go from the pods of one node to those of another: routes to the nodes themselves, or what flannel makes. */
export type NetworkBetweenNodes =
  | {
      readonly kind: "routes";
      /** Who masquerades what leaves the cluster; undefined for nobody. */
      readonly agent: MasqueradeAgent | undefined;
    }
  | FlannelNetwork
  | CalicoNetwork;

export interface ClusterPod {
  readonly namespace: string;
  readonly name: string;
  /** `shop/web-0`. */
  readonly key: string;
  readonly loaded: Loaded<Pod>;
  /** The node's name; undefined for a pod that is Pending. */
  readonly node: string | undefined;
  /** Why no node takes it, in the scheduler's words. */
  readonly pending: string | undefined;
  readonly address: Ipv4 | undefined;
  /** Of a cluster that has IPv6. */
  readonly address6: Ipv6 | undefined;
  /** It lives in the node's own namespace. */
  readonly hostNetwork: boolean;
  readonly ready: boolean;
  /** The workload that a user would name. */
  readonly workload: { readonly kind: Kind; readonly name: string } | undefined;
  /** Why the pod cannot be put on its node's network as modelled; undefined when it can. */
  readonly unmodelled: string | undefined;
}

/** A whole cluster: what was given, what the controllers make of it, what is assumed. Every list has a stable order. */
export interface Cluster {
  readonly nodes: readonly ClusterNode[];
  readonly pods: readonly ClusterPod[];
  readonly namespaces: readonly Loaded<Namespace>[];
  readonly services: readonly Loaded<Service>[];
  readonly endpointSlices: readonly Loaded<EndpointSlice>[];
  /** Where outside traffic to load-balancer and external addresses enters. */
  readonly externalRoutes: readonly ExternalRoute[];
  readonly configMaps: readonly Loaded<ConfigMap>[];
  /** Policies of kinds that only their plugin knows: Calico's and Cilium's own. */
  readonly foreignPolicies: readonly UnusedObject[];
  /** Everything else that was read, as it was read. */
  readonly objects: LoadResult["objects"];
  readonly networks: ClusterNetworks;
  readonly network: NetworkBetweenNodes;
  /** The cluster's DNS Service; undefined when the objects have a DNS elsewhere. */
  readonly dns: Loaded<Service> | undefined;
  /** What was assumed or passed over. */
  readonly notes: readonly Note[];
}

export interface ClusterOptions {
  /** The CNI configuration of all nodes; without one a bridge is assumed. */
  readonly conflist?: Conflist | undefined;
  /** What runs already, where the cluster is not new. */
  readonly running?: RunningPods | undefined;
  /** Pods by `namespace/name` that are taken out when the workloads have made theirs. */
  readonly missing?: ReadonlySet<string> | undefined;
}

/** Runs the controllers over the objects. Throws UserError or UserErrors with every mistake. */
export function buildCluster(load: LoadResult, options: ClusterOptions = {}): Cluster {
  const objects = { ...load.objects, Pod: withStaticPods(load.objects.Pod) };
  const notes: Note[] = [...load.notes];
  const errors: UserError[] = [];
  const networks = findNetworks(objects, notes, errors);
  const serviceCidr = networks.services.prefix;
  const { families } = networks;
  const primaryCidr = families[0] === 6 ? (networks.services6 ?? serviceCidr) : serviceCidr;
  const dns = assumeDns(objects, primaryCidr, networks.dnsDomain, notes);
  const asked = [
    ...objects.Service,
    ...assumeApiService(objects.Service, primaryCidr, notes),
    ...dns.services,
  ];
  const services = allocateServices(asked, serviceCidr, errors, networks.services6, families);
  const loadedNodes = assumeNodes(objects, notes, families);
  const podCidrs = families.includes(4)
    ? assignPodCidrs(loadedNodes, networks.pods.prefix, serviceCidr, errors)
    : new Map<string, Ipv4Prefix>();
  const podCidrs6 = assignPodCidrs6(loadedNodes, networks.pods6);
  const network: NetworkBetweenNodes = findFlannel(objects, errors) ??
    findCalico(
      { ...objects, Node: loadedNodes },
      { conflist: options.conflist, pods: networks.pods.prefix },
      notes,
      errors,
    ) ?? { kind: "routes", agent: findMasqueradeAgent(objects, options.conflist) };
  noteFlannel(network, networks, notes);
  noteCalico(network, notes);
  if (options.conflist === undefined && network.kind === "routes" && network.agent === "kindnet")
    notes.push({ text: "CNI assumed: kindnet's ptp with host-local and portmap on every node" });
  else if (options.conflist === undefined && network.kind === "routes")
    notes.push({ text: "CNI assumed: bridge cni0 with host-local and portmap on every node" });
  const nodes = loadedNodes.flatMap((loaded, index) =>
    makeNode(
      loaded,
      {
        v4: podCidrs.get(nameOf(loaded.object)),
        v6: podCidrs6.get(nameOf(loaded.object)),
        families,
        index,
      },
      { ...options, network },
      errors,
    ),
  );
  reportSharedAddresses(nodes, errors);
  const withDns = { ...objects, Deployment: [...dns.deployments, ...objects.Deployment] };
  const { running } = options;
  const wanted = expandWorkloads(withDns, loadedNodes, errors, running);
  const there = withoutPods(wanted, options.missing, errors, notes);
  const expanded = running === undefined ? there : withRunningPods(there, running);
  throwCollected(errors);
  const placed = schedule(expanded, loadedNodes, notes);
  const pods = assignPodAddresses(placed, nodes, notes, errors, families, running?.ipam);
  throwCollected(errors);
  const slices = [
    ...objects.EndpointSlice,
    ...assumeApiSlice(objects.EndpointSlice, loadedNodes, families[0]),
  ];
  const endpointSlices = makeEndpointSlices({
    services,
    pods: pods.map(({ loaded }) => loaded),
    nodes: loadedNodes,
    slices,
    endpoints: objects.Endpoints,
    running: running !== undefined,
  });
  const externalRoutes = findExternalRoutes({ nodes, services, endpointSlices });
  for (const route of externalRoutes)
    notes.push(noteAt(describeRoute(route), route.service.origin));
  return {
    nodes,
    pods,
    namespaces: impliedNamespaces(objects),
    services,
    endpointSlices,
    externalRoutes,
    configMaps: [...objects.ConfigMap, ...dns.configMaps],
    foreignPolicies: load.unused.filter(({ kind }) => FOREIGN_POLICY.test(kind)),
    objects,
    networks,
    network,
    dns: findDnsService(services),
    notes,
  };
}

/** Staged policies change nothing. */
const FOREIGN_POLICY = /^(?!Staged).*NetworkPolicy$/;

/** Takes pods out that workloads made: in a cluster these would make others. */
function withoutPods(
  pods: readonly WorkloadPod[],
  missing: ReadonlySet<string> | undefined,
  errors: UserError[],
  notes: Note[],
): readonly WorkloadPod[] {
  if (missing === undefined || missing.size === 0) return pods;
  const known = new Map(pods.map((pod) => [keyOf(pod.loaded.object), pod]));
  for (const key of missing) {
    const pod = known.get(key);
    if (pod === undefined) {
      const near = nearest(key, known.keys());
      const help = near === undefined ? "hopwise show pods lists all" : `did you mean ${near}?`;
      errors.push(new UserError("OBJECT_UNKNOWN", `no Pod "${key}" to leave out`, { help }));
      continue;
    }
    const { workload, loaded } = pod;
    const owner =
      workload === undefined
        ? ""
        : `${workload.kind} ${namespaceOf(loaded.object)}/${workload.name}`;
    notes.push({
      text: `without Pod ${key}: ${owner} is taken to have one pod fewer; in a cluster it would make another`,
    });
  }
  return pods.filter(({ loaded }) => !missing.has(keyOf(loaded.object)));
}

interface NodeCidrs {
  readonly v4: Ipv4Prefix | undefined;
  readonly v6: Ipv6Prefix | undefined;
  readonly families: ClusterNetworks["families"];
  /** Of the node among all. */
  readonly index: number;
}

function makeNode(
  loaded: Loaded<Node>,
  { v4: podCidr, v6: podCidr6, families, index }: NodeCidrs,
  { conflist: given, network }: ClusterOptions & { readonly network: NetworkBetweenNodes },
  errors: UserError[],
): readonly ClusterNode[] {
  const { object, origin } = loaded;
  const name = nameOf(object);
  const text =
    internalIp(object) ??
    (families.includes(4) ? "" : `192.168.${10 + Math.floor(index / 240)}.${10 + (index % 240)}`);
  const address = parseIpv4(text);
  if (address === undefined) {
    errors.push(
      new UserError(
        "NODE_BAD_ADDRESS",
        `Node ${name}: "${text}" is not an IPv4 address`,
        origin.details(["status", "addresses"]),
      ),
    );
    return [];
  }
  const cidrs = families.flatMap((family) =>
    family === 4
      ? podCidr === undefined
        ? []
        : [formatIpv4Prefix(podCidr)]
      : podCidr6 === undefined
        ? []
        : [formatIpv6Prefix(podCidr6)],
  );
  const conflist = given ?? installedConflist(network);
  const assumed =
    network.kind === "routes" && network.agent === "kindnet" ? kindnetConflist : defaultConflist;
  const list =
    cidrs.length === 0
      ? network.kind === "calico" && !network.hostLocal
        ? conflist
        : undefined
      : conflist === undefined
        ? assumed(...cidrs)
        : withPodCidr(conflist, ...cidrs);
  const spec = {
    ...object.spec,
    ...(cidrs[0] === undefined ? {} : { podCIDR: cidrs[0], podCIDRs: cidrs }),
  };
  return [
    {
      name,
      loaded: { object: { ...object, spec }, origin },
      address,
      address6: families.includes(6) ? internalIp6(object) : undefined,
      podCidr,
      podCidr6,
      pools:
        network.kind === "calico" && !network.hostLocal
          ? network.pools.map((pool) => pool.network)
          : [],
      controlPlane: isControlPlane(object),
      conflist: list,
      files: agentFiles(network, name, { podCidr, podCidr6 }),
    },
  ];
}

/** The list that the network's own agent installs, unless a node's own was given. */
function installedConflist(network: NetworkBetweenNodes): Conflist | undefined {
  if (network.kind === "flannel") return network.conflist ?? flannelConflist();
  return network.kind === "calico" ? calicoConflist() : undefined;
}

/** What the network's agent wrote for the CNI on one node, by path. */
function agentFiles(
  network: NetworkBetweenNodes,
  node: string,
  { podCidr, podCidr6 }: Pick<ClusterNode, "podCidr" | "podCidr6">,
): ReadonlyMap<string, string> {
  if (network.kind === "calico") return calicoFiles(network, node);
  return network.kind === "flannel" && (podCidr !== undefined || podCidr6 !== undefined)
    ? new Map([[SUBNET_ENV, subnetEnv(network, podCidr, podCidr6)]])
    : new Map();
}

function noteCalico(network: NetworkBetweenNodes, notes: Note[]): void {
  if (network.kind !== "calico") return;
  for (const { name, network: pool, blockLength, ipip, vxlan, natOutgoing } of network.pools) {
    const [mode, when] = vxlan === "Never" ? ["IPIP", ipip] : ["VXLAN", vxlan];
    const way = when === "Never" ? "routes without a tunnel" : `${mode} ${when}`;
    const nat = natOutgoing ? ", natOutgoing" : "";
    notes.push({
      text: `pod network between nodes: Calico, pool ${name ?? "(assumed)"} ${formatIpv4Prefix(pool)} in blocks of /${blockLength}, ${way}${nat}`,
    });
  }
}

function noteFlannel(
  network: NetworkBetweenNodes,
  { pods, pods6 }: ClusterNetworks,
  notes: Note[],
): void {
  if (network.kind !== "flannel") return;
  const way = network.backend === "vxlan" ? `VXLAN ${network.vni}` : "host-gw";
  notes.push({ text: `pod network between nodes: flannel ${way}, as kube-flannel-cfg says` });
  const [own, own6] = [network.network, network.network6];
  if (own !== undefined && formatIpv4Prefix(own) !== formatIpv4Prefix(pods.prefix))
    notes.push({
      text: `flannel's Network ${formatIpv4Prefix(own)} is not the cluster CIDR ${formatIpv4Prefix(pods.prefix)}`,
    });
  if (
    own6 !== undefined &&
    pods6 !== undefined &&
    formatIpv6Prefix(own6) !== formatIpv6Prefix(pods6)
  )
    notes.push({
      text: `flannel's IPv6Network ${formatIpv6Prefix(own6)} is not the cluster CIDR ${formatIpv6Prefix(pods6)}`,
    });
}

function reportSharedAddresses(nodes: readonly ClusterNode[], errors: UserError[]): void {
  const seen = new Map<Ipv4, ClusterNode>();
  for (const node of nodes) {
    const other = seen.get(node.address);
    if (other === undefined) seen.set(node.address, node);
    else {
      const { origin, object } = node.loaded;
      const message = `Node ${node.name}: InternalIP ${internalIp(object) ?? ""} is the address of node ${other.name} too`;
      errors.push(
        new UserError("NODE_ADDRESS_SHARED", message, origin.details(["status", "addresses"])),
      );
    }
  }
}

/** Pods with the node they run on, in the same order. */
function schedule(
  pods: readonly WorkloadPod[],
  nodes: readonly Loaded<Node>[],
  notes: Note[],
): readonly ClusterPod[] {
  const scheduler = new Scheduler(nodes.map(({ object }) => object));
  let affinity = 0;
  const placed = pods.map(({ loaded, workload }): ClusterPod => {
    const { object, origin } = loaded;
    const spec = object.spec ?? { containers: [] };
    if (spec.affinity?.podAffinity !== undefined || spec.affinity?.podAntiAffinity !== undefined)
      affinity++;
    const key = keyOf(object);
    const group =
      workload === undefined ? key : `${namespaceOf(object)}/${workload.kind}/${workload.name}`;
    const placement = scheduler.place(spec, group);
    const node = "node" in placement ? placement.node : undefined;
    const pending = "pending" in placement ? placement.pending : undefined;
    if (pending !== undefined) notes.push(noteAt(`Pod ${key} is Pending: ${pending}`, origin));
    return {
      namespace: namespaceOf(object),
      name: nameOf(object),
      key,
      loaded: {
        object: node === undefined ? object : { ...object, spec: { ...spec, nodeName: node } },
        origin,
      },
      node,
      pending,
      address: undefined,
      address6: undefined,
      hostNetwork: spec.hostNetwork === true,
      ready: isReady(object),
      workload,
      unmodelled: undefined,
    };
  });
  if (affinity > 0)
    notes.push({ text: `pod affinity is not modelled: ${affinity} pods were placed without it` });
  return placed;
}
