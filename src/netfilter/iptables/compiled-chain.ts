import type { HookState } from "../../core/hooks.js";
import type { SkBuff } from "../../core/skbuff.js";
import { type Candidates, ChainIndex } from "./chain-index.js";
import { CompiledRule } from "./compiled-rule.js";
import type { Chain, Ruleset, Table } from "./ruleset.js";
import { ruleText } from "./save.js";
import type { Variant } from "./tables.js";

/** Shorter chains are walked faster than looked up. */
const MIN_INDEXED = 16;

/** A chain as packets walk it: made when the first one comes, and then kept until its rules change. */
export class CompiledChain {
  readonly chain: Chain;
  readonly #chains: CompiledChains;
  readonly #table: Table;
  readonly #index: ChainIndex | undefined;
  /** By position, each made when a packet comes to it. */
  readonly #rules: (CompiledRule | undefined)[];
  /** By position, each written when it is first told. */
  #texts: (string | undefined)[] | undefined;

  constructor(chains: CompiledChains, table: Table, chain: Chain, index: ChainIndex | undefined) {
    this.chain = chain;
    this.#chains = chains;
    this.#table = table;
    this.#index = index;
    this.#rules = chain.rules.map(() => undefined);
  }

  get length(): number {
    return this.#rules.length;
  }

  get index(): ChainIndex | undefined {
    return this.#index;
  }

  /** The rules that the packet may match; undefined when it must be shown every rule. */
  candidates(skb: SkBuff, state: HookState): Candidates | undefined {
    return this.#index?.candidates(skb, state);
  }

  /** The rule at a position; undefined behind the last one. */
  rule(position: number): CompiledRule | undefined {
    const known = this.#rules[position];
    if (known !== undefined) return known;
    const rule = this.chain.rules[position];
    if (rule === undefined) return undefined;
    const made = new CompiledRule(rule);
    this.#rules[position] = made;
    return made;
  }

  /** What a trace calls the rule at a position: the same text each time, not another one for every packet. */
  text(position: number, variant: Variant): string {
    this.#texts ??= [];
    const known = this.#texts[position];
    if (known !== undefined) return known;
    const rule = this.chain.rules[position];
    const text = rule === undefined ? "" : ruleText(this.chain.name, rule, variant);
    this.#texts[position] = text;
    return text;
  }

  /** The chain that a rule jumps to; undefined when there is none of that name. */
  target(rule: CompiledRule, name: string): CompiledChain | undefined {
    if (rule.target !== undefined) return rule.target;
    const chain = this.#table.chains.get(name);
    if (chain === undefined) return undefined;
    rule.target = this.#chains.of(this.#table, chain);
    return rule.target;
  }
}

/** How chains are compiled. */
export interface CompileOptions {
  /** False: every packet is shown every rule. */
  readonly indexed?: boolean;
}

/** The chains of one ruleset. Chains in force are never changed, only replaced. */
export class CompiledChains {
  readonly #indexed: boolean;
  readonly #byChain = new Map<Chain, CompiledChain>();

  constructor({ indexed = true }: CompileOptions = {}) {
    this.#indexed = indexed;
  }

  of(table: Table, chain: Chain): CompiledChain {
    const known = this.#byChain.get(chain);
    if (known !== undefined) return known;
    const index =
      this.#indexed && chain.rules.length >= MIN_INDEXED
        ? new ChainIndex(chain.rules.map(({ spec }) => spec))
        : undefined;
    return this.#add(table, chain, index);
  }

  #add(table: Table, chain: Chain, index: ChainIndex | undefined): CompiledChain {
    const made = new CompiledChain(this, table, chain, index);
    this.#byChain.set(chain, made);
    return made;
  }

  /** What to go on with when `now` comes after `before`: chains that have the same rules keep their indexes. */
  after(before: Ruleset, now: Ruleset): CompiledChains {
    const kept = new CompiledChains({ indexed: this.#indexed });
    if (this.#byChain.size === 0) return kept;
    for (const [name, table] of now.tables) {
      for (const chain of table.chains.values()) {
        const old = before.tables.get(name)?.chains.get(chain.name);
        const index = old === undefined ? undefined : this.#byChain.get(old)?.index;
        if (old !== undefined && index !== undefined && hasSameRules(old, chain))
          kept.#add(table, chain, index);
      }
    }
    return kept;
  }
}

function hasSameRules(a: Chain, b: Chain): boolean {
  return a.rules.length === b.rules.length && a.rules.every((rule, at) => rule === b.rules[at]);
}
