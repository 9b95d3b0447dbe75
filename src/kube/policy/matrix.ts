import type { IpAddress } from "../../wire/ip.js";
import { type Bitset, countCommon, emptySet, has, intersection, union } from "./bitset.js";
import { type CompiledWorld, compileWorld, type Reach, reach, verdictBetween } from "./evaluate.js";
import { formatAddress } from "./cidr.js";
import type { PortProbe } from "./compile.js";
import { isOnNode } from "./oracle.js";
import type { Endpoint, PolicyWorld } from "./world.js";

/** `.` all ports delivered, `X` none, `/` some of them, `?` not known, `-` the same pod, blank: no port to try. */
export type Cell = "." | "X" | "/" | "?" | "-" | " ";

/** A row or column: one endpoint, or several that nothing tells apart. */
export interface MatrixLine {
  /** `shop/api-0`, or an address; a group is named after its first member. */
  readonly name: string;
  /** Positions in `compiled.members.endpoints`, ascending. */
  readonly members: readonly number[];
  /** What is tried when it is the destination: positions in `Matrix.probes`. */
  readonly probes: readonly number[];
}

export interface MatrixCounts {
  /** Ordered pairs of different endpoints with at least one port to try. */
  readonly pairs: number;
  readonly delivered: number;
  readonly denied: number;
  /** Delivered on some of the ports. */
  readonly partly: number;
  readonly unknown: number;
}

export interface Matrix {
  readonly compiled: CompiledWorld;
  /** The different ports that are tried, and who reaches whom on each. */
  readonly probes: readonly PortProbe[];
  readonly reaches: readonly Reach[];
  readonly from: readonly MatrixLine[];
  readonly to: readonly MatrixLine[];
  readonly counts: MatrixCounts;
  /** Whether the ports were chosen, or are those that each destination declares. */
  readonly chosenPorts: boolean;
}

export interface MatrixOptions {
  /** Only pods of these namespaces; all when undefined. */
  readonly namespaces?: readonly string[] | undefined;
  /** Try these on every destination, instead of the ports that it declares. */
  readonly ports?: readonly PortProbe[] | undefined;
  /** Addresses besides the pods. */
  readonly addresses?: readonly IpAddress[] | undefined;
  /** One line for all pods that no policy tells apart. */
  readonly grouped?: boolean | undefined;
  /** The matrix of the world before an edit: what the edit leaves alone is taken over. */
  readonly previous?: Matrix | undefined;
}

/** Who reaches whom. */
export function connectivityMatrix(world: PolicyWorld, options: MatrixOptions = {}): Matrix {
  const { addresses = [], previous } = options;
  const compiled = compileWorld(world, { addresses, previous: previous?.compiled });
  const probes = options.ports ?? declaredProbes(compiled, options);
  const reaches = probes.map((probe) => reach(compiled, probe, findReach(previous, probe)));
  const lines = makeLines(compiled, probes, options);
  const from = lines;
  const to = lines.filter((line) => line.probes.length > 0);
  const chosenPorts = options.ports !== undefined;
  const plain = { compiled, probes, reaches, from, to, chosenPorts };
  return { ...plain, counts: countCells(plain) };
}

function findReach(previous: Matrix | undefined, { protocol, port }: PortProbe): Reach | undefined {
  return previous?.reaches.find(({ probe }) => probe.protocol === protocol && probe.port === port);
}

function isWanted(endpoint: Endpoint | undefined, { namespaces }: MatrixOptions): boolean {
  return (
    endpoint?.kind !== "pod" || namespaces === undefined || namespaces.includes(endpoint.namespace)
  );
}

