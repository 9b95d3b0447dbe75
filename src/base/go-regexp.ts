import { parseRegexp, RegexpSyntaxError, type RegexpNode } from "./go-regexp-syntax.js";

/** What a regular expression found: the groups by number (0 is the whole) and by name. Groups that took no part are "". */
export interface RegexpMatch {
  readonly groups: readonly string[];
  readonly named: Readonly<Record<string, string>>;
}

type Instruction =
  | { readonly op: "char"; readonly test: (code: number) => boolean }
  | { op: "split"; first: number; second: number }
  | { op: "jump"; to: number }
  | { readonly op: "save"; readonly slot: number }
  | {
      readonly op: "assert";
      readonly kind: "begin" | "end" | "line-begin" | "line-end" | "boundary" | "no-boundary";
    }
  | { readonly op: "match" };

/** More steps than this in one pattern are refused, as RE2 refuses patterns that are too large. */
const maxProgram = 10_000;

/** Compiles a Go regular expression, or says why it is none, in Go's words. */
export function compileRegexp(source: string): GoRegexp | string {
  try {
    return new GoRegexp(source);
  } catch (error) {
    if (error instanceof RegexpSyntaxError) return `error parsing regexp: ${error.message}`;
    throw error;
  }
}

/**
 * A regular expression that takes time linear in the text: all ways through the pattern are walked at once, the first in
 * the pattern's order wins. Mirrors Go's regexp (RE2 syntax, leftmost-first).
 */
export class GoRegexp {
  readonly source: string;
  /** Capturing groups, the whole match not counted. */
  readonly groupCount: number;
  readonly #names: readonly (string | undefined)[];
  readonly #program: Instruction[] = [];

  constructor(source: string) {
    const { node, names } = parseRegexp(source);
    this.source = source;
    this.groupCount = names.length;
    this.#names = names;
    this.#emit({ op: "save", slot: 0 });
    this.#compile(node);
    this.#emit({ op: "save", slot: 1 });
    this.#emit({ op: "match" });
  }

  test(text: string): boolean {
    return this.exec(text) !== undefined;
  }

  /** The leftmost match anywhere in the text. */
  exec(text: string): RegexpMatch | undefined {
    const slots = this.#run(text);
    if (slots === undefined) return undefined;
    const groups = Array.from({ length: this.groupCount + 1 }, (_, group) => {
      const [start = -1, end = -1] = slots.slice(2 * group, 2 * group + 2);
      return start < 0 || end < 0 ? "" : text.slice(start, end);
    });
    const named: Record<string, string> = {};
    for (const [at, name] of this.#names.entries())
      if (name !== undefined) named[name] = groups[at + 1] ?? "";
    return { groups, named };
  }

  #emit(instruction: Instruction): number {
    if (this.#program.length >= maxProgram) throw new RegexpSyntaxError("expression too large");
    return this.#program.push(instruction) - 1;
  }

  #compile(node: RegexpNode): void {
    switch (node.kind) {
      case "empty":
        return;
      case "char":
        this.#emit({ op: "char", test: node.test });
        return;
      case "assert":
        this.#emit({ op: "assert", kind: node.assertion });
        return;
      case "group":
        this.#emit({ op: "save", slot: 2 * node.number });
        this.#compile(node.node);
        this.#emit({ op: "save", slot: 2 * node.number + 1 });
        return;
      case "sequence":
        for (const part of node.parts) this.#compile(part);
        return;
      case "either":
        return this.#either(node.parts);
      case "repeat":
        return this.#repeat(node);
    }
  }

