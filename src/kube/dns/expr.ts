import { compileRegexp } from "../../base/go-regexp.js";

/** What an expression may see: functions and variables by name. */
export type ExprValue = string | number | boolean | undefined | readonly ExprValue[];
export type ExprFunction = (...args: readonly ExprValue[]) => ExprValue;
export type ExprType = "int" | "string" | "bool" | "list" | "any";

/** Names that an expression may use, and what they are. */
export interface ExprScope {
  readonly functions: ReadonlyMap<string, ExprType>;
  readonly variables: ReadonlyMap<string, ExprType>;
}

/** A compiled expression. `run` throws `ExprFailure` when a step is impossible. */
export interface Expr {
  readonly type: ExprType;
  run(values: ExprValues): ExprValue;
}

export interface ExprValues {
  readonly functions: ReadonlyMap<string, ExprFunction>;
  readonly variables: ReadonlyMap<string, ExprValue>;
}

export class ExprFailure extends Error {
  override readonly name = "ExprFailure";
}

/** Functions of the language itself. */
export const exprBuiltins: ReadonlyMap<string, ExprType> = new Map<string, ExprType>([
  ["len", "int"],
  ["lower", "string"],
  ["upper", "string"],
  ["trim", "string"],
  ["int", "int"],
  ["string", "string"],
  ["hasPrefix", "bool"],
  ["hasSuffix", "bool"],
]);

/** Words that are no names. */
export const exprKeywords: ReadonlySet<string> = new Set(
  "true false nil in not and or matches contains startsWith endsWith let if else".split(" "),
);

/** Compiles an expression of expr-lang, the part that CoreDNS's documents use. The error is its text, place included. */
export function compileExpr(source: string, scope: ExprScope): Expr | { readonly error: string } {
  try {
    if (source.length > 4096) return { error: "expression is longer than 4096 characters" };
    return new Parser(source, scope).parse();
  } catch (error) {
    if (error instanceof ExprFailure) return { error: error.message };
    throw error;
  }
}

interface Token {
  readonly kind: "Number" | "String" | "Identifier" | "Operator" | "Bracket" | "EOF";
  readonly text: string;
  readonly at: number;
}

const words: ReadonlySet<string> = new Set([
  "in",
  "not",
  "and",
  "or",
  "matches",
  "contains",
  "startsWith",
  "endsWith",
]);

const precedence: Readonly<Record<string, number>> = {
  "||": 10,
  or: 10,
  "&&": 15,
  and: 15,
  "==": 20,
  "!=": 20,
  "<": 20,
  ">": 20,
  "<=": 20,
  ">=": 20,
  in: 20,
  matches: 20,
  contains: 20,
  startsWith: 20,
  endsWith: 20,
  "..": 25,
  "+": 30,
  "-": 30,
  "*": 60,
  "/": 60,
  "%": 60,
};

const maxDepth = 200;

class Parser {
  readonly #source: string;
  readonly #scope: ExprScope;
  readonly #tokens: Token[] = [];
  #at = 0;
  #depth = 0;

  constructor(source: string, scope: ExprScope) {
    this.#source = source;
    this.#scope = scope;
    this.#lex();
  }

  parse(): Expr {
    const expr = this.#binary(0);
    const rest = this.#peek();
    if (rest.kind !== "EOF") throw this.#unexpected(rest);
    return expr;
  }

  #lex(): void {
    const pattern =
      /\s+|(\d+(?:\.\d+)?)|('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`)|([A-Za-z_$][\w$]*)|(\|\||&&|[=!<>]=|\.\.|[-+*/%<>!?:.,|])|([()[\]{}])/sy;
    while (pattern.lastIndex < this.#source.length) {
      const at = pattern.lastIndex;
      const match = pattern.exec(this.#source);
      if (match === null)
        throw this.#fail(`unrecognized character: ${JSON.stringify(this.#source[at])}`, at);
      const [text, number, string, name, operator] = match;
      if (/^\s/.test(text)) continue;
      const kind =
        number !== undefined
          ? "Number"
          : string !== undefined
            ? "String"
            : name !== undefined
              ? words.has(name)
                ? "Operator"
                : "Identifier"
              : operator !== undefined
                ? "Operator"
                : "Bracket";
      this.#tokens.push({ kind, text, at });
    }
    this.#tokens.push({ kind: "EOF", text: "", at: Math.max(0, this.#source.length - 1) });
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: "EOF", text: "", at: 0 };
  }

  #next(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }

