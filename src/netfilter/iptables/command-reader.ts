import type { Place } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import type { Command, CommandContext } from "./command.js";
import { ExtensionLoader, type LoadedExtension } from "./extension-loader.js";
import {
  COMMAND_LETTERS,
  GLOBAL_BY_LETTER,
  GLOBAL_BY_NAME,
  type GlobalOption,
  ILLEGAL_OPTIONS,
} from "./options-global.js";
import type { OptionSpec } from "./options.js";
import { parseNumber } from "./numbers.js";
import { IptablesError, Refusal, refuse } from "./refusal.js";
import { RuleReader } from "./rule-reader.js";
import { isMatchName } from "./registry.js";
import type { Word } from "./words.js";

/** Reads one command line; undefined when it is for the other family. Throws an `IptablesError` that points at the word. */
export function parseCommand(words: readonly Word[], context: CommandContext): Command | undefined {
  const reader = new CommandReader(words, context);
  try {
    return reader.read();
  } catch (error) {
    throw error instanceof Refusal ? placed(error, reader.word, context) : error;
  }
}

const CRLF_HELP =
  "lines of this file end in CR LF, as on Windows, and iptables-restore takes the CR for a part of the last word: sed -i 's/\\r$//' FILE takes them away";

/** A refusal with the word it is about. */
export function placed(
  refusal: Refusal,
  word: Word | undefined,
  context: Pick<CommandContext, "file" | "line" | "sourceLine">,
): IptablesError {
  const place: Place = { file: context.file, line: context.line ?? 1, column: word?.column ?? 1 };
  const details = {
    place,
    sourceLine: context.sourceLine,
    length: word?.length ?? Math.max(1, context.sourceLine.length),
  };
  // The words are the real tool's; that a carriage return is among them cannot be seen.
  const crlf =
    context.sourceLine.endsWith("\r") &&
    (refusal.message.includes("\r") || context.sourceLine === "\r");
  const told = crlf
    ? new Refusal(refusal.message, { ...refusal.options, help: CRLF_HELP })
    : refusal;
  return new IptablesError(told, context.line, details);
}

/** An option as it was found on the line. */
type Found =
  | {
      readonly kind: "global";
      readonly option: GlobalOption;
      readonly attached: string | undefined;
    }
  | {
      readonly kind: "extension";
      readonly owner: LoadedExtension;
      readonly spec: OptionSpec<unknown>;
      readonly typed: string;
      readonly attached: string | undefined;
    };

/** The state of reading one line. Mirrors iptables/xshared.c:do_parse() with getopt_long(). */
class CommandReader {
  /** The word that an error is about. */
  word: Word | undefined;
  readonly #words: readonly Word[];
  readonly #context: CommandContext;
  readonly #loader: ExtensionLoader;
  readonly #rule: RuleReader;
  /** The letters of the other options that were given. */
  #options = "";
  #next = 0;
  #command: string | undefined;
  #chain: string | undefined;
  #number: number | undefined;
  #argument: string | undefined;
  #counters: readonly [number, number] | undefined;
  #invert = false;

  constructor(words: readonly Word[], context: CommandContext) {
    this.#words = words;
    this.#context = context;
    this.#loader = new ExtensionLoader(context);
    this.#rule = new RuleReader(context, this.#loader);
    this.#counters = context.counters;
  }

