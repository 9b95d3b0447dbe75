import {
  ACCEPT,
  type Hook,
  type HookEntry,
  type HookState,
  type Verdict,
} from "../../core/hooks.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { ipRouteMeHarder } from "../../inet/ip-output.js";
import { ip6RouteMeHarder } from "../../inet/ipv6/output.js";
import type { NetworkHeader } from "../../wire/frame.js";
import {
  releaseConntrack,
  releaseDefrag,
  requireConntrack,
  requireDefrag,
} from "../conntrack/hooks.js";
import { conntrack } from "../conntrack/table.js";
import { ipsets } from "../ipset/sets.js";
import { type NatHook, registerNatLookup } from "../nat/hooks.js";
import { releaseSynproxy, requireSynproxy } from "../synproxy/hook.js";
import type { RuleFamily } from "./addresses.js";
import { CompiledChains } from "./compiled-chain.js";
import { recentUses, setRecentUses } from "./recent-tables.js";
import { allRules, emptyRuleset, type Ruleset } from "./ruleset.js";
import { setsOf } from "./set-use.js";
import { BASE_CHAINS, TABLE_NAMES, type TableName, tablePriority, type Variant } from "./tables.js";
import { walkTable } from "./walk.js";

/** The rules of one family and variant that are in force in a namespace. */
interface Installed {
  ruleset: Ruleset;
  compiled: CompiledChains;
  /** How to take a base chain out of its hook again, by `table hook`. */
  readonly chains: Map<string, () => void>;
  tracks: boolean;
  defragments: boolean;
  proxies: boolean;
}

const installedOf: (ns: NetworkNamespace) => Map<string, Installed> = perNamespace(
  () => new Map<string, Installed>(),
);

function installed(ns: NetworkNamespace, family: RuleFamily, variant: Variant): Installed {
  const all = installedOf(ns);
  const key = `${family} ${variant}`;
  const found = all.get(key) ?? {
    ruleset: emptyRuleset(family, variant),
    compiled: new CompiledChains(),
    chains: new Map<string, () => void>(),
    tracks: false,
    defragments: false,
    proxies: false,
  };
  all.set(key, found);
  return found;
}

/** The rules in force; empty when there are none. Change a copy and apply it. */
export function rulesetOf(
  ns: NetworkNamespace,
  family: RuleFamily = "ipv4",
  variant: Variant = "nft",
): Ruleset {
  return installed(ns, family, variant).ruleset;
}

/** How a ruleset is put in force. */
export interface ApplyOptions {
  /** Tables that the new ruleset does not name stay. */
  readonly noflush?: boolean;
}

/**
 * Puts rules in force at once. Base chains that were there keep their place among equals; new ones come first.
 * A rule that needs connections turns tracking on, the last one's going turns it off.
 */
export function applyRuleset(
  ns: NetworkNamespace,
  ruleset: Ruleset,
  options: ApplyOptions = {},
): void {
  const current = installed(ns, ruleset.family, ruleset.variant);
  const kept =
    options.noflush === true
      ? [...current.ruleset.tables].filter(([name]) => !ruleset.tables.has(name))
      : [];
  const before = current.ruleset;
  current.ruleset = { ...ruleset, tables: new Map([...kept, ...ruleset.tables]) };
  current.compiled = current.compiled.after(before, current.ruleset);
  updateHooks(ns, current);
  updateTracking(ns, current);
  const rules = `${ruleset.family} ${ruleset.variant}`;
  ipsets(ns).setRuleUses(rules, setUses(current.ruleset));
  setRecentUses(ns, rules, recentUses(current.ruleset));
}

/** How often the rules use each ipset. */
function setUses(ruleset: Ruleset): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  for (const { rule } of allRules(ruleset))
    for (const name of setsOf(rule.spec)) uses.set(name, (uses.get(name) ?? 0) + 1);
  return uses;
}

function updateHooks(ns: NetworkNamespace, current: Installed): void {
  for (const name of TABLE_NAMES) {
    for (const hook of BASE_CHAINS[name]) {
      const key = `${name} ${hook}`;
      const wanted = current.ruleset.tables.get(name)?.chains.has(hook) === true;
      const unregister = current.chains.get(key);
      if (wanted && unregister === undefined)
        current.chains.set(key, register(ns, current, name, hook));
      if (wanted || unregister === undefined) continue;
      unregister();
      current.chains.delete(key);
    }
  }
}

