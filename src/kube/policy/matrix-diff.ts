import { safeText } from "../../base/safe-text.js";
import { verdictBetween } from "./evaluate.js";
import type { PortProbe } from "./compile.js";
import { type Matrix, type MatrixLine, probeName } from "./matrix.js";
import { judge } from "./oracle.js";
import { reasonText } from "./reason-text.js";
import type { Verdict } from "./verdict.js";
import type { Endpoint } from "./world.js";

type Outcome = "allow" | "deny" | "unknown";

/** A pair and port whose verdict is not the same in two worlds. */
export interface ReachChange {
  readonly from: string;
  readonly to: string;
  readonly probe: PortProbe;
  readonly before: Outcome;
  readonly after: Outcome;
  /** Why it is so in each world: the side that decides, in words. */
  readonly why: { readonly before: string; readonly after: string };
}

export interface MatrixDiff {
  /** The first changes by name, at most the limit. */
  readonly changes: readonly ReachChange[];
  readonly opened: number;
  readonly closed: number;
  /** Changes to or from unknown. */
  readonly other: number;
  /** Endpoints that only one of the worlds has. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** How many changes are listed with their reasons. All are counted. */
export const CHANGES_LISTED = 1_000;

/** What changes between two worlds, for pods that both have and ports that either tries. Both matrices are ungrouped. */
export function diffMatrices(
  before: Matrix,
  after: Matrix,
  limit: number = CHANGES_LISTED,
): MatrixDiff {
  const old = byName(before.from);
  const fresh = byName(after.from);
  const probes = before.probes.flatMap((probe, at) => {
    const other = after.probes.findIndex(
      ({ protocol, port }) => protocol === probe.protocol && port === probe.port,
    );
    return other < 0 ? [] : [{ probe, before: at, after: other }];
  });
  const changes: ReachChange[] = [];
  const counts = { opened: 0, closed: 0, other: 0 };
  for (const source of before.from) {
    const newSource = fresh.get(source.name);
    if (newSource === undefined) continue;
    for (const destination of before.to) {
      const newDestination = fresh.get(destination.name);
      if (newDestination === undefined || destination.name === source.name) continue;
      for (const { probe, before: i, after: j } of probes) {
        if (!destination.probes.includes(i) || !newDestination.probes.includes(j)) continue;
        const was = outcomeAt(before, i, source, destination);
        const is = outcomeAt(after, j, newSource, newDestination);
        if (was === is) continue;
        counts[is === "allow" ? "opened" : was === "allow" ? "closed" : "other"]++;
        if (changes.length < limit)
          changes.push(
            describeChange(before, after, {
              source,
              destination,
              newSource,
              newDestination,
              probe,
              was,
              is,
            }),
          );
      }
    }
  }
  return {
    changes,
    ...counts,
    added: [...fresh.keys()].filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !fresh.has(name)),
  };
}

function byName(lines: readonly MatrixLine[]): ReadonlyMap<string, MatrixLine> {
  return new Map(lines.map((line) => [line.name, line]));
}

function outcomeAt({ reaches }: Matrix, at: number, from: MatrixLine, to: MatrixLine): Outcome {
  const result = reaches[at];
  return result === undefined
    ? "unknown"
    : verdictBetween(result, from.members[0] ?? 0, to.members[0] ?? 0);
}

interface Change {
  readonly source: MatrixLine;
  readonly destination: MatrixLine;
  readonly newSource: MatrixLine;
  readonly newDestination: MatrixLine;
  readonly probe: PortProbe;
  readonly was: Outcome;
  readonly is: Outcome;
}

function describeChange(before: Matrix, after: Matrix, change: Change): ReachChange {
  const { source, destination, newSource, newDestination, probe, was, is } = change;
  const verdict = (matrix: Matrix, from: MatrixLine, to: MatrixLine): Verdict | undefined => {
    const [a, b] = [endpointAt(matrix, from), endpointAt(matrix, to)];
    return a === undefined || b === undefined
      ? undefined
      : judge(matrix.compiled.world, { source: a, destination: b, ...probe });
  };
  const old = verdict(before, source, destination);
  const fresh = verdict(after, newSource, newDestination);
  return {
    from: source.name,
    to: destination.name,
    probe,
    before: was,
    after: is,
    why: { before: decisive(old, fresh), after: decisive(fresh, old) },
  };
}

function endpointAt({ compiled }: Matrix, { members }: MatrixLine): Endpoint | undefined {
  return compiled.members.endpoints[members[0] ?? -1];
}

/** The reasons of the sides that the two worlds do not agree on. */
function decisive(verdict: Verdict | undefined, other: Verdict | undefined): string {
  if (verdict === undefined || other === undefined) return "";
  const sides = (["egress", "ingress"] as const).filter(
    (side) => verdict[side].outcome !== other[side].outcome,
  );
  return sides.map((side) => `${side} ${reasonText(verdict[side].reason)}`).join("; ");
}

/** The changes as plain data. */
export interface DiffJson {
  readonly v: 1;
  readonly kind: "MatrixDiff";
  readonly opened: number;
  readonly closed: number;
  readonly other: number;
  readonly changes: readonly (Pick<ReachChange, "from" | "to" | "before" | "after" | "why"> & {
    readonly port: string;
  })[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export function diffJson({ changes, ...sums }: MatrixDiff): DiffJson {
  return {
    v: 1,
    kind: "MatrixDiff",
    ...sums,
    changes: changes.map(({ probe, ...change }) => ({ ...change, port: probeName(probe) })),
  };
}

/** The changes for a terminal. */
export function diffText(diff: MatrixDiff): readonly string[] {
  const { changes, opened, closed, other, added, removed } = diff;
  const sign = { allow: "+", deny: "-", unknown: "?" } as const;
  const width = Math.max(0, ...changes.map(({ from, to }) => from.length + to.length + 4)) + 2;
  const ports = Math.max(0, ...changes.map(({ probe }) => probeName(probe).length)) + 2;
  const lines = changes.map(({ from, to, probe, after, why }) => {
    const pair = safeText(`${from} -> ${to}`).padEnd(width);
    return `${sign[after]} ${pair}${probeName(probe).padEnd(ports)}${after === "unknown" ? "unknown" : after === "allow" ? "opens" : "closes"}: ${safeText(why.after)}`;
  });
  const more = opened + closed + other - changes.length;
  const pods = [
    ...added.map((name) => `  new: ${safeText(name)}`),
    ...removed.map((name) => `  gone: ${safeText(name)}`),
  ];
  const sum = `${opened} pair${opened === 1 ? "" : "s"} open${opened === 1 ? "s" : ""}, ${closed} close${closed === 1 ? "s" : ""}${other === 0 ? "" : `, ${other} not known`}`;
  return [
    ...lines,
    ...(more > 0 ? [`and ${more} more`] : []),
    ...pods,
    opened + closed + other === 0 ? "no pair changes" : sum,
  ];
}
