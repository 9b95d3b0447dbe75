import type { IpAddress } from "../../wire/ip.js";
import { has } from "./bitset.js";
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
  const counts = { ".": 0, X: 0, "/": 0, "?": 0, "-": 0, " ": 0 };
  const { classOf, endpoints } = matrix.compiled.members;
  const { world } = matrix.compiled;
  const plain =
    endpoints.every((endpoint) => endpoint.kind === "pod" && !isOnNode(world, endpoint)) &&
    matrix.reaches.every(({ egress }) => egress.every(({ unknown }) => unknown === undefined));
  const whole = { ...matrix, counts: { pairs: 0, delivered: 0, denied: 0, partly: 0, unknown: 0 } };
  for (const from of matrix.from) {
    const number = classOf[from.members[0] ?? 0] ?? 0;
    const rows = matrix.reaches.map(({ allowed }) => allowed[number]);
    for (const to of matrix.to) {
      const cell = plain
        ? quickCell(rows, classOf[to.members[0] ?? 0] ?? 0, to.probes)
        : cellAt(whole, from, to);
      const pairs =
        from.members.length * to.members.length -
        (from.members === to.members ? from.members.length : 0);
      counts[cell] += pairs;
    }
  }
  const { ".": delivered, X: denied, "/": partly, "?": unknown } = counts;
  return { pairs: delivered + denied + partly + unknown, delivered, denied, partly, unknown };
}

/** The same as `cellAt` where every endpoint is a pod in a network of its own and nothing is unknown. */
function quickCell(
  rows: readonly (Uint32Array | undefined)[],
  to: number,
  probes: readonly number[],
): Cell {
  let allowed = 0;
  for (const at of probes) {
    const row = rows[at];
    if (row !== undefined && has(row, to)) allowed++;
  }
  return allowed === probes.length ? "." : allowed === 0 ? "X" : "/";
}
