import { UserError, type Place } from "../../base/errors.js";
import { Dispenser } from "./dispenser.js";
import { isDirectory, matchFiles, resolvePath, type Files } from "./files.js";
import { lexCorefile, type Token } from "./lexer.js";
import { directiveOrder } from "./order.js";

/** What one server block says: for each directive its tokens, all its occurrences in a row. */
export interface ServerBlock {
  readonly keys: readonly string[];
  readonly directives: ReadonlyMap<string, readonly Token[]>;
  readonly place: Place;
}

export interface Corefile {
  readonly file: string;
  readonly blocks: readonly ServerBlock[];
  /** The texts it was read from, by file, for errors that are found later. */
  readonly sources: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** What a Corefile may refer to. Absent means empty. */
export interface CorefileWorld {
  readonly files?: Files | undefined;
  readonly env?: ReadonlyMap<string, string> | undefined;
}

/**
 * Reads a Corefile into server blocks. Imports are looked for in the world's files only, variables in its environment
 * only. Throws a `UserError` in the words of the real parser. Mirrors coredns/caddy caddyfile/parse.go.
 */
export function parseCorefile(text: string, file: string, world: CorefileWorld = {}): Corefile {
  const parser = new Parser(text, file, world);
  const blocks = parser.parseAll();
  return { file, blocks, sources: parser.sources, warnings: parser.warnings };
}

/** Differs: the real one allows ten times as many imports of files, and names this number all the same. */
const maxSnippetImports = 10_000;
/** Tokens that imports may multiply a file to; the real parser has no such bound and runs out of memory instead. */
const maxTokens = 1_000_000;

class Parser extends Dispenser {
  readonly warnings: string[] = [];
  readonly #world: CorefileWorld;
  readonly sources = new Map<string, string>();
  readonly #snippets = new Map<string, readonly Token[]>();
  #snippetImports = 0;
  #fileImports = 0;
  #eof = false;
  #keys: string[] = [];
  #directives = new Map<string, Token[]>();

  constructor(text: string, file: string, world: CorefileWorld) {
    super(file, lexCorefile(text, file));
    this.#world = world;
    this.sources.set(file, text);
  }

  parseAll(): ServerBlock[] {
    const blocks: ServerBlock[] = [];
    while (this.next()) {
      const place = this.place();
      this.#keys = [];
      this.#directives = new Map();
      this.#begin();
      if (this.#keys.length > 0)
        blocks.push({ keys: this.#keys, directives: this.#directives, place });
    }
    return blocks;
  }

  override plain(message: string, candidates: Iterable<string> = []): UserError {
    const error = super.plain(message, candidates);
    const place = error.details.place;
    const sourceLine =
      place === undefined ? undefined : this.sources.get(place.file)?.split("\n")[place.line - 1];
    return new UserError(error.code, error.message, { ...error.details, sourceLine });
  }

  #begin(): void {
    this.#addresses();
    if (this.#eof) return;
    const [key] = this.#keys;
    if (this.#keys.length === 1 && key !== undefined && key.startsWith("(") && key.endsWith(")")) {
      this.#snippet(key.slice(1, -1));
      return;
    }
    this.#blockContents();
  }

  #addresses(): void {
    let expectingAnother = false;
    for (;;) {
      let text = this.#expand(this.val());
      if (text === "import" && this.isNewLine()) {
        this.#import();
        if (!this.next()) {
          this.#eof = true;
          return;
        }
        continue;
      }
      if (text === "{") {
        if (expectingAnother) {
          throw this.err(`Expected another address but had '${text}' - check for extra comma`);
        }
        return;
      }
      if (text !== "") {
        expectingAnother = text.endsWith(",");
        if (expectingAnother) text = text.slice(0, -1);
        this.#keys.push(text);
      }
      if (!this.next()) {
        if (expectingAnother) throw this.err("Unexpected EOF");
        this.#eof = true;
        return;
      }
      if (!expectingAnother && this.isNewLine()) return;
    }
  }

  #snippet(name: string): void {
    if (this.#snippets.has(name))
      throw this.err(`redeclaration of previously declared snippet ${name}`);
    if (this.val() !== "{") throw this.syntaxErr("{");
    const tokens: Token[] = [];
    let open = 1;
    while (this.next()) {
      if (this.val() === "}" && --open === 0) break;
      if (this.val() === "{") open++;
      const token = this.tokens[this.cursor];
      if (token !== undefined) tokens.push(token);
    }
    if (open !== 0) throw this.syntaxErr("}");
    this.#snippets.set(name, tokens);
    this.#keys = [];
  }

  #blockContents(): void {
    const braces = this.val() === "{";
    if (!braces) this.cursor--;
    while (this.next()) {
      if (this.val() === "}") break;
      if (this.val() === "import") this.#import();
      else this.#directive();
    }
    if (braces && this.val() !== "}") throw this.syntaxErr("}");
  }

  #directive(): void {
    const name = this.#expand(this.val());
    if (!directiveOrder.includes(name))
      throw this.err(`Unknown directive '${name}'`, directiveOrder);
    const tokens = this.#directives.get(name) ?? [];
    this.#directives.set(name, tokens);
    this.#take(tokens);
    let nesting = 0;
    while (this.next()) {
      if (this.val() === "{") nesting++;
      else if (this.isNewLine() && nesting === 0) {
        this.cursor--;
        break;
      } else if (this.val() === "}") {
        if (nesting === 0) throw this.err("Unexpected '}' because no matching opening brace");
        nesting--;
      } else if (this.val() === "import" && this.isNewLine()) {
        this.#import();
        continue;
      }
      this.#take(tokens);
    }
    if (nesting > 0) throw this.err("Unexpected EOF");
  }

