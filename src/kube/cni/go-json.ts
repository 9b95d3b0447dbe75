/*
 * What Go's encoding/json says to a text that is not JSON. Mirrors encoding/json/scanner.go. The text is known to be wrong;
 * the scanner finds the first byte that cannot stand where it stands.
 */

/** A text's first mistake: Go's words, and the offset in UTF-16 units. */
export interface GoJsonError {
  readonly message: string;
  readonly offset: number;
}

/** What Go's decoder says to the first mistake; undefined when there is none. */
export function goJsonError(text: string): GoJsonError | undefined {
  return new Scanner(text).run();
}

class Bad extends Error {}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): GoJsonError | undefined {
    try {
      this.#value("looking for beginning of value", 0);
      this.#space();
      if (this.#at < this.#text.length) this.#bad("after top-level value");
      return undefined;
    } catch (error) {
      if (error instanceof Bad) return { message: error.message, offset: this.#at };
      throw error;
    }
  }

  #value(context: string, depth: number): void {
    if (depth > 10_000) throw new Bad("exceeded max depth");
    this.#space();
    const char = this.#peek();
    if (char === "{") this.#object(depth);
    else if (char === "[") this.#array(depth);
    else if (char === '"') this.#string();
    else if (char === "-" || /\d/.test(char)) this.#number();
    else if (char === "t") this.#word("true");
    else if (char === "f") this.#word("false");
    else if (char === "n") this.#word("null");
    else this.#bad(context);
  }

  #object(depth: number): void {
    this.#at++;
    this.#space();
    if (this.#peek() === "}") {
      this.#at++;
      return;
    }
    for (;;) {
      this.#space();
      if (this.#peek() !== '"') this.#bad("looking for beginning of object key string");
      this.#string();
      this.#space();
      if (this.#peek() !== ":") this.#bad("after object key");
      this.#at++;
      this.#value("looking for beginning of value", depth + 1);
      this.#space();
      const char = this.#peek();
      if (char !== "," && char !== "}") this.#bad("after object key:value pair");
      this.#at++;
      if (char === "}") return;
    }
  }

  #array(depth: number): void {
    this.#at++;
    this.#space();
    if (this.#peek() === "]") {
      this.#at++;
      return;
    }
    for (;;) {
      this.#value("looking for beginning of value", depth + 1);
      this.#space();
      const char = this.#peek();
      if (char !== "," && char !== "]") this.#bad("after array element");
      this.#at++;
      if (char === "]") return;
    }
  }

  #string(): void {
    this.#at++;
    for (;;) {
      const char = this.#peek();
      if (char === '"') {
        this.#at++;
        return;
      }
      if (char < " ") this.#bad("in string literal");
      this.#at++;
      if (char !== "\\") continue;
      const escaped = this.#peek();
      if (!/["\\/bfnrtu]/.test(escaped)) this.#bad("in string escape code");
      this.#at++;
      for (let digit = 0; escaped === "u" && digit < 4; digit++) {
        if (!/[0-9a-fA-F]/.test(this.#peek())) this.#bad("in \\u hexadecimal character escape");
        this.#at++;
      }
    }
  }

  #number(): void {
    if (this.#peek() === "-") this.#at++;
    if (this.#next() === "0") this.#at++;
    else this.#digits("in numeric literal");
    if (this.#next() === ".") {
      this.#at++;
      this.#digits("after decimal point in numeric literal");
    }
    if (/[eE]/.test(this.#next())) {
      this.#at++;
      if (/[+-]/.test(this.#next())) this.#at++;
      this.#digits("in exponent of numeric literal");
    }
  }

  #digits(context: string): void {
    if (!/\d/.test(this.#peek())) this.#bad(context);
    while (/\d/.test(this.#next())) this.#at++;
  }

  #word(word: string): void {
    for (let index = 0; index < word.length; index++, this.#at++) {
      if (this.#peek() !== word[index])
        this.#bad(`in literal ${word} (expecting '${word[index] ?? ""}')`);
    }
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#next())) this.#at++;
  }

  /** The next character, or nothing at the end. */
  #next(): string {
    return this.#text.charAt(this.#at);
  }

  /** The next character, which must be there. */
  #peek(): string {
    if (this.#at >= this.#text.length) throw new Bad("unexpected end of JSON input");
    return this.#text.charAt(this.#at);
  }

  #bad(context: string): never {
    const char = this.#peek();
    const shown = char === "'" ? "'\\''" : char === '"' ? "'\"'" : `'${char}'`;
    throw new Bad(`invalid character ${shown} ${context}`);
  }
}