  read(): Command | undefined {
    while (this.#next < this.#words.length) {
      const word = this.#words[this.#next++];
      if (word === undefined) break;
      this.word = word;
      if (!word.text.startsWith("-") || word.text === "-") {
        this.#plainWord(word);
        continue;
      }
      const found = this.#find(word);
      if (found.kind === "extension") this.#extensionOption(found);
      else if (this.#globalOption(found.option, found.attached, word) === "skip") return undefined;
      this.#invert = false;
    }
    this.word = undefined;
    return this.#finish();
  }

  #plainWord(word: Word): void {
    if (word.text !== "!") throw refuse(`Bad argument \`${word.text}'`, { shape: "bare" });
    if (this.#invert) throw refuse("multiple consecutive ! not allowed");
    this.#invert = true;
  }

  #find(word: Word): Found {
    const found = word.text.startsWith("--")
      ? this.#findLong(word.text.slice(2))
      : this.#findShort(word.text);
    if (found !== undefined) return found;
    const protocol = this.#loader.loadProtocolMatch(this.#rule.protocolWord);
    if (protocol) return this.#find(word);
    const [name = ""] = word.text.slice(2).split("=");
    const near = nearest(name, this.#knownNames());
    throw refuse(`unknown option "${word.text}"`, {
      code: "RULE_UNKNOWN_OPTION",
      help: near === undefined ? undefined : `did you mean "--${near}"?`,
    });
  }

  #findShort(text: string): Found | undefined {
    const option = GLOBAL_BY_LETTER.get(text[1] ?? "");
    if (option === undefined) return undefined;
    if (text.length === 2) return { kind: "global", option, attached: undefined };
    // The real reader takes the whole word for the value, except after a command letter.
    return {
      kind: "global",
      option,
      attached: COMMAND_LETTERS.includes(option.letter) ? text.slice(2) : text,
    };
  }

