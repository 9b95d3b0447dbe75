/** The part of Go's text/template that record templates use: fields, calls, pipes, `if`. */

export type TemplateValue =
  | string
  | number
  | boolean
  | undefined
  | readonly TemplateValue[]
  | TemplateMap
  | TemplateFunction;
export interface TemplateMap {
  readonly [key: string]: TemplateValue;
}
export type TemplateFunction = (...args: readonly TemplateValue[]) => TemplateValue;

/** A template that was read. `run` throws `TemplateFailure`. */
export interface Template {
  run(data: TemplateMap): string;
}

export class TemplateFailure extends Error {
  override readonly name = "TemplateFailure";
}

type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly pipe: Pipe; readonly text: string; readonly at: number }
  | {
      readonly kind: "if";
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

type Pipe = readonly Command[];
type Command = readonly Operand[];
type Operand =
  | { readonly kind: "value"; readonly value: TemplateValue }
  | { readonly kind: "field"; readonly path: readonly string[] }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "pipe"; readonly pipe: Pipe; readonly path: readonly string[] };

const functions: Readonly<Record<string, TemplateFunction>> = {
  index: (list, ...keys) => keys.reduce<TemplateValue>((value, key) => elementOf(value, key), list),
  len: (value) => (Array.isArray(value) ? value.length : shown(value).length),
  print: (...args) => args.map(shown).join(""),
  printf: (format, ...args) => printf(shown(format), args),
  eq: (first, ...rest) => rest.some((value) => value === first),
  ne: (a, b) => a !== b,
  lt: (a, b) => Number(a) < Number(b),
  le: (a, b) => Number(a) <= Number(b),
  gt: (a, b) => Number(a) > Number(b),
  ge: (a, b) => Number(a) >= Number(b),
  and: (...args) => args.find((value) => !isTrue(value)) ?? args.at(-1),
  or: (...args) => args.find(isTrue) ?? args.at(-1),
  not: (value) => !isTrue(value),
  parseInt: (text, base, bits) => parseIntGo(text, base, bits),
};

/** Reads a template; `name` is what its errors call it. The error is Go's text. */
export function parseTemplate(name: string, source: string): Template | { readonly error: string } {
  try {
    if (source.length > 65_536) return { error: `template: ${name}:1: more than 65536 characters` };
    const nodes = new TemplateParser(source).parse();
    return { run: (data) => render(name, nodes, data) };
  } catch (error) {
    if (error instanceof TemplateFailure) return { error: `template: ${name}:1: ${error.message}` };
    throw error;
  }
}

class TemplateParser {
  readonly #parts: { readonly action: boolean; readonly text: string; readonly at: number }[] = [];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    let rest = source;
    let trim = false;
    for (;;) {
      const open = rest.indexOf("{{");
      let text = open < 0 ? rest : rest.slice(0, open);
      if (trim) text = text.trimStart();
      if (open < 0) {
        this.#parts.push({ action: false, text, at: 0 });
        return;
      }
      const close = rest.indexOf("}}", open);
      if (close < 0) throw new TemplateFailure("unclosed action");
      let inner = rest.slice(open + 2, close);
      if (/^-\s/.test(inner)) {
        text = text.trimEnd();
        inner = inner.slice(1);
      }
      trim = /\s-$/.test(inner);
      if (trim) inner = inner.slice(0, -1);
      const at =
        source.length -
        rest.length +
        open +
        2 +
        (/^-?\s*/.exec(rest.slice(open + 2))?.[0].length ?? 0);
      this.#parts.push({ action: false, text, at: 0 }, { action: true, text: inner.trim(), at });
      rest = rest.slice(close + 2);
    }
  }

  parse(): Node[] {
    const { nodes, end } = this.#list();
    if (end !== undefined) throw new TemplateFailure(`unexpected {{${end}}}`);
    return nodes;
  }

  /** Nodes up to `end` or `else`. */
  #list(): { readonly nodes: Node[]; readonly end: string | undefined } {
    const nodes: Node[] = [];
    for (let part = this.#parts[this.#at++]; part !== undefined; part = this.#parts[this.#at++]) {
      const { text } = part;
      if (!part.action) {
        if (text !== "") nodes.push({ kind: "text", text });
        continue;
      }
      if (text === "end" || text === "else" || text.startsWith("else if "))
        return { nodes, end: text };
      if (text.startsWith("/*")) continue;
      if (text.startsWith("if ")) nodes.push(this.#conditional(text.slice(3)));
      else if (/^(range|with|define|template|block|break|continue)\b|^\$/.test(text)) {
        throw new TemplateFailure(`{{${text.split(" ")[0]}}} is not modelled`);
      } else nodes.push({ kind: "action", pipe: new PipeParser(text).parse(), text, at: part.at });
    }
    return { nodes, end: undefined };
  }

  #conditional(condition: string): Node {
    if (++this.#depth > 100) throw new TemplateFailure("exceeded max nesting");
    const pipe = new PipeParser(condition).parse();
    const then = this.#list();
    let otherwise: Node[] = [];
    if (then.end === undefined) throw new TemplateFailure("unexpected EOF");
    if (then.end.startsWith("else if "))
      otherwise = [this.#conditional(then.end.slice("else if ".length))];
    else if (then.end === "else") {
      const rest = this.#list();
      if (rest.end !== "end") throw new TemplateFailure("unexpected EOF");
      otherwise = rest.nodes;
    }
    this.#depth--;
    return { kind: "if", pipe, body: then.nodes, otherwise };
  }
}

