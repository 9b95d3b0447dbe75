import { describe, expect, it } from "vitest";
import { connectivityMatrix } from "../../../src/kube/policy/matrix.js";
import { diffJson, diffMatrices } from "../../../src/kube/policy/matrix-diff.js";
import { matrixReasons } from "../../../src/kube/policy/matrix-reasons.js";
import { matrixSvg } from "../../../src/kube/policy/matrix-svg.js";
import { matrixText } from "../../../src/kube/policy/matrix-text.js";
import { policyWorld } from "../../../src/kube/policy/world.js";
import { loaded } from "./cases.js";
import { apiPolicy, shop } from "./shop.js";

const options = { namespaces: ["shop", "batch"] };
const matrix = connectivityMatrix(shop().world, options);

describe("the matrix as a picture", () => {
  const lines = matrixSvg(matrix);
  const text = lines.join("\n");

  it("has a cell for each pair, with its mark and with its ports to point at", () => {
    expect(lines.filter((line) => line.startsWith("<g><title>"))).toHaveLength(20);
    expect(text).toContain("<title>batch/job-0 -&gt; shop/db-0: denied (tcp/5432)</title>");
    expect(text).toContain("<title>shop/web-0 -&gt; shop/api-1: delivered (tcp/8080)</title>");
    expect(
      [...text.matchAll(/xml:space="preserve">([.X-])</g)].map(([, mark]) => mark).join(""),
    ).toBe("XXX.-X..X-..XX-...X-");
  });

  it("closes every element that it opens, and has the sums and the dialect below", () => {
    const open: string[] = [];
    for (const [tag, end, name = "", alone] of text.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
      if (end === "/") expect(`${tag} ends ${open.pop()}`).toBe(`${tag} ends ${name}`);
      else if (alone === "") open.push(name);
    }
    expect(open).toEqual([]);
    expect(text).toContain("16 pairs x declared ports: 8 delivered, 8 denied");
    expect(text).toContain("dialect default");
  });

  it("writes names as text, whatever is in them", () => {
    const pod = (name: string): object => ({
      metadata: { name, namespace: "a" },
      spec: { containers: [{ name: "c", image: "c", ports: [{ containerPort: 80 }] }] },
    });
    const world = policyWorld({
      namespaces: [],
      pods: ['<script>"&', "b"].map(pod).map(loaded),
      networkPolicies: [],
    });
    expect(matrixSvg(connectivityMatrix(world)).join("")).toContain("a/&lt;script&gt;&quot;&amp;");
  });

  it("refuses what nobody can look at", () => {
    const pods = Array.from({ length: 201 }, (_, at) =>
      loaded({
        metadata: { name: `p${at}`, namespace: "a" },
        spec: { containers: [{ name: "c", image: "c", ports: [{ containerPort: 80 }] }] },
      }),
    );
    const big = connectivityMatrix(policyWorld({ namespaces: [], pods, networkPolicies: [] }));
    expect(() => matrixSvg(big)).toThrow(/201 x 201 cells are too many/);
  });
});

describe("the grid in a narrow terminal", () => {
  it("numbers its columns by the rows when their names do not fit", () => {
    expect(matrixText(matrix, 60)).toEqual([
      "  from \\ to    2 3 4 5",
      "1 batch/job-0  X X X .",
      "2 shop/api-0   - X . .",
      "3 shop/api-1   X - . .",
      "4 shop/db-0    X X - .",
      "5 shop/web-0   . . X -",
      "16 pairs x declared ports: 8 delivered, 8 denied, 0 dropped, 0 unknown",
    ]);
  });

  it("has the names where they fit", () => {
    expect(matrixText(matrix, 70)).toEqual(matrixText(matrix));
  });
});

describe("below the grid", () => {
  it("stands what denies, and how many pairs", () => {
    expect(matrixReasons(matrix)).toEqual([
      "  6 pairs  ingress: no rule of shop/api-from-web matches",
      "  2 pairs  ingress: no rule of shop/db-from-api matches",
    ]);
  });

  it("counts all pods of a group", () => {
    const grouped = connectivityMatrix(shop().world, { ...options, grouped: true });
    expect(matrixReasons(grouped)).toEqual(matrixReasons(matrix));
  });
});

it("changes between two worlds are data with the reason in each", () => {
  const without = connectivityMatrix(
    shop([{ file: "policies/api.yaml", text: apiPolicy }]).world,
    options,
  );
  const diff = diffJson(diffMatrices(matrix, without));
  expect(diff).toMatchObject({ opened: 2, closed: 0, other: 0, added: [], removed: [] });
  expect(diff.changes[0]).toEqual({
    from: "batch/job-0",
    to: "shop/db-0",
    port: "tcp/5432",
    before: "deny",
    after: "allow",
    why: { before: "ingress denied by shop/db-from-api", after: "ingress no policy selects it" },
  });
});