function register(
  ns: NetworkNamespace,
  current: Installed,
  name: TableName,
  hook: Hook,
): () => void {
  const { family, variant } = current.ruleset;
  const priority = tablePriority(name, hook, variant);
  const walk = (skb: SkBuff, state: HookState): Verdict => {
    const table = current.ruleset.tables.get(name);
    return table === undefined ? ACCEPT : walkTable(current, table, skb, state);
  };
  if (name === "nat" && isNatHook(hook)) return registerNatLookup(ns, family, hook, walk, priority);
  const run = name === "mangle" && hook === "OUTPUT" ? rerouting(walk) : walk;
  const entry: HookEntry = { name, hook, priority, run };
  ns.hooks.register(family, entry);
  return () => ns.hooks.unregister(family, entry);
}

function isNatHook(hook: Hook): hook is NatHook {
  return BASE_CHAINS.nat.includes(hook);
}

/**
 * A local packet whose mark, TOS or addresses changed is routed again. Mirrors
 * net/ipv4/netfilter/iptable_mangle.c:ipt_mangle_out(), net/ipv6/netfilter/ip6table_mangle.c:ip6t_mangle_out() and
 * net/netfilter/nft_chain_route.c.
 */
function rerouting(walk: (skb: SkBuff, state: HookState) => Verdict): HookEntry["run"] {
  return (skb, state) => {
    const { frame: before, mark } = skb;
    const verdict = walk(skb, state);
    if (verdict.kind !== "accept") return verdict;
    const wants = skb.mark !== mark || isRoutedOtherwise(before.network, skb.frame.network);
    if (!wants) return verdict;
    const errno = state.family === "ipv6" ? ip6RouteMeHarder(skb) : ipRouteMeHarder(skb);
    return errno === undefined
      ? ACCEPT
      : { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow", errno };
  };
}

/** Whether a header lost something that routes depend on. */
function isRoutedOtherwise(
  old: NetworkHeader | undefined,
  now: NetworkHeader | undefined,
): boolean {
  if (old === now || old === undefined || now === undefined) return false;
  if (old.kind === "arp" || now.kind === "arp") return false;
  if (old.source !== now.source || old.destination !== now.destination) return true;
  if (old.kind === "ipv4") return now.kind === "ipv4" && now.tos !== old.tos;
  if (now.kind !== "ipv6") return false;
  return (
    now.hopLimit !== old.hopLimit ||
    now.trafficClass !== old.trafficClass ||
    now.flowLabel !== old.flowLabel
  );
}

function updateTracking(ns: NetworkNamespace, current: Installed): void {
  // Mirrors net/netfilter/xt_connbytes.c:connbytes_mt_check(): the rule turns counting on, and nothing turns it off again.
  if (needsCounting(current.ruleset)) conntrack(ns).settings.flags.acct = 1;
  const { family } = current.ruleset;
  const tracks = needs(current.ruleset, "tracks");
  if (tracks !== current.tracks) (tracks ? requireConntrack : releaseConntrack)(ns, family);
  current.tracks = tracks;
  const defragments = needs(current.ruleset, "defragments");
  if (defragments !== current.defragments)
    (defragments ? requireDefrag : releaseDefrag)(ns, family);
  current.defragments = defragments;
  const proxies = needs(current.ruleset, "proxies");
  if (proxies !== current.proxies) (proxies ? requireSynproxy : releaseSynproxy)(ns, family);
  current.proxies = proxies;
}

function needs(ruleset: Ruleset, what: "tracks" | "defragments" | "proxies"): boolean {
  for (const { rule } of allRules(ruleset)) {
    const { matches, action } = rule.spec;
    if (matches.some((match) => match[what])) return true;
    if (action.kind === "target" && action.target[what]) return true;
  }
  return false;
}

function needsCounting(ruleset: Ruleset): boolean {
  for (const { rule } of allRules(ruleset))
    if (rule.spec.matches.some(({ extension }) => extension.name === "connbytes")) return true;
  return false;
}
