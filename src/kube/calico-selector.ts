/*
 * Calico's selectors of labels:
 *
 *   or    = and ("||" and)*
 *   and   = one ("&&" one)*
 *   one   = "!" one | "(" or ")" | "all()" | "global()" | "has(" label ")" | label operator
 *   operator = "==" text | "!=" text | ("in" | "not in") "{" texts "}" | ("contains" | "starts with" | "ends with") text
 */

/** Whether labels fit. */
export type LabelTest = (labels: Readonly<Record<string, string>>) => boolean;

/** What is wrong with a selector, and where, counted from 0. */
export interface SelectorMistake {
  readonly message: string;
  readonly at: number;
}

/** Longer selectors, and deeper nested ones, are refused. */
const MAX_LENGTH = 4096;
const MAX_DEPTH = 50;

/**
 * Reads a selector; an empty one selects everything. Mirrors libcalico-go/lib/selector/parser/parser.go:Parse(): what has no such
 * label is selected by `!=` and `not in`.
 */
export function parseCalicoSelector(text: string): LabelTest | SelectorMistake {
  if (text.length > MAX_LENGTH)
    return { message: `longer than ${MAX_LENGTH} characters`, at: MAX_LENGTH };
  if (text.trim() === "") return () => true;
  return new SelectorReader(text).read();
}

class Mistake extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

class SelectorReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): LabelTest | SelectorMistake {
    try {
      const test = this.#or(0);
      this.#skip();
      if (this.#at < this.#text.length) this.#fail("expected && or ||");
      return test;
    } catch (error) {
      if (!(error instanceof Mistake)) throw error;
      return { message: error.message, at: error.at };
    }
  }

  #or(depth: number): LabelTest {
    if (depth > MAX_DEPTH) this.#fail(`nested deeper than ${MAX_DEPTH}`);
    const tests = [this.#and(depth)];
    while (this.#take(/\|\|/y) !== undefined) tests.push(this.#and(depth));
    return (labels) => tests.some((test) => test(labels));
  }

  #and(depth: number): LabelTest {
    const tests = [this.#one(depth)];
    while (this.#take(/&&/y) !== undefined) tests.push(this.#one(depth));
    return (labels) => tests.every((test) => test(labels));
  }

  #one(depth: number): LabelTest {
    if (depth > MAX_DEPTH) this.#fail(`nested deeper than ${MAX_DEPTH}`);
    if (this.#take(/!/y) !== undefined) {
      const test = this.#one(depth + 1);
      return (labels) => !test(labels);
    }
    if (this.#take(/\(/y) !== undefined) {
      const test = this.#or(depth + 1);
      this.#want(/\)/y, ")");
      return test;
    }
    if (this.#take(/(?:all|global)\(\s*\)/y) !== undefined) return () => true;
    const asked = this.#take(/has\(\s*[\w./-]+\s*\)/y);
    if (asked !== undefined) {
      const label = asked.slice(asked.indexOf("(") + 1, -1).trim();
      return (labels) => Object.hasOwn(labels, label);
    }
    return this.#comparison(this.#want(/[\w./-]+/y, "a label"));
  }

  #comparison(label: string): LabelTest {
    const valueOf = (labels: Readonly<Record<string, string>>): string | undefined =>
      Object.hasOwn(labels, label) ? labels[label] : undefined;
    const operator = this.#want(
      /==|!=|not\s+in\b|in\b|contains\b|starts\s+with\b|ends\s+with\b/y,
      "an operator",
    ).replace(/\s+/g, " ");
    if (operator === "in" || operator === "not in") {
      const values = new Set(this.#set());
      const isIn: LabelTest = (labels) => {
        const value = valueOf(labels);
        return value !== undefined && values.has(value);
      };
      return operator === "in" ? isIn : (labels) => !isIn(labels);
    }
    const value = this.#string();
    switch (operator) {
      case "==":
        return (labels) => valueOf(labels) === value;
      case "!=":
        return (labels) => valueOf(labels) !== value;
      case "contains":
        return (labels) => valueOf(labels)?.includes(value) === true;
      case "starts with":
        return (labels) => valueOf(labels)?.startsWith(value) === true;
      default:
        return (labels) => valueOf(labels)?.endsWith(value) === true;
    }
  }

  #set(): readonly string[] {
    this.#want(/\{/y, "{");
    if (this.#take(/\}/y) !== undefined) return [];
    const values = [this.#string()];
    while (this.#take(/,/y) !== undefined) values.push(this.#string());
    this.#want(/\}/y, "}");
    return values;
  }

  #string(): string {
    return this.#want(/'[^']*'|"[^"]*"/y, "a text in quotes").slice(1, -1);
  }

  #want(pattern: RegExp, what: string): string {
    return this.#take(pattern) ?? this.#fail(`expected ${what}`);
  }

  #take(pattern: RegExp): string | undefined {
    this.#skip();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #skip(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  #fail(message: string): never {
    throw new Mistake(message, this.#at);
  }
}
