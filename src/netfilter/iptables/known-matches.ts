import type { Match, ProtocolTest } from "./extension.js";

/** More different ones than this are not remembered. */
const MAX_KNOWN = 4_096;

/** Matches that lines of one text have in common, `-m tcp --dport 80`: rules share those that remember nothing. */
export class KnownMatches {
  readonly #byText = new Map<string, Match>();

  get(key: string): Match | undefined {
    return this.#byText.get(key);
  }

  add(key: string, match: Match): void {
    if (match.isPure && this.#byText.size < MAX_KNOWN) this.#byText.set(key, match);
  }
}

/** What tells a match from others: all that its module may look at. */
export function matchKey(name: string, words: string, protocol: ProtocolTest | undefined): string {
  return `${name}${words} ${protocol === undefined ? "" : protocol.number}${protocol?.invert === true ? "!" : ""}`;
}
