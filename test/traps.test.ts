import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const root = new URL("../", import.meta.url);
/** Each list with its number of traps. */
const LISTS = [
  { file: "docs/traps.md", traps: 74 },
  { file: "docs/traps-iptables.md", traps: 90 },
] as const;

/** Recorded runs that a row may name: `r-0123`, `s-0045`. */
const cases: ReadonlySet<string> = new Set(
  ["iptables-roundtrip", "ipset-roundtrip"].flatMap((name) => {
    const text = readFileSync(new URL(`test/golden/${name}.json`, root), "utf8");
    return [...text.matchAll(/"id": ?"([rs]-\d{4})"/g)].map(([, id = ""]) => id);
  }),
);
const isCase = (name: string): boolean => /^[rs]-\d{4}$/.test(name);

interface Row {
  readonly number: number;
  readonly where: string;
}

function rowsOf(file: string): readonly Row[] {
  return readFileSync(new URL(file, root), "utf8")
    .split("\n")
    .flatMap((line) => {
      const cells = /^\| (\d+) \| (.+) \| (.+) \|$/.exec(line);
      return cells === null ? [] : [{ number: Number(cells[1]), where: cells[3] ?? "" }];
    });
}

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

describe.each(LISTS)("$file", ({ file: list, traps }) => {
  const rows = rowsOf(list);

  it("has every trap of the list once, in order", () => {
    expect(rows.map(({ number }) => number)).toEqual(
      Array.from({ length: traps }, (_, index) => index + 1),
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
      .filter(
        (name) => !isCase(name) && !existsSync(new URL(`topologies/labs/${name}.yaml`, root)),
      );
    expect(missing).toEqual([]);
  });

  it("names recorded runs that exist", () => {
    const named = rows.flatMap(({ where }) => labsIn(where)).filter(isCase);
    expect(named.filter((name) => !cases.has(name))).toEqual([]);
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
