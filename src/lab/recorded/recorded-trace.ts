import type { NetworkNamespace } from "../../core/namespace.js";
import type { PlacedNote, Recording } from "../../core/recording.js";
import type { Simulation } from "../../core/simulation.js";
import type { TraceEvent } from "../../core/trace.js";
import { isRoute6, routeOutput6 } from "../../inet/ipv6/route.js";
import { isRoute, routeOutput } from "../../inet/route.js";
import { rulesetOf } from "../../netfilter/iptables/apply.js";
import { unmodelledParts } from "../../netfilter/iptables/ruleset.js";
import {
  formatIp,
  formatIpv4Prefix,
  formatIpv6Prefix,
  type IpAddress,
  type IpPrefix,
  IPV4_ANY,
  IPV6_ANY,
  maskIpv4,
  maskIpv6,
} from "../../wire/ip.js";
import { later, seconds } from "../../sim/time.js";
import type { Frame } from "../../wire/frame.js";
import { isLinkTalk } from "../../wire/icmpv6.js";
import { buildLab, runLabCommand } from "../build.js";
import { chainsAtRest } from "../chain-rules.js";
import { type Listener, usesIpv6 } from "../lab.js";
import { sendRequest } from "../send.js";
import type { TraceRequest } from "../trace.js";
import type { RecordedWorld } from "../world.js";
import { addressesOf } from "./devices.js";
import { loadRecordedConnections } from "./cluster-records.js";
import { endWorld, senderCommands } from "./outside.js";
import {
  type RecordedDestination,
  recordedDestination,
  type RecordedSource,
  recordedSource,
} from "./recorded-ends.js";
import { notModelledOnPath } from "./not-modelled.js";
import { missingOnPath } from "./missing.js";
import { gapsMet } from "./recorded-gaps.js";

/** How often a program may be assumed to listen: once for each place that redirects send the request to. */
const ROUNDS = 4;

interface Run {
  readonly sim: Simulation;
  readonly ns: NetworkNamespace;
  readonly events: readonly TraceEvent[];
  readonly notes: readonly string[];
}

/**
 * Sends one request through recorded namespaces. Nobody recorded which programs listen: where the request comes to a
 * node itself one is assumed, and said so, unless the node's sockets were recorded too.
 */
export function traceRecorded(world: RecordedWorld, request: TraceRequest): Recording {
  const { recorded } = world;
  const source = recordedSource(recorded, request.source, request.inputDevice);
  const destination = recordedDestination(recorded, request.destination, request.protocol);
  const assumed: Listener[] = [];
  let run = runOnce(world, request, source, destination, assumed);
  for (let round = 1; round < ROUNDS; round++) {
    const listener = closedPort(world, run, request);
    if (listener === undefined) break;
    assumed.push(listener);
    run = runOnce(world, request, source, destination, assumed);
  }
  const listens = assumed.map(
    ({ ns, protocol, port }) => `a program is assumed to listen on ${protocol}/${port} in ${ns}`,
  );
  const { sim, ns, events } = run;
  return {
    world: world.name,
    seed: request.seed,
    proxy: undefined,
    request: {
      source: request.source,
      destination: request.destination,
      protocol: request.protocol,
      sourceNs: ns.name,
      sourceAddress: formatIp(source.address),
      sourcePort: request.sourcePort,
      address: formatIp(destination.address),
      port: destination.port,
    },
    lookup: undefined,
    lookupEvents: [],
    events,
    names: namesOf(world),
    makers: new Map(),
    chain: chainsAtRest(sim),
    notes: [...recorded.notes.map(({ text }) => text), ...run.notes, ...listens],
    unknown: [
      ...missingOnPath(recorded, events),
      ...notModelledOnPath(world.records, events),
      ...gapsMet(recorded.gaps, events),
    ],
    oneWay: request.oneWay,
    assumedRoutes: assumedRoutes(world),
    unreached: unreached(world, sim, events),
  };
}

function runOnce(
  { recorded, records }: RecordedWorld,
  request: TraceRequest,
  source: RecordedSource,
  destination: RecordedDestination,
  assumed: readonly Listener[],
): Run {
  const { lab, outsides } = recorded;
  const sim = buildLab({ ...lab, listeners: [...lab.listeners, ...assumed] }, request.seed);
  for (const outside of outsides) endWorld(sim, outside);
  loadRecordedConnections(sim, records);
  const notes: string[] = [];
  const name = source.kind === "inside" ? source.node.record.name : source.outside.ns;
  if (source.kind === "outside") {
    const { outside, end, address } = source;
    for (const command of senderCommands(outside, end, address, destination.address))
      runLabCommand(sim, command);
    notes.push(...assumeWayBack(sim, source));
  }
  const ns = sim.namespaces.get(name);
  if (ns === undefined) throw new Error(`no namespace ${name}`);
  // Hosts tell their links of the groups they are in when they come up: that is over before anything is asked.
  if (usesIpv6(lab)) sim.runUntilIdle(later(sim.queue.now, seconds(3)));
  const events: TraceEvent[] = [];
  sim.trace = (request.count ?? 1) > 1 ? (event) => events.push(event) : listener(name, events);
  request.decider?.begin(sim);
  sendRequest(ns, {
    protocol: request.protocol,
    address: destination.address,
    port: destination.port,
    sourcePort: request.sourcePort,
    ttl: request.ttl,
    data: new TextEncoder().encode("hopwise"),
    oneWay: request.oneWay,
    count: request.count,
  });
  sim.trace = undefined;
  return { sim, ns, events, notes };
}

