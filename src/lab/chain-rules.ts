import type { ChainRule } from "../core/recording.js";
import type { Simulation } from "../core/simulation.js";
import { rulesetOf } from "../netfilter/iptables/apply.js";
import { ruleText } from "../netfilter/iptables/save.js";
import { isTableName } from "../netfilter/iptables/tables.js";

/**
 * The rules of a chain as they stand now, in whichever of the kernel's two rulesets has some; none for a chain that is
 * not there. A rule's text is written when somebody reads it: chains may be long.
 */
export function chainRules(
  sim: Simulation,
  ns: string,
  table: string,
  chain: string,
): readonly ChainRule[] {
  const found = sim.namespaces.get(ns);
  if (found === undefined || !isTableName(table)) return [];
  const ruleset = [rulesetOf(found), rulesetOf(found, "ipv4", "legacy")].find(
    ({ tables }) => (tables.get(table)?.chains.get(chain)?.rules.length ?? 0) > 0,
  );
  return (ruleset?.tables.get(table)?.chains.get(chain)?.rules ?? []).map((rule, index) => ({
    number: index + 1,
    get text() {
      return ruleText(chain, rule, ruleset?.variant ?? "nft");
    },
    place: rule.spec.place,
    packets: rule.packets,
  }));
}

/** The same of a world in which nothing happens any more: each chain is listed once. */
export function chainsAtRest(
  sim: Simulation,
): (ns: string, table: string, chain: string) => readonly ChainRule[] {
  const known = new Map<string, readonly ChainRule[]>();
  return (ns, table, chain) => {
    const key = `${ns} ${table} ${chain}`;
    const rules = known.get(key) ?? chainRules(sim, ns, table, chain);
    known.set(key, rules);
    return rules;
  };
}
