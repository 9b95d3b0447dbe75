import type { IpAddress } from "../../wire/ip.js";
import {
  type Bitset,
  forEachMember,
  has,
  intersectInto,
  intersection,
  isEmpty,
  removeFrom,
  transpose,
  uniteInto,
} from "./bitset.js";
import { classify, type Membership, type Universe } from "./classes.js";
import { clusterTier } from "./cluster-policy.js";
import {
  type CompiledClusterPolicy,
  compileClusterPolicy,
  type CompiledPolicy,
  compilePolicy,
  peerSet,
  type PortProbe,
  portSet,
} from "./compile.js";
import { isNamed, isOnNode } from "./oracle.js";
import type { Direction, Tier } from "./verdict.js";
import { covers, vocabularyOf } from "./vocabulary.js";
import type { Endpoint, PolicyWorld } from "./world.js";

/*
 * The fast evaluator: endpoints that no policy tells apart share a class, policies become sets of classes, and the answer
 * for one port is a row of bits per class. Compared with the oracle by tests.
 */

/** A world made ready for many questions. */
export interface CompiledWorld {
  readonly world: PolicyWorld;
  readonly members: Membership;
  readonly numbers: ReadonlyMap<string, number>;
  /** The policies in force on each class, both kinds in the order they are asked. */
  readonly inForce: { readonly egress: readonly InForce[]; readonly ingress: readonly InForce[] };
  readonly policies: ReadonlyMap<unknown, CompiledPolicy | CompiledClusterPolicy>;
}

/** What governs one class in one direction. */
interface InForce {
  readonly admin: readonly CompiledClusterPolicy[];
  readonly network: readonly CompiledPolicy[];
  readonly baseline: readonly CompiledClusterPolicy[];
}

/** What a matrix is made of besides the pods of the world. */
export interface CompileOptions {
  /** Addresses outside the cluster or of nodes, as further endpoints. */
  readonly addresses?: readonly IpAddress[];
  /** The same world before an edit: what the edit does not touch is taken over. */
  readonly previous?: CompiledWorld | undefined;
}

export function compileWorld(
  world: PolicyWorld,
  { addresses = [], previous }: CompileOptions = {},
): CompiledWorld {
  const needed = vocabularyOf(world.objects);
  const earlier = previous?.world.dialect === world.dialect ? previous.members.universe : undefined;
  const reusable =
    earlier !== undefined && covers(earlier.vocabulary, needed) ? earlier : undefined;
  const members = classify(world, addresses, reusable?.vocabulary ?? needed, reusable);
  const { universe } = members;
  const kept =
    universe === earlier && sameNodes(previous?.world, world) ? previous?.policies : undefined;
  const policies = new Map<unknown, CompiledPolicy | CompiledClusterPolicy>();
  const network = world.objects.networkPolicies.map((loaded) => {
    const known = kept?.get(loaded);
    const compiled = known?.kind === "network" ? known : compilePolicy(world, universe, loaded);
    policies.set(loaded, compiled);
    return compiled;
  });
  const tier = (which: Tier): readonly CompiledClusterPolicy[] =>
    clusterTier(world.objects, which).map((policy) => {
      const known = kept?.get(policy.ref.loaded);
      const compiled =
        known?.kind === "cluster" ? known : compileClusterPolicy(world, universe, policy);
      policies.set(policy.ref.loaded, compiled);
      return compiled;
    });
  const admin = tier("Admin");
  const baseline = tier("Baseline");
  return {
    world,
    members,
    numbers: new Map(members.endpoints.map((endpoint, at) => [endpointKey(endpoint), at])),
    inForce: {
      egress: inForceOn(
        universe,
        admin,
        network.filter(({ egress }) => egress !== undefined),
        baseline,
      ),
      ingress: inForceOn(
        universe,
        admin,
        network.filter(({ ingress }) => ingress !== undefined),
        baseline,
      ),
    },
    policies,
  };
}

function sameNodes(before: PolicyWorld | undefined, after: PolicyWorld): boolean {
  const [a, b] = [before?.objects.nodes ?? [], after.objects.nodes ?? []];
  return a.length === b.length && a.every((node, at) => node === b[at]);
}

function endpointKey(endpoint: Endpoint): string {
  return endpoint.kind === "pod" ? endpoint.key : String(endpoint.address);
}

function inForceOn(
  universe: Universe,
  admin: readonly CompiledClusterPolicy[],
  network: readonly CompiledPolicy[],
  baseline: readonly CompiledClusterPolicy[],
): readonly InForce[] {
  const lists = universe.classes.map(() => ({
    admin: [] as CompiledClusterPolicy[],
    network: [] as CompiledPolicy[],
    baseline: [] as CompiledClusterPolicy[],
  }));
  for (const policy of admin)
    forEachMember(policy.subjects, (number) => lists[number]?.admin.push(policy));
  for (const policy of network)
    forEachMember(policy.subjects, (number) => lists[number]?.network.push(policy));
  for (const policy of baseline)
    forEachMember(policy.subjects, (number) => lists[number]?.baseline.push(policy));
  return lists;
}

