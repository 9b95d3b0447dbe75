/** One part of a regular expression. */
export type RegexpNode =
  | { readonly kind: "empty" }
  | { readonly kind: "char"; readonly test: CharTest }
  | { readonly kind: "assert"; readonly assertion: Assertion }
  | { readonly kind: "group"; readonly number: number; readonly node: RegexpNode }
  | { readonly kind: "sequence" | "either"; readonly parts: readonly RegexpNode[] }
  | {
      readonly kind: "repeat";
      readonly node: RegexpNode;
      readonly min: number;
      readonly max: number | undefined;
      readonly lazy: boolean;
    };

type CharTest = (code: number) => boolean;
type Assertion = "begin" | "end" | "line-begin" | "line-end" | "boundary" | "no-boundary";

export class RegexpSyntaxError extends Error {
  override readonly name = "RegexpSyntaxError";
}

const maxLength = 2000;
const maxRepeat = 1000;
const maxNesting = 100;

/** Reads RE2 syntax. `names` has an entry for each capturing group, its name or undefined. */
export function parseRegexp(source: string): {
  readonly node: RegexpNode;
  readonly names: readonly (string | undefined)[];
} {
  if (source.length > maxLength) throw new RegexpSyntaxError("expression too large");
  const parser = new Parser(source);
  return { node: parser.parse(), names: parser.names };
}

class Parser {
  readonly names: (string | undefined)[] = [];
  readonly #source: string;
  #at = 0;
  #depth = 0;
  #flags = { i: false, m: false, s: false, U: false };

  constructor(source: string) {
    this.#source = source;
  }

