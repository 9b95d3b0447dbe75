import type { Place } from "../base/errors.js";
import { safeText } from "../base/safe-text.js";
import type { MadeLine } from "../core/recording.js";
import { placeText } from "./text.js";

/** One generated rule, as a listing needs it. */
interface ListedRule {
  readonly node: string;
  readonly table: string;
  readonly text: string;
  readonly file: string;
  readonly line: number;
  readonly made: MadeLine;
}

/** What an object led to. */
interface RuleListing {
  readonly title: string;
  readonly place: Place | undefined;
  readonly rules: readonly ListedRule[];
  readonly recorded: readonly string[];
}

/** The rules that an object led to, nodes with the same ones together, each rule with who made it and why. */
export function formatObjectRules({ title, place, rules, recorded }: RuleListing): string {
  const from = place === undefined ? "" : ` (${placeText(place)})`;
  const groups = groupsOf(rules);
  const lines =
    groups.length === 0
      ? [`${title}${from}: no generated rule is there for it`]
      : groups.flatMap(({ nodes, rules: own }) => [
          `${title}${from}: ${own.length} ${own.length === 1 ? "rule" : "rules"} on ${nodes.length > 1 ? "each of " : ""}${listed(nodes)}`,
          ...own.flatMap(ruleLines),
        ]);
  const notes = recorded.map(
    (node) => `note: the rules of ${node} were recorded; this is what its objects ask for`,
  );
  return [...lines, ...notes].map((line) => `${safeText(line)}\n`).join("");
}

/** The same for `--json`. */
export function objectRulesJson({ title, place, rules, recorded }: RuleListing): object {
  return {
    v: 1,
    kind: "Show",
    show: "rules",
    object: title,
    source: place ?? null,
    recorded,
    rules: rules.map(({ node, table, text, file, line, made }) => ({
      node,
      table,
      text,
      source: { file, line, column: 1 },
      made: {
        by: made.by,
        why: made.why,
        for: made.objects.map((one) => ({
          kind: one.kind,
          name: one.name,
          source: one.place ?? null,
        })),
      },
    })),
  };
}

function ruleLines({ table, text, file, line, made }: ListedRule): readonly string[] {
  const places = [
    ...new Set(
      made.objects.flatMap(({ place }) => (place === undefined ? [] : [placeText(place)])),
    ),
  ];
  const from = places.length === 0 ? "" : `   ${places.join(", ")}`;
  return [
    `  ${table.padEnd(6)} ${text}`,
    `         ${made.by}: ${made.why}${from}   as ${file}:${line}`,
  ];
}

interface RuleGroup {
  readonly nodes: string[];
  readonly rules: readonly ListedRule[];
}

/** Nodes whose rules read the same. */
function groupsOf(rules: readonly ListedRule[]): readonly RuleGroup[] {
  const byNode = new Map<string, ListedRule[]>();
  for (const rule of rules) {
    const own = byNode.get(rule.node);
    if (own === undefined) byNode.set(rule.node, [rule]);
    else own.push(rule);
  }
  const groups = new Map<string, RuleGroup>();
  for (const [node, own] of byNode) {
    const key = own.map(({ table, text }) => `${table} ${text}`).join("\n");
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { nodes: [node], rules: own });
    else group.nodes.push(node);
  }
  return [...groups.values()];
}

function listed(nodes: readonly string[]): string {
  const more = nodes.length - 8;
  return more > 0 ? `${nodes.slice(0, 8).join(", ")} and ${more} more nodes` : nodes.join(", ");
}
