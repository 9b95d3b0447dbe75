import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/base/errors.js";
import {
  defaultDialect,
  dialects,
  otherSettings,
  parseDialect,
  switches,
  switchText,
} from "../../../src/kube/policy/dialect.js";

const page = readFileSync(new URL("../../../docs/policies.md", import.meta.url), "utf8");

describe("a dialect", () => {
  it("is a name, switches over a name, or switches over the default", () => {
    expect(parseDialect("default")).toBe(defaultDialect);
    expect(parseDialect("kube-router,refusal=drop")).toMatchObject({
      name: "kube-router,refusal=drop",
      refusal: "drop",
      otherProtocols: "allow",
    });
    expect(parseDialect("endPort=false,sctp=false")).toMatchObject({
      name: "default,endPort=false,sctp=false",
      endPort: false,
      sctp: false,
    });
  });

  it.each(["", "kube-rooter", "default,", "default,endPort", "default,endPort=no", "name=x"])(
    "is refused as %j",
    (text) => {
      expect(() => parseDialect(text)).toThrow(UserError);
    },
  );

  it("has words of its own for every value of every switch", () => {
    const all = switches.flatMap((name) =>
      [defaultDialect, ...otherSettings(defaultDialect, name)].map((dialect) =>
        switchText(dialect, name),
      ),
    );
    expect(new Set(all).size).toBe(all.length);
    expect(all.filter((text) => text === "" || text.includes("undefined"))).toEqual([]);
  });
});

describe("docs/policies.md", () => {
  it.each(switches)("says what %s decides, its default, and who does otherwise", (name) => {
    const rows = page.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
    const cells = rows.find(([, first]) => first === `\`${name}\``) ?? [];
    const known = [defaultDialect, ...otherSettings(defaultDialect, name)].map((dialect) =>
      String(dialect[name]),
    );
    expect(cells[2]).toBe(known.join(", "));
    const differing = dialects
      .filter((dialect) => dialect[name] !== defaultDialect[name])
      .map((dialect) => `${dialect.name}: ${String(dialect[name])}`);
    expect(cells[4]).toBe(differing.join("; "));
  });

  it("names every dialect", () => {
    for (const { name } of dialects) expect(page).toContain(`\`${name}\``);
  });
});