  parse(): RegexpNode {
    const node = this.#either();
    if (this.#at < this.#source.length)
      throw new RegexpSyntaxError(`unexpected ): \`${this.#source}\``);
    return node;
  }

  #peek(): string {
    return this.#source[this.#at] ?? "";
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #either(): RegexpNode {
    if (++this.#depth > maxNesting) throw new RegexpSyntaxError("expression nests too deeply");
    const parts = [this.#sequence()];
    while (this.#take("|")) parts.push(this.#sequence());
    this.#depth--;
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: "either", parts };
  }

  #sequence(): RegexpNode {
    const parts: RegexpNode[] = [];
    while (this.#at < this.#source.length && this.#peek() !== "|" && this.#peek() !== ")") {
      const atom = this.#atom();
      parts.push(...atom.slice(0, -1));
      const last = atom.at(-1);
      if (last !== undefined) parts.push(this.#repeated(last));
    }
    return { kind: "sequence", parts };
  }

  #repeated(first: RegexpNode): RegexpNode {
    let node = first;
    for (let count = 0; ; count++) {
      const start = this.#at;
      const range = this.#range();
      if (range === undefined) return node;
      const lazy = this.#take("?") !== this.#flags.U;
      if (count > 0) {
        throw new RegexpSyntaxError(
          `invalid nested repetition operator: \`${this.#source.slice(start - 1, this.#at)}\``,
        );
      }
      node = { kind: "repeat", node, lazy, ...range };
    }
  }

  #range(): { readonly min: number; readonly max: number | undefined } | undefined {
    if (this.#take("*")) return { min: 0, max: undefined };
    if (this.#take("+")) return { min: 1, max: undefined };
    if (this.#take("?")) return { min: 0, max: 1 };
    const match = /^\{(\d{1,5})(,?)(\d{0,5})\}/.exec(this.#source.slice(this.#at));
    if (match === null) return undefined;
    this.#at += match[0].length;
    const min = Number(match[1]);
    const max = match[2] === "" ? min : match[3] === "" ? undefined : Number(match[3]);
    if (min > maxRepeat || (max !== undefined && (max > maxRepeat || max < min))) {
      throw new RegexpSyntaxError(`invalid repeat count: \`${match[0]}\``);
    }
    return { min, max };
  }

  /** One thing that a repetition may follow; the nodes before the last are what `\Q…\E` holds besides. */
  #atom(): RegexpNode[] {
    const char = this.#peek();
    switch (char) {
      case "(":
        return [this.#group()];
      case "[":
        return [this.#char(this.#class())];
      case ".":
        this.#at++;
        return [this.#char(this.#flags.s ? () => true : (code) => code !== 10)];
      case "^":
        this.#at++;
        return [{ kind: "assert", assertion: this.#flags.m ? "line-begin" : "begin" }];
      case "$":
        this.#at++;
        return [{ kind: "assert", assertion: this.#flags.m ? "line-end" : "end" }];
      case "*":
      case "+":
      case "?":
        throw new RegexpSyntaxError(`missing argument to repetition operator: \`${char}\``);
      case "\\":
        return this.#escape();
      default: {
        const code = this.#source.codePointAt(this.#at) ?? 0;
        this.#at += code > 0xffff ? 2 : 1;
        return [this.#literal(code)];
      }
    }
  }

  #group(): RegexpNode {
    const start = this.#at++;
    const saved = this.#flags;
    let number: number | undefined;
    if (this.#take("?P<") || this.#take("?<")) {
      const name = /^(\w+)>/.exec(this.#source.slice(this.#at))?.[1];
      if (name === undefined || this.names.includes(name)) {
        throw new RegexpSyntaxError(
          `invalid named capture: \`${this.#source.slice(start, start + 8)}\``,
        );
      }
      this.#at += name.length + 1;
      number = this.names.push(name);
    } else if (this.#take("?")) {
      const flags = /^([imsU]*)(?:-([imsU]+))?([:)])/.exec(this.#source.slice(this.#at));
      if (flags === null) {
        throw new RegexpSyntaxError(
          `invalid or unsupported Perl syntax: \`${this.#source.slice(start, this.#at + 1)}\``,
        );
      }
      this.#at += flags[0].length;
      this.#flags = changedFlags(saved, flags[1] ?? "", flags[2] ?? "");
      if (flags[3] === ")") return { kind: "empty" };
    } else {
      number = this.names.push(undefined);
    }
    const node = this.#either();
    if (!this.#take(")")) throw new RegexpSyntaxError(`missing closing ): \`${this.#source}\``);
    this.#flags = saved;
    return number === undefined ? node : { kind: "group", number, node };
  }

  #escape(): RegexpNode[] {
    this.#at++;
    const char = this.#peek();
    if (char === "A" || char === "z" || char === "b" || char === "B") {
      this.#at++;
      const assertions: Record<string, Assertion> = {
        A: "begin",
        z: "end",
        b: "boundary",
        B: "no-boundary",
      };
      return [{ kind: "assert", assertion: assertions[char] ?? "begin" }];
    }
    if (char === "Q") {
      const end = this.#source.indexOf("\\E", this.#at);
      const text = this.#source.slice(this.#at + 1, end < 0 ? undefined : end);
      this.#at = end < 0 ? this.#source.length : end + 2;
      return Array.from(text, (letter) => this.#literal(letter.codePointAt(0) ?? 0));
    }
    const set = this.#namedClass();
    return [set === undefined ? this.#literal(this.#escapedCode()) : this.#char(set)];
  }

  /** `\d`, `\pL` and the like, the backslash already taken; undefined when it is another escape. */
  #namedClass(): CharTest | undefined {
    const char = this.#peek();
    const lower = simpleClasses[char.toLowerCase()];
    if (lower !== undefined && /[dswDSW]/.test(char)) {
      this.#at++;
      return char === char.toLowerCase() ? lower : (code) => !lower(code);
    }
    if (char !== "p" && char !== "P") return undefined;
    const match = /^[pP](?:([A-Z])|\{(\^?)(\w+)\})/.exec(this.#source.slice(this.#at));
    const name = match?.[1] ?? match?.[3];
    const test = name === undefined ? undefined : unicodeClass(name);
    if (match === null || test === undefined) {
      throw new RegexpSyntaxError(
        `invalid character class range: \`\\${this.#source.slice(this.#at, this.#at + 4)}\``,
      );
    }
    this.#at += match[0].length;
    return (char === "P") === (match[2] === "^") ? test : (code) => !test(code);
  }

  #escapedCode(): number {
    const rest = this.#source.slice(this.#at);
    const hex = /^x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(rest);
    const octal = /^0[0-7]{0,2}/.exec(rest);
    const [char = ""] = rest;
    const controls: Record<string, number> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
    if (hex !== null) {
      this.#at += hex[0].length;
      return Number.parseInt(hex[1] ?? hex[2] ?? "0", 16);
    }
    if (octal !== null) {
      this.#at += octal[0].length;
      return Number.parseInt(octal[0], 8);
    }
    const code =
      controls[char] ?? (/[0-9A-Za-z]/.test(char) || char === "" ? undefined : rest.codePointAt(0));
    if (code === undefined) {
      throw new RegexpSyntaxError(
        char === ""
          ? "trailing backslash at end of expression: ``"
          : `invalid escape sequence: \`\\${char}\``,
      );
    }
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #class(): CharTest {
    const start = this.#at++;
    const negated = this.#take("^");
    const tests: CharTest[] = [];
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      if (this.#at >= this.#source.length)
        throw new RegexpSyntaxError(`missing closing ]: \`${this.#source.slice(start)}\``);
      const posix = /^\[:(\^?)(\w+):\]/.exec(this.#source.slice(this.#at));
      const named = posix === null ? undefined : posixClasses[posix[2] ?? ""];
      if (posix !== null && named !== undefined) {
        this.#at += posix[0].length;
        tests.push(posix[1] === "^" ? (code) => !named(code) : named);
        continue;
      }
      tests.push(this.#classRange());
    }
    this.#at++;
    const any: CharTest = (code) => tests.some((test) => test(code));
    const folded = this.#flags.i ? (code: number) => caseVariants(code).some(any) : any;
    return negated ? (code) => !folded(code) : folded;
  }

  #classRange(): CharTest {
    const start = this.#at;
    if (this.#peek() === "\\") {
      this.#at++;
      const set = this.#namedClass();
      if (set !== undefined) return set;
      this.#at--;
    }
    const low = this.#classCode();
    if (
      this.#peek() !== "-" ||
      this.#source[this.#at + 1] === "]" ||
      this.#at + 1 >= this.#source.length
    ) {
      return (code) => code === low;
    }
    this.#at++;
    const high = this.#classCode();
    if (high < low)
      throw new RegexpSyntaxError(
        `invalid character class range: \`${this.#source.slice(start, this.#at)}\``,
      );
    return (code) => code >= low && code <= high;
  }

  #classCode(): number {
    if (this.#take("\\")) return this.#escapedCode();
    const code = this.#source.codePointAt(this.#at) ?? 0;
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #literal(code: number): RegexpNode {
    if (!this.#flags.i) return this.#char((other) => other === code);
    const variants = caseVariants(code);
    return this.#char((other) => variants.includes(other));
  }

  #char(test: CharTest): RegexpNode {
    return { kind: "char", test };
  }
}

function changedFlags<T extends Record<string, boolean>>(flags: T, set: string, clear: string): T {
  const changed: Record<string, boolean> = { ...flags };
  for (const flag of set) changed[flag] = true;
  for (const flag of clear) changed[flag] = false;
  return { ...flags, ...changed };
}

function caseVariants(code: number): number[] {
  const char = String.fromCodePoint(code);
  return [
    code,
    char.toLowerCase().codePointAt(0) ?? code,
    char.toUpperCase().codePointAt(0) ?? code,
  ];
}

function between(low: string, high: string): CharTest {
  return (code) => code >= low.charCodeAt(0) && code <= high.charCodeAt(0);
}

function oneOf(...tests: readonly CharTest[]): CharTest {
  return (code) => tests.some((test) => test(code));
}

const digit = between("0", "9");
const lower = between("a", "z");
const upper = between("A", "Z");
const underscore = between("_", "_");
const space: CharTest = (code) => [9, 10, 12, 13, 32].includes(code);

const simpleClasses: Readonly<Record<string, CharTest>> = {
  d: digit,
  s: space,
  w: oneOf(digit, lower, upper, underscore),
};

const posixClasses: Readonly<Record<string, CharTest>> = {
  alnum: oneOf(digit, lower, upper),
  alpha: oneOf(lower, upper),
  ascii: (code) => code < 128,
  blank: (code) => code === 9 || code === 32,
  cntrl: (code) => code < 32 || code === 127,
  digit,
  graph: between("!", "~"),
  lower,
  print: between(" ", "~"),
  punct: oneOf(between("!", "/"), between(":", "@"), between("[", "`"), between("{", "~")),
  space: oneOf(space, (code) => code === 11),
  upper,
  word: oneOf(digit, lower, upper, underscore),
  xdigit: oneOf(digit, between("a", "f"), between("A", "F")),
};

function unicodeClass(name: string): CharTest | undefined {
  for (const property of [name, `Script=${name}`]) {
    try {
      const regex = new RegExp(`^\\p{${property}}$`, "u");
      return (code) => regex.test(String.fromCodePoint(code));
    } catch {
      continue;
    }
  }
  return undefined;
}
