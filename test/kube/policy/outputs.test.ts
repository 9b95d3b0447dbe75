import { describe, expect, it } from "vitest";
import { connectivityMatrix } from "../../../src/kube/policy/matrix.js";
import { diffMatrices, diffText } from "../../../src/kube/policy/matrix-diff.js";
import {
  matrixCsv,
  matrixDot,
  matrixJson,
  matrixText,
} from "../../../src/kube/policy/matrix-text.js";
import { apiPolicy, dbPolicy, shop } from "./shop.js";

const options = { namespaces: ["shop", "batch"] };
const matrix = connectivityMatrix(shop().world, options);

describe("the matrix as data", () => {
  it("is JSON with a grid for all ports and one for each", () => {
    expect(matrixJson(matrix)).toMatchObject({
      v: 1,
      kind: "Matrix",
      dialect: "default",
      to: ["shop/api-0", "shop/api-1", "shop/db-0", "shop/web-0"],
      rows: ["XXX.", "-X..", "X-..", "XX-.", "..X-"],
      ports: [
        { port: "tcp/5432", rows: ["  X ", "  . ", "  . ", "  - ", "  X "] },
        { port: "tcp/8080", rows: ["XX .", "-X .", "X- .", "XX .", ".. -"] },
      ],
      counts: { pairs: 16, delivered: 8, denied: 8, partly: 0, unknown: 0 },
    });
  });

  it("is CSV with a line for each pair and port", () => {
    const lines = matrixCsv(matrix);
    expect(lines).toHaveLength(17);
    expect(lines.slice(0, 3)).toEqual([
      "from,to,port,verdict",
      "batch/job-0,shop/api-0,tcp/8080,denied",
      "batch/job-0,shop/api-1,tcp/8080,denied",
    ]);
  });

  it("is a graph with an edge for each pair that is delivered", () => {
    const lines = matrixDot(matrix);
    expect(lines.filter((line) => line.includes("->"))).toHaveLength(8);
    expect(lines).toContain('  "shop/web-0" -> "shop/api-1" [label="tcp/8080"];');
  });

  it("tries chosen ports on everybody, and spells out who is reached on some", () => {
    const chosen = connectivityMatrix(shop().world, {
      ...options,
      ports: [
        { protocol: "TCP", port: 80 },
        { protocol: "TCP", port: 5432 },
      ],
    });
    expect(matrixText(chosen).slice(-4)).toEqual([
      "shop/web-0       .            X           X           X          -",
      "20 pairs x tcp/80,tcp/5432: 8 delivered, 10 denied, 2 on some ports, 0 dropped, 0 unknown",
      "/ shop/api-0 -> shop/db-0: only tcp/5432",
      "/ shop/api-1 -> shop/db-0: only tcp/5432",
    ]);
  });
});

describe("the difference of two worlds", () => {
  it("names the pairs that change, and the rule that changes them", () => {
    const open = dbPolicy.replace("app: api", "app: web");
    const after = connectivityMatrix(
      shop([
        { file: "api.yaml", text: apiPolicy },
        { file: "db.yaml", text: open },
      ]).world,
      { ...options, previous: matrix },
    );
    expect(diffText(diffMatrices(matrix, after))).toEqual([
      "- shop/api-0 -> shop/db-0  tcp/5432  closes: ingress denied by shop/db-from-api",
      "- shop/api-1 -> shop/db-0  tcp/5432  closes: ingress denied by shop/db-from-api",
      "+ shop/web-0 -> shop/db-0  tcp/5432  opens: ingress allowed by shop/db-from-api rule 1",
      "1 pair opens, 2 close",
    ]);
    expect(diffText(diffMatrices(matrix, matrix))).toEqual(["no pair changes"]);
  });

  it("counts all changes and lists the first", () => {
    const free = connectivityMatrix(shop([]).world, options);
    const diff = diffMatrices(matrix, free, 2);
    expect(diff).toMatchObject({ opened: 8, closed: 0, other: 0 });
    expect(diffText(diff).slice(2)).toEqual(["and 6 more", "8 pairs open, 0 close"]);
  });
});
