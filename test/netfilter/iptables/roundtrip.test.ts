import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { RuleEnvironment } from "../../../src/netfilter/iptables/extension.js";
import { exitCode, stderrText, type Voice } from "../../../src/netfilter/iptables/messages.js";
import { IptablesError } from "../../../src/netfilter/iptables/refusal.js";
import { restore, type RestoreOptions } from "../../../src/netfilter/iptables/restore.js";
import { formatSave } from "../../../src/netfilter/iptables/save.js";
import type { Variant } from "../../../src/netfilter/iptables/tables.js";

interface Refused {
  readonly exit: number;
  readonly stderr: string;
}

interface Case {
  readonly id: string;
  readonly group: string;
  readonly family: "ip" | "ip6";
  readonly table: string;
  readonly kind: "rule" | "restore";
  readonly input: string;
  readonly output: string | null;
  readonly outputLegacy: string | null;
  readonly outputCounters?: string;
  readonly outputCountersLegacy?: string;
  readonly error: { readonly nft?: Refused; readonly legacy?: Refused } | null;
  readonly notes?: {
    readonly nft?: { readonly stderr: string };
    readonly legacy?: { readonly stderr: string };
  };
  readonly setup?: readonly string[];
  readonly restoreOptions?: string;
  readonly toolCrash?: boolean;
}

const path = new URL("../../golden/iptables-roundtrip.json", import.meta.url);
// The file is recorded data of this shape.
const cases = JSON.parse(readFileSync(path, "utf8")) as readonly Case[];

/** Cases that are not equal yet, by id or by `id variant`, and why. */
const LEFT: Readonly<Record<string, string>> = {
  "r-1611 nft": "the real tool crashes (SIGSEGV)",
};

function environmentOf(setup: readonly string[] = []): RuleEnvironment {
  const sets = new Map(
    setup.flatMap((command) => {
      const [, name, type = ""] = /^ipset create (\S+) (.*)$/.exec(command) ?? [];
      if (name === undefined) return [];
      const family = type.startsWith("list:set") ? "any" : type.includes("inet6") ? "IPv6" : "IPv4";
      return [[name, family] as const];
    }),
  );
  const accounts = setup.flatMap((command) => /^nfacct add (\S+)/.exec(command)?.[1] ?? []);
  return {
    set: (name) => sets.get(name),
    account: (name) => accounts.includes(name),
    timeoutPolicy: (name) =>
      setup.some((command) => command.startsWith(`nfct add timeout ${name} `))
        ? { family: "ipv4", protocol: 6 }
        : undefined,
  };
}

function optionsOf(one: Case, variant: Variant): RestoreOptions {
  const given = one.restoreOptions ?? "";
  return {
    file: "case",
    family: one.family === "ip" ? "ipv4" : "ipv6",
    variant,
    strict: true,
    environment: environmentOf(one.setup),
    counters: given === "-c",
    noflush: given === "--noflush",
    test: given === "--test",
    verbose: given === "-v",
    table: given.startsWith("-T") ? given.slice(2).trim() : undefined,
  };
}

interface Seen {
  readonly output: string | null;
  readonly counters?: string | undefined;
  readonly stderr: string;
  readonly exit: number;
}

function run(one: Case, variant: Variant): Seen {
  const text = one.kind === "rule" ? `*${one.table}\n${one.input}\nCOMMIT\n` : one.input;
  const options = optionsOf(one, variant);
  const tool = one.family === "ip" ? "iptables" : "ip6tables";
  const voice: Voice = {
    mode: "restore",
    variant,
    family: one.family === "ip" ? "ipv4" : "ipv6",
    program: variant === "nft" ? `${tool}-nft-restore` : `${tool}-restore`,
  };
  try {
    const { ruleset, warnings } = restore(text, options);
    const counters =
      one.outputCounters === undefined
        ? undefined
        : formatSave(ruleset, { date: "<DATE>", counters: true });
    return {
      output: formatSave(ruleset, { date: "<DATE>" }),
      counters,
      stderr: warnings.map((line) => `${line}\n`).join(""),
      exit: 0,
    };
  } catch (error) {
    if (!(error instanceof IptablesError)) throw error;
    return { output: null, stderr: stderrText(error, voice), exit: exitCode(error, voice) };
  }
}

function expectedOf(one: Case, variant: Variant): Seen {
  const output = variant === "nft" ? one.output : one.outputLegacy;
  const counters =
    output === null ? undefined : variant === "nft" ? one.outputCounters : one.outputCountersLegacy;
  const refused = one.error?.[variant];
  const notes = one.notes?.[variant]?.stderr ?? "";
  return { output, counters, stderr: refused?.stderr ?? notes, exit: refused?.exit ?? 0 };
}

function isEqual(a: Seen, b: Seen): boolean {
  return (
    a.output === b.output && a.counters === b.counters && a.stderr === b.stderr && a.exit === b.exit
  );
}

/** Bad options of the program itself are the tool's business, not the grammar's. */
function isProgramOption(one: Case): boolean {
  return one.restoreOptions === "--bogus";
}

describe.each(["nft", "legacy"] as const)("every recorded case of the %s variant", (variant) => {
  const mine = cases.filter((one) => !isProgramOption(one));
  const accepted = mine.filter((one) => expectedOf(one, variant).output !== null);
  const refused = mine.filter((one) => expectedOf(one, variant).output === null);
  const failures = (list: readonly Case[]): Case[] =>
    list.filter((one) => !isEqual(run(one, variant), expectedOf(one, variant)));
  const isLeft = (one: Case): boolean => one.id in LEFT || `${one.id} ${variant}` in LEFT;

  it.each([
    ["accepted", accepted],
    ["refused", refused],
  ] as const)("%s inputs are printed as the real tool prints them", (what, list) => {
    const failed = failures(list);
    console.log(
      `iptables-roundtrip ${variant} ${what}: ${list.length - failed.length}/${list.length} equal`,
    );
    for (const one of failed.filter(isLeft))
      console.log(`  left: ${one.id} ${LEFT[one.id] ?? LEFT[`${one.id} ${variant}`]}`);
    const unexpected = failed
      .filter((one) => !isLeft(one))
      .map((one) => ({ id: one.id, got: run(one, variant), want: expectedOf(one, variant) }));
    expect(unexpected).toEqual([]);
  });

  it("no case is listed as left that is equal by now", () => {
    const done = mine.filter(
      (one) => isLeft(one) && isEqual(run(one, variant), expectedOf(one, variant)),
    );
    expect(done.map(({ id }) => id)).toEqual([]);
  });
});