  #expect(text: string): void {
    const token = this.#next();
    if (token.text !== text) throw this.#unexpected(token);
  }

  #fail(message: string, at: number): ExprFailure {
    const before = this.#source.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n") - 1;
    const text = this.#source.split("\n")[line - 1] ?? "";
    return new ExprFailure(
      `${message} (${line}:${column + 1})\n | ${text}\n | ${".".repeat(column)}^`,
    );
  }

  #unexpected(token: Token): ExprFailure {
    const shown = token.kind === "EOF" ? "EOF" : `${token.kind}(${JSON.stringify(token.text)})`;
    return this.#fail(`unexpected token ${shown}`, token.at);
  }

  #binary(minimum: number): Expr {
    if (++this.#depth > maxDepth)
      throw this.#fail("expression is nested too deeply", this.#peek().at);
    let left = this.#unary();
    for (;;) {
      const token = this.#peek();
      const negated =
        token.text === "not" && precedence[this.#tokens[this.#at + 1]?.text ?? ""] === 20;
      const operator = negated ? (this.#tokens[this.#at + 1]?.text ?? "") : token.text;
      const level = token.kind === "Operator" ? precedence[operator] : undefined;
      if (level === undefined || level < minimum) break;
      this.#at += negated ? 2 : 1;
      const right = this.#binary(level + 1);
      const made = this.#operation(operator, left, right, token.at);
      left = negated ? { type: "bool", run: (values) => made.run(values) !== true } : made;
    }
    this.#depth--;
    return left;
  }

  #unary(): Expr {
    const token = this.#peek();
    if (token.kind === "Operator" && (token.text === "not" || token.text === "!")) {
      this.#at++;
      const inner = this.#binary(50);
      if (inner.type !== "bool" && inner.type !== "any") {
        throw this.#fail(
          `invalid operation: ${token.text} (mismatched type ${inner.type})`,
          token.at,
        );
      }
      return { type: "bool", run: (values) => truth(inner.run(values)) !== true };
    }
    if (token.kind === "Operator" && (token.text === "-" || token.text === "+")) {
      this.#at++;
      const inner = this.#binary(90);
      const sign = token.text === "-" ? -1 : 1;
      return { type: "int", run: (values) => sign * number(inner.run(values)) };
    }
    return this.#postfix(this.#primary());
  }

  #primary(): Expr {
    const token = this.#next();
    if (token.text === "(") {
      const inner = this.#binary(0);
      this.#expect(")");
      return inner;
    }
    if (token.text === "[") return this.#list();
    if (token.kind === "Number") return constant("int", Number(token.text));
    if (token.kind === "String") return constant("string", unquote(token.text));
    if (token.kind !== "Identifier") throw this.#unexpected(token);
    if (token.text === "true" || token.text === "false")
      return constant("bool", token.text === "true");
    if (token.text === "nil") return constant("any", undefined);
    if (this.#peek().text === "(") return this.#call(token);
    const type = this.#scope.variables.get(token.text);
    if (type === undefined) {
      if (this.#peek().kind !== "EOF" && this.#peek().kind !== "Operator")
        throw this.#unexpected(this.#peek());
      throw this.#fail(`unknown name ${token.text}`, token.at);
    }
    return { type, run: (values) => values.variables.get(token.text) };
  }

  #list(): Expr {
    const items = this.#arguments("]");
    return { type: "list", run: (values) => items.map((item) => item.run(values)) };
  }

  #arguments(close: string): Expr[] {
    const items: Expr[] = [];
    if (this.#peek().text !== close) {
      do items.push(this.#binary(0));
      while (this.#peek().text === "," && this.#next() !== undefined);
    }
    this.#expect(close);
    return items;
  }

  #call(name: Token): Expr {
    const known = this.#scope.functions.get(name.text) ?? exprBuiltins.get(name.text);
    if (known === undefined) throw this.#fail(`unknown name ${name.text}`, name.at);
    this.#next();
    const args = this.#arguments(")");
    return {
      type: known,
      run: (values) => {
        const list = args.map((arg) => arg.run(values));
        const custom = values.functions.get(name.text);
        return custom === undefined ? builtin(name.text, list) : custom(...list);
      },
    };
  }

  #postfix(base: Expr): Expr {
    let expr = base;
    while (this.#peek().text === "[") {
      this.#next();
      const index = this.#binary(0);
      this.#expect("]");
      const list = expr;
      expr = { type: "any", run: (values) => element(list.run(values), index.run(values)) };
    }
    return expr;
  }

  #operation(operator: string, left: Expr, right: Expr, at: number): Expr {
    const mismatch = (): ExprFailure =>
      this.#fail(
        `invalid operation: ${operator} (mismatched types ${left.type} and ${right.type})`,
        at,
      );
    const both = (...types: readonly ExprType[]): boolean =>
      [left, right].every((side) => side.type === "any" || types.includes(side.type)) &&
      (left.type === right.type || left.type === "any" || right.type === "any");
    const make = (type: ExprType, run: (a: ExprValue, b: ExprValue) => ExprValue): Expr => ({
      type,
      run: (values) => run(left.run(values), right.run(values)),
    });
    switch (operator) {
      case "and":
      case "&&":
        if (!both("bool")) throw mismatch();
        return {
          type: "bool",
          run: (values) => truth(left.run(values)) && truth(right.run(values)),
        };
      case "or":
      case "||":
        if (!both("bool")) throw mismatch();
        return {
          type: "bool",
          run: (values) => truth(left.run(values)) || truth(right.run(values)),
        };
      case "==":
        if (!both("int", "string", "bool", "list")) throw mismatch();
        return make("bool", (a, b) => JSON.stringify(a) === JSON.stringify(b));
      case "!=":
        if (!both("int", "string", "bool", "list")) throw mismatch();
        return make("bool", (a, b) => JSON.stringify(a) !== JSON.stringify(b));
      case "<":
      case ">":
      case "<=":
      case ">=":
        if (!both("int", "string")) throw mismatch();
        return make("bool", (a, b) => compare(operator, a, b));
      case "+":
        if (!both("int", "string")) throw mismatch();
        return make(left.type === "any" ? right.type : left.type, add);
      case "-":
      case "*":
      case "/":
      case "%":
        if (!both("int")) throw mismatch();
        return make("int", (a, b) => arithmetic(operator, number(a), number(b)));
      case "in":
        return make("bool", (a, b) => Array.isArray(b) && b.includes(a));
      case "matches":
        return this.#matches(left, right, at);
      case "contains":
        return make("bool", (a, b) => text(a).includes(text(b)));
      case "startsWith":
        return make("bool", (a, b) => text(a).startsWith(text(b)));
      case "endsWith":
        return make("bool", (a, b) => text(a).endsWith(text(b)));
      default:
        throw this.#fail(`unsupported operator ${operator}`, at);
    }
  }

  #matches(left: Expr, right: Expr, at: number): Expr {
    if (
      (left.type !== "string" && left.type !== "any") ||
      (right.type !== "string" && right.type !== "any")
    ) {
      throw this.#fail(
        `invalid operation: matches (mismatched types ${left.type} and ${right.type})`,
        at,
      );
    }
    return {
      type: "bool",
      run: (values) => {
        const regex = compileRegexp(text(right.run(values)));
        if (typeof regex === "string") throw new ExprFailure(regex);
        return regex.test(text(left.run(values)));
      },
    };
  }
}