/** Who reaches whom on one port. */
export interface Reach {
  readonly compiled: CompiledWorld;
  readonly probe: PortProbe;
  /** For each class as source, the classes that its egress lets it reach. */
  readonly egress: readonly Row[];
  /** For each class as destination, the classes that its ingress lets in. */
  readonly ingress: readonly Row[];
  /** For each class as source, the classes where both sides agree. */
  readonly allowed: readonly Bitset[];
}

/** What one side says to every class: allowed, or not known; the others are denied. */
interface Row {
  readonly allowed: Bitset;
  readonly unknown: Bitset | undefined;
}

/** Answers one port for all pairs. `previous`, for the same port before an edit, makes it faster. */
export function reach(compiled: CompiledWorld, probe: PortProbe, previous?: Reach): Reach {
  const usable =
    previous !== undefined &&
    previous.compiled.members.universe === compiled.members.universe &&
    previous.probe.port === probe.port &&
    previous.probe.protocol === probe.protocol
      ? previous
      : undefined;
  const egress = rows(compiled, probe, "egress", usable);
  const ingress = rows(compiled, probe, "ingress", usable);
  const admitted = transpose(ingress.map(({ allowed }) => allowed));
  const allowed = egress.map((row, number) => {
    const both = row.allowed.slice();
    const column = admitted[number];
    if (column !== undefined) intersectInto(both, column);
    return both;
  });
  return { compiled, probe, egress, ingress, allowed };
}

function rows(
  compiled: CompiledWorld,
  probe: PortProbe,
  direction: Direction,
  previous: Reach | undefined,
): readonly Row[] {
  const { universe } = compiled.members;
  const ids = new Map<unknown, number>();
  const idOf = (policy: unknown): number => {
    const id = ids.get(policy) ?? ids.size;
    ids.set(policy, id);
    return id;
  };
  const made = new Map<string, Row>();
  const open: Row = { allowed: universe.all, unknown: undefined };
  return universe.classes.map(({ governed, families }, number) => {
    const lists = compiled.inForce[direction][number];
    if (!governed || lists === undefined) return open;
    const before = previous?.compiled.inForce[direction][number];
    const kept =
      before !== undefined && sameLists(before, lists) ? previous?.[direction][number] : undefined;
    if (kept !== undefined) return kept;
    const policies = [...lists.admin, ...lists.network, ...lists.baseline];
    if (policies.length === 0) return open;
    // Rules with named ports ask the destination, which for ingress is the subject itself.
    const own = direction === "ingress" && policies.some(namesPorts) ? `#${number}` : "";
    const key = `${policies.map(idOf).join(",")}/${families}${own}`;
    const row = made.get(key) ?? makeRow(compiled, probe, direction, number, lists);
    made.set(key, row);
    return row;
  });
}

function namesPorts(policy: CompiledPolicy | CompiledClusterPolicy): boolean {
  return (policy.ingress ?? []).some(
    ({ ports }) => ports?.some(({ kind }) => kind === "named") === true,
  );
}

function sameLists(a: InForce, b: InForce): boolean {
  return same(a.network, b.network) && same(a.admin, b.admin) && same(a.baseline, b.baseline);
}

function same(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((each, at) => each === b[at]);
}

/** The tiers one after the other, for all other ends at once. Section 2.1. */
function makeRow(
  compiled: CompiledWorld,
  probe: PortProbe,
  direction: Direction,
  subject: number,
  lists: InForce,
): Row {
  if (lists.admin.length === 0 && lists.network.length > 0)
    return {
      allowed: networkSet(compiled, probe, direction, subject, lists.network),
      unknown: undefined,
    };
  const walk = new TierWalk(compiled, probe, direction, subject);
  walk.tier(lists.admin);
  if (lists.network.length > 0) {
    const fits = networkSet(compiled, probe, direction, subject, lists.network);
    uniteInto(walk.allowed, intersection(fits, walk.undecided));
  } else {
    walk.tier(lists.baseline);
    uniteInto(walk.allowed, walk.undecided);
  }
  return { allowed: walk.allowed, unknown: isEmpty(walk.unknown) ? undefined : walk.unknown };
}