/**
 * Keeps everything but rules that a repeated packet did not match: a big ruleset says the same of each repetition, and
 * only the first is told.
 */
function listener(sender: string, events: TraceEvent[]): (event: TraceEvent) => void {
  const repeated = new Set<number>();
  let first: number | undefined;
  return (event) => {
    if (event.kind === "rule" && !event.matched && repeated.has(event.packet)) return;
    events.push(event);
    if (event.kind !== "born" || event.cause !== undefined || event.ns !== sender) return;
    if (!isIpRequest(event.frame)) return;
    if (first === undefined) first = event.packet;
    else repeated.add(event.packet);
  };
}

/** What finds neighbours is no request. */
function isIpRequest({ network, transport }: Frame): boolean {
  if (network?.kind === "ipv4") return true;
  return network?.kind === "ipv6" && !(transport?.kind === "icmpv6" && isLinkTalk(transport.type));
}

/** Without recorded routes the way back to the sender is taken to be the way it came. */
function assumeWayBack(
  sim: Simulation,
  { end, address }: Extract<RecordedSource, { kind: "outside" }>,
): readonly string[] {
  const { record } = end.node;
  const ns = sim.namespaces.get(record.name);
  const routes = typeof address === "bigint" ? record.routes6 : record.routes;
  if (ns === undefined || routes !== undefined) return [];
  if (hasRoute(ns, address)) return [];
  const to = formatIp(address);
  runLabCommand(sim, {
    ns: record.name,
    argv: ["ip", "route", "add", to, "dev", end.device.name],
  });
  return [`${record.name}: answers to ${to} are assumed to go back by ${end.device.name}`];
}

function hasRoute(ns: NetworkNamespace, destination: IpAddress): boolean {
  return typeof destination === "number"
    ? isRoute(routeOutput(ns, { destination, mark: 0, tos: 0 }))
    : isRoute6(routeOutput6(ns, { destination, mark: 0, tos: 0 }));
}

/** Where the request found nobody listening, and nothing recorded says that nobody does. */
function closedPort(
  { records }: RecordedWorld,
  { events }: Run,
  { protocol }: TraceRequest,
): Listener | undefined {
  if (protocol === "icmp") return undefined;
  const closed = events.find((event) => event.kind === "dropped" && event.reason === "NO_SOCKET");
  if (closed?.kind !== "dropped") return undefined;
  const record = records.find(({ name }) => name === closed.ns);
  const { transport, network } = closed.frame;
  if (record === undefined || record.sockets !== undefined || transport?.kind !== protocol)
    return undefined;
  return {
    ns: closed.ns,
    protocol,
    port: transport.destinationPort,
    address: network?.kind === "ipv6" ? IPV6_ANY : IPV4_ANY,
  };
}

export function namesOf({ recorded }: RecordedWorld): ReadonlyMap<string, string> {
  return new Map(
    recorded.nodes.flatMap(({ record, devices }) =>
      devices
        .filter(({ kind }) => kind !== "loopback")
        .flatMap((device) =>
          addressesOf(device).map(({ address }) => [formatIp(address), record.name] as const),
        ),
    ),
  );
}

/** Networks that are known from `--addr` alone, by `NODE NETWORK dev DEVICE`. */
export function assumedRoutes({ recorded }: RecordedWorld): ReadonlyMap<string, string> {
  return new Map(
    recorded.nodes.flatMap(({ record, devices }) =>
      devices.flatMap((device) =>
        addressesOf(device)
          .filter(({ address }) => {
            const routes = typeof address === "bigint" ? record.routes6 : record.routes;
            return routes === undefined;
          })
          .map((prefix) => {
            const { name, assumedFrom } = device;
            return [
              `${record.name} ${networkText(prefix)} dev ${name}`,
              `assumed from ${assumedFrom ?? "its address"}`,
            ] as const;
          }),
      ),
    ),
  );
}

function networkText({ address, length }: IpPrefix): string {
  return typeof address === "number"
    ? formatIpv4Prefix({ address: maskIpv4(address, length), length })
    : formatIpv6Prefix({ address: maskIpv6(address, length), length });
}

/** What is not modelled in the rules and did not matter this time. */
function unreached(
  { records }: RecordedWorld,
  sim: Simulation,
  events: readonly TraceEvent[],
): readonly PlacedNote[] {
  const met = new Set(
    events.flatMap((event) =>
      event.kind === "unknown" && event.place !== undefined
        ? [`${event.place.file}:${event.place.line}`]
        : [],
    ),
  );
  const notes: PlacedNote[] = [];
  for (const { name, rules } of records) {
    const ns = sim.namespaces.get(name);
    if (ns === undefined) continue;
    for (const key of new Set(rules.map((one) => `${one.family} ${one.variant}`))) {
      const of = rules.find((one) => `${one.family} ${one.variant}` === key);
      for (const part of unmodelledParts(rulesetOf(ns, of?.family, of?.variant))) {
        const { place } = part;
        if (place === undefined || met.has(`${place.file}:${place.line}`)) continue;
        const text = `${part.kind} "${part.name}" is not modelled; this packet did not reach it`;
        notes.push({ text, place });
      }
    }
  }
  return notes;
}
