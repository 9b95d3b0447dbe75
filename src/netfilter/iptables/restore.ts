import type { RuleFamily } from "./addresses.js";
import type { CommandContext } from "./command.js";
import { checkNewChain, parseCommand, placed } from "./command-reader.js";
import { TableEditor } from "./editor.js";
import type { RuleEnvironment } from "./extension.js";
import { KnownMatches } from "./known-matches.js";
import { IptablesError, Refusal, refuse } from "./refusal.js";
import { cloneRuleset, emptyRuleset, type Ruleset } from "./ruleset.js";
import { BASE_CHAINS, isTableName, type TableName, type Variant } from "./tables.js";
import { splitWords, type Word } from "./words.js";

export interface RestoreOptions {
  /** The name that places give. */
  readonly file: string;
  readonly family?: RuleFamily;
  readonly variant?: Variant;
  /** What is there before; nothing by default. */
  readonly base?: Ruleset | undefined;
  /** `-n`: keep what is there. */
  readonly noflush?: boolean;
  /** `-c`: take over counters. */
  readonly counters?: boolean;
  /** `-t`: read and check, change nothing. */
  readonly test?: boolean;
  /** `-T`: this table alone. */
  readonly table?: string | undefined;
  readonly verbose?: boolean;
  /** Refuse every match that the pinned tools do not know, instead of keeping it as unmodelled. */
  readonly strict?: boolean;
  readonly environment?: RuleEnvironment;
  /** The program that errors name. */
  readonly program?: string;
}

export interface RestoreResult {
  readonly ruleset: Ruleset;
  readonly stdout: string;
  readonly warnings: readonly string[];
}

/** More than this is no ruleset: the limit is 256 Mi characters. */
const MAX_TEXT = 268_435_456;

/** Reads a save file to the ruleset it leaves in an empty kernel. Throws an `IptablesError` at the first mistake. */
export function parseRestore(text: string, options: RestoreOptions): Ruleset {
  return restore(text, options).ruleset;
}

/**
 * What iptables-restore does with its input: `onCommit` gets the state after each COMMIT, so that tables committed
 * before a mistake stay.
 */
export function restore(
  text: string,
  options: RestoreOptions,
  onCommit?: (ruleset: Ruleset) => void,
): RestoreResult {
  if (text.length > MAX_TEXT)
    throw new IptablesError(
      refuse(`more than ${MAX_TEXT} characters of rules`, { code: "LIMIT_SIZE" }),
      undefined,
      {},
    );
  return new Restorer(options, onCommit).run(text);
}

class Restorer {
  readonly #options: RestoreOptions;
  readonly #onCommit: ((ruleset: Ruleset) => void) | undefined;
  readonly #family: RuleFamily;
  readonly #variant: Variant;
  readonly #program: string;
  #ruleset: Ruleset;
  #editor: TableEditor | undefined;
  #table: TableName = "filter";
  #skipping = false;
  #inTable = false;
  #stdout = "";
  readonly #warnings: string[] = [];
  readonly #warn = (warning: string): void => void this.#warnings.push(warning);
  readonly #isUserChain = (name: string): boolean => this.#editor?.isUserChain(name) ?? false;
  readonly #known = new KnownMatches();