class PipeParser {
  readonly #tokens: string[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#tokens = [...source.matchAll(/"(?:[^"\\]|\\.)*"|`[^`]*`|[()|]|[^\s()|"`]+|["`]/gs)].map(
      (match) => match[0],
    );
    if (this.#tokens.length === 0) throw new TemplateFailure("missing value for command");
  }

  parse(): Pipe {
    const pipe = this.#pipe();
    const rest = this.#tokens[this.#at];
    if (rest !== undefined) throw new TemplateFailure(`unexpected "${rest}" in operand`);
    return pipe;
  }

  #pipe(): Pipe {
    if (++this.#depth > 50) throw new TemplateFailure("exceeded max nesting");
    const commands: Operand[][] = [[]];
    for (
      let token = this.#tokens[this.#at];
      token !== undefined && token !== ")";
      token = this.#tokens[this.#at]
    ) {
      this.#at++;
      if (token === "|") commands.push([]);
      else commands.at(-1)?.push(this.#operand(token));
    }
    this.#depth--;
    if (commands.some((command) => command.length === 0))
      throw new TemplateFailure("missing value for command");
    return commands;
  }

  #operand(token: string): Operand {
    if (token === "(") {
      const pipe = this.#pipe();
      if (this.#tokens[this.#at++] !== ")") throw new TemplateFailure("unclosed left paren");
      const field =
        this.#tokens[this.#at]?.startsWith(".") === true ? this.#tokens[this.#at++] : undefined;
      return { kind: "pipe", pipe, path: field === undefined ? [] : field.slice(1).split(".") };
    }
    if (token.startsWith('"')) return { kind: "value", value: unquote(token) };
    if (token.startsWith("`")) return { kind: "value", value: token.slice(1, -1) };
    if (/^-?\d+$/.test(token)) return { kind: "value", value: Number(token) };
    if (token === "true" || token === "false") return { kind: "value", value: token === "true" };
    if (token === "nil") return { kind: "value", value: undefined };
    if (token === ".") return { kind: "field", path: [] };
    if (/^\.[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(token))
      return { kind: "field", path: token.slice(1).split(".") };
    if (!/^[A-Za-z_]\w*$/.test(token))
      throw new TemplateFailure(`unexpected ${JSON.stringify(token)} in operand`);
    if (!Object.hasOwn(functions, token))
      throw new TemplateFailure(`function "${token}" not defined`);
    return { kind: "function", name: token };
  }
}

function unquote(token: string): string {
  const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t" };
  if (token.length < 2) throw new TemplateFailure("unterminated quoted string");
  return token.slice(1, -1).replaceAll(/\\(.)/gs, (_, char: string) => escapes[char] ?? char);
}

function render(name: string, nodes: readonly Node[], data: TemplateMap): string {
  return nodes
    .map((node) => {
      switch (node.kind) {
        case "text":
          return node.text;
        case "action":
          return shown(evaluateAction(name, node, data));
        case "if":
          return render(name, isTrue(evaluate(node.pipe, data)) ? node.body : node.otherwise, data);
      }
    })
    .join("");
}

/** A failure tells where the action stands, as Go does. */
function evaluateAction(
  name: string,
  node: Extract<Node, { kind: "action" }>,
  data: TemplateMap,
): TemplateValue {
  try {
    return evaluate(node.pipe, data);
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error;
    throw new TemplateFailure(
      `template: ${name}:1:${node.at}: executing "${name}" at <${node.text}>: ${error.message}`,
    );
  }
}

function evaluate(pipe: Pipe, data: TemplateMap): TemplateValue {
  let value: TemplateValue;
  for (const [at, command] of pipe.entries()) {
    const [head, ...operands] = command;
    if (head === undefined) continue;
    const args = operands.map((operand) => operandValue(operand, data));
    const all = at === 0 ? args : [...args, value];
    value = call(head, all, data);
  }
  return value;
}

function call(head: Operand, args: readonly TemplateValue[], data: TemplateMap): TemplateValue {
  const target = head.kind === "function" ? functions[head.name] : operandValue(head, data);
  if (isFunction(target)) return target(...args);
  if (args.length > 0) throw new TemplateFailure("can't give argument to non-function");
  return target;
}

function operandValue(operand: Operand, data: TemplateMap): TemplateValue {
  switch (operand.kind) {
    case "value":
      return operand.value;
    case "field":
      return operand.path.reduce<TemplateValue>((value, key) => fieldOf(value, key), data);
    case "function":
      return functions[operand.name]?.();
    case "pipe":
      return operand.path.reduce<TemplateValue>(
        (value, key) => fieldOf(value, key),
        evaluate(operand.pipe, data),
      );
  }
}

function isFunction(value: TemplateValue): value is TemplateFunction {
  return typeof value === "function";
}

function isMap(value: TemplateValue): value is TemplateMap {
  return typeof value === "object" && !Array.isArray(value);
}

function fieldOf(value: TemplateValue, key: string): TemplateValue {
  if (!isMap(value)) throw new TemplateFailure(`can't evaluate field ${key}`);
  if (Object.hasOwn(value, key)) return value[key];
  if (Object.hasOwn(value, "\u0000struct"))
    throw new TemplateFailure(`can't evaluate field ${key}`);
  return "";
}

function elementOf(value: TemplateValue, key: TemplateValue): TemplateValue {
  if (isMap(value)) return fieldOf(value, shown(key));
  const at = Number(key);
  if (!Array.isArray(value) || !(at >= 0 && at < value.length)) {
    throw new TemplateFailure(`error calling index: index out of range: ${shown(key)}`);
  }
  const element: TemplateValue = value[at];
  return element;
}

function isTrue(value: TemplateValue): boolean {
  return Array.isArray(value)
    ? value.length > 0
    : value !== undefined && value !== "" && value !== 0 && value !== false;
}

function shown(value: TemplateValue): string {
  if (value === undefined) return "<no value>";
  if (Array.isArray(value)) return `[${value.map(shown).join(" ")}]`;
  return typeof value === "object" || typeof value === "function" ? "" : String(value);
}

function printf(format: string, args: readonly TemplateValue[]): string {
  let at = 0;
  return format
    .slice(0, 4096)
    .replaceAll(/%(0?)(\d{0,3})([sdxXvqc%])/g, (_, zero: string, width: string, verb: string) => {
      if (verb === "%") return "%";
      const value = args[at++];
      const hex = verb === "x" || verb === "X" ? Number(value).toString(16) : shown(value);
      const text = verb === "q" ? JSON.stringify(hex) : verb === "X" ? hex.toUpperCase() : hex;
      return text.padStart(Number(width), zero === "0" ? "0" : " ");
    });
}

function parseIntGo(text: TemplateValue, base: TemplateValue, bits: TemplateValue): number {
  if (typeof text !== "string" || typeof base !== "number" || typeof bits !== "number") {
    throw new TemplateFailure("wrong number of args for parseInt: want 3");
  }
  const value = /^[+-]?[0-9a-z]+$/i.test(text) ? Number.parseInt(text, base) : Number.NaN;
  const digits = text.replace(/^[+-]/, "").toLowerCase();
  const valid =
    !Number.isNaN(value) && [...digits].every((digit) => Number.parseInt(digit, 36) < base);
  if (!valid || value < 0 || value >= 2 ** bits)
    throw new TemplateFailure(`error calling parseInt: parsing "${text}"`);
  return value;
}
