import { ToolFailure } from "./failure.js";

/** The arguments of an iproute2 command, read from left to right. Errors are in iproute2's words. */
export class Words {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  get isEmpty(): boolean {
    return this.#at >= this.#words.length;
  }

  peek(): string | undefined {
    return this.#words[this.#at];
  }

  /** The next word, or undefined at the end. */
  shift(): string | undefined {
    return this.#words[this.#at++];
  }

  /** The value of an option. Mirrors iproute2's NEXT_ARG(). */
  value(): string {
    const word = this.shift();
    if (word === undefined)
      throw new ToolFailure(255, 'Command line is not complete. Try option "help"\n');
    return word;
  }

  /** Takes the next word if it is this one. */
  take(word: string): boolean {
    if (this.peek() !== word) return false;
    this.#at++;
    return true;
  }

  /** What is left, without taking it. */
  remaining(): readonly string[] {
    return this.#words.slice(this.#at);
  }

  /** Everything that is left. */
  rest(): readonly string[] {
    const words = this.#words.slice(this.#at);
    this.#at = this.#words.length;
    return words;
  }

  /** A whole number within bounds, decimal, hexadecimal or octal. */
  number(name: string, low: number, high: number): number {
    const word = this.value();
    const value = parseNumber(word);
    if (value === undefined || value < low || value > high)
      throw wrongArgument(word, `Invalid "${name}" value\n`);
    return value;
  }

  /** `on` or `off`. Mirrors iproute2's parse_on_off(). */
  onOff(name: string): boolean {
    const word = this.value();
    if (word === "on") return true;
    if (word === "off") return false;
    throw new ToolFailure(
      234,
      `Error: argument of "${name}" must be one of "off", "on", not "${word}"\n`,
    );
  }
}

export function parseNumber(word: string): number | undefined {
  return /^(0x[0-9a-f]{1,8}|0[0-7]{1,11}|\d{1,10})$/i.test(word)
    ? Number(/^0\d/.test(word) ? `0o${word.slice(1)}` : word)
    : undefined;
}

/** Whether `word` is a beginning of `keyword`. Mirrors iproute2's matches(). */
export function abbreviates(word: string, keyword: string): boolean {
  return word !== "" && keyword.startsWith(word);
}

/** Mirrors iproute2's invarg(). */
export function wrongArgument(word: string, why: string): ToolFailure {
  return new ToolFailure(255, `Error: argument "${word}" is wrong: ${why}\n`);
}

/** A second word where one is taken already. Mirrors iproute2's duparg2(). */
export function garbage(key: string, word: string): ToolFailure {
  return new ToolFailure(255, `Error: either "${key}" is duplicate, or "${word}" is a garbage.\n`);
}

/** The first command of a list that `word` abbreviates; without a word the first of all. */
export function chooseCommand<T>(
  commands: readonly (readonly [string, T])[],
  word: string | undefined,
  help: string,
): T {
  const found =
    word === undefined ? commands[0] : commands.find(([name]) => abbreviates(word, name));
  if (found === undefined)
    throw new ToolFailure(255, `Command "${word}" is unknown, try "${help}".\n`);
  return found[1];
}
