import { deliver } from "../core/drop.js";
import { NF_IP_PRI_FIRST } from "../core/hooks.js";
import type { Recording } from "../core/recording.js";
import type { Simulation } from "../core/simulation.js";
import type { TraceEvent } from "../core/trace.js";
import type { Cluster } from "../kube/cluster.js";
import { UNDERLAY } from "../kube/nodes.js";
import type { Ipv4 } from "../wire/ip.js";
import { buildLab } from "./build.js";
import { chainRules } from "./chain-rules.js";
import { type ClusterPart, wholeCluster } from "./cluster-lab.js";
import { buildLiveCluster, dnsPods } from "./live-cluster.js";
import { partFor } from "./part.js";
import { policiesNotRendered } from "./policies.js";
import { loadRecordedConnections } from "./recorded/cluster-records.js";
import { missingOnPath } from "./recorded/missing.js";
import { gapsMet } from "./recorded/recorded-gaps.js";
import { routesThatDiffer } from "./recorded/recorded-routes.js";
import { endWorld } from "./recorded/outside.js";
import { assumedRoutes, namesOf as namesOfRecorded } from "./recorded/recorded-trace.js";
import { isOutside, namesOf } from "./trace.js";
import type { ClusterWorld, RecordedWorld, World } from "./world.js";

/** A world that a capture is replayed in. */
export interface ReplayWorld {
  readonly sim: Simulation;
  /** What all recordings of one replay share. */
  readonly common: Pick<
    Recording,
    "proxy" | "names" | "makers" | "chain" | "notes" | "assumedRoutes"
  >;
  /** Why what these events tell is not certain. */
  unknown(events: readonly TraceEvent[]): readonly string[];
  /** Nobody recorded which programs listen in this namespace. */
  assumesPrograms(ns: string): boolean;
}

/** An address and port that the capture's packets go to. */
export interface CapturedEnd {
  readonly address: Ipv4;
  readonly port: number;
}

/** Who speaks in a capture, and where it listened: as much of a cluster as they can meet is built. */
export interface CapturedEnds {
  readonly namespaces: ReadonlySet<string>;
  readonly sources: ReadonlySet<Ipv4>;
  readonly destinations: readonly CapturedEnd[];
}

/** More ends than this, and the whole cluster is built. */
const MOST_ENDS = 200;

export function buildReplayWorld(world: World, seed: number, ends: CapturedEnds): ReplayWorld {
  switch (world.kind) {
    case "cluster":
      return clusterReplay(world, seed, ends);
    case "recorded":
      return recordedReplay(world, seed);
    case "lab": {
      const sim = buildLab(world.lab, seed);
      return {
        sim,
        common: {
          proxy: undefined,
          names: new Map(),
          makers: new Map(),
          chain: (ns, table, chain, engine) => chainRules(sim, ns, table, chain, engine),
          notes: [],
        },
        unknown: () => [],
        assumesPrograms: () => false,
      };
    }
  }
}

function clusterReplay(world: ClusterWorld, seed: number, ends: CapturedEnds): ReplayWorld {
  const { cluster } = world;
  const { sim, makers, gaps } = buildLiveCluster(world, seed, partOf(cluster, ends));
  openEverywhere(sim, cluster);
  return {
    sim,
    common: {
      proxy: "iptables",
      names: namesOf(cluster),
      makers,
      chain: (ns, table, chain, engine) => chainRules(sim, ns, table, chain, engine),
      notes: cluster.notes.map(({ text }) => text),
    },
    unknown: (events) => [
      ...policiesNotRendered(cluster, events),
      ...gapsMet(gaps, events),
      ...routesThatDiffer(world.records.values(), cluster, events),
    ],
    assumesPrograms: () => false,
  };
}

/** The nodes where it listened with all their pods, and whatever its packets come from and go to. */
function partOf(cluster: Cluster, ends: CapturedEnds): ClusterPart {
  if (ends.destinations.length > MOST_ENDS) return wholeCluster(cluster);
  const nodes = new Set<string>();
  const pods = new Set<string>(dnsPods(cluster).map(({ key }) => key));
  for (const { address, port } of ends.destinations) {
    const part = partFor(
      cluster,
      { kind: "outside", address },
      { kind: "address", address, port, service: undefined, pod: undefined },
    );
    for (const name of part.nodes) nodes.add(name);
    for (const key of part.pods) pods.add(key);
  }
  for (const { name, address } of cluster.nodes)
    if (ends.namespaces.has(name) || ends.sources.has(address)) nodes.add(name);
  for (const { key, node, address } of cluster.pods) {
    const speaks = address !== undefined && ends.sources.has(address);
    const listened = ends.namespaces.has(key) || (node !== undefined && ends.namespaces.has(node));
    if (speaks || listened) pods.add(key);
    if (node !== undefined && pods.has(key)) nodes.add(node);
  }
  return { nodes, pods };
}

/** The world ends between the nodes: what goes to an address outside has left it. */
function openEverywhere(sim: Simulation, cluster: Cluster): void {
  sim.namespaces.get(UNDERLAY)?.hooks.register("ipv4", {
    name: "end of the world",
    hook: "PREROUTING",
    priority: NF_IP_PRI_FIRST,
    run(skb) {
      const { network } = skb.frame;
      if (skb.bridge !== undefined || network?.kind !== "ipv4") return { kind: "accept" };
      if (!isOutside(network.destination, cluster)) return { kind: "accept" };
      deliver(skb, "outside the cluster");
      return { kind: "stolen", by: "end of the world" };
    },
  });
}

function recordedReplay(world: RecordedWorld, seed: number): ReplayWorld {
  const { recorded, records } = world;
  const sim = buildLab(recorded.lab, seed);
  for (const outside of recorded.outsides) endWorld(sim, outside);
  loadRecordedConnections(sim, records);
  const listening = new Set(
    records.filter(({ sockets }) => sockets !== undefined).map(({ name }) => name),
  );
  return {
    sim,
    common: {
      proxy: undefined,
      names: namesOfRecorded(world),
      makers: new Map(),
      chain: (ns, table, chain, engine) => chainRules(sim, ns, table, chain, engine),
      notes: recorded.notes.map(({ text }) => text),
      assumedRoutes: assumedRoutes(world),
    },
    unknown: (events) => missingOnPath(recorded, events),
    assumesPrograms: (ns) => !listening.has(ns),
  };
}