  #findLong(body: string): Found | undefined {
    const equals = body.indexOf("=");
    const typed = equals < 0 ? body : body.slice(0, equals);
    const attached = equals < 0 ? undefined : body.slice(equals + 1);
    const option = GLOBAL_BY_NAME.get(typed);
    if (option !== undefined) return { kind: "global", option, attached };
    const loaded = this.#loader.loaded();
    for (let index = loaded.length - 1; index >= 0; index--) {
      const owner = loaded[index];
      const spec = owner?.extension.byName.get(typed);
      if (owner !== undefined && spec !== undefined)
        return { kind: "extension", owner, spec, typed, attached };
    }
    return this.#findPrefix(typed, attached);
  }

  /** The one option whose name begins so. Mirrors getopt_long(). */
  #findPrefix(typed: string, attached: string | undefined): Found | undefined {
    const globals = new Set(
      [...GLOBAL_BY_NAME].filter(([name]) => name.startsWith(typed)).map(([, option]) => option),
    );
    const own = this.#loader.loaded().flatMap((owner) => {
      const specs = new Set(
        [...owner.extension.byName]
          .filter(([name]) => name.startsWith(typed))
          .map(([, spec]) => spec),
      );
      return [...specs].map((spec) => ({ owner, spec }));
    });
    if (globals.size + own.length !== 1) return undefined;
    const [option] = globals;
    if (option !== undefined) return { kind: "global", option, attached };
    const [first] = own;
    return first === undefined ? undefined : { kind: "extension", ...first, typed, attached };
  }

  #knownNames(): string[] {
    const own = this.#loader.loaded().flatMap(({ extension }) => [...extension.byName.keys()]);
    return [...own, ...GLOBAL_BY_NAME.keys()];
  }

  #extensionOption({ owner, spec, typed, attached }: Extract<Found, { kind: "extension" }>): void {
    const name = this.word?.text ?? "";
    const missing = spec.read === undefined || (spec.maybe && !this.#hasArgument());
    const text = missing ? attached : (attached ?? this.#take(name));
    let second = "";
    if (spec.second !== undefined) {
      if (!this.#hasArgument()) throw refuse(spec.second);
      second = this.#take(name);
    }
    owner.give(spec, text, {
      typed,
      second,
      invert: this.#invert,
      context: this.#loader.parseContext(this.#rule.protocol),
    });
  }

  /** The next word, whatever it is. */
  #take(name: string): string {
    const word = this.#words[this.#next];
    if (word === undefined) throw refuse(`option "${name}" requires an argument`);
    this.#next++;
    this.word = word;
    return word.text;
  }

  /** Mirrors xs_has_arg(): whether a word follows that is no option. */
  #hasArgument(): boolean {
    const text = this.#words[this.#next]?.text;
    return text !== undefined && !text.startsWith("-") && !text.startsWith("!");
  }

  #globalOption(
    option: GlobalOption,
    attached: string | undefined,
    word: Word,
  ): "skip" | undefined {
    const { letter } = option;
    const value = option.argument === "one" ? (attached ?? this.#take(word.text)) : attached;
    if (COMMAND_LETTERS.includes(letter)) this.#commandOption(letter, value);
    else if ("sdpiojgf".includes(letter)) this.#rule.option(letter, value ?? "", this.#invert);
    else if (letter === "m") {
      if (this.#invert) throw refuse("unexpected ! flag before --match");
      this.#loadMatch(value ?? "");
    } else return this.#otherOption(letter, value ?? "");
    return undefined;
  }

  #otherOption(letter: string, value: string): "skip" | undefined {
    const { mode, program, family } = this.#context;
    switch (letter) {
      case "4":
      case "6":
        if ((letter === "4") === (family === "ipv4")) return undefined;
        if (mode === "restore") return "skip";
        throw refuse("", { shape: "bare", help: "this tool is for the other address family" });
      case "t":
        throw refuse(`The -t option cannot be used in ${program}.\n`);
      case "w":
      case "W":
        if (mode === "restore") throw refuse(`You cannot use \`-${letter}' from iptables-restore`);
        if (this.#hasArgument()) this.#next++;
        return undefined;
      case "c":
        this.#counters = this.#readCounters(value);
        break;
      case "M":
        return undefined;
      case "h":
      case "V":
        throw refuse(`option "-${letter}" prints help and cannot stand in rules`);
    }
    if (this.#invert) throw refuse(`cannot have ! before -${letter}`);
    this.#options += letter;
    return undefined;
  }

  #readCounters(value: string): readonly [number, number] {
    const comma = value.indexOf(",", 1);
    const packets = comma < 0 ? value : value.slice(0, comma);
    const bytes =
      comma >= 0 ? value.slice(comma + 1) : this.#hasArgument() ? this.#take("-c") : undefined;
    if (bytes === undefined) throw refuse("-c requires packet and byte counter");
    return [readCounter(packets, "packet"), readCounter(bytes, "byte")];
  }

  #loadMatch(name: string): void {
    if (this.#loader.loadMatch(name)) return;
    const near = nearest(name, this.#loader.matchNames());
    if (!this.#context.keepUnknown || near !== undefined || isMatchName(name)) {
      throw refuse(`Couldn't load match \`${name}':No such file or directory\n`, {
        code: "RULE_UNKNOWN_MATCH",
        help: near === undefined ? undefined : `did you mean "${near}"?`,
      });
    }
    this.#loader.addOpaqueMatch(name, this.#opaqueWords());
  }

  /** The words of a match that nobody knows: all up to the next option of iptables itself. */
  #opaqueWords(): readonly Word[] {
    const start = this.#next;
    const own = (text: string): boolean =>
      /^-[sdpiojgmf]$/.test(text) || GLOBAL_BY_NAME.has(text.replace(/^--/, ""));
    while (this.#next < this.#words.length) {
      const text = this.#words[this.#next]?.text ?? "";
      const after = this.#words[this.#next + 1]?.text ?? "";
      if (own(text) || (text === "!" && own(after))) break;
      this.#next++;
    }
    return this.#words.slice(start, this.#next);
  }

  #commandOption(letter: string, value: string | undefined): void {
    if (this.#invert) throw refuse("unexpected '!' flag");
    if (this.#command !== undefined) throw refuse(`Cannot use -${letter} with -${this.#command}`);
    this.#command = letter;
    this.#chain =
      value ??
      ("LSFZX".includes(letter) && this.#hasArgument() ? this.#take(`-${letter}`) : undefined);
    switch (letter) {
      case "N":
        checkNewChain(this.#chain ?? "", this.#context);
        break;
      case "D":
      case "I":
      case "L":
      case "S":
      case "Z":
        if (this.#chain !== undefined && this.#hasArgument())
          this.#number = readRuleNumber(this.#take(`-${letter}`));
        break;
      case "R":
        if (!this.#hasArgument()) throw refuse("-R requires a rule number");
        this.#number = readRuleNumber(this.#take("-R"));
        break;
      case "E":
        if (!this.#hasArgument()) throw refuse("-E requires old-chain-name and new-chain-name");
        this.#argument = this.#take("-E");
        break;
      case "P":
        if (!this.#hasArgument()) throw refuse("-P requires a chain and a policy");
        this.#argument = this.#take("-P");
        break;
    }
  }

  #finish(): Command {
    const { table } = this.#context;
    if (table === "nat" && (this.#argument === "DROP" || this.#rule.jumpsTo("DROP"))) {
      throw refuse(
        '\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n',
      );
    }
    this.#loader.build(this.#rule.protocol);
    const letter = this.#command;
    if (letter === undefined) throw refuse("no command specified");
    if (this.#invert) throw refuse("nothing appropriate following !");
    this.#checkOptions(letter);
    this.#checkChain(letter);
    return this.#make(letter);
  }

  #checkOptions(letter: string): void {
    for (const illegal of ILLEGAL_OPTIONS[letter] ?? "") {
      if (this.#options.includes(illegal) || this.#rule.has(illegal))
        throw refuse(`Illegal option \`-${illegal}' with this command`);
    }
  }

  #checkChain(letter: string): void {
    const chain = this.#chain;
    if (chain === undefined) return;
    if (chain.length >= 29)
      throw refuse(`chain name \`${chain}' too long (must be under 29 chars)`);
    if (!"ACDIR".includes(letter)) return;
    if ((chain === "PREROUTING" || chain === "INPUT") && this.#rule.has("o"))
      throw refuse(`Can't use -o with ${chain}\n`);
    if ((chain === "POSTROUTING" || chain === "OUTPUT") && this.#rule.has("i"))
      throw refuse(`Can't use -i with ${chain}\n`);
  }

  #make(letter: string): Command {
    const { file, line, sourceLine } = this.#context;
    const place = { file, line: line ?? 1, column: this.#words[0]?.column ?? 1 };
    const base = { place, line, sourceLine, verbose: this.#options.includes("v") };
    const chain = this.#chain ?? "";
    const number = this.#number;
    switch (letter) {
      case "N":
        return { ...base, kind: "new-chain", chain };
      case "X":
        return { ...base, kind: "delete-chain", chain: this.#chain };
      case "F":
        return { ...base, kind: "flush", chain: this.#chain };
      case "Z":
        return { ...base, kind: "zero", chain: this.#chain, number };
      case "E":
        return { ...base, kind: "rename", chain, to: this.#argument ?? "" };
      case "P":
        return {
          ...base,
          kind: "policy",
          chain,
          policy: this.#argument ?? "",
          counters: this.#counters,
        };
      case "L":
      case "S": {
        const shown = {
          numeric: this.#options.includes("n"),
          lineNumbers: this.#options.includes("0"),
          exact: this.#options.includes("x"),
        };
        return {
          ...base,
          kind: letter === "L" ? "list" : "list-rules",
          chain: this.#chain,
          number,
          ...shown,
        };
      }
    }
    if (letter === "D" && number !== undefined)
      return { ...base, kind: "delete-number", chain, number };
    const specs = this.#rule.specs(place);
    if (letter === "R" && specs.length !== 1)
      throw refuse("Replacement rule does not specify a unique address");
    const kind = RULE_COMMANDS[letter] ?? "append";
    return {
      place,
      line,
      sourceLine,
      verbose: base.verbose,
      kind,
      chain,
      specs,
      number: number ?? 1,
      counters: this.#counters,
    };
  }
}

const RULE_COMMANDS: Readonly<
  Record<string, "append" | "insert" | "delete" | "check" | "replace">
> = {
  A: "append",
  I: "insert",
  D: "delete",
  C: "check",
  R: "replace",
};

function readCounter(text: string, what: "packet" | "byte"): number {
  const digits = /^\s*\d+/.exec(text);
  if (digits === null) throw refuse(`-c ${what} counter not numeric`);
  return Number(digits[0]);
}

function readRuleNumber(text: string): number {
  const number = parseNumber(text, 1, 2_147_483_647);
  if (number === undefined) throw refuse(`Invalid rule number \`${text}'`);
  return number;
}

/** Mirrors iptables/xshared.c:parse_chain(). */
export function checkNewChain(name: string, context: Pick<CommandContext, "family">): void {
  if (name.length >= 29) throw refuse(`chain name \`${name}' too long (must be under 29 chars)`);
  if (name.startsWith("-") || name.startsWith("!"))
    throw refuse(`chain name not allowed to start with \`${name[0]}'`);
  if (ExtensionLoader.isTargetName(name, context.family))
    throw refuse("chain name may not clash with target name");
  if (/\s/.test(name)) throw refuse(`Invalid chain name \`${name}'`);
}