/** The ports that the destinations declare, each once, by protocol and number. */
function declaredProbes({ members }: CompiledWorld, options: MatrixOptions): readonly PortProbe[] {
  const found = new Map<string, PortProbe>();
  for (const endpoint of members.endpoints) {
    if (endpoint.kind !== "pod" || !isWanted(endpoint, options)) continue;
    for (const { protocol, number } of endpoint.ports)
      found.set(probeName({ protocol, port: number }), { protocol, port: number });
  }
  return [...found.values()].toSorted((a, b) =>
    a.protocol === b.protocol ? (a.port ?? 0) - (b.port ?? 0) : a.protocol < b.protocol ? -1 : 1,
  );
}

/** `tcp/5432`, `icmp`. */
export function probeName({ protocol, port }: PortProbe): string {
  return port === undefined ? protocol.toLowerCase() : `${protocol.toLowerCase()}/${port}`;
}

function makeLines(
  compiled: CompiledWorld,
  probes: readonly PortProbe[],
  options: MatrixOptions,
): readonly MatrixLine[] {
  const { endpoints, classOf } = compiled.members;
  const numberOf = new Map(probes.map((probe, at) => [probeName(probe), at]));
  const tried = (endpoint: Endpoint): readonly number[] => {
    if (options.ports !== undefined) return probes.map((_, at) => at);
    if (endpoint.kind !== "pod") return [];
    const own = endpoint.ports.map(
      ({ protocol, number }) => numberOf.get(probeName({ protocol, port: number })) ?? -1,
    );
    return [...new Set(own)].filter((at) => at >= 0).toSorted((a, b) => a - b);
  };
  const order = endpoints
    .map((endpoint, at) => ({ endpoint, at, name: lineName(endpoint) }))
    .filter(({ endpoint }) => isWanted(endpoint, options));
  order.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const nodesMatter = endpoints.some(
    (endpoint) => endpoint.kind === "address" || isOnNode(compiled.world, endpoint),
  );
  const groups = new Map<string, { name: string; members: number[]; probes: readonly number[] }>();
  for (const { endpoint, at, name } of order) {
    const own = tried(endpoint);
    const node = nodesMatter && endpoint.kind === "pod" ? (endpoint.node ?? "") : "";
    const key = options.grouped === true ? `${classOf[at]} ${own.join(",")} ${node}` : String(at);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { name, members: [at], probes: own });
    else group.members.push(at);
  }
  return [...groups.values()];
}

function lineName(endpoint: Endpoint): string {
  return endpoint.kind === "pod" ? endpoint.key : formatAddress(endpoint.address);
}

/** The cell of a row and a column. */
export function cellAt(matrix: Matrix, from: MatrixLine, to: MatrixLine): Cell {
  const verdicts = verdictsAt(matrix, from, to);
  if (verdicts === undefined) return "-";
  return joinVerdicts(verdicts.map(({ verdict }) => verdict));
}

function joinVerdicts(verdicts: readonly ("allow" | "deny" | "unknown")[]): Cell {
  if (verdicts.length === 0) return " ";
  if (verdicts.includes("unknown")) return "?";
  if (!verdicts.includes("deny")) return ".";
  return verdicts.includes("allow") ? "/" : "X";
}

/** The verdict of each port that is tried; undefined for an endpoint and itself. */
export function verdictsAt(
  matrix: Matrix,
  from: MatrixLine,
  to: MatrixLine,
):
  | readonly { readonly probe: PortProbe; readonly verdict: "allow" | "deny" | "unknown" }[]
  | undefined {
  const [source] = from.members;
  const destination = to.members.find((member) => member !== source);
  if (source === undefined || destination === undefined) return undefined;
  return to.probes.flatMap((at) => {
    const result = matrix.reaches[at];
    const probe = matrix.probes[at];
    return result === undefined || probe === undefined
      ? []
      : [{ probe, verdict: verdictBetween(result, source, destination) }];
  });
}

