import { always, joinTexts, type LineOrigin, type RenderedText } from "./rendered-text.js";

/** So many lines are joined at once: what they were made of can be forgotten early. */
const BATCH = 256;

/** Lines that become one text. */
class Lines {
  #text = "";
  #batch: string[] = [];
  readonly origins: LineOrigin[] = [];

  add(line: string, origin: LineOrigin): void {
    this.origins.push(origin);
    if (this.#batch.push(line) < BATCH) return;
    this.#text += `${this.#batch.join("\n")}\n`;
    this.#batch = [];
  }

  get text(): string {
    return this.#batch.length === 0 ? this.#text : `${this.#text}${this.#batch.join("\n")}\n`;
  }
}

/** One table of iptables-restore input: its chains in the order they were named, then its rules. */
export class RestoreTable {
  readonly #name: string;
  readonly #by: LineOrigin["by"];
  readonly #chains = new Lines();
  readonly #rules = new Lines();

  constructor(name: "filter" | "nat" | "mangle", by: LineOrigin["by"] = "kube-proxy") {
    this.#name = name;
    this.#by = by;
  }

  chain(name: string, origin: LineOrigin): void {
    this.#chains.add(`:${name} - [0:0]`, origin);
  }

  /** `text` begins with `-A` or `-I`. */
  rule(text: string, origin: LineOrigin): void {
    this.#rules.add(text, origin);
  }

  /** The table's lines, and what each is there for. */
  written(): RenderedText {
    const frame = always(`the ${this.#name} table`, this.#by);
    return {
      text: `*${this.#name}\n${this.#chains.text}${this.#rules.text}COMMIT\n`,
      origins: [frame].concat(this.#chains.origins, this.#rules.origins, frame),
    };
  }
}

export function restoreText(tables: readonly RestoreTable[]): RenderedText {
  return joinTexts(tables.map((table) => table.written()));
}
