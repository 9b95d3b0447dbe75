import fc from "fast-check";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { IptablesError } from "../../../src/netfilter/iptables/refusal.js";
import { parseRestore } from "../../../src/netfilter/iptables/restore.js";
import { formatSave } from "../../../src/netfilter/iptables/save.js";

interface Recorded {
  readonly family: "ip" | "ip6";
  readonly kind: string;
  readonly table: string;
  readonly input: string;
}

const path = new URL("../../golden/iptables-roundtrip.json", import.meta.url);
const cases = JSON.parse(readFileSync(path, "utf8")) as readonly Recorded[];
const texts = cases.map(({ kind, table, input }) =>
  kind === "rule" ? `*${table}\n${input}\nCOMMIT\n` : input,
);
const words = [...new Set(texts.flatMap((text) => text.split(/\s+/)))];

const options = { file: "fuzz.rules" } as const;

/** Reads a text; what is wrong with it must be told as an error placed inside of it. */
function readsOrTells(text: string, family: "ipv4" | "ipv6", variant: "nft" | "legacy"): void {
  try {
    formatSave(parseRestore(text, { ...options, family, variant }));
  } catch (error) {
    expect(error).toBeInstanceOf(IptablesError);
    if (!(error instanceof IptablesError)) return;
    const { place } = error.details;
    expect(place?.file).toBe("fuzz.rules");
    expect(place?.line).toBeGreaterThan(0);
    expect(place?.line).toBeLessThanOrEqual(text.split("\n").length);
    expect(error.message.trim() === "" ? error.details.help : error.message).toBeTruthy();
  }
}

const families = fc.constantFrom("ipv4", "ipv6");
const variants = fc.constantFrom("nft", "legacy");

it("any text is read or refused with a place, never anything else", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300, unit: "binary" }), families, variants, readsOrTells),
    { numRuns: 300 },
  );
});

it("a recorded ruleset with characters changed, lost or doubled is read or refused with a place", () => {
  const mutated = fc
    .tuple(
      fc.constantFrom(...texts),
      fc.array(
        fc.tuple(
          fc.nat(),
          fc.constantFrom("delete", "double", "replace"),
          fc.string({ maxLength: 4, unit: "binary" }),
        ),
        { minLength: 1, maxLength: 4 },
      ),
    )
    .map(([text, edits]) =>
      edits.reduce((now, [at, how, with_]) => {
        const index = now.length === 0 ? 0 : at % now.length;
        const rest = now.slice(how === "double" ? index : index + 1);
        return (
          now.slice(0, index) +
          (how === "delete" ? "" : how === "double" ? (now[index] ?? "") : with_) +
          rest
        );
      }, text),
    );
  fc.assert(fc.property(mutated, families, variants, readsOrTells), { numRuns: 1500 });
});

it("rules made of known words in any order are read or refused with a place", () => {
  const line = fc
    .array(fc.constantFrom(...words), { maxLength: 12 })
    .map((list) => `-A INPUT ${list.join(" ")}`);
  const text = fc
    .array(line, { maxLength: 4 })
    .map((lines) => `*filter\n${lines.join("\n")}\nCOMMIT\n`);
  fc.assert(fc.property(text, families, variants, readsOrTells), { numRuns: 1500 });
});

/** Legacy prints the table touched last first, so its order turns around. */
function tablesOf(text: string): readonly string[] {
  return text.split("COMMIT\n").toSorted();
}

it("what is printed reads back to the same text", () => {
  const lines = cases
    .filter(({ kind, family }) => kind === "rule" && family === "ip")
    .map(({ table, input }) => ({ table, input }));
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...lines), { minLength: 1, maxLength: 6 }),
      variants,
      (picked, variant) => {
        const text = picked.map(({ table, input }) => `*${table}\n${input}\nCOMMIT\n`).join("");
        let once: string;
        try {
          once = formatSave(parseRestore(text, { ...options, variant, noflush: true }), {
            counters: true,
          });
        } catch {
          return;
        }
        // Names with blanks and an empty list of days do not survive the real tools either.
        if (/-i bad name|--monthdays {2}|! -i \+/.test(once) || /-m tcp$/m.test(once)) return;
        const again = formatSave(parseRestore(once, { ...options, variant, counters: true }), {
          counters: true,
        });
        expect(tablesOf(again)).toEqual(tablesOf(once));
      },
    ),
    { numRuns: 400 },
  );
});

it("nesting as deep as the lines allow neither hangs nor overflows the stack", () => {
  const count = 20_000;
  const chains = Array.from({ length: count }, (_, index) => `:C${index} - [0:0]`);
  const jumps = Array.from({ length: count - 1 }, (_, index) => `-A C${index} -j C${index + 1}`);
  const text = ["*filter", ...chains, ...jumps, "-A INPUT -j C0", "COMMIT", ""].join("\n");
  expect(
    parseRestore(text, { ...options, variant: "legacy" }).tables.get("filter")?.chains.size,
  ).toBe(count + 3);
  expect(() => parseRestore(text, { ...options, variant: "nft" })).toThrow(/Too many links/);
});
