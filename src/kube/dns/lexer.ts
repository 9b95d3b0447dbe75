import { UserError, type Place } from "../../base/errors.js";

/** One word of a Corefile. */
export interface Token {
  readonly text: string;
  readonly place: Place;
  /** Lines that the text itself spans: a quoted token may hold line ends. */
  readonly lineBreaks: number;
  readonly quoted: boolean;
  /** `#` to the end of the line; only kept for the formatter. */
  readonly comment: boolean;
}

export interface LexOptions {
  readonly comments?: boolean;
}

export const maxCorefileLength: number = 4 * 1024 * 1024;

/**
 * Cuts a Corefile into words. Whitespace separates, `#` outside quotes starts a comment even inside a word, only `\"`
 * is an escape and only in quotes, `\r` vanishes. Mirrors caddyfile/lexer.go.
 */
export function lexCorefile(text: string, file: string, options: LexOptions = {}): Token[] {
  if (text.length > maxCorefileLength) {
    throw new UserError(
      "COREFILE_TOO_LARGE",
      `${file}: a Corefile of more than ${maxCorefileLength} characters is not read`,
    );
  }
  return new Lexer(text.replace(/^\ufeff/, ""), file, options.comments === true).run();
}

class Lexer {
  readonly #text: string;
  readonly #file: string;
  readonly #comments: boolean;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #lineStart = 0;

  constructor(text: string, file: string, comments: boolean) {
    this.#text = text;
    this.#file = file;
    this.#comments = comments;
  }

  run(): Token[] {
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] ?? "";
      if (char === "\n") this.#newline();
      else if (isSpace(char)) this.#at++;
      else if (char === "#") this.#comment();
      else if (char === '"') this.#quoted();
      else this.#bare();
    }
    return this.#tokens;
  }

  #newline(): void {
    this.#at++;
    this.#line++;
    this.#lineStart = this.#at;
  }

  #here(): Place {
    return { file: this.#file, line: this.#line, column: this.#at - this.#lineStart + 1 };
  }

  #comment(): void {
    const place = this.#here();
    const end = this.#text.indexOf("\n", this.#at);
    const stop = end < 0 ? this.#text.length : end;
    if (this.#comments) {
      const text = this.#text.slice(this.#at, stop).replaceAll("\r", "").trimEnd();
      this.#tokens.push({ text, place, lineBreaks: 0, quoted: false, comment: true });
    }
    this.#at = stop;
  }

  #quoted(): void {
    const place = this.#here();
    const parts: string[] = [];
    let lineBreaks = 0;
    for (this.#at++; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at] ?? "";
      if (char === '"') break;
      if (char === "\r") continue;
      if (char === "\\" && this.#text[this.#at + 1] === '"') {
        parts.push('"');
        this.#at++;
        continue;
      }
      if (char === "\n") {
        lineBreaks++;
        this.#line++;
        this.#lineStart = this.#at + 1;
      }
      parts.push(char);
    }
    this.#at++;
    this.#tokens.push({ text: parts.join(""), place, lineBreaks, quoted: true, comment: false });
  }

  #bare(): void {
    const place = this.#here();
    const start = this.#at;
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] ?? "";
      if (char === "#" || (isSpace(char) && char !== "\r")) break;
      this.#at++;
    }
    const text = this.#text.slice(start, this.#at).replaceAll("\r", "");
    if (text !== "")
      this.#tokens.push({ text, place, lineBreaks: 0, quoted: false, comment: false });
  }
}

function isSpace(char: string): boolean {
  return /[\s\u0085]/u.test(char) && char !== "\ufeff";
}
