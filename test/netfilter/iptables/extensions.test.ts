import { describe, expect, it } from "vitest";
import type { ExtensionInfo } from "../../../src/netfilter/iptables/extension.js";
import type { RuleFamily } from "../../../src/netfilter/iptables/addresses.js";
import { matches } from "../../../src/netfilter/iptables/matches/index.js";
import { restore } from "../../../src/netfilter/iptables/restore.js";
import { formatSave } from "../../../src/netfilter/iptables/save.js";
import type { TableName, Variant } from "../../../src/netfilter/iptables/tables.js";
import { targets } from "../../../src/netfilter/iptables/targets/index.js";

/** Extensions without an example that can stand alone, and what it would need. */
const WITHOUT_EXAMPLES: Readonly<Record<string, string>> = {
  "match set": "an ipset",
  "target SET": "an ipset",
  "target SECMARK": "an SELinux policy",
  "target CLUSTERIP": "a kernel that still has it",
  "target LED": "a light",
  "target ULOG": "a kernel that still has it",
};

/** `-p tcp|--dport 22`: what the rest of the rule must say, and the example. */
function ruleOf(kind: "match" | "target", extension: ExtensionInfo, example: string): string {
  const bar =
    example.indexOf("|-") >= 0 || example.endsWith("|") || example.indexOf("|!") >= 0
      ? example.search(/\|(-|!|$)/)
      : -1;
  const rest = bar < 0 ? "" : `${example.slice(0, bar)} `;
  const body = bar < 0 ? example : example.slice(bar + 1);
  const tail = body === "" ? "" : ` ${body}`;
  return `${rest}${kind === "match" ? "-m" : "-j"} ${extension.name}${tail}`;
}

const TRIED: readonly (readonly [TableName, string])[] = [
  ["filter", "INPUT"],
  ["filter", "OUTPUT"],
  ["filter", "FORWARD"],
  ["mangle", "PREROUTING"],
  ["mangle", "POSTROUTING"],
  ["raw", "PREROUTING"],
  ["nat", "PREROUTING"],
  ["nat", "POSTROUTING"],
];

/** What save prints of a rule in the first chain that takes it. */
function printed(
  rule: string,
  family: RuleFamily,
  variant: Variant,
): { readonly got: string; readonly want: string } {
  const errors: string[] = [];
  for (const [table, chain] of TRIED) {
    const want = `-A ${chain} ${rule}`;
    const environment = { account: () => true, estimator: () => true };
    try {
      const { ruleset } = restore(`*${table}\n${want}\nCOMMIT\n`, {
        file: "example",
        family,
        variant,
        environment,
      });
      const got =
        formatSave(ruleset)
          .split("\n")
          .find((line) => line.startsWith("-A")) ?? "";
      return { got, want };
    } catch (error) {
      errors.push(String(error));
    }
  }
  return { got: errors.join("; "), want: rule };
}

const all = [
  ...matches.map((extension) => ({ kind: "match" as const, extension })),
  ...targets.map((extension) => ({ kind: "target" as const, extension })),
];

describe.each(["nft", "legacy"] as const)("in the %s variant", (variant) => {
  it.each(
    all.map(
      ({ kind, extension }) =>
        [`${kind} ${extension.name}${extension.family ?? ""}`, kind, extension] as const,
    ),
  )("%s prints its examples back", (_, kind, extension) => {
    const families: readonly RuleFamily[] =
      extension.family === undefined ? ["ipv4"] : [extension.family];
    if (extension.examples.length === 0)
      expect(WITHOUT_EXAMPLES).toHaveProperty([`${kind} ${extension.name}`]);
    for (const family of families) {
      for (const example of extension.examples) {
        const { got, want } = printed(ruleOf(kind, extension, example), family, variant);
        expect(got).toBe(want);
      }
    }
  });
});

it("every extension says what it mirrors and how near it comes", () => {
  for (const { extension } of all) {
    expect(extension.mirrors).toMatch(/^(net|extensions)\//);
    expect(["exact", "simplified", "unmodelled"]).toContain(extension.fidelity);
  }
  const count = (fidelity: string): number =>
    all.filter(({ extension }) => extension.fidelity === fidelity).length;
  console.log(
    `iptables extensions: ${count("exact")} exact, ${count("simplified")} simplified, ${count("unmodelled")} text only`,
  );
});
