import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { UserError, UserErrors } from "../../src/base/errors.js";
import { type Random, randomBetween, seededRandom } from "../../src/base/random.js";
import { buildLab, runLabCommand } from "../../src/lab/build.js";
import { parseLab } from "../../src/lab/lab-file.js";
import { parseRestore } from "../../src/netfilter/iptables/restore.js";
import { formatSave } from "../../src/netfilter/iptables/save.js";
import { createLinux } from "../../src/tools/stack.js";

/** `HOPWISE_FUZZ_TEXTS=10000 HOPWISE_FUZZ_SEED=1`: so many mutated texts of all three kinds together. */
const total = Number(process.env["HOPWISE_FUZZ_TEXTS"] ?? 240);
const seed = Number(process.env["HOPWISE_FUZZ_SEED"] ?? 1);
/** One text that takes longer than this hangs. In milliseconds; a busy machine has its share in it. */
const patience = 20_000;

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const golden = (name: string): readonly Record<string, unknown>[] =>
  JSON.parse(read(`../golden/${name}.json`)) as readonly Record<string, unknown>[];

/** One way to change a text; the pieces are words and lines of other texts. */
type Mutation = (text: string, random: Random, pieces: readonly string[]) => string;

const STRANGE = [
  "\0",
  "\u{1b}[2J",
  "é",
  "😀",
  '"',
  "'",
  "\\",
  "\t",
  "\r",
  "!",
  "-",
  ":",
  "[",
  "]",
  "{",
  "&a ",
  "*a",
  "|",
  "#",
];
const NUMBERS = [
  "-1",
  "0",
  "65536",
  "4294967296",
  "99999999999999999999",
  "0x",
  "08",
  "1e9",
  "1/0",
];

function pick<T>(random: Random, list: readonly T[], otherwise: T): T {
  return list[randomBetween(random, 0, list.length - 1)] ?? otherwise;
}

/** Replaces what stands at a random place by something. */
function splice(text: string, random: Random, remove: number, insert: string): string {
  const at = randomBetween(random, 0, text.length);
  return text.slice(0, at) + insert + text.slice(at + remove);
}

function changeWord(text: string, random: Random, by: (word: string) => string): string {
  const words = text.split(/(\s+)/);
  const at = randomBetween(random, 0, words.length - 1);
  return words.map((word, index) => (index === at ? by(word) : word)).join("");
}

function changeLines(text: string, by: (lines: string[]) => void): string {
  const lines = text.split("\n");
  by(lines);
  return lines.join("\n");
}

const MUTATIONS: readonly Mutation[] = [
  (text, random) => splice(text, random, randomBetween(random, 1, 8), ""),
  (text, random) => splice(text, random, randomBetween(random, 0, 1), pick(random, STRANGE, "!")),
  (text, random) => changeWord(text, random, () => pick(random, NUMBERS, "0")),
  (text, random, pieces) => changeWord(text, random, () => pick(random, pieces, "x")),
  (text, random) => changeWord(text, random, (word) => word.repeat(randomBetween(random, 2, 400))),
  (text, random) => changeWord(text, random, () => ""),
  (text, random) => text.slice(0, randomBetween(random, 0, text.length)),
  (text, random) =>
    changeLines(text, (lines) => {
      const at = randomBetween(random, 0, lines.length - 1);
      lines.splice(at, 1, ...lines.slice(at, at + 1), ...lines.slice(at, at + 1));
    }),
  (text, random) =>
    changeLines(text, (lines) => {
      const [moved = ""] = lines.splice(randomBetween(random, 0, lines.length - 1), 1);
      lines.splice(randomBetween(random, 0, lines.length), 0, moved);
    }),
];

function mutate(text: string, random: Random, pieces: readonly string[]): string {
  let changed = text;
  for (let times = randomBetween(random, 1, 4); times > 0; times--)
    changed = pick(random, MUTATIONS, (same) => same)(changed, random, pieces).slice(0, 100_000);
  return changed;
}

/** Reads a text that was mutated; whatever is wrong with it must be told with a place inside of it. */
function readsOrTells(text: string, work: () => void): string | undefined {
  const started = performance.now();
  try {
    work();
  } catch (error) {
    const errors = error instanceof UserErrors ? error.errors : [error];
    for (const one of errors) {
      if (!(one instanceof UserError)) return `not told: ${String(one)}`;
      const { place } = one.details;
      if (place === undefined) return `without a place: ${one.code} ${one.message}`;
      if (place.line < 1 || place.line > text.split("\n").length || place.column < 1)
        return `placed outside: ${place.line}:${place.column} ${one.message}`;
    }
  }
  const took = performance.now() - started;
  return took > patience ? `took ${Math.round(took)} ms` : undefined;
}

/** Mutates texts in turn; tells what went wrong with the first few. */
function fuzz(texts: readonly string[], read: (text: string, number: number) => void): void {
  const random = seededRandom(seed);
  const pieces = [...new Set(texts.flatMap((text) => text.split(/\s+/)))];
  const found: string[] = [];
  for (let n = 0; n < Math.ceil(total / 3) && found.length < 5; n++) {
    const text = mutate(pick(random, texts, ""), random, pieces);
    const wrong = readsOrTells(text, () => read(text, n));
    if (wrong !== undefined) found.push(`number ${n}: ${wrong}\n${text}`);
  }
  expect(found.join("\n---\n")).toBe("");
}

const bound = 3_600_000;

it(
  "a mutated iptables-save is read or refused with a place",
  () => {
    const texts = golden("iptables-roundtrip").map(({ kind, table, input }) =>
      kind === "rule" ? `*${String(table)}\n${String(input)}\nCOMMIT\n` : String(input),
    );
    fuzz(texts, (text, n) => {
      const variant = n % 2 === 0 ? "nft" : "legacy";
      formatSave(parseRestore(text, { file: "f", variant, family: n % 5 === 0 ? "ipv6" : "ipv4" }));
    });
  },
  bound,
);

it(
  "a mutated ipset-save is restored or refused with a place",
  () => {
    const texts = golden("ipset-roundtrip").flatMap(({ input, kind }) =>
      kind === "commands" ? [`${(input as readonly string[]).join("\n")}\n`] : [String(input)],
    );
    fuzz(texts, (stdin) => {
      const sim = createLinux({ seed: 1 });
      sim.createNamespace("n");
      const place = { file: "f", line: 1, column: 1 };
      runLabCommand(sim, { ns: "n", argv: ["ipset", "restore"], stdin, stdinName: "f", place });
    });
  },
  bound,
);

it(
  "a mutated lab file is built or refused with a place",
  () => {
    const folder = new URL("../../topologies/labs/", import.meta.url);
    const texts = readdirSync(folder)
      .filter((file) => file.endsWith(".yaml"))
      .map((file) => readFileSync(new URL(file, folder), "utf8"));
    fuzz(texts, (text) => void buildLab(parseLab("f", text), 1));
  },
  bound,
);
