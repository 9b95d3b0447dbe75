import type { Place } from "../../base/errors.js";
import type { RuleFamily } from "./addresses.js";
import type { Match, Target } from "./extension.js";
import type { Rule, RuleSpec } from "./rule.js";
import { BASE_CHAINS, baseHook, type TableName, type Variant } from "./tables.js";

export type Policy = "ACCEPT" | "DROP";

/** A chain and its rules. `policy` is undefined for user chains. */
export interface Chain {
  readonly name: string;
  policy: Policy | undefined;
  /** Where `:NAME` or `-N` stands. */
  place: Place | undefined;
  rules: Rule[];
  /** The policy's counters. */
  packets: number;
  bytes: number;
  /** The nft variant counts policies only of chains that a restore's `:CHAIN` line or `-P` named. */
  counted: boolean;
}

/** One table: the base chains that exist, then user chains, by name. */
export interface Table {
  readonly name: TableName;
  readonly chains: Map<string, Chain>;
  /** The last handle that a chain or rule got. Mirrors struct nft_table's hgenerator. */
  handles: number;
}

/** The tables of one family, as one variant of the tools keeps them. */
export interface Ruleset {
  readonly family: RuleFamily;
  readonly variant: Variant;
  /** In the order they were first touched. */
  readonly tables: Map<TableName, Table>;
}

export function emptyRuleset(family: RuleFamily, variant: Variant): Ruleset {
  return { family, variant, tables: new Map() };
}

export function newChain(
  name: string,
  policy: Policy | undefined,
  place: Place | undefined,
): Chain {
  return { name, policy, place, rules: [], packets: 0, bytes: 0, counted: false };
}

export function newRule(spec: RuleSpec, handle: number, packets: number, bytes: number): Rule {
  return { spec, handle, packets, bytes };
}

/** A copy of the containers with the same rules in them, so that one can be changed and the other kept. */
export function cloneRuleset(ruleset: Ruleset): Ruleset {
  const tables = new Map([...ruleset.tables].map(([name, table]) => [name, cloneTable(table)]));
  return { ...ruleset, tables };
}

export function cloneTable(table: Table): Table {
  const chains = new Map(
    [...table.chains].map(([name, chain]) => [name, { ...chain, rules: [...chain.rules] }]),
  );
  return { name: table.name, chains, handles: table.handles };
}

/** Base chains in hook order, then user chains by the value of their bytes. */
export function chainsInOrder(table: Table): readonly Chain[] {
  const base = BASE_CHAINS[table.name].flatMap((hook) => table.chains.get(hook) ?? []);
  const users = [...table.chains.values()].filter(
    (chain) => baseHook(table.name, chain.name) === undefined,
  );
  return [...base, ...users.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))];
}

/** Every rule with where it stands. */
export function* allRules(
  ruleset: Ruleset,
): Generator<{ readonly table: Table; readonly chain: Chain; readonly rule: Rule }> {
  for (const table of ruleset.tables.values()) {
    for (const chain of table.chains.values()) {
      for (const rule of chain.rules) yield { table, chain, rule };
    }
  }
}

/** Something in a rule that hopwise prints but does not evaluate. */
export interface UnmodelledPart {
  readonly kind: "match" | "target";
  readonly name: string;
  readonly place: Place | undefined;
}

/** All parts that would make a run's outcome uncertain if a packet reached them. */
export function unmodelledParts(ruleset: Ruleset): readonly UnmodelledPart[] {
  const parts: UnmodelledPart[] = [];
  for (const { rule } of allRules(ruleset)) {
    const { matches, action, place } = rule.spec;
    const add = (kind: "match" | "target", part: Match | Target): void => {
      if (part.extension.fidelity === "unmodelled")
        parts.push({ kind, name: part.extension.name, place });
    };
    for (const match of matches) add("match", match);
    if (action.kind === "target") add("target", action.target);
  }
  return parts;
}
