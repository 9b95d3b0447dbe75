import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildLab } from "../src/lab/build.js";
import { parseLab } from "../src/lab/lab-file.js";
import { blocksOf, documents, isSession, playSession, readsAs, replaceBlock } from "./documents.js";

/** HOPWISE_UPDATE_DOCS=1 npx vitest run test/docs.test.ts writes what is printed today into the documents. */
const update = process.env["HOPWISE_UPDATE_DOCS"] === "1";

describe("what the documents show", () => {
  const sessions = documents.flatMap(blocksOf).filter(isSession);

  it.each(sessions)("$file:$line is what hopwise prints", async (block) => {
    const printed = await playSession(block);
    if (readsAs(block.lines, printed)) return;
    if (update) replaceBlock(block, printed);
    else expect(block.lines).toEqual(printed);
  });

  it("is compared line by line, with ... for any number of lines", () => {
    expect(readsAs(["a", "...", "d"], ["a", "b", "c", "d"])).toBe(true);
    expect(readsAs(["a", "..."], ["a"])).toBe(true);
    expect(readsAs(["a", "...", "e"], ["a", "b", "c", "d"])).toBe(false);
    expect(readsAs(["a"], ["a", "b"])).toBe(false);
    expect(readsAs(["a", "b"], ["a"])).toBe(false);
  });
});

describe("the lab file that docs/labs.md shows", () => {
  const [example] = blocksOf("docs/labs.md").filter(({ language }) => language === "yaml");
  const lab = parseLab("docs/labs.md", example?.lines.join("\n") ?? "");

  it("is read, and has every field", () => {
    expect(Object.values(lab).filter((value) => value.length === 0)).toEqual([]);
    expect(lab.probes.map(({ port }) => port)).toEqual([80, 81]);
  });

  it("is built, command by command", () => {
    expect([...buildLab(lab, 1).namespaces.keys()]).toEqual(["client", "router", "server"]);
  });
});

describe("docs/fidelity.md", () => {
  const page = readFileSync("docs/fidelity.md", "utf8");
  const named = [...page.matchAll(/`(test\/[^`]+\.test\.tsx?)`/g)].map(([, path = ""]) => path);

  it("names tests that exist", () => {
    expect(named.length).toBeGreaterThan(50);
    expect(named.filter((path) => !existsSync(path))).toEqual([]);
  });

  it("gives a state to every feature, and a test or a dash", () => {
    const rows = [...page.matchAll(/^\| (?!feature|part|---)(.+) \|$/gm)]
      .map(([, row = ""]) => row.split(" | "))
      .filter((cells) => cells.length !== 2);
    const state = /^(exact|simplified|missing|differs|assumed|property|from the documentation|\[)/;
    const wrong = rows.filter(
      ([, what = "", test = ""]) => !state.test(what) || !/^(-|`test\/)/.test(test),
    );
    expect(wrong).toEqual([]);
  });
});

describe("the documents' links", () => {
  it.each(documents)("of %s lead to files that exist", (file) => {
    const broken = linksOf(file).filter((target) => !existsSync(join(dirname(file), target)));
    expect(broken).toEqual([]);
  });
});

describe("functions that the documents name in a link to a file", () => {
  it.each(documents)("of %s are in that file", (file) => {
    const named = [...readFileSync(file, "utf8").matchAll(/\[`(\w+)(?:\(\))?`\]\(([^)#]+\.ts)\)/g)];
    const strangers = named.filter(([, name = "", target = ""]) => {
      const path = join(dirname(file), target);
      return !existsSync(path) || !new RegExp(`\\b${name}\\b`).test(readFileSync(path, "utf8"));
    });
    expect(strangers.map(([link]) => link)).toEqual([]);
  });
});

/** Relative links of a page, without their anchors; what stands in fenced blocks is no link. */
function linksOf(file: string): readonly string[] {
  const prose = readFileSync(file, "utf8").replaceAll(/^```[\s\S]*?^```/gm, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target.replace(/#.*$/, ""))
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target));
}
