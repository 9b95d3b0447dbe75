import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { IpAddress } from "../../wire/ip.js";
import { andAddress, parseAddress } from "./addresses.js";
import { allRules, type Ruleset } from "./ruleset.js";

/** An address and when it was seen, µs, oldest first. */
export interface Seen {
  ttl: number;
  stamps: number[];
}

/** A list of `-m recent`. Its mask is that of the rule that made it. Mirrors struct recent_table. */
export interface RecentTable {
  readonly mask: IpAddress;
  /** The least recently changed address first. */
  readonly entries: Map<IpAddress, Seen>;
}

/** A rule's use of a list. */
export interface RecentUse {
  readonly name: string;
  readonly mask: IpAddress;
}

interface RecentTables {
  readonly byName: Map<string, RecentTable>;
  /** The names that each set of rules uses. */
  readonly uses: Map<string, ReadonlySet<string>>;
}

const tablesOf: (ns: NetworkNamespace) => RecentTables = perNamespace(() => ({
  byName: new Map(),
  uses: new Map(),
}));

/** Tells which lists a set of rules uses, in the order of its rules: new ones are made, those that nobody uses forgotten. */
export function setRecentUses(
  ns: NetworkNamespace,
  rules: string,
  uses: readonly RecentUse[],
): void {
  const tables = tablesOf(ns);
  for (const { name, mask } of uses)
    if (!tables.byName.has(name)) tables.byName.set(name, { mask, entries: new Map() });
  tables.uses.set(rules, new Set(uses.map(({ name }) => name)));
  const used = [...tables.uses.values()];
  for (const name of tables.byName.keys())
    if (!used.some((names) => names.has(name))) tables.byName.delete(name);
}

/** The list that a rule uses. */
export function recentTable(ns: NetworkNamespace, { name, mask }: RecentUse): RecentTable {
  const { byName } = tablesOf(ns);
  const known = byName.get(name);
  if (known !== undefined) return known;
  const made: RecentTable = { mask, entries: new Map() };
  byName.set(name, made);
  return made;
}

/** The lists that rules use, in their order. */
export function recentUses(ruleset: Ruleset): readonly RecentUse[] {
  const uses: RecentUse[] = [];
  for (const { rule } of allRules(ruleset))
    for (const { extension, text } of rule.spec.matches) {
      if (extension.name !== "recent") continue;
      const [, name = "", given = ""] = USE.exec(text) ?? [];
      const mask = parseAddress(given, ruleset.family);
      if (mask !== undefined) uses.push({ name, mask });
    }
  return uses;
}

/** As the match prints it. */
const USE = /--name (.*) --mask (\S+) --r(?:source|dest)$/;

/** What a list keeps of an address. A mask of the other family leaves it as it is. */
export function maskedFor({ mask }: RecentTable, address: IpAddress): IpAddress {
  return typeof mask === typeof address ? andAddress(address, mask) : address;
}
