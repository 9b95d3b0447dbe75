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
  engine = "iptables",
): readonly ChainRule[] {
  const found = sim.namespaces.get(ns);
  if (found === undefined || !isTableName(table)) return [];
  const family = engine === "ip6tables" ? "ipv6" : "ipv4";
  const ruleset = [rulesetOf(found, family), rulesetOf(found, family, "legacy")].find(
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
): (ns: string, table: string, chain: string, engine?: string) => readonly ChainRule[] {
  const known = new Map<string, readonly ChainRule[]>();
  return (ns, table, chain, engine) => {
    const key = `${engine ?? ""} ${ns} ${table} ${chain}`;
    const rules = known.get(key) ?? chainRules(sim, ns, table, chain, engine);
    known.set(key, rules);
    return rules;
  };
}
