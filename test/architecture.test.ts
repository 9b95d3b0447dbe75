import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { describe, expect, it } from "vitest";

/** The house: each floor of src and the floors it may look down on. The drawing is in docs/life-of-a-packet.md. */
const floors: Readonly<Record<string, readonly string[]>> = {
  base: [],
  wire: ["base"],
  sim: ["base"],
  core: ["wire", "sim", "base"],
  link: ["core", "wire", "sim", "base"],
  inet: ["core", "wire", "sim", "base"],
  netfilter: ["inet", "core", "wire", "sim", "base"],
  tools: ["netfilter", "inet", "link", "core", "wire", "sim", "base"],
  kube: ["tools", "netfilter", "inet", "link", "core", "wire", "sim", "base"],
  lab: ["kube", "tools", "netfilter", "inet", "link", "core", "wire", "sim", "base"],
  view: ["core", "wire", "sim", "base"],
  /** The library: src/index.ts, the engine without its programs. */
  library: [
    "view",
    "lab",
    "kube",
    "tools",
    "netfilter",
    "inet",
    "link",
    "core",
    "wire",
    "sim",
    "base",
  ],
  cli: [
    "library",
    "view",
    "lab",
    "kube",
    "tools",
    "netfilter",
    "inet",
    "link",
    "core",
    "wire",
    "sim",
    "base",
  ],
  tui: [
    "library",
    "view",
    "lab",
    "kube",
    "tools",
    "netfilter",
    "inet",
    "link",
    "core",
    "wire",
    "sim",
    "base",
  ],
};

/** Which floors may import a package, or a module of Node. */
const packages: Readonly<Record<string, readonly string[]>> = {
  commander: ["cli"],
  "js-yaml": ["kube", "lab", "cli"],
  valibot: ["kube", "lab"],
  "kubernetes-types": ["kube", "lab"],
  "node:": ["cli", "tui"],
  ink: ["tui"],
  react: ["tui"],
  "@hpcc-js/wasm-graphviz": ["cli"],
};

/** The one place where a floor opens the door to its neighbour: the command that starts the screen. */
const doors: readonly string[] = ["src/cli/tui-command.ts"];

interface Import {
  readonly file: string;
  readonly floor: string;
  /** A path under src, or the name of a package. */
  readonly target: string;
  readonly targetFloor: string | undefined;
}

const files = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name))
  .map((name) => join("src", name));

const imports: readonly Import[] = files.flatMap(importsOf);

describe("the floors of src", () => {
  it("are all in the table", () => {
    expect([...new Set(files.map(floorOf))].filter((floor) => !(floor in floors))).toEqual([]);
  });

  it("import only downwards", () => {
    const upwards = imports.filter(({ file, floor, targetFloor }) => {
      return (
        targetFloor !== undefined &&
        targetFloor !== floor &&
        !(doors.includes(file) && targetFloor === "tui") &&
        !(floors[floor] ?? []).includes(targetFloor)
      );
    });
    expect(upwards.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  it("import packages only where the table allows them, and nothing of Node below cli", () => {
    const outside = imports.filter(({ targetFloor }) => targetFloor === undefined);
    const refused = outside.filter(({ floor, target }) => {
      const name = target.startsWith("node:") ? "node:" : packageName(target);
      return !(packages[name] ?? []).includes(floor);
    });
    expect(outside.length).toBeGreaterThan(0);
    expect(refused.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  it("import files that exist, by their .js name", () => {
    const wrong = imports.filter(
      ({ target, targetFloor }) => targetFloor !== undefined && !isSource(target),
    );
    expect(wrong.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  it("have an index.ts only where it is a list, which passes nothing on", () => {
    const passing = files.filter((file) => {
      return (
        file.endsWith("/index.ts") &&
        file !== "src/index.ts" &&
        /^export .* from "/m.test(readFileSync(file, "utf8"))
      );
    });
    expect(passing).toEqual([]);
  });
});

describe("the documents", () => {
  const documents = ["README.md", ...markdownIn("docs"), ...markdownIn("src")].filter((path) =>
    existsSync(path),
  );

  it("link only to files that exist", () => {
    const dead = documents.flatMap((file) =>
      linksIn(file)
        .filter((target) => !existsSync(join(dirname(file), target)))
        .map((target) => `${file} links to ${target}`),
    );
    expect(documents.length).toBeGreaterThan(0);
    expect(dead).toEqual([]);
  });
});

function importsOf(file: string): Import[] {
  const statement =
    /^(?:import|export)\b[^;"']*?\bfrom "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm;
  const found = readFileSync(file, "utf8").matchAll(statement);
  return [...found].map((match): Import => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? "";
    const floor = floorOf(file);
    if (!specifier.startsWith("."))
      return { file, floor, target: specifier, targetFloor: undefined };
    const target = normalize(join(dirname(file), specifier));
    return { file, floor, target, targetFloor: floorOf(target) };
  });
}

/** The folder below src; `library` for what stands beside the folders. */
function floorOf(file: string): string {
  const [first = "", ...rest] = relative("src", file).split("/");
  return rest.length === 0 ? "library" : first;
}

/** Whether `target`, named as JavaScript, is one of our files. */
function isSource(target: string): boolean {
  return (
    target.endsWith(".js") &&
    [".ts", ".tsx"].some((ending) => existsSync(target.replace(/\.js$/, ending)))
  );
}

function packageName(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function markdownIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));
}

/** The targets of `[text](target)` that are files: no addresses of the web, no anchors, nothing in code blocks. */
function linksIn(file: string): string[] {
  const text = readFileSync(file, "utf8")
    .replace(/^```[\s\S]*?^```/gm, "")
    .replace(/`[^`]*`/g, "");
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => (match[1] ?? "").replace(/#.*$/, ""))
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target));
}
