import { UserError } from "../base/errors.js";
import type { NameLookup, Recording } from "../core/recording.js";
import { NF_IP_PRI_FIRST } from "../core/hooks.js";
import { deliver } from "../core/drop.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { TraceEvent } from "../core/trace.js";
import type { Cluster } from "../kube/cluster.js";
import { inOrderOfUse } from "../kube/dns/address-order.js";
import { resolve, type ResolveResult } from "../kube/dns/resolver.js";
import { newQuery } from "../kube/dns/messages.js";
import { externalAddresses, notesTowards } from "../kube/external-routes.js";
import { outsideCommands, UNDERLAY } from "../kube/nodes.js";
import { keyOf } from "../kube/objects.js";
import { clusterIpsOf, nodeAddresses, nodeAt, podAddresses } from "../kube/own-addresses.js";
import { encodeDns } from "../wire/dns.js";
import {
  formatIp,
  type IpAddress,
  ipv6PrefixContains,
  isIpv6LinkLocal,
  isIpv6Multicast,
  parseIpv4,
  parseIpv6,
  prefixContains,
} from "../wire/ip.js";
import { isLinkTalk } from "../wire/icmpv6.js";
import { runLabCommand, settleIpv6 } from "./build.js";
import { chainsAtRest } from "./chain-rules.js";
import { type ClusterPart, wholeCluster } from "./cluster-lab.js";
import { type Destination, parseDestination, parseSource, type Source } from "./endpoints.js";
import { buildLiveCluster, type LiveCluster, resolvConfOf } from "./live-cluster.js";
import { addressesBehind, holds, partFor } from "./part.js";
import { policiesNotRendered } from "./policies.js";
import { healthNotes, healthRequest } from "./proxy-health.js";
import { proxyNotModelled } from "./proxy-mode.js";
import { notModelledOnPath } from "./recorded/not-modelled.js";
import { gapsMet } from "./recorded/recorded-gaps.js";
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
  /** How many packets of the sender are wanted; 1 when undefined. */
  readonly count?: number | undefined;
  /** The device that a packet from outside comes in by, where only dumps are given: `eth0`, `gw:eth0`. */
  readonly inputDevice?: string | undefined;
  /** The family of addresses that is asked for; undefined for what a program would take. */
  readonly family?: 4 | 6 | undefined;
  /** Of the addresses that a name has and chance orders, the one that comes first. */
  readonly chosen?: string | undefined;
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
  const family = request.family ?? onlyFamily(source);
  const asked = parseDestination(
    request.destination,
    world.cluster,
    world.name,
    request.protocol,
    family,
  );
  const destination =
    source.kind === "outside" ? fromOutside(asked, request.destination, world.cluster) : asked;
  if (destination.kind === "address") refuseOtherFamily(source, destination.address);
  return record(world, { ...request, family }, source, destination);
}

/** The one family that the source has addresses of; undefined where it has both. */
export function onlyFamily(source: Source): 4 | 6 | undefined {
  const addresses = source.kind === "inside" ? source.addresses : [source.address];
  const six = addresses.map((address) => typeof address === "bigint");
  return six.every(Boolean) ? 6 : six.some(Boolean) ? undefined : 4;
}

/** A host outside has one address: nothing is sent to another family from there. */
function refuseOtherFamily(source: Source, address: IpAddress): void {
  if (source.kind === "inside" || typeof source.address === typeof address) return;
  throw new UserError(
    "ADDRESS_FAMILY",
    `${formatIp(source.address)} and ${formatIp(address)} are addresses of two families`,
    { help: "name a host outside and a destination of one family" },
  );
}

