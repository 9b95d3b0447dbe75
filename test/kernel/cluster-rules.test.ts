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

/** Every text that a world's nodes give to iptables-restore and ip6tables-restore, with the sets that it names. */
function ruleTexts(commands: readonly LabCommand[]): readonly RuleText[] {
  const sets = new Map<string, string>();
  return commands.flatMap(({ ns: node = "", argv: [program = ""], stdin }): RuleText[] => {
    if (stdin === undefined) return [];
    if (program === "ipset") sets.set(node, stdin);
    if (program !== "iptables-restore" && program !== "ip6tables-restore") return [];
    return [{ program, text: stdin, sets: sets.get(node) }];
  });
}

interface RuleText {
  readonly program: "iptables-restore" | "ip6tables-restore";
  readonly text: string;
  readonly sets: string | undefined;
}

/** What the real programs say of the texts, each tried on a namespace without rules: nothing, when all is well. */
function complaints(texts: readonly RuleText[]): string {
  const folder = mkdtempSync(join(tmpdir(), "hopwise-rules-"));
  try {
    const script = texts.flatMap(({ program, text, sets }, n) => {
      const file = join(folder, String(n));
      writeFileSync(file, text);
      if (sets !== undefined) writeFileSync(`${file}.sets`, sets);
      const tried = variants.map((variant) => {
        const name = program.replace("tables", `tables-${variant}`);
        return `${name} --test --noflush < ${file} 2>&1 || echo ${name} ${n}: $?`;
      });
      return sets === undefined
        ? tried
        : [`ipset restore < ${file}.sets 2>&1`, ...tried, "ipset destroy"];
    });
    return execFileSync("ip", ["netns", "exec", ns, "sh", "-s"], {
      input: script.join("\n"),
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
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
    execFileSync("ip", ["netns", "add", ns]);
  });
  afterAll(() => {
    execFileSync("ip", ["netns", "del", ns]);
  });

  it(`both variants take those of ${clusters} random clusters without a word`, () => {
    const seeds = Array.from({ length: clusters }, (_, n) => n + 1);
    const texts = seeds.flatMap((seed) => {
      const text = randomClusterText(seed, {
        sctp: true,
        policies: true,
        dualStack: seed % 3 === 0,
      });
      return ruleTexts(labCommands([{ file: `seed-${seed}.json`, text }], `seed-${seed}`));
    });
    expect(texts.length).toBeGreaterThanOrEqual(clusters);
    expect(complaints(texts)).toBe("");
    console.log(`${clusters} random clusters: ${texts.length} texts, 2 variants each`);
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
    const said = complaints([{ program: "iptables-restore", text, sets: undefined }]);
    expect(said.match(/iptables-\w+-restore 0: [12]/g)).toHaveLength(2);
  });
});
