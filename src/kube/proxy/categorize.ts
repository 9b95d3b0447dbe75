import { compareText, type Endpoint } from "./endpoints.js";

/** An endpoint as one node sees it. */
export interface NodeEndpoint extends Endpoint {
  /** It runs on this node. */
  readonly isLocal: boolean;
}

/** What of a service port decides which endpoints it uses. */
export interface PolicyQuestion {
  readonly internalPolicyLocal: boolean;
  readonly externalPolicyLocal: boolean;
  readonly externallyReachable: boolean;
}

/** What of a node decides which hints are for it. */
export interface TopologyQuestion {
  readonly nodeName: string;
  /** The label `topology.kubernetes.io/zone`; empty for none. */
  readonly zone: string;
  /** The gate PreferSameTrafficDistribution: node hints count (on since 1.34). */
  readonly nodeHints: boolean;
}

/** Which endpoints a service port uses on one node. A list that no policy asks for is undefined. */
export interface Categories {
  /** For the policy Cluster. */
  readonly cluster: readonly NodeEndpoint[] | undefined;
  /** For the policy Local. */
  readonly local: readonly NodeEndpoint[] | undefined;
  /** All that can be reached from this node, each once. */
  readonly reachable: readonly NodeEndpoint[];
  /** Some endpoint is usable, here or elsewhere. */
  readonly usable: boolean;
}

/**
 * Chooses among the endpoints of a service port. Ready ones win; while none is ready, those that terminate but still
 * serve are used. Topology hints count for the policy Cluster only. Mirrors pkg/proxy/topology.go:CategorizeEndpoints().
 */
export function categorizeEndpoints(
  endpoints: readonly NodeEndpoint[],
  policy: PolicyQuestion,
  topology: TopologyQuestion,
): Categories {
  const usesCluster = !policy.internalPolicyLocal || policy.externallyReachable;
  const usesLocal =
    policy.internalPolicyLocal || (policy.externalPolicyLocal && policy.externallyReachable);
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  const allowed = hintFilter(ready, topology);
  const cluster = usesCluster
    ? orTerminating(allowed === undefined ? ready : ready.filter(allowed), endpoints)
    : undefined;
  const here = usesLocal ? endpoints.filter((endpoint) => endpoint.isLocal) : undefined;
  const local =
    here &&
    orTerminating(
      here.filter((endpoint) => endpoint.ready),
      here,
    );
  return {
    cluster,
    local,
    reachable: reachableOf(cluster, local, allowed !== undefined),
    usable: endpoints.some((one) => one.ready || isDraining(one)),
  };
}

/** The hints that apply, or undefined. A kind of hint counts when all ready endpoints have it and one names this node or its zone. */
function hintFilter(
  ready: readonly NodeEndpoint[],
  { nodeName, zone, nodeHints }: TopologyQuestion,
): ((endpoint: NodeEndpoint) => boolean) | undefined {
  const forNode = (endpoint: NodeEndpoint): boolean => endpoint.nodeHints.includes(nodeName);
  const forZone = (endpoint: NodeEndpoint): boolean => endpoint.zoneHints.includes(zone);
  if (nodeHints && ready.every((one) => one.nodeHints.length > 0) && ready.some(forNode))
    return forNode;
  if (zone !== "" && ready.every((one) => one.zoneHints.length > 0) && ready.some(forZone))
    return forZone;
  return undefined;
}

function orTerminating(
  chosen: readonly NodeEndpoint[],
  all: readonly NodeEndpoint[],
): readonly NodeEndpoint[] {
  return chosen.length > 0 ? chosen : all.filter(isDraining);
}

/** It is being deleted and still answers. */
function isDraining(endpoint: Endpoint): boolean {
  return endpoint.serving && endpoint.terminating;
}

/** Without hints the cluster list holds every ready endpoint, so it holds a local list of ready ones; else both are joined. */
function reachableOf(
  cluster: readonly NodeEndpoint[] | undefined,
  local: readonly NodeEndpoint[] | undefined,
  hinted: boolean,
): readonly NodeEndpoint[] {
  if (local === undefined) return cluster ?? [];
  if (cluster === undefined) return local;
  if (!hinted && local.every((endpoint) => endpoint.ready)) return cluster;
  const union = new Map([...cluster, ...local].map((endpoint) => [endpoint.text, endpoint]));
  return [...union.values()].toSorted((a, b) => compareText(a.text, b.text));
}