/** Whom the rules of the isolating policies match. */
function networkSet(
  compiled: CompiledWorld,
  probe: PortProbe,
  direction: Direction,
  subject: number,
  policies: readonly CompiledPolicy[],
): Bitset {
  const { universe } = compiled.members;
  const { world } = compiled;
  const { otherProtocols } = world.dialect;
  const named = isNamed(world, probe.protocol);
  if (!named && otherProtocols !== "rule-without-ports")
    return otherProtocols === "allow" ? universe.all : universe.none;
  const set = universe.none.slice();
  const families = universe.classes[subject]?.families ?? 0;
  for (const policy of policies) {
    for (const { peers, ports } of policy[direction] ?? []) {
      const fitting =
        named || ports === undefined ? portSet(universe, ports, probe) : universe.none;
      if (direction === "ingress") {
        if (has(fitting, subject)) uniteInto(set, peerSet(universe, peers, families));
      } else if (fitting === universe.all) uniteInto(set, peerSet(universe, peers, families));
      else if (fitting !== universe.none)
        uniteInto(set, intersection(peerSet(universe, peers, families), fitting));
    }
  }
  return set;
}

class TierWalk {
  readonly allowed: Bitset;
  readonly unknown: Bitset;
  /** Whom no rule has decided yet. */
  undecided: Bitset;
  readonly #universe: Universe;
  readonly #probe: PortProbe;
  readonly #direction: Direction;
  readonly #subject: number;

  constructor(
    { members: { universe } }: CompiledWorld,
    probe: PortProbe,
    direction: Direction,
    subject: number,
  ) {
    this.#universe = universe;
    this.#probe = probe;
    this.#direction = direction;
    this.#subject = subject;
    this.allowed = universe.none.slice();
    this.unknown = universe.none.slice();
    this.undecided = universe.all.slice();
  }

  /** Lets the policies of a tier decide; what they pass on stays undecided. */
  tier(policies: readonly CompiledClusterPolicy[]): void {
    const universe = this.#universe;
    const families = universe.classes[this.#subject]?.families ?? 0;
    const passed = universe.none.slice();
    for (const policy of policies) {
      for (const { effect, byName, peers, ports } of policy[this.#direction]) {
        const fitting = this.#fitting(portSet(universe, ports, this.#probe));
        const hit = intersection(
          intersection(peerSet(universe, peers, families), fitting),
          this.undecided,
        );
        if (effect === "Accept") uniteInto(this.allowed, hit);
        if (effect === "Pass") uniteInto(passed, hit);
        removeFrom(this.undecided, hit);
        if (!byName) continue;
        const open = intersection(fitting, this.undecided);
        removeFrom(open, universe.governed);
        uniteInto(this.unknown, open);
        removeFrom(this.undecided, open);
      }
    }
    uniteInto(this.undecided, passed);
  }

  /** The other ends for which the ports fit. */
  #fitting(destinations: Bitset): Bitset {
    if (this.#direction === "egress") return destinations;
    return has(destinations, this.#subject) ? this.#universe.all : this.#universe.none;
  }
}

/** The verdict for two endpoints of the compiled world, by their numbers in `members.endpoints`. */
export function verdictBetween(
  result: Reach,
  from: number,
  to: number,
): "allow" | "deny" | "unknown" {
  const { members, world } = result.compiled;
  const source = members.endpoints[from];
  const destination = members.endpoints[to];
  const egressClass = members.classOf[from] ?? 0;
  const ingressClass = members.classOf[to] ?? 0;
  if (from === to && world.dialect.selfTraffic === "allow") return "allow";
  const [out, into] = ownNode(world, source, destination);
  const egress = out ? "allow" : side(result.egress[egressClass], ingressClass);
  const ingress = into ? "allow" : side(result.ingress[ingressClass], egressClass);
  if (egress === "deny" || ingress === "deny") return "deny";
  return egress === "unknown" || ingress === "unknown" ? "unknown" : "allow";
}

function side(row: Row | undefined, other: number): "allow" | "deny" | "unknown" {
  if (row === undefined || has(row.allowed, other)) return "allow";
  return row.unknown !== undefined && has(row.unknown, other) ? "unknown" : "deny";
}

/** Whether egress and ingress are exempt because the other end is the pod's own node. */
function ownNode(
  world: PolicyWorld,
  source: Endpoint | undefined,
  destination: Endpoint | undefined,
): readonly [boolean, boolean] {
  if (source === undefined || destination === undefined) return [false, false];
  const from = nodeOf(world, source);
  const to = nodeOf(world, destination);
  const out =
    source.kind === "pod" &&
    to !== undefined &&
    to === source.node &&
    world.dialect.egressToOwnNode === "allow";
  const into =
    destination.kind === "pod" &&
    from !== undefined &&
    from === destination.node &&
    world.dialect.ingressFromOwnNode === "allow";
  return [out, into];
}

/** The node that an endpoint is; undefined for pods and the outside. */
export function nodeOf(world: PolicyWorld, endpoint: Endpoint): string | undefined {
  if (endpoint.kind === "address") return world.nodeByAddress.get(endpoint.address)?.name;
  return isOnNode(world, endpoint) ? endpoint.node : undefined;
}