function constant(type: ExprType, value: ExprValue): Expr {
  return { type, run: () => value };
}

function unquote(source: string): string {
  if (source.startsWith("`")) return source.slice(1, -1);
  const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
  return source.slice(1, -1).replaceAll(/\\(.)/gs, (_, char: string) => escapes[char] ?? char);
}

function truth(value: ExprValue): boolean {
  if (typeof value !== "boolean") throw new ExprFailure("not a bool");
  return value;
}

function number(value: ExprValue): number {
  if (typeof value !== "number") throw new ExprFailure("not a number");
  return value;
}

function text(value: ExprValue): string {
  if (typeof value !== "string") throw new ExprFailure("not a string");
  return value;
}

function add(a: ExprValue, b: ExprValue): ExprValue {
  if (typeof a === "string" && typeof b === "string") return a + b;
  return number(a) + number(b);
}

function compare(operator: string, a: ExprValue, b: ExprValue): boolean {
  const [left, right] = typeof a === "string" ? [a, text(b)] : [number(a), number(b)];
  if (operator === "<") return left < right;
  if (operator === ">") return left > right;
  return operator === "<=" ? left <= right : left >= right;
}

function arithmetic(operator: string, a: number, b: number): number {
  if (operator === "-") return a - b;
  if (operator === "*") return a * b;
  if (b === 0) throw new ExprFailure("integer divide by zero");
  return operator === "/" ? a / b : a % b;
}

function element(list: ExprValue, index: ExprValue): ExprValue {
  if (!Array.isArray(list)) throw new ExprFailure("not a list");
  const at = number(index);
  const value: ExprValue = list[at < 0 ? list.length + at : at];
  if (value === undefined) throw new ExprFailure("index out of range");
  return value;
}

function builtin(name: string, args: readonly ExprValue[]): ExprValue {
  const [first, second] = args;
  switch (name) {
    case "len":
      return Array.isArray(first) ? first.length : text(first).length;
    case "lower":
      return text(first).toLowerCase();
    case "upper":
      return text(first).toUpperCase();
    case "trim":
      return text(first).trim();
    case "int": {
      const value = Number(first);
      if (!Number.isInteger(value)) throw new ExprFailure("not an int");
      return value;
    }
    case "string":
      return String(first);
    case "hasPrefix":
      return text(first).startsWith(text(second));
    default:
      return text(first).endsWith(text(second));
  }
}
