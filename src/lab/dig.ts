import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import type { DigRecording, DigRound } from "../core/dig-recording.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { TraceEvent } from "../core/trace.js";
import { notesTowards } from "../kube/external-routes.js";
import { fqdn, isDomainName } from "../kube/dns/names.js";
import type { ResolvConf } from "../kube/dns/resolv-conf.js";
import { resolve, type ResolveRequest, type ResolveResult } from "../kube/dns/resolver.js";
import { resolveMusl } from "../kube/dns/resolver-musl.js";
import { later, type Micros, milliseconds } from "../sim/time.js";
import { isRrType } from "../wire/dns-rdata.js";
import { parseSource } from "./endpoints.js";
import { buildLiveCluster, type LiveCluster, resolvConfOf } from "./live-cluster.js";
import { nodeResolvConf } from "./resolvers.js";
import type { World } from "./world.js";

/** What is looked up, and from where. */
export interface DigRequest {
  readonly name: string;
  /** `A`, `MX`, `TYPE65`; several, with commas between, are asked together, as getaddrinfo asks A,AAAA. */
  readonly type: string;
  /** A pod, a workload, a node. */
  readonly from: string;
  readonly search: DigRecording["search"];
  /** Everything random follows from it. */
  readonly seed: number;
  /** How often it is looked up, and the time between the starts. */
  readonly times: number;
  readonly every: Micros;
}

/** Types that a mistyped one may mean. */
const commonTypes = ["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "ANY", "HINFO"];

/** What the last answer started, a prefetch, is told too. */
const settleTime = milliseconds(1);

/** Looks a name up as a program in a pod does. Every query is a packet. Throws UserError for what means nothing in the world. */
export function digRequest(world: World, request: DigRequest): DigRecording {
  if (world.kind !== "cluster")
    throw new UserError(
      "DIG_WORLD",
      `${world.name} has no Kubernetes objects: dig needs a cluster`,
    );
  const { cluster } = world;
  const types = typesOf(request.type);
  if (!isDomainName(fqdn(request.name)))
    throw new UserError("DIG_NAME", `"${request.name}" is not a domain name`, {
      help: "labels have 1 to 63 octets, the whole name up to 255",
    });
  const source = parseSource(request.from, cluster, world.name);
  if (source.kind === "outside")
    throw new UserError("NAME_OUTSIDE", `a host outside does not ask the cluster's DNS`, {
      help: "name a pod or a node: --from NAMESPACE/POD",
    });
  const live = buildLiveCluster(world, request.seed);
  const ns = live.sim.namespaces.get(source.ns);
  if (ns === undefined) throw new Error(`no namespace ${source.ns}`);
  const conf = resolvConfOf(cluster, source.pod, nodeResolvConf(world));
  return {
    world: world.name,
    seed: request.seed,
    from: source.pod?.key ?? source.ns,
    ns: source.ns,
    asked: request.name,
    types,
    search: request.search,
    nameservers: conf.nameservers,
    searches: conf.searches,
    options: conf.options,
    rounds: roundsOf(live, ns, conf, { ...request, types }),
    log: live.log,
    notes: notesTowards(cluster, undefined),
  };
}

function typesOf(text: string): readonly string[] {
  const types = text.toUpperCase().split(",");
  for (const type of types) {
    if (isRrType(type)) continue;
    const near = nearest(type, commonTypes);
    throw new UserError("DIG_TYPE", `"${type}" is not a record type`, {
      help:
        near === undefined ? `such as ${commonTypes.join(", ")}, TYPE65` : `did you mean ${near}?`,
    });
  }
  return [...new Set(types)];
}

type Rounds = DigRequest & { readonly types: readonly string[] };

function roundsOf(
  live: LiveCluster,
  ns: NetworkNamespace,
  conf: ResolvConf,
  request: Rounds,
): readonly DigRound[] {
  const { sim } = live;
  const rounds: DigRound[] = [];
  for (let count = 1; count <= request.times; count++) {
    const at = sim.queue.now;
    const events: TraceEvent[] = [];
    sim.trace = (event) => events.push(event);
    const result = lookUp(live, ns, conf, request);
    const took = (sim.queue.now - at) as Micros;
    const next =
      count < request.times ? later(at, request.every) : later(sim.queue.now, settleTime);
    sim.runUntilIdle(next > sim.queue.now ? next : undefined);
    sim.trace = undefined;
    rounds.push({
      at,
      took,
      records: result?.records ?? [],
      lastName: result?.tried.at(-1)?.name ?? lastAsked(events) ?? fqdn(request.name),
      tried: result?.tried.length ?? 0,
      outcome: result?.tried.at(-1)?.outcome ?? "no answer",
      error: result === undefined ? "timeout" : result.error,
      unknown: result?.error === undefined && result !== undefined ? undefined : live.unknown[0],
      events,
    });
    if (live.unknown.length > 0) break;
  }
  return rounds;
}

/** Runs until the program has its answer, or nobody can know what it will be. */
function lookUp(
  { sim, unknown }: LiveCluster,
  ns: NetworkNamespace,
  conf: ResolvConf,
  { name, types, search }: Rounds,
): ResolveResult | undefined {
  let found: ResolveResult | undefined;
  const request: ResolveRequest = {
    ns,
    conf,
    name,
    types,
    search: search === "none" ? "none" : "list",
  };
  (search === "musl" ? resolveMusl : resolve)(request, (result) => {
    found = result;
  });
  while (found === undefined && unknown.length === 0 && sim.step()) continue;
  return found;
}

function lastAsked(events: readonly TraceEvent[]): string | undefined {
  const ask = events.findLast((event) => event.kind === "resolver" && event.action === "ask");
  return ask?.kind === "resolver" ? ask.name : undefined;
}