/** Builds what the request can meet; the whole cluster when a name turned out to be elsewhere. */
function record(
  world: ClusterWorld,
  request: TraceRequest,
  source: Source,
  destination: Destination,
  part: ClusterPart = partFor(world.cluster, source, destination, world.records),
): Recording {
  const { cluster } = world;
  const live = buildLiveCluster(world, request.seed, part);
  const { sim } = live;
  const ns = sourceNamespace(live, cluster, source);
  const lookupEvents: TraceEvent[] = [];
  const lookup =
    destination.kind === "name"
      ? lookUp(live, world, ns, source, { ...request, name: destination.name }, lookupEvents)
      : undefined;
  const address =
    destination.kind === "address" ? destination.address : parseIp(lookup?.address ?? "");
  const events: TraceEvent[] = [];
  if (address !== undefined) {
    if (!holds(part, cluster, address, destination.port))
      return record(world, request, source, destination, wholeCluster(cluster));
    openOutsides(live, cluster, [address, ...addressesBehind(cluster, destination)]);
    // What a new host tells its link of itself belongs to no request.
    if (typeof address === "bigint" && sim.namespaces.has("outside")) settleIpv6(sim);
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
      asks: healthRequest(cluster, request.protocol, address, destination.port),
      oneWay: request.oneWay,
      count: request.count,
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
      sourceAddress: formatIp(sourceAddressFor(source, address)),
      sourcePort: request.sourcePort,
      address: address === undefined ? undefined : formatIp(address),
      port: destination.port,
    },
    lookup,
    lookupEvents,
    events,
    names: namesOf(cluster),
    makers: live.makers,
    chain: chainsAtRest(sim),
    notes: [
      ...healthNotes(events, ns.name),
      ...notesTowards(cluster, address),
      ...endpointNotes(
        cluster,
        serviceMeant(destination, lookup),
        request.protocol,
        destination.port,
      ),
    ],
    unknown: [
      ...policiesNotRendered(cluster, [...lookupEvents, ...events]),
      ...proxyNotModelled(cluster, [...lookupEvents, ...events]),
      ...notModelledOnPath(world.records.values(), [...lookupEvents, ...events]),
      ...gapsMet(live.gaps, [...lookupEvents, ...events]),
      ...routesThatDiffer(world.records.values(), cluster, [...lookupEvents, ...events]),
    ],
    oneWay: request.oneWay,
  };
}

function parseIp(text: string): IpAddress | undefined {
  return parseIpv4(text) ?? parseIpv6(text);
}

/** The source's address of the destination's family; its first one where there is none. */
export function sourceAddressFor(source: Source, destination: IpAddress | undefined): IpAddress {
  const all = source.kind === "inside" ? source.addresses : [];
  return all.find((address) => typeof address === typeof destination) ?? source.address;
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
  const shown =
    found === undefined
      ? undefined
      : externalAddresses(found.object).find(
          (address) => typeof address === typeof destination.address,
        );
  const literal = formatIp(destination.address);
  return shown === undefined || text.startsWith(literal) || text.startsWith(`[${literal}]`)
    ? destination
    : { ...destination, address: shown };
}

export function isOutside(address: IpAddress, cluster: Cluster): boolean {
  const { pods, services, pods6, services6 } = cluster.networks;
  const known =
    nodeAt(cluster, address) !== undefined ||
    cluster.pods.some((pod) => podAddresses(pod).includes(address)) ||
    cluster.services.some(({ object }) => externalAddresses(object).includes(address));
  const within =
    typeof address === "number"
      ? [pods.prefix, services.prefix].some((prefix) => prefixContains(prefix, address))
      : [pods6, services6].some(
          (prefix) => prefix !== undefined && ipv6PrefixContains(prefix, address),
        );
  return !known && !within && !isNearby(address, cluster);
}

