import type { Hook } from "../../core/hooks.js";
import { isZeroMask } from "./addresses.js";
import type { KernelContext, KernelRefusal, RuleEnvironment } from "./extension.js";
import type { Rule, RuleSpec } from "./rule.js";
import type { Chain, Ruleset, Table } from "./ruleset.js";
import { baseHook } from "./tables.js";

/** A rule the kernel does not take. `rule` is the one it blames: the jump that made another one impossible, or itself. */
export interface KernelFailure {
  readonly rule: Rule;
  readonly chain: string;
  readonly reason: KernelRefusal;
  /** Which part of which rule is in the way. */
  readonly because: string;
}

/** Rules that are added, in that order, with the chain of each beside it. */
export interface AddedRules {
  readonly rules: readonly Rule[];
  readonly chains: readonly string[];
  /** Nothing else has ever been in the table. */
  readonly alone: boolean;
}

/** nf_tables' NFT_JUMP_STACK_SIZE: base chains and 15 more. */
const NFT_MAX_DEPTH = 15;

/** What every check of one table needs. */
export interface CheckContext {
  readonly ruleset: Ruleset;
  readonly table: Table;
  readonly environment: RuleEnvironment;
  /** Extensions that the recording kernel lacks are taken anyway. */
  readonly lenient: boolean;
}

/** All that the kernel would refuse of the rules `added` to a table, in that order. */
export function checkTable(added: AddedRules, context: CheckContext): readonly KernelFailure[] {
  const checker = new TableChecker(added, context);
  return checker.run();
}

/**
 * Adds rules one after the other, as nf_tables does, so that the rule that goes too far is the one blamed. A rule is
 * checked for each hook from which its chain becomes reachable; each pair of chain and hook is looked at once.
 */
class TableChecker {
  readonly #added: AddedRules;
  readonly #context: CheckContext;
  readonly #reached = new Map<string, Set<Hook>>();
  readonly #present = new Map<string, Rule[]>();
  readonly #failures: KernelFailure[] = [];

  constructor(added: AddedRules, context: CheckContext) {
    this.#added = added;
    this.#context = context;
  }

  run(): readonly KernelFailure[] {
    const { table } = this.#context;
    const { rules, chains, alone } = this.#added;
    let inTable = 0;
    for (const chain of table.chains.values()) inTable += chain.rules.length;
    // What nothing was put beside or taken from need not be looked up.
    const all = alone && inTable === rules.length;
    const added = all ? undefined : new Set(rules);
    for (const chain of table.chains.values()) {
      const hook = baseHook(table.name, chain.name);
      this.#reached.set(chain.name, new Set(hook === undefined ? [] : [hook]));
      const present = added === undefined ? [] : chain.rules.filter((rule) => !added.has(rule));
      this.#present.set(chain.name, present);
    }
    for (const chain of table.chains.values()) {
      for (const rule of this.#present.get(chain.name) ?? [])
        this.#follow(chain.name, rule, undefined);
    }
    const knotted = isKnotted(this.#context);
    // Rules that were added and taken out again, or renamed since, are not checked.
    const left = all ? undefined : rulesOf(table);
    for (const [index, rule] of rules.entries())
      if (left === undefined || left.has(rule)) this.#add(rule, chains[index] ?? "", knotted);
    return this.#failures;
  }

  #add(rule: Rule, chain: string, knotted: boolean): void {
    this.#present.get(chain)?.push(rule);
    const before = this.#failures.length;
    this.#check(rule, this.#reached.get(chain) ?? new Set(), { rule, chain });
    if (this.#failures.length > before) return;
    if (knotted && "chain" in rule.spec.action && this.#tooDeep(chain, rule.spec.action.chain)) {
      this.#present.get(chain)?.pop();
      this.#failures.push({
        rule,
        chain,
        reason: "Too many links",
        because: `it makes a loop or more than ${NFT_MAX_DEPTH} nested jumps`,
      });
      return;
    }
    if ("chain" in rule.spec.action) this.#follow(chain, rule, { rule, chain });
  }

