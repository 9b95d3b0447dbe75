import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const root = new URL("../", import.meta.url);
const TRAPS = 74;

interface Row {
  readonly number: number;
  readonly where: string;
}

const rows: readonly Row[] = readFileSync(new URL("docs/traps.md", root), "utf8")
  .split("\n")
  .flatMap((line) => {
    const cells = /^\| (\d+) \| (.+) \| (.+) \|$/.exec(line);
    return cells === null ? [] : [{ number: Number(cells[1]), where: cells[3] ?? "" }];
  });

/** Tests that are named with their title: `test/x.test.ts`: "title". */
function testsIn(where: string): readonly { readonly file: string; readonly title: string }[] {
  return [...where.matchAll(/`(test\/[^`]+)`: "([^"]+)"/g)].map(([, file = "", title = ""]) => ({
    file,
    title,
  }));
}

function labsIn(where: string): readonly string[] {
  return [...where.matchAll(/`([a-z0-9-]+)`/g)].map(([, name = ""]) => name);
}

describe("docs/traps.md", () => {
  it("has every trap of the list once, in order", () => {
    expect(rows.map(({ number }) => number)).toEqual(
      Array.from({ length: TRAPS }, (_, index) => index + 1),
    );
  });

  it("shows each by a lab or a test, or says why it cannot be observed", () => {
    const bare = rows.filter(
      ({ where }) =>
        labsIn(where).length + testsIn(where).length === 0 &&
        !/^cannot be observed: \w/.test(where),
    );
    expect(bare).toEqual([]);
  });

  it("names labs that exist", () => {
    const missing = rows
      .flatMap(({ where }) => labsIn(where))
      .filter((name) => !existsSync(new URL(`topologies/labs/${name}.yaml`, root)));
    expect(missing).toEqual([]);
  });

  it("names tests that exist, by the title they have", () => {
    const missing = rows
      .flatMap(({ where }) => testsIn(where))
      .filter(({ file, title }) => {
        const place = new URL(file, root);
        return !existsSync(place) || !readFileSync(place, "utf8").includes(title);
      });
    expect(missing).toEqual([]);
  });
});
