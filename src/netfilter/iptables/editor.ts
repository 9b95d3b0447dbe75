import { nearest } from "../../base/nearest.js";
import type { Command } from "./command.js";
import type { RuleEnvironment } from "./extension.js";
import { checkTable } from "./kernel-check.js";
import { listRules, listTable } from "./list.js";
import { Refusal, refuse } from "./refusal.js";
import { formatRule, type Rule, type RuleSpec } from "./rule.js";
import { allRules, type Chain, newChain, newRule, type Ruleset, type Table } from "./ruleset.js";
import { BASE_CHAINS, baseHook, type TableName } from "./tables.js";

/** What an editor may take for granted. */
export interface EditorOptions {
  readonly environment: RuleEnvironment;
  readonly lenient: boolean;
  /** Prints on standard output. */
  readonly print: (text: string) => void;
}

/** A refusal that only shows when the changes are committed. */
interface Late {
  readonly line: number | undefined;
  readonly text: string;
  readonly because: string | undefined;
}

const NO_COUNTERS = [0, 0] as const;
const NO_CHAIN = "No chain/target/match by that name.";

/**
 * Changes one table of a ruleset by commands, until `commit` says what the kernel thinks of it. The ruleset is a copy
 * that is thrown away when anything is refused.
 */
export class TableEditor {
  readonly ruleset: Ruleset;
  readonly #name: TableName;
  readonly #options: EditorOptions;
  /** Rules that the kernel has not seen, and the chain of each. */
  readonly #added: Rule[] = [];
  readonly #addedTo: string[] = [];
  /** Whether the table has only ever had such rules. */
  #alone: boolean;
  /** Whether commands are lines of a text, which refusals name. */
  #hasLines = false;
  readonly #late: Late[] = [];
  readonly #newNames = new Set<string>();
  readonly #renamedTo = new Set<string>();
  /** Base chains whose counters were given. */
  readonly #counted = new Set<string>();
  #missingChain: string | undefined;
  #baseJump = false;

  constructor(ruleset: Ruleset, name: TableName, options: EditorOptions) {
    this.ruleset = ruleset;
    this.#name = name;
    const before = [...allRules(ruleset)].flatMap(({ rule }) => estimatorOf(rule) ?? []);
    const estimator = (wanted: string): boolean =>
      before.includes(wanted) || options.environment.estimator?.(wanted) === true;
    this.#options = { ...options, environment: { ...options.environment, estimator } };
    this.#alone = this.#all().every(({ rules }) => rules.length === 0);
    if (ruleset.variant === "legacy") {
      const table = this.#table();
      for (const hook of BASE_CHAINS[name])
        if (!table.chains.has(hook)) addChain(table, newChain(hook, "ACCEPT", undefined));
    }
  }

