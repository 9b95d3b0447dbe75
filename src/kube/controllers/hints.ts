import type { Node, Service } from "kubernetes-types/core/v1.js";
import type { Endpoint, EndpointSlice } from "kubernetes-types/discovery/v1.js";
import type { Loaded } from "../objects.js";

/*
 * Which clients an endpoint is meant for: hints that the EndpointSlice controller writes and the proxies obey. A Service
 * asks with `spec.trafficDistribution`, or with the older annotation `service.kubernetes.io/topology-mode: Auto`.
 */

/** The label of a node's zone. */
export const ZONE = "topology.kubernetes.io/zone";

/** How much busier than fair a zone's endpoints may get. Mirrors topologycache.overloadThreshold. */
const OVERLOAD = 0.2;

/** Zones and their part of the cluster's processors, in the order of their names; undefined where hints cannot be given. */
export type ZoneShares = ReadonlyMap<string, number> | undefined;

/**
 * The parts that `topology-mode: Auto` shares endpoints out by: at least two zones, and every node of the workers with a
 * zone and processors. Mirrors endpointslice/topologycache.SetNodes().
 */
export function zoneShares(nodes: readonly Loaded<Node>[]): ZoneShares {
  const cpus = new Map<string, number>();
  for (const { object } of nodes) {
    const labels = object.metadata?.labels ?? {};
    if ("node-role.kubernetes.io/control-plane" in labels) continue;
    const ready = object.status?.conditions?.find(({ type }) => type === "Ready");
    if (ready !== undefined && ready.status !== "True") continue;
    const zone = labels[ZONE] ?? "";
    const cpu = cpuQuantity(object.status?.allocatable?.["cpu"]);
    if (zone === "" || cpu === 0) return undefined;
    cpus.set(zone, (cpus.get(zone) ?? 0) + cpu);
  }
  if (cpus.size < 2) return undefined;
  const total = [...cpus.values()].reduce((sum, cpu) => sum + cpu, 0);
  return new Map(
    [...cpus].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([zone, cpu]) => [zone, cpu / total]),
  );
}

/** `2`, `1500m`: whole and thousandth processors; 0 for what is neither. */
function cpuQuantity(quantity: unknown): number {
  const [, number = "", milli = ""] = /^(\d+(?:\.\d+)?)(m?)$/.exec(String(quantity)) ?? [];
  return number === "" ? 0 : Number(number) / (milli === "m" ? 1000 : 1);
}

/** The slices of one Service with the hints that it asks for. */
export function withHints(
  service: Service,
  slices: readonly EndpointSlice[],
  shares: ZoneShares,
): readonly EndpointSlice[] {
  const annotations = service.metadata?.annotations ?? {};
  const mode =
    annotations["service.kubernetes.io/topology-mode"] ??
    annotations["service.kubernetes.io/topology-aware-hints"];
  if (mode === "Auto" || mode === "auto") return sharedOut(slices, shares);
  const hintFor = distribution(service.spec?.trafficDistribution);
  return hintFor === undefined ? slices : mapEndpoints(slices, hintFor);
}

type HintFor = (endpoint: Endpoint) => Endpoint;

/** Mirrors endpointslice/trafficdist.ReconcileHints(): only endpoints that are ready have hints. */
function distribution(wanted: string | undefined): HintFor | undefined {
  const nodes = wanted === "PreferSameNode";
  if (!nodes && wanted !== "PreferClose" && wanted !== "PreferSameZone") return undefined;
  return (endpoint) => {
    const { zone, nodeName } = endpoint;
    if (endpoint.conditions?.ready === false) return endpoint;
    const hints = {
      ...(zone === undefined ? {} : { forZones: [{ name: zone }] }),
      ...(nodes && nodeName !== undefined ? { forNodes: [{ name: nodeName }] } : {}),
    };
    return Object.keys(hints).length === 0 ? endpoint : { ...endpoint, hints };
  };
}

function mapEndpoints(slices: readonly EndpointSlice[], change: HintFor): readonly EndpointSlice[] {
  return slices.map((slice) => ({ ...slice, endpoints: slice.endpoints.map(change) }));
}

/**
 * `Auto`: every ready endpoint serves its own zone, except those that zones with too many give to zones with too few. No
 * hints at all where a zone would be too busy. Differs: where the real cache draws among zones, the first by name is taken.
 * Mirrors endpointslice/topologycache.AddHints().
 */
function sharedOut(slices: readonly EndpointSlice[], shares: ZoneShares): readonly EndpointSlice[] {
  const ready = slices.flatMap(({ endpoints }) =>
    endpoints.filter(({ conditions }) => conditions?.ready !== false),
  );
  const wanted = shares === undefined ? undefined : wantedByZone(shares, ready.length);
  if (wanted === undefined || ready.some(({ zone = "" }) => zone === "")) return slices;
  const have = new Map<string, number>();
  for (const { zone = "" } of ready) have.set(zone, (have.get(zone) ?? 0) + 1);
  const { giving, receiving } = balance(wanted, have);
  return mapEndpoints(slices, (endpoint) => {
    const { zone = "", conditions } = endpoint;
    if (conditions?.ready === false) return endpoint;
    const [to] = (giving.get(zone) ?? 0) > 0 ? receiving.keys() : [];
    if (to !== undefined) {
      lower(giving, zone);
      lower(receiving, to);
    }
    return { ...endpoint, hints: { forZones: [{ name: to ?? zone }] } };
  });
}

function lower(counts: Map<string, number>, key: string): void {
  const left = (counts.get(key) ?? 0) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}

/** How many endpoints each zone should have; undefined where some zone must be overloaded. Mirrors getAllocations(). */
function wantedByZone(
  shares: ReadonlyMap<string, number>,
  endpoints: number,
): ReadonlyMap<string, number> | undefined {
  if (shares.size > endpoints) return undefined;
  let left = endpoints;
  const wanted = new Map<string, number>();
  for (const [zone, share] of shares) {
    const least = Math.ceil((share * endpoints) / (1 + OVERLOAD));
    left -= least;
    wanted.set(zone, Math.max(share * endpoints, least));
  }
  return left < 0 ? undefined : wanted;
}

/** Whole endpoints that go from one zone to another. Mirrors getGivingAndReceivingZones(). */
function balance(
  wanted: ReadonlyMap<string, number>,
  have: ReadonlyMap<string, number>,
): { readonly giving: Map<string, number>; readonly receiving: Map<string, number> } {
  const spare = new Map([...wanted].map(([zone, want]) => [zone, (have.get(zone) ?? 0) - want]));
  const giving = new Map<string, number>();
  const receiving = new Map<string, number>();
  const most = (sign: 1 | -1): readonly [string, number] =>
    [...spare].reduce<readonly [string, number]>(
      (best, [zone, value]) => (value * sign > best[1] ? [zone, value * sign] : best),
      ["", 0],
    );
  for (;;) {
    const [from, give] = most(1);
    const [to, need] = most(-1);
    if (give < 0.5 || need < 0.5 || give + need < 1) return { giving, receiving };
    giving.set(from, (giving.get(from) ?? 0) + 1);
    receiving.set(to, (receiving.get(to) ?? 0) + 1);
    spare.set(from, (spare.get(from) ?? 0) - 1);
    spare.set(to, (spare.get(to) ?? 0) + 1);
  }
}
