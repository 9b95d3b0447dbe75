import { refuse } from "./refusal.js";
import type { ParseContext } from "./extension.js";

/** Where and how an option stands on the line while its value is read. */
export interface OptionUse {
  readonly context: ParseContext;
  /** `NAME` in `NAME: option "--x" …`. */
  readonly owner: string;
  /** The option's canonical name, without dashes. */
  readonly option: string;
  /** The name it was called by: the canonical one or an alias. */
  readonly typed: string;
  readonly invert: boolean;
  /** The second word of an option that takes two. */
  readonly second: string;
  /** What the options before this one gave. */
  readonly args: OptionArgs;
}

/** One option of a match or target, as its module's table has it. Mirrors struct xt_option_entry. */
export interface OptionSpec<T> {
  /** Canonical name first, then aliases; without dashes. */
  readonly names: readonly string[];
  /** Reads the value; absent for options that take none. */
  readonly read: ((text: string, use: OptionUse) => T) | undefined;
  readonly value: T | undefined;
  readonly invertible: boolean;
  readonly mandatory: boolean;
  readonly repeatable: boolean;
  /** Canonical names it cannot stand beside, and those it needs beside it. */
  readonly excludes: readonly string[];
  readonly needs: readonly string[];
  /** The refusal when it is given twice, where the module has words of its own. */
  readonly onlyOnce: string | undefined;
  /** The option it counts as when it is told from one given twice. */
  readonly sameAs: string | undefined;
  /** Called when it is met, before its value is read: what must stand before it. */
  readonly guard: ((use: OptionUse) => void) | undefined;
  /** Its word may be left out. */
  readonly maybe: boolean;
  /** The refusal when the second of its two words is missing; undefined for an option with one word. */
  readonly second: string | undefined;
}

/** The rarer columns of an option's row. */
export interface OptionTraits {
  readonly alias?: string | readonly string[];
  /** May be preceded by `!`. */
  readonly not?: boolean;
  readonly must?: boolean;
  readonly many?: boolean;
  readonly excludes?: readonly string[];
  readonly needs?: readonly string[];
  readonly onlyOnce?: string;
  readonly sameAs?: string;
  readonly second?: string;
  readonly guard?: (use: OptionUse) => void;
  readonly maybe?: boolean;
}

/** An option with a value. */
export function option<T>(
  name: string,
  read: (text: string, use: OptionUse) => T,
  traits: OptionTraits = {},
): OptionSpec<T> {
  return spec(name, read, undefined, traits);
}

/** An option without a value. */
export function flag(name: string, traits: OptionTraits = {}): OptionSpec<true> {
  return spec<true>(name, undefined, true, traits);
}

function spec<T>(
  name: string,
  read: OptionSpec<T>["read"],
  value: T | undefined,
  traits: OptionTraits,
): OptionSpec<T> {
  const aliases = traits.alias === undefined ? [] : [traits.alias].flat();
  return {
    names: [name, ...aliases],
    read,
    value,
    invertible: traits.not ?? false,
    mandatory: traits.must ?? false,
    repeatable: traits.many ?? false,
    excludes: traits.excludes ?? [],
    needs: traits.needs ?? [],
    onlyOnce: traits.onlyOnce,
    sameAs: traits.sameAs,
    second: traits.second,
    guard: traits.guard,
    maybe: traits.maybe ?? false,
  };
}

/** One option as it was given. */
export interface Given<T> {
  readonly spec: OptionSpec<unknown>;
  readonly value: T;
  readonly invert: boolean;
}

const NOTHING_GIVEN: readonly Given<unknown>[] = [];

/** The options given to one match or target, in the order of the line. */
export class OptionArgs {
  // A list that is replaced: hardly any match has more than three, and most of a long text's have one.
  #given: readonly Given<unknown>[] = NOTHING_GIVEN;

  get all(): readonly Given<unknown>[] {
    return this.#given;
  }

  /** What an option was given; the last time when it was given more than once. */
  get<T>(spec: OptionSpec<T>): Given<T> | undefined {
    const given = this.#find(spec.names[0] ?? "");
    // Only `add` writes here, with the value that this spec's own `read` gave.
    return given as Given<T> | undefined;
  }

  /** The value alone. */
  value<T>(spec: OptionSpec<T>): T | undefined {
    return this.get(spec)?.value;
  }

  /** What a mandatory option was given. `checkOptions` refused its absence before. */
  need<T>(spec: OptionSpec<T>): Given<T> {
    const given = this.get(spec);
    if (given === undefined) throw refuse(`option "--${spec.names[0]}" must be specified\n`);
    return given;
  }

  has(spec: OptionSpec<unknown>): boolean {
    return this.#find(spec.names[0] ?? "") !== undefined;
  }

  hasName(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  #find(name: string): Given<unknown> | undefined {
    for (let at = this.#given.length - 1; at >= 0; at--) {
      const given = this.#given[at];
      if (given?.spec.names[0] === name) return given;
    }
    return undefined;
  }

  add(given: Given<unknown>): void {
    this.#given = [...this.#given, given];
  }
}

/** Reads one option of a module. Mirrors libxtables/xtoptions.c:xtables_option_parse(). */
export function readOption(
  spec: OptionSpec<unknown>,
  text: string | undefined,
  use: OptionUse,
): void {
  const name = spec.names[0] ?? "";
  const repeated =
    use.args.hasName(name) || (spec.sameAs !== undefined && use.args.hasName(spec.sameAs));
  if (!spec.repeatable && repeated) {
    throw refuse(spec.onlyOnce ?? `${use.owner}: option "--${name}" can only be used once.\n`);
  }
  if (use.invert && !spec.invertible)
    throw refuse(`${use.owner}: option "--${name}" cannot be inverted.\n`);
  spec.guard?.(use);
  const value = spec.read === undefined ? spec.value : spec.read(text ?? "", use);
  use.args.add({ spec, value, invert: use.invert });
}

/** What must hold among all options of a module. Mirrors libxtables/xtoptions.c:xtables_options_fcheck(). */
export function checkOptions(
  owner: string,
  specs: readonly OptionSpec<unknown>[],
  args: OptionArgs,
): void {
  for (const spec of specs) {
    const name = spec.names[0] ?? "";
    if (!args.has(spec)) {
      if (spec.mandatory) throw refuse(`${owner}: option "--${name}" must be specified\n`);
      continue;
    }
    if (spec.needs.length === 0 && spec.excludes.length === 0) continue;
    for (const other of specs) {
      const otherName = other.names[0] ?? "";
      if (other === spec) continue;
      if (spec.needs.includes(otherName) && !args.has(other)) {
        throw refuse(`${owner}: option "--${name}" also requires "--${otherName}".\n`);
      }
      if (spec.excludes.includes(otherName) && args.has(other)) {
        throw refuse(
          `${owner}: option "--${name}" cannot be used together with "--${otherName}".\n`,
        );
      }
    }
  }
}