  get #isNft(): boolean {
    return this.ruleset.variant === "nft";
  }

  isUserChain(name: string): boolean {
    return baseHook(this.#name, name) === undefined && this.#existing?.chains.has(name) === true;
  }

  get #existing(): Table | undefined {
    return this.ruleset.tables.get(this.#name);
  }

  #table(): Table {
    const table = this.#existing ?? {
      name: this.#name,
      chains: new Map<string, Chain>(),
      handles: 0,
    };
    this.ruleset.tables.set(this.#name, table);
    return table;
  }

  /** What `*TABLE` does without `--noflush`: nft forgets the table, legacy keeps base chains and policies. */
  flushAll(): void {
    this.#alone = this.#added.length === 0;
    if (this.#isNft) {
      this.ruleset.tables.delete(this.#name);
      return;
    }
    const table = this.#table();
    for (const chain of [...table.chains.values()]) {
      if (baseHook(this.#name, chain.name) === undefined) table.chains.delete(chain.name);
      else chain.rules = [];
    }
  }

  /** The chain, made when it is a base chain that nft has not made yet. */
  #chain(name: string): Chain {
    const found = this.#existing?.chains.get(name);
    if (found !== undefined) return found;
    if (baseHook(this.#name, name) === undefined) {
      const near = nearest(name, this.#existing?.chains.keys() ?? []);
      throw refuse(NO_CHAIN, {
        shape: "line",
        code: "RULE_UNKNOWN_CHAIN",
        help: near === undefined ? undefined : `did you mean "${near}"?`,
      });
    }
    const chain = newChain(name, "ACCEPT", undefined);
    addChain(this.#table(), chain);
    return chain;
  }

  run(command: Command): void {
    switch (command.kind) {
      case "append":
      case "insert":
      case "replace":
        return this.#put(command);
      case "delete":
      case "check":
        return this.#remove(command);
      case "delete-number": {
        const chain = this.#chain(command.chain);
        if (command.number > chain.rules.length)
          throw refuse(this.#isNft ? NO_CHAIN : "Index of deletion too big.", { shape: "line" });
        chain.rules.splice(command.number - 1, 1);
        return;
      }
      case "new-chain":
        return this.#newChain(command);
      case "delete-chain":
        return this.#deleteChain(command.chain, command.line);
      case "rename":
        return this.#rename(command.chain, command.to, command.line);
      case "flush":
        for (const chain of command.chain === undefined
          ? this.#all()
          : [this.#chain(command.chain)])
          chain.rules = [];
        return;
      case "zero":
        return this.#zero(command.chain, command.number);
      case "policy":
        return this.#policy(command.chain, command.policy, command.counters);
      case "list":
        return this.#options.print(listTable(this.ruleset, this.#name, { ...command }));
      case "list-rules":
        return this.#options.print(listRules(this.ruleset, this.#name, { ...command }));
    }
  }

  #all(): readonly Chain[] {
    return [...(this.#existing?.chains.values() ?? [])];
  }

  #put(
    command: Extract<Command, { kind: "append" | "insert" | "delete" | "check" | "replace" }>,
  ): void {
    const chain = this.#chain(command.chain);
    const at = command.number - 1;
    if (command.kind === "insert" && at > chain.rules.length)
      throw refuse("Index of insertion too big.", { shape: "line" });
    if (command.kind === "replace" && at >= chain.rules.length) {
      throw refuse(this.#isNft ? NO_CHAIN : "Index of replacement too big.", { shape: "line" });
    }
    const [packets, bytes] = command.counters ?? NO_COUNTERS;
    const table = this.#table();
    this.#hasLines = command.line !== undefined;
    for (const spec of command.specs) {
      this.#checkText(spec);
      this.#checkJump(spec);
      const replaced = command.kind === "replace" ? chain.rules[at] : undefined;
      const handle = replaced?.handle ?? ++table.handles;
      const rule = newRule(spec, handle, packets, bytes);
      if (command.kind === "append") chain.rules.push(rule);
      else if (command.kind === "insert") chain.rules.splice(at, 0, rule);
      else chain.rules[at] = rule;
      this.#added.push(rule);
      this.#addedTo.push(chain.name);
      if (command.verbose) this.#options.print(listRules(this.ruleset, this.#name, { rule }));
    }
  }

  /** What the nft variant refuses by itself when it translates a rule. */
  #checkText(spec: RuleSpec): void {
    if (!this.#isNft) return;
    for (const match of spec.matches) {
      const text = match.nftText(spec.protocol);
      if (text !== undefined) throw refuse(text);
    }
  }

  /** nft notices a missing chain at COMMIT, legacy at the line. */
  #checkJump({ action }: RuleSpec): void {
    if (!("chain" in action)) return;
    const { chain: name, kind } = action;
    const user = this.isUserChain(name) && !(this.#isNft && this.#renamedTo.has(name));
    if (user) return;
    if (baseHook(this.#name, name) !== undefined) {
      if (!this.#isNft)
        throw refuse("Invalid argument", {
          shape: "line",
          help: "a base chain cannot be jumped to",
        });
      this.#baseJump = true;
      return;
    }
    if (this.#isNft) {
      this.#missingChain ??= name;
      return;
    }
    throw refuse(
      kind === "goto"
        ? `goto '${name}' is not a chain`
        : `Couldn't load target \`${name}':No such file or directory\n`,
      {
        code: "RULE_UNKNOWN_CHAIN",
        help: this.#suggestChain(name),
      },
    );
  }
  #suggestChain(name: string): string | undefined {
    const near = nearest(name, [
      ...(this.#existing?.chains.keys() ?? []),
      "ACCEPT",
      "DROP",
      "RETURN",
      "REJECT",
      "LOG",
      "MARK",
      "DNAT",
      "SNAT",
      "MASQUERADE",
    ]);
    return near === undefined ? undefined : `did you mean "${near}"?`;
  }

  #remove(
    command: Extract<Command, { kind: "append" | "insert" | "delete" | "check" | "replace" }>,
  ): void {
    const chain = this.#chain(command.chain);
    for (const spec of command.specs) {
      const wanted = formatRule(spec, this.ruleset.variant);
      const at = chain.rules.findIndex(
        (rule) => formatRule(rule.spec, this.ruleset.variant) === wanted,
      );
      if (at < 0)
        throw refuse("Bad rule (does a matching rule exist in that chain?).", { shape: "line" });
      if (command.kind === "delete") chain.rules.splice(at, 1);
    }
  }

  #newChain({ chain: name, place }: Extract<Command, { kind: "new-chain" }>): void {
    const table = this.#table();
    if (table.chains.has(name) || baseHook(this.#name, name) !== undefined)
      throw refuse("Chain already exists.", { shape: "line" });
    addChain(table, newChain(name, undefined, place));
    this.#newNames.add(name);
  }

  #deleteChain(name: string | undefined, line: number | undefined): void {
    if (name === undefined) {
      for (const chain of this.#all()) {
        if (baseHook(this.#name, chain.name) === undefined) this.#deleteOne(chain, line);
      }
      return;
    }
    const chain = this.isUserChain(name) ? this.#existing?.chains.get(name) : undefined;
    if (chain === undefined) {
      throw refuse(
        !this.#isNft && baseHook(this.#name, name) !== undefined ? "Invalid argument" : NO_CHAIN,
        { shape: "line" },
      );
    }
    this.#deleteOne(chain, line);
  }

  #deleteOne(chain: Chain, line: number | undefined): void {
    const referenced = this.#all().some(({ rules }) =>
      rules.some(({ spec: { action } }) => "chain" in action && action.chain === chain.name),
    );
    if (!this.#isNft && referenced) throw refuse("Too many links.", { shape: "line" });
    if (!this.#isNft && chain.rules.length > 0)
      throw refuse("Directory not empty.", { shape: "line" });
    if (referenced || chain.rules.length > 0) {
      const because = referenced
        ? `rules still jump to ${chain.name}`
        : `${chain.name} still has rules`;
      this.#late.push({
        line,
        text: `CHAIN_DEL failed (Device or resource busy): chain ${chain.name}`,
        because,
      });
      return;
    }
    this.#existing?.chains.delete(chain.name);
  }

  #rename(name: string, to: string, line: number | undefined): void {
    const table = this.#existing;
    const chain = this.isUserChain(name) ? table?.chains.get(name) : undefined;
    if (table === undefined || chain === undefined) throw refuse(NO_CHAIN, { shape: "line" });
    if (table.chains.has(to)) throw refuse("File exists.", { shape: "line" });
    if (this.#isNft && this.#newNames.has(name)) {
      this.#late.push({
        line,
        text: `CHAIN_RENAME failed (No such file or directory): chain ${to}`,
        because: "the nft variant cannot rename a chain that it is just making",
      });
    }
    table.chains.delete(name);
    table.chains.set(to, { ...chain, name: to });
    this.#renamedTo.add(to);
    // Rules that jump there are new objects.
    this.#alone = false;
    for (const other of table.chains.values()) {
      other.rules = other.rules.map((rule) => renamed(rule, name, to));
    }
  }

  #zero(name: string | undefined, number: number | undefined): void {
    if (name !== undefined && this.#existing?.chains.has(name) !== true)
      throw refuse(NO_CHAIN, { shape: "line" });
    for (const chain of name === undefined ? this.#all() : [this.#chain(name)]) {
      const rules = number === undefined ? chain.rules : chain.rules.slice(number - 1, number);
      for (const rule of rules) {
        rule.packets = 0;
        rule.bytes = 0;
      }
      if (number !== undefined) continue;
      chain.packets = 0;
      chain.bytes = 0;
    }
  }

  #policy(name: string, policy: string, counters: readonly [number, number] | undefined): void {
    if (baseHook(this.#name, name) === undefined)
      throw refuse("Bad built-in chain name.", { shape: "line" });
    if (policy !== "ACCEPT" && policy !== "DROP")
      throw refuse("Bad policy name.", { shape: "line" });
    const chain = this.#chain(name);
    chain.policy = policy;
    chain.counted = true;
    [chain.packets, chain.bytes] = counters ?? [0, 0];
    if (counters !== undefined) this.#counted.add(name);
  }

  /** A `:CHAIN POLICY [p:b]` line. */
  declare(
    name: string,
    policy: string,
    counters: readonly [number, number] | undefined,
    at: { readonly place: Chain["place"]; readonly noflush: boolean },
  ): void {
    if (baseHook(this.#name, name) !== undefined) {
      const chain = this.#chain(name);
      chain.counted = true;
      if (policy !== "-") this.#policy(name, policy, counters ?? [0, 0]);
      chain.place = at.place;
      return;
    }
    const table = this.#table();
    const known = table.chains.get(name);
    if (!this.#isNft && known !== undefined && !at.noflush)
      throw refuse(`error creating chain '${name}':File exists`);
    if (known !== undefined) known.rules = [];
    else {
      addChain(table, newChain(name, undefined, at.place));
      this.#newNames.add(name);
    }
  }

  /** Throws what the kernel refuses. `line` is that of COMMIT. */
  commit(line: number | undefined): void {
    const missing = this.#missingChain;
    if (missing !== undefined) {
      throw refuse(`Chain '${missing}' does not exist`, {
        code: "RULE_UNKNOWN_CHAIN",
        help: this.#suggestChain(missing),
        ...(line === undefined ? {} : { line }),
      });
    }
    const late = [...this.#kernelFailures(), ...this.#late].toSorted(
      (a, b) => (a.line ?? 0) - (b.line ?? 0),
    );
    const [first] = late;
    if (first !== undefined) throw kernelRefusal(late, first, this.#isNft, line);
    if (!this.#isNft) this.#renewLegacy();
  }

  /** ip_tables takes a whole new table: counters are carried over, what matches remembered and policies counted is not. */
  #renewLegacy(): void {
    for (const chain of this.#all()) {
      chain.rules = chain.rules.map(renewed);
      if (!this.#counted.has(chain.name)) [chain.packets, chain.bytes] = [0, 0];
    }
  }

  #kernelFailures(): Late[] {
    const table = this.#existing;
    if (table === undefined) return [];
    const { environment, lenient } = this.#options;
    const added = { rules: this.#added, chains: this.#addedTo, alone: this.#alone };
    const failures = checkTable(added, {
      ruleset: this.ruleset,
      table,
      environment,
      lenient,
    });
    const late = failures.map(({ rule, chain, reason, because }) => ({
      line: this.#lineOf(rule),
      text: this.#isNft ? `RULE_APPEND failed (${reason}): rule in chain ${chain}` : reason,
      because,
    }));
    if (!this.#baseJump) return late;
    for (const [index, rule] of this.#added.entries()) {
      const { action } = rule.spec;
      if (!("chain" in action) || baseHook(this.#name, action.chain) === undefined) continue;
      late.push({
        line: this.#lineOf(rule),
        text: `RULE_APPEND failed (Operation not supported): rule in chain ${this.#addedTo[index]}`,
        because: "a base chain cannot be jumped to",
      });
    }
    return late.filter(({ text }) => !text.includes("Too many links"));
  }

  #lineOf(rule: Rule): number | undefined {
    return this.#hasLines ? rule.spec.place?.line : undefined;
  }
}

function addChain(table: Table, chain: Chain): void {
  table.chains.set(chain.name, chain);
  table.handles++;
}

/** The rate estimator that a rule keeps. */
function estimatorOf({ spec: { action } }: Rule): string | undefined {
  if (action.kind !== "target" || action.target.extension.name !== "RATEEST") return undefined;
  return /--rateest-name (\S+)/.exec(action.target.text)?.[1];
}

function renewed(rule: Rule): Rule {
  const { matches, action } = rule.spec;
  const fresh = matches.map((match) => match.fresh());
  const target = action.kind === "target" ? action.target.fresh() : undefined;
  const same = target === undefined || (action.kind === "target" && action.target === target);
  if (same && fresh.every((match, index) => match === matches[index])) return rule;
  return {
    ...rule,
    spec: {
      ...rule.spec,
      matches: fresh,
      action: target === undefined ? action : { kind: "target", target },
    },
  };
}

function renamed(rule: Rule, from: string, to: string): Rule {
  const { action } = rule.spec;
  if (!("chain" in action) || action.chain !== from) return rule;
  return { ...rule, spec: { ...rule.spec, action: { ...action, chain: to } } };
}

/** The nft variant blames every line, legacy the line of COMMIT. */
function kernelRefusal(
  late: readonly Late[],
  first: Late,
  nft: boolean,
  commit: number | undefined,
): Refusal {
  const text = nft
    ? late
        .map(({ line, text: told }) => (line === undefined ? told : `line ${line}: ${told}`))
        .join("\n")
    : first.text;
  const blamed = nft ? first.line : commit;
  return refuse(text, {
    shape: "kernel",
    help: first.because,
    ...(blamed === undefined ? {} : { line: blamed }),
  });
}