  constructor(options: RestoreOptions, onCommit: ((ruleset: Ruleset) => void) | undefined) {
    this.#options = options;
    this.#onCommit = onCommit;
    this.#family = options.family ?? "ipv4";
    this.#variant = options.variant ?? "nft";
    const tool = this.#family === "ipv4" ? "iptables" : "ip6tables";
    this.#program =
      options.program ?? (this.#variant === "nft" ? `${tool}-nft-restore` : `${tool}-restore`);
    this.#ruleset = options.base ?? emptyRuleset(this.#family, this.#variant);
  }

  run(text: string): RestoreResult {
    let number = 0;
    let start = 0;
    let line = "";
    while (start < text.length) {
      const end = text.indexOf("\n", start);
      line = end < 0 ? text.slice(start) : text.slice(start, end);
      start = end < 0 ? text.length : end + 1;
      number++;
      try {
        this.#line(line, number, end >= 0);
      } catch (error) {
        throw error instanceof Refusal ? this.#place(error, line, number) : error;
      }
    }
    if (this.#inTable) {
      const refusal = refuse(`COMMIT expected at line ${number + 1}`, {
        shape: "program",
        help: `table ${this.#table} is not committed, so none of it is applied`,
      });
      throw this.#place(refusal, line, Math.max(1, number));
    }
    return { ruleset: this.#ruleset, stdout: this.#stdout, warnings: this.#warnings };
  }

  #place(refusal: Refusal, line: string, number: number): IptablesError {
    const warned = new Refusal(refusal.message, {
      ...refusal.options,
      warnings: [...this.#warnings, ...(refusal.options.warnings ?? [])],
    });
    return placed(warned, undefined, { file: this.#options.file, line: number, sourceLine: line });
  }

  #line(line: string, number: number, ended: boolean): void {
    if (line === "" && ended) return;
    if (line.startsWith("#")) {
      if (this.#options.verbose === true) this.#stdout += `${line}\n`;
    } else if (line === "COMMIT" && ended && this.#inTable) this.#commit(number);
    else if (line.startsWith("*") && !this.#inTable) this.#openTable(line, number);
    else if (!this.#inTable)
      throw refuse(`line ${number} failed`, {
        shape: "program",
        help: "rules stand between *TABLE and COMMIT",
      });
    else if (this.#skipping) return;
    else if (line.startsWith(":")) this.#declareChain(line, number);
    else this.#rule(line, number);
  }

  #openTable(line: string, number: number): void {
    const name = line
      .slice(1)
      .split(/[ \t]+/)
      .find((word) => word !== "");
    if (name === undefined) throw refuse(`${this.#program}: line ${number} table name invalid`);
    this.#inTable = true;
    this.#skipping = this.#options.table !== undefined && this.#options.table !== name;
    if (this.#skipping) return;
    if (!isTableName(name)) {
      const text =
        this.#variant === "nft"
          ? `line ${number} table name '${name}' invalid`
          : `unable to initialize table '${name}'`;
      throw refuse(`${this.#program}: ${text}`, {
        code: "RULE_UNKNOWN_TABLE",
        help: `the tables are ${Object.keys(BASE_CHAINS).join(", ")}`,
      });
    }
    this.#table = name;
    if (this.#variant === "legacy" && !this.#ruleset.tables.has(name)) {
      this.#touch();
      this.#onCommit?.(this.#ruleset);
    }
    const { environment = {}, strict = false } = this.#options;
    this.#editor = new TableEditor(cloneRuleset(this.#ruleset), name, {
      environment,
      lenient: !strict,
      print: (text) => (this.#stdout += text),
    });
    if (this.#options.noflush === true) return;
    this.#editor.flushAll();
    if (this.#options.verbose === true)
      this.#stdout += BASE_CHAINS[name].map((chain) => `Flushing chain \`${chain}'\n`).join("");
  }

  #commit(number: number): void {
    this.#inTable = false;
    if (this.#skipping) return;
    const editor = this.#editor;
    this.#editor = undefined;
    if (editor === undefined) return;
    if (this.#options.test === true) return;
    editor.commit(number);
    this.#ruleset = editor.ruleset;
    this.#onCommit?.(this.#ruleset);
  }

  /** Legacy makes a table when it is first looked at, whatever becomes of the rules: also for a test, and when they are refused. */
  #touch(): void {
    const options = { environment: {}, lenient: true, print: (): void => undefined };
    this.#ruleset = new TableEditor(cloneRuleset(this.#ruleset), this.#table, options).ruleset;
  }

  #declareChain(line: string, number: number): void {
    const [name, policy, counters] = line
      .slice(1)
      .split(/[ \t]+/)
      .filter((word) => word !== "");
    if (name === undefined) throw refuse(`${this.#program}: line ${number} chain name invalid`);
    this.#checkDeclared(name);
    if (policy === undefined) throw refuse(`${this.#program}: line ${number} policy invalid`);
    const isBase = BASE_CHAINS[this.#table].some((hook) => hook === name);
    const given =
      this.#options.counters === true && policy !== "-" && isBase
        ? readChainCounters(name, counters)
        : undefined;
    if (policy !== "-" && this.#variant === "legacy")
      checkLegacyPolicy(name, policy, isBase, number);
    const place = { file: this.#options.file, line: number, column: 1 };
    this.#editor?.declare(name, policy, given, { place, noflush: this.#options.noflush === true });
  }

  #checkDeclared(name: string): void {
    if (this.#variant === "legacy") {
      if (name.length >= 29) throw refuse(`Invalid chain name \`${name}' (28 chars max)`);
      if (["ACCEPT", "DROP", "RETURN", "QUEUE"].includes(name))
        throw refuse(`error creating chain '${name}':File exists`);
      return;
    }
    // The nft variant looks for a clash among what is loaded: the verdicts alone.
    if (["ACCEPT", "DROP", "RETURN", "QUEUE"].includes(name))
      throw refuse("chain name may not clash with target name");
    if (name.length >= 29 || /^[-!]/.test(name)) checkNewChain(name, { family: this.#family });
  }

  #rule(line: string, number: number): void {
    const editor = this.#editor;
    if (editor === undefined) return;
    const { counters, from } = this.#readCounters(line, number);
    const context: CommandContext = {
      family: this.#family,
      variant: this.#variant,
      table: this.#table,
      environment: this.#options.environment ?? {},
      warn: this.#warn,
      mode: "restore",
      program: this.#program,
      keepUnknown: this.#options.strict !== true,
      isUserChain: this.#isUserChain,
      known: this.#known,
      file: this.#options.file,
      line: number,
      sourceLine: line,
      counters,
    };
    let words: readonly Word[] = [];
    try {
      words = splitWords(line, from);
      checkTableOption(words, this.#program);
      const command = parseCommand(words, context);
      if (command !== undefined)
        editor.run(this.#options.verbose === true ? { ...command, verbose: true } : command);
    } catch (error) {
      if (error instanceof Refusal) throw this.#place(error, line, number);
      if (error instanceof IptablesError && this.#warnings.length > 0)
        throw withWarnings(error, this.#warnings);
      throw error;
    }
  }

  /** The `[p:b]` before a rule. Without `-c` it is read past. */
  #readCounters(
    line: string,
    number: number,
  ): { readonly counters: readonly [number, number] | undefined; readonly from: number } {
    if (!line.startsWith("[")) return { counters: undefined, from: 0 };
    const end = line.indexOf("]");
    const parts = /^\[(\d+):(\d+)\]/.exec(line);
    if (end < 0 || (parts === null && this.#options.counters === true))
      throw refuse(`Bad line ${number}: need ]`);
    const counters =
      this.#options.counters === true && parts !== null
        ? ([Number(parts[1]), Number(parts[2])] as const)
        : undefined;
    return { counters, from: end + 1 };
  }
}

function withWarnings(error: IptablesError, warnings: readonly string[]): IptablesError {
  const refusal = new Refusal(error.toolText, {
    shape: error.shape,
    code: error.code,
    help: error.details.help,
    warnings,
  });
  return new IptablesError(refusal, error.toolLine, error.details);
}

function readChainCounters(
  chain: string,
  text: string | undefined,
): readonly [number, number] | undefined {
  const parts = /^\[(\d+):(\d+)\]/.exec(text ?? "");
  if (parts === null) throw refuse(`invalid policy counters for chain '${chain}'`);
  return [Number(parts[1]), Number(parts[2])];
}

function checkLegacyPolicy(name: string, policy: string, isBase: boolean, number: number): void {
  const reason = !isBase
    ? "Bad built-in chain name"
    : policy === "ACCEPT" || policy === "DROP"
      ? undefined
      : "Bad policy name";
  if (reason !== undefined)
    throw refuse(`Can't set policy \`${policy}' on \`${name}' line ${number}: ${reason}`, {
      shape: "other",
    });
}

function isTableOption({ text, quoted }: Word): boolean {
  if (quoted || !text.startsWith("-")) return false;
  return (
    text.startsWith("-t") ||
    (text.startsWith("--t") && "--table".startsWith(text.split("=")[0] ?? ""))
  );
}

/** The table of a restore line is fixed. Mirrors iptables/xshared.c:is_table_param(). */
function checkTableOption(words: readonly Word[], program: string): void {
  if (words.some(isTableOption)) throw refuse(`The -t option cannot be used in ${program}.\n`);
}
