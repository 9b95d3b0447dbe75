import type { RuleFamily } from "./addresses.js";
import type { ExtensionInfo, MatchExtension, TargetExtension } from "./extension.js";
import { matches } from "./matches/index.js";
import { targets } from "./targets/index.js";

function indexOf<T extends ExtensionInfo>(
  extensions: readonly T[],
  family: RuleFamily,
): ReadonlyMap<string, T> {
  const own = extensions.filter(
    (extension) => extension.family === undefined || extension.family === family,
  );
  return new Map(own.map((extension) => [extension.name, extension]));
}

const matchIndex = { ipv4: indexOf(matches, "ipv4"), ipv6: indexOf(matches, "ipv6") };
const targetIndex = { ipv4: indexOf(targets, "ipv4"), ipv6: indexOf(targets, "ipv6") };

/** The match of that name, under its aliases too. Mirrors libxtables/xtables.c:xtables_find_match(). */
export function findMatch(name: string, family: RuleFamily): MatchExtension | undefined {
  return matchIndex[family].get(["icmpv6", "ipv6-icmp"].includes(name) ? "icmp6" : name);
}

export function findTarget(name: string, family: RuleFamily): TargetExtension | undefined {
  return targetIndex[family].get(name);
}

export function matchNames(family: RuleFamily): Iterable<string> {
  return matchIndex[family].keys();
}

/** Whether it is a match of either family. */
export function isMatchName(name: string): boolean {
  return matchIndex.ipv4.has(name) || matchIndex.ipv6.has(name);
}
