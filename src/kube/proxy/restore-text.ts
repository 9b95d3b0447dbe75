import { always, type LineOrigin, type RenderedText } from "./rendered-text.js";

/** One table of iptables-restore input: its chains in the order they were named, then its rules. */
export class RestoreTable {
  readonly #name: string;
  readonly #by: LineOrigin["by"];
  readonly #chains: string[] = [];
  readonly #chainOrigins: LineOrigin[] = [];
  readonly #rules: string[] = [];
  readonly #ruleOrigins: LineOrigin[] = [];

  constructor(name: "filter" | "nat" | "mangle", by: LineOrigin["by"] = "kube-proxy") {
    this.#name = name;
    this.#by = by;
  }

  chain(name: string, origin: LineOrigin): void {
    this.#chains.push(`:${name} - [0:0]`);
    this.#chainOrigins.push(origin);
  }

  /** `text` begins with `-A` or `-I`. */
  rule(text: string, origin: LineOrigin): void {
    this.#rules.push(text);
    this.#ruleOrigins.push(origin);
  }

  /** Appends the table's lines, and what each is there for, to two lists of equal length. */
  writeTo(lines: string[], origins: LineOrigin[]): void {
    const frame = always(`the ${this.#name} table`, this.#by);
    lines.push(`*${this.#name}`);
    origins.push(frame);
    for (const chain of this.#chains) lines.push(chain);
    for (const origin of this.#chainOrigins) origins.push(origin);
    for (const rule of this.#rules) lines.push(rule);
    for (const origin of this.#ruleOrigins) origins.push(origin);
    lines.push("COMMIT");
    origins.push(frame);
  }
}

export function restoreText(tables: readonly RestoreTable[]): RenderedText {
  const lines: string[] = [];
  const origins: LineOrigin[] = [];
  for (const table of tables) table.writeTo(lines, origins);
  return { text: `${lines.join("\n")}\n`, origins };
}