function countCells(matrix: Omit<Matrix, "counts">): MatrixCounts {
  const { endpoints } = matrix.compiled.members;
  const { world } = matrix.compiled;
  const plain =
    endpoints.every((endpoint) => endpoint.kind === "pod" && !isOnNode(world, endpoint)) &&
    matrix.reaches.every(({ egress }) => egress.every(({ unknown }) => unknown === undefined));
  const counts = plain ? countByClass(matrix) : countByCell(matrix);
  const { ".": delivered, X: denied, "/": partly, "?": unknown } = counts;
  return { pairs: delivered + denied + partly + unknown, delivered, denied, partly, unknown };
}

type CellCounts = Record<Cell, number>;

function noCells(): CellCounts {
  return { ".": 0, X: 0, "/": 0, "?": 0, "-": 0, " ": 0 };
}

function countByCell(matrix: Omit<Matrix, "counts">): CellCounts {
  const counts = noCells();
  const whole = { ...matrix, counts: { pairs: 0, delivered: 0, denied: 0, partly: 0, unknown: 0 } };
  for (const from of matrix.from) {
    for (const to of matrix.to) {
      const same = from.members === to.members ? from.members.length : 0;
      counts[cellAt(whole, from, to)] += from.members.length * to.members.length - same;
    }
  }
  return counts;
}

/** The same where every endpoint is a pod in a network of its own and nothing is unknown: whole rows of classes at once. */
function countByClass({ compiled, reaches, from, to }: Omit<Matrix, "counts">): CellCounts {
  const counts = noCells();
  const { classOf, universe } = compiled.members;
  const sources = new Uint32Array(universe.classes.length);
  for (const { members } of from)
    for (const member of members)
      sources[classOf[member] ?? 0] = (sources[classOf[member] ?? 0] ?? 0) + 1;
  const byProbes = new Map<string, MatrixLine[]>();
  for (const line of to) {
    const key = line.probes.join(",");
    const lines = byProbes.get(key);
    if (lines === undefined) byProbes.set(key, [line]);
    else lines.push(line);
  }
  for (const lines of byProbes.values()) {
    const probes = lines[0]?.probes ?? [];
    const targets = new Weights(universe.classes.length);
    for (const { members } of lines)
      for (const member of members) targets.add(classOf[member] ?? 0);
    const cellOf = (number: number): readonly [Bitset, Bitset] => {
      const rows = probes.map((at) => reaches[at]?.allowed[number] ?? universe.none);
      return [
        rows.reduce(intersection, universe.all),
        rows.length === 1 ? (rows[0] ?? universe.none) : rows.reduce(union, universe.none),
      ];
    };
    for (const [number, weight] of sources.entries()) {
      if (weight === 0) continue;
      const [every, some] = cellOf(number);
      const whole = targets.sum(every);
      const part = probes.length === 1 ? 0 : targets.sum(some) - whole;
      // A pod and itself are no pair.
      const own = targets.of(number);
      const self = has(every, number) ? "." : has(some, number) ? "/" : "X";
      counts["."] += weight * whole;
      counts["/"] += weight * part;
      counts.X += weight * (targets.total - whole - part);
      counts[self] -= Math.min(own, weight);
    }
  }
  return counts;
}

/** How much each class weighs, bit by bit: bit k of all weights is one set, so that sums are counts of bits. */
class Weights {
  readonly #planes: Bitset[] = [];
  readonly #weights: Uint32Array;
  total = 0;

  constructor(size: number) {
    this.#weights = new Uint32Array(size);
  }

  add(member: number): void {
    const before = this.of(member);
    this.#weights[member] = before + 1;
    this.total++;
    for (let bit = 0; (before ^ (before + 1)) >>> bit !== 0; bit++) {
      const plane = this.#planes[bit] ?? emptySet(this.#weights.length);
      this.#planes[bit] = plane;
      plane[member >>> 5] = (plane[member >>> 5] ?? 0) ^ (1 << (member & 31));
    }
  }

  of(member: number): number {
    return this.#weights[member] ?? 0;
  }

  /** The weight of a set. */
  sum(set: Bitset): number {
    return this.#planes.reduce((sum, plane, bit) => sum + countCommon(plane, set) * 2 ** bit, 0);
  }
}
