import type { RuleFamily } from "./addresses.js";
import type { Variant } from "./tables.js";

/** How a module is to be shown. */
export interface ListContext {
  /** `-n`: numbers in place of names. */
  readonly numeric: boolean;
  readonly variant: Variant;
  readonly family: RuleFamily;
}

/** What `-L` says of a module, from its options. */
export type ListWords = (options: ListedOptions, context: ListContext) => string;

/** One option of a match or target, as save prints it: `! --dport 22`. */
export interface ListedOption {
  readonly invert: boolean;
  /** Without its dashes. */
  readonly name: string;
  /** The words behind it, without their quotes. */
  readonly values: readonly string[];
}

/** The options of one module. */
export class ListedOptions {
  readonly all: readonly ListedOption[];

  /** Reads what a module prints when it is saved. */
  constructor(text: string) {
    this.all = optionsIn(text);
  }

  get(name: string): ListedOption | undefined {
    return this.all.find((option) => option.name === name);
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** The first word behind an option, empty without one. */
  value(name: string): string {
    return this.get(name)?.values[0] ?? "";
  }
}

function optionsIn(text: string): readonly ListedOption[] {
  const options: { invert: boolean; name: string; values: string[] }[] = [];
  let invert = false;
  for (const { word, quoted } of wordsIn(text)) {
    if (!quoted && word === "!") invert = true;
    else if (!quoted && word.startsWith("--")) {
      options.push({ invert, name: word.slice(2), values: [] });
      invert = false;
    } else options.at(-1)?.values.push(word);
  }
  return options;
}

/** Words at blanks; quotes hold one together, a backslash in them takes the next character as it is. */
function wordsIn(text: string): readonly { readonly word: string; readonly quoted: boolean }[] {
  const words: { word: string; quoted: boolean }[] = [];
  const pattern = /"((?:[^"\\]|\\[\s\S])*)"|(\S+)/g;
  for (const [, inside, bare] of text.matchAll(pattern))
    words.push(
      inside === undefined
        ? { word: bare ?? "", quoted: false }
        : { word: inside.replaceAll(/\\([\s\S])/g, "$1"), quoted: true },
    );
  return words;
}

/** `spt:80`, `spts:!80:90`. */
export function listRange(label: string, { invert, values }: ListedOption): string {
  const [value = ""] = values;
  return `${label}${value.includes(":") ? "s" : ""}:${invert ? "!" : ""}${value}`;
}

/** Every option as its words, each with a blank before: ` ! ctstate NEW`. */
export function listAll(options: ListedOptions): string {
  return options.all
    .map(({ invert, name, values }) => ` ${[...(invert ? ["!"] : []), name, ...values].join(" ")}`)
    .join("");
}

/** `!` of an option that is inverted. */
export function bang(option: ListedOption | undefined): string {
  return option?.invert === true ? "!" : "";
}

/** The same with a blank behind it. */
export function bangBlank(option: ListedOption | undefined): string {
  return option?.invert === true ? "! " : "";
}

/** What of `names` is there, each with a blank before it. */
export function join(
  options: ListedOptions,
  names: readonly string[],
  words: (option: ListedOption) => string,
): string {
  return names
    .flatMap((name) => options.get(name) ?? [])
    .map((option) => ` ${words(option)}`)
    .join("");
}