  /** Puts the current token, its variables replaced, with the directive's. */
  #take(tokens: Token[]): void {
    const token = this.tokens[this.cursor];
    if (token !== undefined) tokens.push({ ...token, text: this.#expand(token.text) });
  }

  /** Replaces `import PATTERN` by what it names; the cursor then stands before the first imported token. */
  #import(): void {
    if (!this.nextArg()) throw this.argErr();
    const pattern = this.#expand(this.val());
    if (pattern === "") throw this.err("Import requires a non-empty filepath");
    if (this.nextArg()) throw this.err("Import takes only one argument (glob pattern or file)");
    const imported = this.#snippets.get(pattern) ?? this.#importedFiles(pattern);
    if (this.#snippets.has(pattern) && ++this.#snippetImports > maxSnippetImports) {
      throw this.err(`maximum snippet import depth (${maxSnippetImports}) exceeded`);
    }
    if (this.tokens.length + imported.length > maxTokens) {
      throw this.err(`imports make more than ${maxTokens} tokens`);
    }
    this.tokens.splice(this.cursor - 1, 2, ...imported);
    this.cursor -= 2;
  }

  #importedFiles(pattern: string): readonly Token[] {
    const path = resolvePath(this.place().file, pattern);
    if (
      count(path, "*") > 1 ||
      count(path, "?") > 1 ||
      (path.includes("[") && path.includes("]"))
    ) {
      throw this.err(`Glob pattern may only contain one wildcard (*), but has others: ${path}`);
    }
    if (++this.#fileImports > maxSnippetImports) {
      throw this.err(`maximum file import depth (${maxSnippetImports}) exceeded`);
    }
    const files = this.#world.files ?? new Map<string, string>();
    if (isDirectory(files, path)) throw this.err(`Could not import ${path}: is a directory`);
    const matches = matchFiles(files, path);
    if (matches.length === 0) {
      if (!/[*?[\]]/.test(path)) throw this.err(`File to import not found: ${pattern}`);
      this.warnings.push(`[WARNING] No files matching import glob pattern: ${pattern}`);
    }
    return matches.flatMap((match) => {
      const text = files.get(match) ?? "";
      this.sources.set(match, text);
      return lexCorefile(text, match);
    });
  }

  /** `{%NAME%}`, then `{$NAME}`. */
  #expand(text: string): string {
    if (!text.includes("{")) return text;
    return this.#expandOne(this.#expandOne(text, "{%", "%}"), "{$", "}");
  }

  #expandOne(text: string, open: string, close: string): string {
    let result = text;
    for (let rounds = 0; rounds < 1000 && result.length < 65_536; rounds++) {
      const start = result.indexOf(open);
      const end = start < 0 ? -1 : result.indexOf(close, start + open.length);
      if (end < 0) break;
      const name = result.slice(start + open.length, end);
      if (name === "") break;
      result = result.replaceAll(
        result.slice(start, end + close.length),
        () => this.#world.env?.get(name) ?? "",
      );
    }
    return result;
  }
}

function count(text: string, char: string): number {
  return text.split(char).length - 1;
}
