import type { ExtensionInfo, Match } from "./extension.js";
import { quoteText, type Word } from "./words.js";

/** A match that neither hopwise nor the pinned tools know, kept as it was written: `-m geoip --source-country DE`. */
export function opaqueMatch(name: string, words: readonly Word[]): Match {
  const extension: ExtensionInfo = {
    name,
    family: undefined,
    mirrors: "",
    fidelity: "unmodelled",
    examples: [],
    options: [],
    byName: new Map(),
    missingInKernel: false,
  };
  const match: Match = {
    extension,
    text: words.map(({ text, quoted }) => (quoted ? quoteText(text) : text)).join(" "),
    tracks: false,
    defragments: false,
    proxies: false,
    refuses: () => undefined,
    matches: () => "unknown",
    why: () => "",
    fresh: () => match,
    isPure: false,
    destinationPorts: undefined,
    vanishesInNft: false,
    merge: () => undefined,
    nftText: () => undefined,
  };
  return match;
}
