import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  cellAt,
  connectivityMatrix,
  type Matrix,
  type MatrixCounts,
} from "../../../src/kube/policy/matrix.js";
import { policyWorld } from "../../../src/kube/policy/world.js";
import { bigWorld } from "./big-world.js";
import { randomObjects } from "./random-world.js";

/** The counts, cell by cell. */
function countSlowly(matrix: Matrix): MatrixCounts {
  const counts = { pairs: 0, delivered: 0, denied: 0, partly: 0, unknown: 0 };
  for (const from of matrix.from) {
    for (const to of matrix.to) {
      const pairs =
        from.members.length * to.members.length - (from.name === to.name ? from.members.length : 0);
      const cell = cellAt(matrix, from, to);
      if (cell === "-") continue;
      counts.pairs += pairs;
      if (cell === ".") counts.delivered += pairs;
      if (cell === "X") counts.denied += pairs;
      if (cell === "/") counts.partly += pairs;
      if (cell === "?") counts.unknown += pairs;
    }
  }
  return counts;
}

describe("the matrix", () => {
  it("counts what its cells say, for single pods and for groups", () => {
    fc.assert(
      fc.property(randomObjects, fc.boolean(), (objects, withPorts) => {
        const world = policyWorld(objects);
        const ports = withPorts
          ? [
              { protocol: "TCP", port: 80 },
              { protocol: "UDP", port: 53 },
            ]
          : undefined;
        const single = connectivityMatrix(world, { ports });
        const grouped = connectivityMatrix(world, { ports, grouped: true });
        expect(single.counts).toEqual(countSlowly(single));
        expect(grouped.counts).toEqual(single.counts);
      }),
      { numRuns: 300 },
    );
  });

  it("counts the same whether pods are grouped or not in a big world", () => {
    const world = policyWorld(bigWorld({ pods: 400, policies: 60, seed: 3 }));
    const single = connectivityMatrix(world);
    const grouped = connectivityMatrix(world, { grouped: true });
    expect(grouped.from.length).toBeLessThan(single.from.length);
    expect(grouped.counts).toEqual(single.counts);
    expect(single.counts).toEqual(countSlowly(single));
    expect(single.counts.denied).toBeGreaterThan(1_000);
    expect(single.counts.delivered).toBeGreaterThan(1_000);
  });
});
