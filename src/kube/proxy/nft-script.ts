import type { IpFamily } from "./addresses.js";
import type { LineOrigin, RenderedText } from "./rendered-text.js";

/** Commands for `nft -f` on the table kube-proxy of one family. */
export class NftScript {
  readonly #table: string;
  readonly #lines: string[] = [];
  readonly #origins: LineOrigin[] = [];
  /** Elements that stand in a set already: services may share endpoints and addresses. */
  readonly #elements = new Set<string>();

  constructor(family: IpFamily) {
    this.#table = `${family === 4 ? "ip" : "ip6"} kube-proxy`;
  }

  table(comment: string, origin: LineOrigin): void {
    this.#add(`add table ${this.#table} { comment "${comment}" ; }`, origin);
  }

  /** `body` is what stands between the braces: a type, and perhaps more. */
  set(kind: "set" | "map", name: string, body: string, origin: LineOrigin): void {
    this.#add(`add ${kind} ${this.#table} ${name} { ${body} ; }`, origin);
  }

  /** `body` is a hook or a comment; a plain chain has none. */
  chain(name: string, origin: LineOrigin, body?: string): void {
    this.#add(
      `add chain ${this.#table} ${name}${body === undefined ? "" : ` { ${body} ; }`}`,
      origin,
    );
  }

  rule(chain: string, text: string, origin: LineOrigin): void {
    this.#add(`add rule ${this.#table} ${chain} ${text}`, origin);
  }

  element(set: string, text: string, origin: LineOrigin): void {
    const line = `add element ${this.#table} ${set} { ${text} }`;
    if (this.#elements.has(line)) return;
    this.#elements.add(line);
    this.#add(line, origin);
  }

  rendered(): RenderedText {
    return { text: `${this.#lines.join("\n")}\n`, origins: this.#origins };
  }

  #add(line: string, origin: LineOrigin): void {
    this.#lines.push(line);
    this.#origins.push(origin);
  }
}
