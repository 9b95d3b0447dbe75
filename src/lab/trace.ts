import { UserError } from "../base/errors.js";
import type { NameLookup, Recording } from "../core/recording.js";
import { NF_IP_PRI_FIRST } from "../core/hooks.js";
import { deliver } from "../core/drop.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { TraceEvent } from "../core/trace.js";
import type { Cluster } from "../kube/cluster.js";
import { resolve } from "../kube/dns/resolver.js";
import { newQuery } from "../kube/dns/messages.js";
import { externalAddresses } from "../kube/external-routes.js";
import { outsideCommands, UNDERLAY } from "../kube/nodes.js";
import { keyOf } from "../kube/objects.js";
import { encodeDns } from "../wire/dns.js";
import { formatIpv4, type Ipv4, parseIpv4, prefixContains } from "../wire/ip.js";
import { runLabCommand } from "./build.js";
import { chainsAtRest } from "./chain-rules.js";
import { type ClusterPart, wholeCluster } from "./cluster-lab.js";
import { type Destination, parseDestination, parseSource, type Source } from "./endpoints.js";
import { buildLiveCluster, type LiveCluster, resolvConfOf } from "./live-cluster.js";
import { addressesBehind, holds, partFor } from "./part.js";
import { policiesNotRendered } from "./policies.js";
import { proxyNotModelled } from "./proxy-mode.js";
import { notModelledOnPath } from "./recorded/not-modelled.js";
import { routesThatDiffer } from "./recorded/recorded-routes.js";
import { traceRecorded } from "./recorded/recorded-trace.js";
import { nodeResolvConf } from "./resolvers.js";
import { sendRequest } from "./send.js";
import { endpointNotes } from "./service-notes.js";
import { traceInLab } from "./trace-lab.js";
import type { Decider } from "./what-if/decisions.js";
import { traceTowards } from "./what-if/endpoint.js";
import type { ClusterWorld, World } from "./world.js";

/** What is asked: who sends what to whom. */
export interface TraceRequest {
  readonly source: string;
  readonly destination: string;
  readonly protocol: "tcp" | "udp" | "icmp";
  /** 1..65535; the id of an ICMP echo. */
  readonly sourcePort: number;
  readonly ttl: number | undefined;
  /** Everything random follows from it. */
  readonly seed: number;
  /** Where rules decide by chance, go to this pod (or address, where only dumps are given). */
  readonly endpoint: string | undefined;
  /** Stop when the request has arrived. */
  readonly oneWay: boolean;
  /** The device that a packet from outside comes in by, where only dumps are given: `eth0`, `gw:eth0`. */
  readonly inputDevice?: string | undefined;
  /** Decides in place of chance. */
  readonly decider?: Decider | undefined;
}

/** Sends one request through a world and records everything. Throws UserError for names that mean nothing in it. */
export function traceRequest(world: World, request: TraceRequest): Recording {
  const { endpoint } = request;
  if (endpoint !== undefined)
    return traceTowards(world, request, endpoint, (next) => traceRequest(world, next));
  if (world.kind === "recorded") return traceRecorded(world, request);
  if (world.kind === "lab") return traceInLab(world, request);
  const source = parseSource(request.source, world.cluster, world.name);
  const asked = parseDestination(request.destination, world.cluster, world.name, request.protocol);
  const destination =
    source.kind === "outside" ? fromOutside(asked, request.destination, world.cluster) : asked;
  return record(world, request, source, destination);
}

