import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import { loadWorld } from "../../src/lab/world.js";
import type { LabCommand } from "../../src/tools/command.js";
import { randomClusterText } from "../kube/random-cluster.js";
import { missingJudge } from "./judge.js";

/** How many random clusters: 20 in CI, more with HOPWISE_RANDOM_CLUSTERS. */
const clusters = Number(process.env["HOPWISE_RANDOM_CLUSTERS"] ?? 20);
/** The two programs that read rules, and the two families. */
const variants = ["legacy", "nft"] as const;
const ns = `hw-rules-${process.pid}`;
const missing = missingJudge();

/** What one node gives to a restore program, one text after the other. */
interface NodeTexts {
  readonly texts: readonly { readonly program: Restore; readonly text: string }[];
  /** What it gives to `ipset restore` before. */
  readonly sets: string;
}

type Restore = "iptables-restore" | "ip6tables-restore";

/** Every text that a world's nodes give to iptables-restore and ip6tables-restore, with the sets that they name. */
function ruleTexts(commands: readonly LabCommand[]): readonly NodeTexts[] {
  const nodes = new Set(commands.map((command) => command.ns));
  return [...nodes].flatMap((node) => {
    const own = commands.filter(({ ns: on, stdin }) => on === node && stdin !== undefined);
    const of = (program: string): readonly string[] =>
      own.flatMap(({ argv, stdin }) => (argv[0] === program ? (stdin ?? []) : []));
    const texts = own.flatMap(({ argv: [program], stdin: text = "" }): NodeTexts["texts"] =>
      program === "iptables-restore" || program === "ip6tables-restore" ? [{ program, text }] : [],
    );
    return texts.length === 0 ? [] : [{ texts, sets: of("ipset").join("") }];
  });
}

/** Rules and chains of all tables, gone. */
const empty = ["filter", "nat", "mangle"].map((table) => `*${table}\nCOMMIT\n`).join("");

/**
 * What the real programs say of the nodes' texts: nothing, when all is well. Each text is tried with --test and then
 * loaded, as the next one counts on its chains.
 */
function complaints(nodes: readonly NodeTexts[]): string {
  const folder = mkdtempSync(join(tmpdir(), "hopwise-rules-"));
  writeFileSync(join(folder, "empty"), empty);
  try {
    return variants
      .map((variant) => {
        const script = nodes.flatMap(({ texts, sets }, node) => {
          const lines = texts.flatMap(({ program, text }, n) => {
            const file = join(folder, `${node}-${n}`);
            writeFileSync(file, text);
            const name = program.replace("tables", `tables-${variant}`);
            const tried = [`${name} --test --noflush`, `${name} --noflush`];
            return tried.map((line) => `${line} < ${file} 2>&1 || echo ${name} ${node}-${n}: $?`);
          });
          const clean = ["ip", "ip6"].map(
            (family) => `${family}tables-${variant}-restore < ${join(folder, "empty")} 2>&1`,
          );
          if (sets === "") return [...lines, ...clean];
          writeFileSync(join(folder, `${node}.sets`), sets);
          const restore = `ipset restore < ${join(folder, `${node}.sets`)} 2>&1`;
          return [restore, ...lines, ...clean, "ipset destroy 2>&1"];
        });
        return execFileSync("ip", ["netns", "exec", `${ns}-${variant}`, "sh", "-s"], {
          input: script.join("\n"),
          encoding: "utf8",
          maxBuffer: 1 << 28,
        });
      })
      .join("");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function labCommands(text: { file: string; text: string }[], name: string): readonly LabCommand[] {
  const world = loadWorld(text, name);
  if (world.kind !== "cluster") throw new Error(`${name} is no cluster`);
  return clusterLab(world).lab.commands;
}

describe.runIf(missing === undefined)("the rules of whole clusters and iptables-restore", () => {
  beforeAll(() => {
    for (const variant of variants) execFileSync("ip", ["netns", "add", `${ns}-${variant}`]);
  });
  afterAll(() => {
    for (const variant of variants) execFileSync("ip", ["netns", "del", `${ns}-${variant}`]);
  });

  it(`both variants take those of ${clusters} random clusters without a word`, () => {
    const seeds = Array.from({ length: clusters }, (_, n) => n + 1);
    const nodes = seeds.flatMap((seed) => {
      const text = randomClusterText(seed, {
        sctp: true,
        policies: true,
        dualStack: seed % 3 === 0,
        ipv6Only: seed % 9 === 1,
      });
      return ruleTexts(labCommands([{ file: `seed-${seed}.json`, text }], `seed-${seed}`));
    });
    expect(nodes.length).toBeGreaterThanOrEqual(clusters);
    expect(complaints(nodes)).toBe("");
    const count = nodes.reduce((sum, { texts }) => sum + texts.length, 0);
    console.log(
      `${clusters} random clusters: ${count} texts of ${nodes.length} nodes, tried and loaded by 2 variants each`,
    );
  });

  it.each(["shop", "shop-firewall", "dns"])("both variants take those of demo:%s", (name) => {
    const folder = new URL(`../../topologies/${name}/`, import.meta.url);
    const texts = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => /\.\w+$/.test(file))
      .map((file) => ({ file, text: readFileSync(new URL(file, folder), "utf8") }));
    const found = ruleTexts(labCommands(texts, name));
    expect(found.length).toBeGreaterThan(0);
    expect(complaints(found)).toBe("");
  });

  it("says what is wrong with a text that is wrong", () => {
    const text = "*filter\n-A INPUT -m nonsense -j ACCEPT\nCOMMIT\n";
    const said = complaints([{ texts: [{ program: "iptables-restore", text }], sets: "" }]);
    expect(said.match(/iptables-\w+-restore 0-0: [12]/g)).toHaveLength(4);
  });
});