  /** Carries the hooks of `chain` along a jump and checks what they newly reach. */
  #follow(from: string, jump: Rule, blame: { rule: Rule; chain: string } | undefined): void {
    const waiting: { readonly chain: string; readonly rule: Rule }[] = [
      { chain: from, rule: jump },
    ];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { action } = next.rule.spec;
      if (!("chain" in action)) continue;
      const to = this.#reached.get(action.chain);
      const fresh = [...(this.#reached.get(next.chain) ?? [])].filter(
        (hook) => to?.has(hook) === false,
      );
      if (to === undefined || fresh.length === 0) continue;
      for (const hook of fresh) to.add(hook);
      for (const rule of this.#present.get(action.chain) ?? []) {
        if (blame !== undefined) this.#check(rule, to, blame);
        waiting.push({ chain: action.chain, rule });
      }
    }
  }

  #check(rule: Rule, hooks: ReadonlySet<Hook>, blame: { rule: Rule; chain: string }): void {
    const found = refusalOf(rule.spec, hooks, this.#context);
    if (found === undefined || this.#failures.some((failure) => failure.rule === blame.rule))
      return;
    this.#failures.push({ ...blame, ...found });
  }

  /** Whether an edge to `to` closes a loop or makes the longest walk from a base chain too long. */
  #tooDeep(from: string, to: string): boolean {
    if ((this.#reached.get(from)?.size ?? 0) === 0) return false;
    const edges = (name: string): readonly string[] => jumpsOf(this.#present.get(name) ?? []);
    if (this.#context.ruleset.variant === "legacy") return reaches(to, from, edges);
    if (reaches(to, from, edges)) return true;
    return longest(this.#context.table, edges) > NFT_MAX_DEPTH;
  }
}

function rulesOf(table: Table): ReadonlySet<Rule> {
  return new Set([...table.chains.values()].flatMap(({ rules }) => rules));
}

/** Why the kernel would refuse one rule in a chain that is reached from `hooks`. */
export function refusalOf(
  spec: RuleSpec,
  hooks: ReadonlySet<Hook>,
  { ruleset, table, environment, lenient }: CheckContext,
): { readonly reason: KernelRefusal; readonly because: string } | undefined {
  const { family, variant } = ruleset;
  const { protocol, matches, action } = spec;
  const context: KernelContext = {
    family,
    variant,
    table: table.name,
    hooks,
    protocol,
    matches,
    environment,
  };
  if (
    variant === "nft" &&
    [spec.source, spec.destination].some((test) => test?.invert === true && isZeroMask(test.mask))
  ) {
    return { reason: "Invalid argument", because: "no address is outside of /0" };
  }
  if (variant === "nft" && action.kind === "verdict" && action.verdict === "QUEUE" && !lenient) {
    return {
      reason: "No such file or directory",
      because: "this kernel has no queue expression for nf_tables",
    };
  }
  const parts = action.kind === "target" ? [...matches, action.target] : matches;
  for (const part of parts) {
    const reason = part.refuses(context);
    if (reason === undefined || (lenient && reason === "No such file or directory")) continue;
    const where =
      hooks.size === 0 ? `table ${table.name}` : `${table.name} ${[...hooks].join(", ")}`;
    return { reason, because: `"${part.extension.name}" cannot be used like this in ${where}` };
  }
  return undefined;
}

function jumpsOf(rules: readonly Rule[]): readonly string[] {
  return rules.flatMap(({ spec: { action } }) => ("chain" in action ? [action.chain] : []));
}

/** In legacy nothing behind an unconditional verdict counts. */
function liveJumps(chain: Chain, variant: string): readonly string[] {
  if (variant === "nft") return jumpsOf(chain.rules);
  const end = chain.rules.findIndex(
    ({ spec }) => isUnconditional(spec) && spec.action.kind === "verdict",
  );
  return jumpsOf(end < 0 ? chain.rules : chain.rules.slice(0, end));
}

function isUnconditional(spec: RuleSpec): boolean {
  const tests = [spec.source, spec.destination, spec.in, spec.out, spec.protocol, spec.fragment];
  return spec.matches.length === 0 && tests.every((test) => test === undefined);
}

/** Whether the finished table has a loop that a packet can enter, or (nft) too deep a nesting. */
function isKnotted({ ruleset, table }: CheckContext): boolean {
  const edges = (name: string): readonly string[] => {
    const chain = table.chains.get(name);
    return chain === undefined ? [] : liveJumps(chain, ruleset.variant);
  };
  const depth = longest(table, edges);
  return depth === Number.POSITIVE_INFINITY || (ruleset.variant === "nft" && depth > NFT_MAX_DEPTH);
}

function reaches(from: string, to: string, edges: (name: string) => readonly string[]): boolean {
  const seen = new Set<string>();
  const stack = [from];
  for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
    if (name === to) return true;
    if (seen.has(name)) continue;
    seen.add(name);
    stack.push(...edges(name));
  }
  return false;
}

/** The number of jumps on the longest walk from a base chain; Infinity for a loop. */
function longest(table: Table, edges: (name: string) => readonly string[]): number {
  const depth = new Map<string, number>();
  const open = new Set<string>();
  let deepest = 0;
  for (const { name: base } of table.chains.values()) {
    if (baseHook(table.name, base) === undefined) continue;
    const stack: {
      readonly name: string;
      readonly next: readonly string[];
      at: number;
      below: number;
    }[] = [];
    const enter = (name: string): void => {
      open.add(name);
      stack.push({ name, next: edges(name), at: 0, below: 0 });
    };
    enter(base);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.next[top.at++];
      if (next === undefined) {
        stack.pop();
        open.delete(top.name);
        depth.set(top.name, top.below);
        const above = stack.at(-1);
        if (above !== undefined) above.below = Math.max(above.below, top.below + 1);
        continue;
      }
      if (open.has(next)) return Number.POSITIVE_INFINITY;
      const known = depth.get(next);
      if (known === undefined) enter(next);
      else top.below = Math.max(top.below, known + 1);
    }
    deepest = Math.max(deepest, depth.get(base) ?? 0);
  }
  return deepest;
}