/** Builds what the request can meet; the whole cluster when a name turned out to be elsewhere. */
function record(
  world: ClusterWorld,
  request: TraceRequest,
  source: Source,
  destination: Destination,
  part: ClusterPart = partFor(world.cluster, source, destination),
): Recording {
  const { cluster } = world;
  const live = buildLiveCluster(world, request.seed, part);
  const { sim } = live;
  const ns = sourceNamespace(live, cluster, source);
  const lookupEvents: TraceEvent[] = [];
  const lookup =
    destination.kind === "name"
      ? lookUp(live, world, ns, source, destination.name, request.seed, lookupEvents)
      : undefined;
  const address =
    destination.kind === "address" ? destination.address : parseIpv4(lookup?.address ?? "");
  const events: TraceEvent[] = [];
  if (address !== undefined) {
    if (!holds(part, cluster, address, destination.port))
      return record(world, request, source, destination, wholeCluster(cluster));
    openOutsides(live, cluster, [address, ...addressesBehind(cluster, destination)]);
    sim.trace = (event) => events.push(event);
    request.decider?.begin(sim);
    // The same seed draws the same endpoint, whatever was built or asked before.
    sim.reseed(request.seed);
    sendRequest(ns, {
      protocol: request.protocol,
      address,
      port: destination.port,
      sourcePort: request.sourcePort,
      ttl: request.ttl,
      data:
        request.protocol === "udp" && destination.port === 53
          ? dnsQuery(cluster)
          : new TextEncoder().encode("hopwise"),
      oneWay: request.oneWay,
    });
    sim.trace = undefined;
  }
  return {
    world: world.name,
    seed: request.seed,
    proxy: "iptables",
    request: {
      source: request.source,
      destination: request.destination,
      protocol: request.protocol,
      sourceNs: ns.name,
      sourceAddress: formatIpv4(source.address),
      sourcePort: request.sourcePort,
      address: address === undefined ? undefined : formatIpv4(address),
      port: destination.port,
    },
    lookup,
    lookupEvents,
    events,
    names: namesOf(cluster),
    makers: live.makers,
    chain: chainsAtRest(sim),
    notes: [
      ...cluster.notes.map(({ text }) => text),
      ...endpointNotes(cluster, serviceMeant(destination, lookup), destination.port),
    ],
    unknown: [
      ...policiesNotRendered(cluster, [...lookupEvents, ...events]),
      ...proxyNotModelled(cluster, [...lookupEvents, ...events]),
      ...notModelledOnPath(world.records.values(), [...lookupEvents, ...events]),
      ...routesThatDiffer(world.records.values(), cluster, [...lookupEvents, ...events]),
    ],
    oneWay: request.oneWay,
  };
}

/** The namespace that sends; a host outside is made for the run. */
export function sourceNamespace(
  { sim }: LiveCluster,
  cluster: Cluster,
  source: Source,
): NetworkNamespace {
  if (source.kind === "outside")
    for (const command of outsideCommands(cluster, source.address)) runLabCommand(sim, command);
  const ns = sim.namespaces.get(source.kind === "outside" ? "outside" : source.ns);
  if (ns === undefined) throw new Error(`no namespace for ${JSON.stringify(source)}`);
  return ns;
}

/** A Service that is named from outside means the address that it shows there: of a load balancer, else an external IP. */
export function fromOutside(destination: Destination, text: string, cluster: Cluster): Destination {
  if (destination.kind !== "address" || destination.service === undefined) return destination;
  const { service } = destination;
  const found = cluster.services.find(({ object }) => keyOf(object) === service);
  const [shown] = found === undefined ? [] : externalAddresses(found.object);
  return shown === undefined || text.startsWith(formatIpv4(destination.address))
    ? destination
    : { ...destination, address: shown };
}

export function isOutside(address: Ipv4, cluster: Cluster): boolean {
  const known =
    cluster.nodes.some((node) => node.address === address) ||
    cluster.pods.some((pod) => pod.address === address) ||
    cluster.services.some(({ object }) => externalAddresses(object).includes(address));
  return (
    !known &&
    !prefixContains(cluster.networks.pods.prefix, address) &&
    !prefixContains(cluster.networks.services.prefix, address) &&
    !sharesSegment(address, cluster)
  );
}

function sharesSegment(address: Ipv4, cluster: Cluster): boolean {
  return cluster.nodes.some((node) =>
    prefixContains({ address: node.address, length: 24 }, address),
  );
}

/** The Service that is asked for, by its own name or by one that DNS knows. */
function serviceMeant(
  destination: Destination,
  lookup: NameLookup | undefined,
): string | undefined {
  if (destination.kind === "address") return destination.service;
  return /^Service (.+)$/.exec(lookup?.means ?? "")?.[1];
}

