import { chainKey, type CniHost } from "./host.js";

/**
 * What a plugin changes in one table, handed to `iptables-restore --noflush` as one text. A rule that is there already is
 * not added again; `-C` before `-A` in the real plugins. Mirrors github.com/containernetworking/plugins/pkg/utils/iptables.go.
 */
export class IptablesChanges {
  readonly #host: CniHost;
  readonly #table: string;
  readonly #family: 4 | 6;
  readonly #made: string[] = [];
  readonly #lines: string[] = [];

  constructor(host: CniHost, table: "nat" | "filter", family: 4 | 6 = 4) {
    this.#host = host;
    this.#table = table;
    this.#family = family;
  }

  /** Makes a chain, unless there is one of that name. */
  ensureChain(chain: string): void {
    if (this.#rules(chain) !== undefined) return;
    this.#host.chains.set(this.#key(chain), []);
    this.#made.push(`:${chain} - [0:0]`);
  }

  /** Adds a rule at the end of a chain, or at its start, unless it is there. */
  ensureRule(chain: string, rule: string, at: "start" | "end" = "end"): void {
    const rules = this.#rules(chain) ?? [];
    if (rules.includes(rule)) return;
    if (at === "end") rules.push(rule);
    else rules.unshift(rule);
    this.#lines.push(at === "end" ? `-A ${chain} ${rule}` : `-I ${chain} 1 ${rule}`);
  }

  /** Takes every rule out of `chain` that `matches`. */
  deleteRules(chain: string, matches: (rule: string) => boolean): void {
    const rules = this.#rules(chain);
    if (rules === undefined) return;
    for (const rule of rules.filter(matches)) {
      rules.splice(rules.indexOf(rule), 1);
      this.#lines.push(`-D ${chain} ${rule}`);
    }
  }

  /** Flushes and deletes a chain, if there is one. */
  deleteChain(chain: string): void {
    if (!this.#host.chains.delete(this.#key(chain))) return;
    this.#lines.push(`-F ${chain}`, `-X ${chain}`);
  }

  /** Writes the command down. Nothing changed, nothing is written. */
  commit(name: string): void {
    const lines = [...this.#made.splice(0), ...this.#lines.splice(0)];
    if (lines.length === 0) return;
    const stdin = [`*${this.#table}`, ...lines, "COMMIT", ""].join("\n");
    this.#host.commands.push({
      ns: this.#host.ns,
      argv: [this.#family === 4 ? "iptables-restore" : "ip6tables-restore", "--noflush"],
      stdin,
      stdinName: `(${name})`,
    });
  }

  #rules(chain: string): string[] | undefined {
    return this.#host.chain(this.#table, chain, this.#family);
  }

  #key(chain: string): string {
    return chainKey(this.#table, chain, this.#family);
  }
}

/** A comment's text as iptables-save quotes it. */
export function quoteComment(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
