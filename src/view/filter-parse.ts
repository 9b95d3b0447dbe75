import { UserError } from "../base/errors.js";
import { parseIpv4Prefix, parseIpv6Prefix } from "../wire/ip.js";
import { compileRegexp } from "../base/go-regexp.js";
import { nearest } from "../base/nearest.js";
import { parseBpf } from "./filter-bpf.js";
import { EFFECTS, type FilterField, FILTER_FIELDS } from "./filter-fields.js";

export const OPERATORS = ["==", "!=", ">=", "<=", ">", "<", "contains", "matches", "in"] as const;
export type Operator = (typeof OPERATORS)[number];

/** A filter as it was written. */
export type FilterExpression =
  | {
      readonly kind: "or" | "and";
      readonly left: FilterExpression;
      readonly right: FilterExpression;
    }
  | { readonly kind: "not"; readonly inner: FilterExpression }
  | {
      readonly kind: "compare";
      readonly field: FilterField;
      readonly operator: Operator;
      readonly values: readonly FilterValue[];
    }
  | { readonly kind: "present"; readonly field: FilterField }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "bpf"; readonly test: (bytes: Uint8Array) => boolean }
  | { readonly kind: "word"; readonly word: string };

/** `80`, or `10..20` where `to` is the upper end. */
export interface FilterValue {
  readonly text: string;
  readonly to: string | undefined;
  readonly column: number;
  readonly length: number;
}

/** Tests that have a name of their own. */
export const PRESETS = ["decide", "changed", "dropped", "reply", "nat"] as const;
/** Protocols that may stand alone. */
export const PROTOCOLS = [
  "eth",
  "arp",
  "ip",
  "ipv6",
  "icmp",
  "icmpv6",
  "tcp",
  "udp",
  "dns",
] as const;

interface Token {
  readonly kind: "word" | "string" | "mark" | "end";
  readonly text: string;
  /** Counts from 1. */
  readonly column: number;
  /** How many columns it takes, quotes and all. */
  readonly length: number;
}

/** Longest filter that is read, and how deep its parentheses go. */
const limits = { length: 2000, depth: 100 };

/** Reads a filter. Throws a UserError whose place has the column. */
export function parseExpression(text: string): FilterExpression {
  if (text.length > limits.length)
    throw mistake(text, limits.length + 1, `a filter has at most ${limits.length} characters`);
  return new Parser(text).whole();
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  whole(): FilterExpression {
    const expression = this.#or();
    const rest = this.#peek();
    if (rest.kind !== "end")
      throw this.#wrong(rest, `"${rest.text}" is unexpected here`, "join tests with and, or");
    return expression;
  }

  #or(): FilterExpression {
    let left = this.#and();
    while (this.#accept("or", "||")) left = { kind: "or", left, right: this.#and() };
    return left;
  }

  #and(): FilterExpression {
    let left = this.#not();
    while (this.#accept("and", "&&")) left = { kind: "and", left, right: this.#not() };
    return left;
  }

  #not(): FilterExpression {
    if (++this.#depth > limits.depth)
      throw this.#wrong(this.#peek(), `a filter is nested at most ${limits.depth} deep`);
    const expression: FilterExpression = this.#accept("not", "!")
      ? { kind: "not", inner: this.#not() }
      : this.#primary();
    this.#depth--;
    return expression;
  }

  #primary(): FilterExpression {
    const token = this.#next();
    if (token.kind === "string") return { kind: "text", text: token.text };
    if (token.kind === "mark" && token.text === "(") {
      const inner = this.#or();
      if (!this.#accept(")")) throw this.#wrong(this.#peek(), `")" is missing`);
      return inner;
    }
    if (token.kind === "word" && token.text === "bpf:") return this.#bpf();
    if (token.kind !== "word")
      throw this.#wrong(
        token,
        token.kind === "end" ? "a test is missing here" : `"${token.text}" is unexpected here`,
      );
    const field = FILTER_FIELDS.get(token.text);
    if (field === undefined) return this.#bareWord(token);
    const operator = OPERATORS.find(
      (one) => one === this.#peek().text && this.#peek().kind !== "string",
    );
    if (operator === undefined) return { kind: "present", field };
    this.#next();
    const values = operator === "in" ? this.#list() : [this.#value(operator)];
    checkValues(this.#text, field, operator, values);
    return { kind: "compare", field, operator, values };
  }

  /** `bpf:"tcp port 80"`: mistakes inside the quotes are placed in the whole filter. */
  #bpf(): FilterExpression {
    const token = this.#next();
    if (token.kind !== "string")
      throw this.#wrong(
        token,
        "a packet filter in quotes is missing after bpf:",
        'as in bpf:"tcp port 80"',
      );
    try {
      return { kind: "bpf", test: parseBpf(token.text) };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const { place, length, help } = error.details;
      throw mistake(this.#text, token.column + (place?.column ?? 1), error.message, help, length);
    }
  }

  #bareWord(token: Token): FilterExpression {
    const words: readonly string[] = [...PRESETS, ...PROTOCOLS];
    if (words.includes(token.text)) return { kind: "word", word: token.text };
    const near = nearest(token.text, [...FILTER_FIELDS.keys(), ...words]);
    throw this.#wrong(
      token,
      `no field "${token.text}"`,
      near === undefined ? 'quote it to search for text: "..."' : `did you mean ${near}?`,
    );
  }

  #list(): readonly FilterValue[] {
    if (!this.#accept("{"))
      throw this.#wrong(this.#peek(), `"in" needs a list: {80, 443, 8000..8100}`);
    const values = [this.#value("in")];
    while (this.#accept(",")) values.push(this.#value("in"));
    if (!this.#accept("}")) throw this.#wrong(this.#peek(), `"}" is missing`);
    return values;
  }

  #value(after: string): FilterValue {
    const token = this.#next();
    if (token.kind !== "word" && token.kind !== "string")
      throw this.#wrong(token, `a value is missing after ${after}`);
    const range = token.kind === "word" ? /^(.+?)\.\.(.+)$/.exec(token.text) : null;
    return {
      text: range?.[1] ?? token.text,
      to: range?.[2],
      column: token.column,
      length: token.length,
    };
  }

  #accept(...texts: readonly string[]): boolean {
    const token = this.#peek();
    if (token.kind === "string" || !texts.includes(token.text)) return false;
    this.#at++;
    return true;
  }

  #peek(): Token {
    return (
      this.#tokens[this.#at] ?? { kind: "end", text: "", column: this.#text.length + 1, length: 1 }
    );
  }

  #next(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }

  #wrong(token: Token, message: string, help?: string): UserError {
    return mistake(this.#text, token.column, message, help, token.length);
  }
}

