import { UserError, type Place } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import type { Token } from "./lexer.js";

/**
 * Walks over tokens and knows which of them stand on one line and in one block. Its errors have the place and the words
 * of the real one. Mirrors caddyfile/dispenser.go.
 */
export class Dispenser {
  readonly file: string;
  protected tokens: Token[];
  protected cursor = -1;
  #nesting = 0;

  constructor(file: string, tokens: Token[]) {
    this.file = file;
    this.tokens = tokens;
  }

  next(): boolean {
    if (this.cursor >= this.tokens.length - 1) return false;
    this.cursor++;
    return true;
  }

  /** The next token of this line. */
  nextArg(): boolean {
    if (this.cursor < 0) return this.next();
    if (!this.#sameLine(this.cursor)) return false;
    this.cursor++;
    return true;
  }

  /** The next line of the block `{ … }` that opens on this line; false at its end. */
  nextBlock(): boolean {
    if (this.#nesting > 0) {
      const moved = this.next();
      if (this.val() !== "}" && moved) return true;
      this.#nesting--;
      return false;
    }
    if (!this.nextArg()) return false;
    if (this.val() !== "{") {
      this.cursor--;
      return false;
    }
    this.next();
    if (this.val() === "}") return false;
    this.#nesting++;
    return true;
  }

  val(): string {
    return this.tokens[this.cursor]?.text ?? "";
  }

  /** The rest of the line up to an opening brace. */
  remainingArgs(): string[] {
    const args: string[] = [];
    while (this.nextArg()) {
      if (this.val() === "{") {
        this.cursor--;
        break;
      }
      args.push(this.val());
    }
    return args;
  }

  place(): Place {
    return this.tokens[this.cursor]?.place ?? { file: this.file, line: 0, column: 1 };
  }

  argErr(): UserError {
    if (this.val() === "{") return this.err("Unexpected token '{', expecting argument");
    return this.err(`Wrong argument count or unexpected line ending after '${this.val()}'`);
  }

  err(message: string, candidates: Iterable<string> = []): UserError {
    const { file, line } = this.place();
    return this.plain(`${file}:${line} - Error during parsing: ${message}`, candidates);
  }

  unknownProperty(known: Iterable<string>): UserError {
    return this.err(`unknown property '${this.val()}'`, known);
  }

  syntaxErr(expected: string): UserError {
    const { file, line } = this.place();
    return this.plain(
      `${file}:${line} - Syntax error: Unexpected token '${this.val()}', expecting '${expected}'`,
    );
  }

  /** An error whose text does not say the place. `candidates` are what could have been meant instead of this token. */
  plain(message: string, candidates: Iterable<string> = []): UserError {
    const near = nearest(this.val(), candidates);
    return new UserError("COREFILE_SYNTAX", message, {
      place: this.place(),
      length: Math.max(this.val().length, 1),
      help: near === undefined ? undefined : `did you mean "${near}"?`,
    });
  }

  protected isNewLine(): boolean {
    return this.cursor < 1 || !this.#sameLine(this.cursor - 1);
  }

  #sameLine(index: number): boolean {
    const token = this.tokens[index];
    const following = this.tokens[index + 1];
    if (token === undefined || following === undefined) return false;
    return (
      token.place.file === following.place.file &&
      token.place.line + token.lineBreaks === following.place.line
    );
  }
}
