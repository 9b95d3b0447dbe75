import type { Match, ProtocolTest } from "./extension.js";

/** More different ones than this are not remembered. */
const MAX_KNOWN = 4_096;

/** A module whose matches were new so often in a row is not asked about again: `-m multiport` with a list for each client. */
const MAX_NEW = 512;

/** Matches that lines of one text have in common, `-m tcp --dport 80`: rules share those that remember nothing. */
export class KnownMatches {
  readonly #byText = new Map<string, Match>();
  /** By module, how many were new since one was not. */
  readonly #new = new Map<string, number>();

  /** Whether asking has been worth the while. */
  has(name: string): boolean {
    return (this.#new.get(name) ?? 0) < MAX_NEW;
  }

  get(name: string, key: string): Match | undefined {
    const found = this.#byText.get(key);
    this.#new.set(name, found === undefined ? (this.#new.get(name) ?? 0) + 1 : 0);
    return found;
  }

  add(key: string, match: Match): void {
    if (match.isPure && this.#byText.size < MAX_KNOWN) this.#byText.set(key, match);
  }
}

/** What tells a match from others: all that its module may look at. */
export function matchKey(name: string, words: string, protocol: ProtocolTest | undefined): string {
  return `${name}${words} ${protocol === undefined ? "" : protocol.number}${protocol?.invert === true ? "!" : ""}`;
}