  #either(parts: readonly RegexpNode[]): void {
    const ends: { op: "jump"; to: number }[] = [];
    for (const [at, part] of parts.entries()) {
      if (at === parts.length - 1) {
        this.#compile(part);
        break;
      }
      const split = { op: "split" as const, first: 0, second: 0 };
      split.first = this.#emit(split) + 1;
      this.#compile(part);
      const end = { op: "jump" as const, to: 0 };
      this.#emit(end);
      ends.push(end);
      split.second = this.#program.length;
    }
    for (const end of ends) end.to = this.#program.length;
  }

  #repeat(node: Extract<RegexpNode, { kind: "repeat" }>): void {
    for (let count = 0; count < node.min; count++) this.#compile(node.node);
    if (node.max === undefined) {
      const split = { op: "split" as const, first: 0, second: 0 };
      const start = this.#emit(split);
      this.#compile(node.node);
      this.#emit({ op: "jump", to: start });
      this.#branch(split, start + 1, this.#program.length, node.lazy);
      return;
    }
    const splits: { split: { op: "split"; first: number; second: number }; at: number }[] = [];
    for (let count = node.min; count < node.max; count++) {
      const split = { op: "split" as const, first: 0, second: 0 };
      splits.push({ split, at: this.#emit(split) });
      this.#compile(node.node);
    }
    for (const { split, at } of splits)
      this.#branch(split, at + 1, this.#program.length, node.lazy);
  }

  #branch(
    split: { first: number; second: number },
    inside: number,
    past: number,
    lazy: boolean,
  ): void {
    split.first = lazy ? past : inside;
    split.second = lazy ? inside : past;
  }

  /** Walks all threads over the text, one character at a time. */
  #run(text: string): readonly number[] | undefined {
    let current = new ThreadList(this.#program.length);
    let next = new ThreadList(this.#program.length);
    let found: readonly number[] | undefined;
    const empty = Array.from({ length: 2 * (this.groupCount + 1) }, () => -1);
    for (let at = 0; ;) {
      if (found === undefined) this.#add(current, 0, empty, text, at);
      if (current.threads.length === 0 && found !== undefined) break;
      const code = text.codePointAt(at);
      const width = code !== undefined && code > 0xffff ? 2 : 1;
      for (const { pc, slots } of current.threads) {
        const instruction = this.#program[pc];
        if (instruction?.op === "match") {
          found = slots;
          break;
        }
        if (instruction?.op === "char" && code !== undefined && instruction.test(code)) {
          this.#add(next, pc + 1, slots, text, at + width);
        }
      }
      [current, next] = [next, current];
      next.clear();
      if (code === undefined) break;
      at += width;
    }
    return found;
  }

  /** Follows what consumes nothing; threads are kept in the order of preference, each place once. */
  #add(list: ThreadList, start: number, slots: readonly number[], text: string, at: number): void {
    const stack: { pc: number; slots: readonly number[] }[] = [{ pc: start, slots }];
    for (let thread = stack.pop(); thread !== undefined; thread = stack.pop()) {
      const { pc } = thread;
      if (!list.claim(pc)) continue;
      const instruction = this.#program[pc];
      switch (instruction?.op) {
        case "jump":
          stack.push({ pc: instruction.to, slots: thread.slots });
          break;
        case "split":
          stack.push(
            { pc: instruction.second, slots: thread.slots },
            { pc: instruction.first, slots: thread.slots },
          );
          break;
        case "save": {
          const changed = [...thread.slots];
          changed[instruction.slot] = at;
          stack.push({ pc: pc + 1, slots: changed });
          break;
        }
        case "assert":
          if (holds(instruction.kind, text, at)) stack.push({ pc: pc + 1, slots: thread.slots });
          break;
        case "char":
        case "match":
          list.threads.push(thread);
          break;
        default:
          break;
      }
    }
  }
}

class ThreadList {
  readonly threads: { readonly pc: number; readonly slots: readonly number[] }[] = [];
  readonly #seen: Uint8Array;

  constructor(size: number) {
    this.#seen = new Uint8Array(size);
  }

  claim(pc: number): boolean {
    if (this.#seen[pc] === 1) return false;
    this.#seen[pc] = 1;
    return true;
  }

  clear(): void {
    this.threads.length = 0;
    this.#seen.fill(0);
  }
}

function holds(kind: string, text: string, at: number): boolean {
  switch (kind) {
    case "begin":
      return at === 0;
    case "end":
      return at === text.length;
    case "line-begin":
      return at === 0 || text[at - 1] === "\n";
    case "line-end":
      return at === text.length || text[at] === "\n";
    default: {
      const boundary = isWord(text[at - 1]) !== isWord(text[at]);
      return kind === "boundary" ? boundary : !boundary;
    }
  }
}

function isWord(char: string | undefined): boolean {
  return char !== undefined && /[0-9A-Za-z_]/.test(char);
}
