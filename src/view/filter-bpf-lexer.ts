import { UserError } from "../base/errors.js";

export interface BpfToken {
  readonly kind: "word" | "mark" | "end";
  readonly text: string;
  /** Counts from 1. */
  readonly column: number;
}

const TOKEN = /\s+|(&&|\|\||<<|>>|[!=<>]=|[()[\]!=<>+*/%&|^:])|([^\s()[\]!=<>+*%&|^]+)|(-)/gy;

/** The words of a packet filter. Addresses and dashes belong to their word; inside brackets a colon stands alone. */
export class BpfLexer {
  readonly #text: string;
  readonly #tokens: readonly BpfToken[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  /** The next token, or one further on. */
  peek(ahead = 0): BpfToken {
    return (
      this.#tokens[this.#at + ahead] ?? { kind: "end", text: "", column: this.#text.length + 1 }
    );
  }

  next(): BpfToken {
    const token = this.peek();
    this.#at++;
    return token;
  }

  accept(...texts: readonly string[]): boolean {
    if (!texts.includes(this.peek().text)) return false;
    this.#at++;
    return true;
  }

  wrong({ column, text }: BpfToken, message: string, help?: string): UserError {
    return new UserError("FILTER_BPF", message, {
      place: { file: "filter", line: 1, column },
      sourceLine: this.#text,
      length: Math.max(1, text.length),
      help,
    });
  }
}

function tokensOf(text: string): readonly BpfToken[] {
  const tokens: BpfToken[] = [];
  let brackets = 0;
  for (let at = 0; at < text.length;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    const [whole = text.charAt(at), mark, word] = match ?? [];
    const column = at + 1;
    if (mark === "[") brackets++;
    if (mark === "]") brackets--;
    if (word !== undefined && brackets > 0) {
      // `tcp[12:1]`, `tcp[13-1]`: only names may hold dashes here.
      const part = /^[a-z][a-z0-9-]*|^[^:/-]+|^./i.exec(word)?.[0] ?? word;
      tokens.push({ kind: /^[:/-]$/.test(part) ? "mark" : "word", text: part, column });
      at += part.length;
      continue;
    }
    if (word !== undefined) tokens.push({ kind: "word", text: word, column });
    else if (whole.trim() !== "") tokens.push({ kind: "mark", text: whole, column });
    at += whole.length;
  }
  return tokens;
}