/** Opens the way to every address outside that the request may be sent to: its own, and those of endpoints. */
function openOutsides(live: LiveCluster, cluster: Cluster, addresses: Iterable<Ipv4>): void {
  const beyond = [...new Set(addresses)].filter((address) => isOutside(address, cluster));
  const [first, ...others] = beyond;
  if (first === undefined || live.sim.namespaces.has("outside")) return;
  openOutside(live, cluster, first);
  for (const address of others) {
    const argv = ["ip", "route", "add", formatIpv4(address), "via", formatIpv4(first)];
    runLabCommand(live.sim, { ns: UNDERLAY, argv });
  }
}

/** The world ends at a host outside: what gets there has left the cluster, and nobody knows what it answers. */
export function openOutside({ sim }: LiveCluster, cluster: Cluster, address: Ipv4): void {
  if (sim.namespaces.has("outside")) return;
  for (const command of outsideCommands(cluster, address)) runLabCommand(sim, command);
  sim.namespaces.get("outside")?.hooks.register("ipv4", {
    name: "end of the world",
    hook: "PREROUTING",
    priority: NF_IP_PRI_FIRST,
    run(skb) {
      deliver(skb, "outside the cluster");
      return { kind: "stolen", by: "end of the world" };
    },
  });
}

/** Asks the pod's resolver, as a program in it would. */
export function lookUp(
  live: LiveCluster,
  world: ClusterWorld,
  ns: NetworkNamespace,
  source: Source,
  name: string,
  seed: number,
  events: TraceEvent[],
): NameLookup {
  if (source.kind === "outside") {
    throw new UserError(
      "NAME_OUTSIDE",
      `a host outside does not ask the cluster's DNS for "${name}"`,
      { help: "name the destination by address: NODE:PORT or ADDRESS:PORT" },
    );
  }
  const { sim } = live;
  const conf = resolvConfOf(world.cluster, source.pod, nodeResolvConf(world));
  let found: NameLookup | undefined;
  sim.reseed(seed);
  sim.trace = (event) => events.push(event);
  resolve({ ns, conf, name }, (result) => {
    const address = result.addresses.find(({ family }) => family === 4)?.address;
    found = {
      asked: name,
      address,
      name: address === undefined ? undefined : withoutDot(result.name),
      tried: result.tried.map((one) => withoutDot(one.name)),
      error: address === undefined ? (result.error ?? "no IPv4 address") : undefined,
      unknown: undefined,
      means: address === undefined ? undefined : serviceAt(world.cluster, address),
    };
  });
  while (found === undefined && sim.step()) continue;
  sim.trace = undefined;
  const [unknown] = live.unknown;
  const result = found ?? {
    asked: name,
    address: undefined,
    name: undefined,
    tried: [],
    error: "timeout",
    unknown: undefined,
    means: undefined,
  };
  return result.address === undefined && unknown !== undefined
    ? { ...result, error: undefined, unknown }
    : result;
}

function withoutDot(name: string): string {
  return name.replace(/(?<=.)\.$/, "");
}

function serviceAt(cluster: Cluster, address: string): string | undefined {
  const service = cluster.services.find(({ object }) => object.spec?.clusterIP === address);
  const pod = cluster.pods.find(
    (one) => one.address !== undefined && formatIpv4(one.address) === address,
  );
  return service !== undefined
    ? `Service ${keyOf(service.object)}`
    : pod === undefined
      ? undefined
      : `Pod ${pod.key}`;
}

/** A question that every cluster's DNS can answer. */
function dnsQuery(cluster: Cluster): Uint8Array {
  return encodeDns({
    ...newQuery(`kubernetes.default.svc.${cluster.networks.dnsDomain}.`, "A"),
    id: 1,
  });
}

export function namesOf(cluster: Cluster): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { object } of cluster.services) {
    if (object.spec?.clusterIP !== undefined) names.set(object.spec.clusterIP, keyOf(object));
    for (const address of externalAddresses(object)) names.set(formatIpv4(address), keyOf(object));
  }
  for (const node of cluster.nodes) names.set(formatIpv4(node.address), node.name);
  for (const pod of cluster.pods)
    if (pod.address !== undefined && !pod.hostNetwork) names.set(formatIpv4(pod.address), pod.key);
  return names;
}
