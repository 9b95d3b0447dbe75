import { addTo, type Bitset, emptySet, forEachMember, has } from "./bitset.js";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.js";
import type { Loaded } from "../objects.js";
import type { PortProbe } from "./compile.js";
import { type CompiledWorld, compileWorld, type Reach, reach } from "./evaluate.js";
import { probeName } from "./matrix.js";
import { rulesOf } from "./oracle.js";
import { directions } from "./verdict.js";
import type { PolicyWorld } from "./world.js";

/** What an edit changes besides the pair it was made for. */
export interface Consequences {
  /** Ordered pairs of different pods with a network of their own. */
  readonly pairs: number;
  /** Pairs with a port that opens. */
  readonly opens: number;
  /** Pairs with a port that closes. */
  readonly closes: number;
  /** The ports that open: `tcp/5432`; empty when nothing does. */
  readonly ports: readonly string[];
  /** Whether a rule without ports is what opens them: then they stand for all. */
  readonly allPorts: boolean;
}

/** How many ports are tried at most. */
const PROBES = 64;

/** Compares one world with others, pair by pair. What it works out about the one is kept for the next. */
export class Comparison {
  readonly #before: PolicyWorld;
  readonly #reaches = new Map<string, Reach>();
  #base: CompiledWorld | undefined;

  constructor(before: PolicyWorld) {
    this.#before = before;
  }

  /** What changes in `after`, on the asked port and on all ports that the changed policies speak of. */
  with(after: PolicyWorld, asked: PortProbe): Consequences {
    this.#base ??= compileWorld(this.#before);
    const newer = compileWorld(after, { previous: this.#base });
    const shared = newer.members.universe === this.#base.members.universe;
    // Compiled second, the older world takes over the finer classes.
    const older = shared ? this.#base : compileWorld(this.#before, { previous: newer });
    const groups = groupPods(older, newer);
    const opened = new Map<number, Bitset>();
    const closed = new Map<number, Bitset>();
    const ports: string[] = [];
    for (const probe of probesFor(this.#before, after, asked)) {
      const was = shared ? this.#baseReach(older, probe) : reach(older, probe);
      const is = reach(newer, probe, was);
      if (compareReach(groups, was, is, opened, closed)) ports.push(probeName(probe));
    }
    const total = groups.reduce((sum, { size }) => sum + size, 0);
    const opens = countPairs(groups, opened);
    const closes = countPairs(groups, closed);
    const allPorts = ports.length > 1 && ports.includes(probeName(anyPort));
    return { pairs: total * (total - 1), opens, closes, ports, allPorts };
  }

  #baseReach(base: CompiledWorld, probe: PortProbe): Reach {
    const known = this.#reaches.get(probeName(probe)) ?? reach(base, probe);
    this.#reaches.set(probeName(probe), known);
    return known;
  }
}

/** Pods that share their class before and their class after. */
interface PodGroup {
  readonly before: number;
  readonly after: number;
  size: number;
}

function groupPods(older: CompiledWorld, newer: CompiledWorld): readonly PodGroup[] {
  const groups = new Map<string, PodGroup>();
  for (const [at, endpoint] of newer.members.endpoints.entries()) {
    const after = newer.members.classOf[at] ?? 0;
    if (endpoint.kind !== "pod" || newer.members.universe.classes[after]?.governed !== true)
      continue;
    const before = older.members.classOf[older.numbers.get(endpoint.key) ?? -1];
    if (before === undefined) continue;
    const key = `${before} ${after}`;
    const group = groups.get(key) ?? { before, after, size: 0 };
    group.size++;
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** Adds the pairs of groups that differ; whether any opens. */
function compareReach(
  groups: readonly PodGroup[],
  old: Reach,
  fresh: Reach,
  opened: Map<number, Bitset>,
  closed: Map<number, Bitset>,
): boolean {
  const direct =
    old.compiled.members.universe === fresh.compiled.members.universe &&
    groups.every(({ before, after }) => before === after);
  let opens = false;
  for (const [row, { before, after }] of groups.entries()) {
    const was = old.allowed[before];
    const is = fresh.allowed[after];
    if (was === undefined || is === undefined || (direct && sameSet(was, is))) continue;
    for (const [column, other] of groups.entries()) {
      const a = has(was, other.before);
      const b = has(is, other.after);
      if (a === b) continue;
      const rows = b ? opened : closed;
      const set = rows.get(row) ?? emptySet(groups.length);
      rows.set(row, set);
      addTo(set, column);
      // A group of one pod has no pair with itself.
      if (b && (row !== column || other.size > 1)) opens = true;
    }
  }
  return opens;
}

function sameSet(a: Bitset, b: Bitset): boolean {
  return a.every((word, at) => word === b[at]);
}

function countPairs(groups: readonly PodGroup[], rows: ReadonlyMap<number, Bitset>): number {
  let pairs = 0;
  for (const [row, set] of rows) {
    const size = groups[row]?.size ?? 0;
    forEachMember(set, (column) => {
      pairs += size * (row === column ? size - 1 : (groups[column]?.size ?? 0));
    });
  }
  return pairs;
}

/** A port that no policy is likely to name: it stands for rules without ports. */
const anyPort: PortProbe = { protocol: "TCP", port: 1 };

/** The asked port, and both ends of everything that a policy speaks of that only one of the worlds has. */
function probesFor(
  before: PolicyWorld,
  after: PolicyWorld,
  asked: PortProbe,
): readonly PortProbe[] {
  const [old, fresh] = [
    new Set(before.objects.networkPolicies),
    new Set(after.objects.networkPolicies),
  ];
  const changed = [
    ...[...old].filter((policy) => !fresh.has(policy)),
    ...[...fresh].filter((policy) => !old.has(policy)),
  ];
  const probes = new Map<string, PortProbe>([[probeName(asked), asked]]);
  const add = (probe: PortProbe): void => {
    if (probes.size < PROBES) probes.set(probeName(probe), probe);
  };
  // Labels and cluster-wide policies move rules of all policies.
  const speaking = changed.length > 0 ? changed : before.objects.networkPolicies;
  for (const policy of speaking) addProbes(after, policy, add);
  if (changed.length === 0) add(anyPort);
  return [...probes.values()];
}

function addProbes(
  world: PolicyWorld,
  { object }: Loaded<NetworkPolicy>,
  add: (probe: PortProbe) => void,
): void {
  for (const direction of directions) {
    for (const { ports } of rulesOf(object, direction)) {
      if (ports.length === 0)
        for (const protocol of ["TCP", "UDP", "SCTP"]) add({ protocol, port: 1 });
      for (const { protocol = "TCP", port, endPort } of ports) {
        if (typeof port === "number") {
          add({ protocol, port });
          if (endPort !== undefined) add({ protocol, port: endPort });
        } else if (port === undefined) add({ protocol, port: 1 });
        else
          for (const pod of world.pods)
            for (const own of pod.ports)
              if (own.name === port) add({ protocol: own.protocol, port: own.number });
      }
    }
  }
}