/** Values that a field can never have are mistakes, not filters that find nothing. */
function checkValues(
  text: string,
  field: FilterField,
  operator: Operator,
  values: readonly FilterValue[],
): void {
  if (operator === "contains") return;
  for (const { text: value, to, column, length } of values) {
    const wrong = (message: string, help?: string): UserError =>
      mistake(text, column, message, help, length);
    if (operator === "matches") {
      const compiled = compileRegexp(value);
      if (typeof compiled === "string")
        throw wrong(
          `"${value}" is not a pattern: ${compiled.replace(/^error parsing regexp: /, "")}`,
        );
      continue;
    }
    for (const part of to === undefined ? [value] : [value, to]) {
      if (field.type === "number" && numberOf(part) === undefined)
        throw wrong(`${field.name} is a number, "${part}" is not`);
      if (field.type === "address" && !isAddress(part))
        throw wrong(`${field.name} is an address, "${part}" is not`);
    }
    const known =
      field.name === "effect" && operator !== ">" && operator !== "<" ? EFFECTS : undefined;
    if (known !== undefined && !known.some((one) => one === value.toLowerCase())) {
      const near = nearest(value.toLowerCase(), known);
      throw wrong(
        `effect is never "${value}"`,
        near === undefined ? `it is one of ${known.join(", ")}` : `did you mean ${near}?`,
      );
    }
  }
}

function isAddress(text: string): boolean {
  return parseIpv4Prefix(text) !== undefined || parseIpv6Prefix(text) !== undefined;
}

/** `80`, `0x50`, `true`; undefined for what is no number. */
export function numberOf(text: string): number | undefined {
  if (/^(0x[0-9a-f]+|\d+)$/i.test(text)) return Number(text);
  return text === "true" ? 1 : text === "false" ? 0 : undefined;
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const pattern =
    /\s+|"((?:[^"\\]|\\.)*)"|(==|!=|>=|<=|&&|\|\||[><!(){},])|([^\s"!=<>&|(){},]+)|(.)/gsu;
  for (const match of text.matchAll(pattern)) {
    const [whole, quoted, mark, word, other] = match;
    const column = match.index + 1;
    const { length } = whole;
    if (quoted !== undefined)
      tokens.push({ kind: "string", text: quoted.replace(/\\(.)/g, "$1"), column, length });
    else if (mark !== undefined) tokens.push({ kind: "mark", text: mark, column, length });
    else if (word !== undefined) tokens.push({ kind: "word", text: word, column, length });
    else if (other === '"') throw mistake(text, column, "the closing quote is missing");
    else if (other !== undefined)
      throw mistake(
        text,
        column,
        `"${whole}" is unexpected here`,
        other === "=" ? "equality is ==" : undefined,
      );
  }
  return tokens;
}

function mistake(
  text: string,
  column: number,
  message: string,
  help?: string,
  length?: number,
): UserError {
  return new UserError("FILTER", message, {
    place: { file: "filter", line: 1, column },
    sourceLine: text,
    length,
    help,
  });
}
