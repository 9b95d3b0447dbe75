import type { ObjectRef } from "./objects.js";

/** Why a line of rule text is there: the objects it was made from, and in words what it does for them. */
export interface LineOrigin {
  /** Empty for what kube-proxy and kubelet write whatever the objects. */
  readonly objects: readonly ObjectRef[];
  readonly why: string;
}

/** Text for a tool's standard input. `origins[n]` belongs to line n + 1 of `text`. */
export interface RenderedText {
  readonly text: string;
  readonly origins: readonly LineOrigin[];
}

/** One table of iptables-restore input: its chains in the order they were named, then its rules. */
export class RestoreTable {
  readonly #name: string;
  readonly #chains: string[] = [];
  readonly #chainOrigins: LineOrigin[] = [];
  readonly #rules: string[] = [];
  readonly #ruleOrigins: LineOrigin[] = [];

  constructor(name: "filter" | "nat" | "mangle") {
    this.#name = name;
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

  lines(): readonly string[] {
    return [`*${this.#name}`, ...this.#chains, ...this.#rules, "COMMIT"];
  }

  origins(): readonly LineOrigin[] {
    const frame: LineOrigin = { objects: [], why: `the ${this.#name} table` };
    return [frame, ...this.#chainOrigins, ...this.#ruleOrigins, frame];
  }
}

export function restoreText(tables: readonly RestoreTable[]): RenderedText {
  return {
    text: `${tables.flatMap((table) => table.lines()).join("\n")}\n`,
    origins: tables.flatMap((table) => table.origins()),
  };
}

/** Something that is there whatever the objects. */
export function always(why: string): LineOrigin {
  return { objects: [], why };
}
