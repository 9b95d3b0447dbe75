import type { RuleFamily } from "./addresses.js";
import type { CommandContext } from "./command.js";
import type {
  ExtensionInfo,
  Match,
  MatchExtension,
  ParseContext,
  ProtocolTest,
  Target,
  TargetExtension,
} from "./extension.js";
import { matchKey } from "./known-matches.js";
import { parseNumber } from "./numbers.js";
import { OptionArgs, type OptionSpec, readOption } from "./options.js";
import { formatProtocol } from "./protocols.js";
import { opaqueMatch } from "./opaque.js";
import { findMatch, findTarget, matchNames } from "./registry.js";
import type { Word } from "./words.js";

/** How an option stands on the line. */
export interface GivenOption {
  /** The name it was called by. */
  readonly typed: string;
  readonly second: string;
  readonly invert: boolean;
  readonly context: ParseContext;
}

/** One `-m` or `-j` of a line and the options it has been given so far. */
export class LoadedExtension<E extends ExtensionInfo = ExtensionInfo> {
  readonly extension: E;
  readonly args: OptionArgs = new OptionArgs();
  /** The options as they were typed. */
  words = "";

  constructor(extension: E) {
    this.extension = extension;
  }

  give(
    spec: OptionSpec<unknown>,
    text: string | undefined,
    { typed, second, invert, context }: GivenOption,
  ): void {
    const option = spec.names[0] ?? "";
    this.words += `\0${invert ? "!" : ""}\0${typed}\0${text ?? ""}\0${second}`;
    readOption(spec, text, {
      context,
      owner: this.extension.name,
      option,
      typed,
      invert,
      second,
      args: this.args,
    });
  }
}

type Slot = LoadedExtension<MatchExtension> | { readonly opaque: Match };

/** The extensions that one line has named, in order. */
export class ExtensionLoader {
  readonly #context: CommandContext;
  readonly #slots: Slot[] = [];
  readonly #loaded: LoadedExtension[] = [];
  #buildTarget: ((context: ParseContext) => Target) | undefined;
  #matches: readonly Match[] = [];
  #target: Target | undefined;
  #protocolLoaded = false;
  #parseContext: ParseContext | undefined;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  static isTargetName(name: string, family: RuleFamily): boolean {
    return (
      ["ACCEPT", "DROP", "RETURN", "QUEUE"].includes(name) || findTarget(name, family) !== undefined
    );
  }

  /** False when there is no such module. */
  loadMatch(name: string): boolean {
    const extension = findMatch(name, this.#context.family);
    if (extension !== undefined) this.#addMatch(extension);
    return extension !== undefined;
  }

  #addMatch(extension: MatchExtension): void {
    this.#warnMissing(extension);
    const loaded = new LoadedExtension(extension);
    this.#loaded.push(loaded);
    this.#slots.push(loaded);
  }

  addOpaqueMatch(name: string, words: readonly Word[]): void {
    this.#slots.push({ opaque: opaqueMatch(name, words) });
  }

  loadTarget(name: string): void {
    const extension: TargetExtension | undefined = findTarget(name, this.#context.family);
    if (extension === undefined) return;
    this.#warnMissing(extension);
    const loaded = new LoadedExtension(extension);
    this.#loaded.push(loaded);
    this.#buildTarget = (context) => extension.build(loaded.args, context);
  }

  #warnMissing({ name, missingInKernel }: ExtensionInfo): void {
    if (!missingInKernel || this.#context.keepUnknown) return;
    this.#context.warn(
      `Warning: Extension ${name} revision 0 not supported, missing kernel module?`,
    );
  }

  /** Loads the match of `-p` when an option is met that nobody knows, once. Mirrors iptables/xshared.c:load_proto(). */
  loadProtocolMatch(word: string | undefined): boolean {
    if (word === undefined || this.#protocolLoaded) return false;
    this.#protocolLoaded = true;
    const number = parseNumber(word, 0, 255);
    return this.loadMatch(number === undefined ? word : formatProtocol(number));
  }

  loaded(): readonly LoadedExtension[] {
    return this.#loaded;
  }

  matchNames(): Iterable<string> {
    return matchNames(this.#context.family);
  }

  /** What readers may look at now that `-p` is this. */
  parseContext(protocol: ProtocolTest | undefined): ParseContext {
    const cached = this.#parseContext;
    if (cached !== undefined && cached.protocol === protocol) return cached;
    const { family, variant, table, environment, warn } = this.#context;
    this.#parseContext = { family, variant, table, environment, warn, protocol };
    return this.#parseContext;
  }

  /** Checks and builds every extension; all were given their options. */
  build(protocol: ProtocolTest | undefined): void {
    const context = this.parseContext(protocol);
    const matches = this.#slots.map((slot) =>
      "opaque" in slot ? slot.opaque : this.#match(slot, context),
    );
    this.#target = this.#buildTarget?.(context);
    this.#matches = this.#context.variant === "nft" ? asNftKeeps(matches) : matches;
  }

  /** The match, or the same one of an earlier line. */
  #match(
    { extension, args, words }: LoadedExtension<MatchExtension>,
    context: ParseContext,
  ): Match {
    const { known, table } = this.#context;
    const { name } = extension;
    // Comments are as good as never the same.
    if (known === undefined || name === "comment" || !known.has(name))
      return extension.build(args, context);
    const key = matchKey(`${table} ${name}`, words, context.protocol);
    const found = known.get(name, key);
    if (found !== undefined) return found;
    const made = extension.build(args, context);
    known.add(key, made);
    return made;
  }

  matches(): readonly Match[] {
    return this.#matches;
  }

  target(): Target | undefined {
    return this.#target;
  }
}

/** What the nft variant makes of a rule's matches when it turns them into expressions and back. */
function asNftKeeps(matches: readonly Match[]): readonly Match[] {
  // Nearly every rule's are as they were.
  if (!matches.some(isChanged)) return matches;
  const kept: Match[] = [];
  for (const match of matches) {
    if (match.vanishesInNft) continue;
    const at = kept.findIndex((other) => other.merge(match) !== undefined);
    const merged = kept[at]?.merge(match);
    if (merged === undefined) kept.push(match);
    else kept[at] = merged;
  }
  return kept;
}

/** Whether a match is lost, or printed together with one that stands before it. */
function isChanged(match: Match, index: number, matches: readonly Match[]): boolean {
  if (match.vanishesInNft) return true;
  for (let before = 0; before < index; before++)
    if (matches[before]?.merge(match) !== undefined) return true;
  return false;
}
