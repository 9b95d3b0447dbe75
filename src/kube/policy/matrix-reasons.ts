import { counted } from "../../base/counted.js";
import { safeText } from "../../base/safe-text.js";
import { type Matrix, type MatrixLine, verdictsAt } from "./matrix.js";
import { judge } from "./oracle.js";
import { policyName, reasonText } from "./reason-text.js";
import { directions, type Reason } from "./verdict.js";

/** More pairs than this are not asked for their reasons. */
const MOST_PAIRS = 20_000;

/** What denies, and how many pairs each: the lines for below a matrix, the most pairs first. */
export function matrixReasons(matrix: Matrix): readonly string[] {
  const { from, to } = matrix;
  if (from.length * to.length > MOST_PAIRS)
    return [`reasons are told for up to ${MOST_PAIRS} cells; --group or -n makes fewer`];
  const pairs = new Map<string, number>();
  for (const source of from) {
    for (const destination of to) {
      const weight =
        source.members.length * destination.members.length -
        (source.members === destination.members ? source.members.length : 0);
      for (const reason of reasonsOf(matrix, source, destination))
        pairs.set(reason, (pairs.get(reason) ?? 0) + weight);
    }
  }
  return [...pairs]
    .toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .map(([reason, count]) => `${counted(count, "pair").padStart(9)}  ${safeText(reason)}`);
}

/** Every reason for which some port of a cell is not delivered, once. */
function reasonsOf(matrix: Matrix, from: MatrixLine, to: MatrixLine): ReadonlySet<string> {
  const { world, members } = matrix.compiled;
  const source = members.endpoints[from.members[0] ?? 0];
  const other = to.members.find((member) => member !== from.members[0]);
  const destination = members.endpoints[other ?? 0];
  if (source === undefined || destination === undefined) return new Set();
  const closed = (verdictsAt(matrix, from, to) ?? []).filter(({ verdict }) => verdict !== "allow");
  return new Set(
    closed.flatMap(({ probe }) => {
      const verdict = judge(world, { source, destination, ...probe });
      return directions
        .filter((direction) => verdict[direction].outcome !== "allow")
        .map((direction) => `${direction}: ${shortReason(verdict[direction].reason)}`);
    }),
  );
}

function shortReason(reason: Reason): string {
  return reason.kind === "denied-no-rule"
    ? `no rule of ${reason.policies.map(policyName).join(" or ")} matches`
    : reasonText(reason);
}