/** On a node's segment, or an address of IPv6 that means something on one link alone. */
function isNearby(address: IpAddress, cluster: Cluster): boolean {
  if (typeof address === "bigint")
    return (
      isIpv6LinkLocal(address) ||
      isIpv6Multicast(address) ||
      cluster.nodes.some(
        ({ address6 }) =>
          address6 !== undefined && ipv6PrefixContains({ address: address6, length: 64 }, address),
      )
    );
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
function openOutsides(live: LiveCluster, cluster: Cluster, addresses: Iterable<IpAddress>): void {
  const beyond = [...new Set(addresses)].filter((address) => isOutside(address, cluster));
  const [first, ...others] = beyond;
  if (first === undefined || live.sim.namespaces.has("outside")) return;
  openOutside(live, cluster, first);
  for (const address of others) {
    // One host outside stands for all of its family.
    if (typeof address !== typeof first) continue;
    const argv = ["ip", "route", "add", formatIp(address), "via", formatIp(first)];
    runLabCommand(live.sim, { ns: UNDERLAY, argv });
  }
}

/** The world ends at a host outside: what gets there has left the cluster, and nobody knows what it answers. */
export function openOutside({ sim }: LiveCluster, cluster: Cluster, address: IpAddress): void {
  if (sim.namespaces.has("outside")) return;
  for (const command of outsideCommands(cluster, address)) runLabCommand(sim, command);
  const family = typeof address === "bigint" ? "ipv6" : "ipv4";
  sim.namespaces.get("outside")?.hooks.register(family, {
    name: "end of the world",
    hook: "PREROUTING",
    priority: NF_IP_PRI_FIRST,
    run(skb) {
      // Neighbours are still found, or nothing would get there.
      const { transport } = skb.frame;
      if (transport?.kind === "icmpv6" && isLinkTalk(transport.type)) return { kind: "accept" };
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
  {
    name,
    seed,
    family,
    chosen,
  }: Pick<TraceRequest, "seed" | "family" | "chosen"> & { readonly name: string },
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
  let answer: ResolveResult | undefined;
  sim.reseed(seed);
  sim.trace = (event) => events.push(event);
  resolve({ ns, conf, name }, (result) => {
    answer = result;
  });
  while (answer === undefined && sim.step()) continue;
  sim.trace = undefined;
  const isShuffled = events.some(
    (event) => event.kind === "dns-plugin" && event.plugin === "loadbalance",
  );
  const found = answer && lookupOf(world.cluster, ns, name, answer, { family, chosen, isShuffled });
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

/** Which of several addresses is taken. */
interface Choosing {
  readonly family: 4 | 6 | undefined;
  readonly chosen: string | undefined;
  /** DNS gives its answers in an order of chance. */
  readonly isShuffled: boolean;
}

/** The address that a program takes: the first in getaddrinfo's order, of the family it asks for. */
function lookupOf(
  cluster: Cluster,
  ns: NetworkNamespace,
  asked: string,
  result: ResolveResult,
  { family, chosen, isShuffled }: Choosing,
): NameLookup {
  const usable = result.addresses
    .filter((one) => family === undefined || one.family === family)
    .flatMap(({ address }) => parseIp(address) ?? []);
  const [first] = inOrderOfUse(ns, usable);
  const choices = isShuffled
    ? usable.filter((one) => {
        const others = usable.filter((other) => other !== one);
        return inOrderOfUse(ns, [one, ...others])[0] === one;
      })
    : [];
  const wanted = choices.find((one) => formatIp(one) === chosen) ?? first;
  const address = wanted === undefined ? undefined : formatIp(wanted);
  return {
    asked,
    address,
    choices: choices.map(formatIp).toSorted(),
    name: address === undefined ? undefined : withoutDot(result.name),
    tried: result.tried.map((one) => withoutDot(one.name)),
    error:
      address === undefined
        ? (result.error ??
          `no IPv${family ?? (cluster.networks.families[0] === 6 ? 6 : 4)} address`)
        : undefined,
    unknown: undefined,
    means: address === undefined ? undefined : serviceAt(cluster, address),
  };
}

function withoutDot(name: string): string {
  return name.replace(/(?<=.)\.$/, "");
}

function serviceAt(cluster: Cluster, address: string): string | undefined {
  const parsed = parseIp(address);
  const service = cluster.services.find(
    ({ object }) => parsed !== undefined && clusterIpsOf(object).includes(parsed),
  );
  const pod = cluster.pods.find(
    (one) => parsed !== undefined && podAddresses(one).includes(parsed),
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
    for (const address of [...clusterIpsOf(object), ...externalAddresses(object)])
      names.set(formatIp(address), keyOf(object));
  }
  for (const node of cluster.nodes)
    for (const address of nodeAddresses(node)) names.set(formatIp(address), node.name);
  for (const pod of cluster.pods)
    for (const address of pod.hostNetwork ? [] : podAddresses(pod))
      names.set(formatIp(address), pod.key);
  return names;
}
