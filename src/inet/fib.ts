import type { NetDevice } from "../core/device.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { Ipv4, Ipv4Prefix } from "../wire/ip.js";
import { createRoute, tableOf } from "./fib-create.js";
import {
  type AskedRule,
  DEFAULT_RULES,
  type FibRule,
  formatRule,
  looksAtPorts,
  RULE_ERRORS,
  ruleMatches,
  withoutRule,
  withRule,
} from "./fib-rules.js";
import { FibTable } from "./fib-table.js";
import {
  type FibMiss,
  type FibNexthop,
  type FibResult,
  type FibRoute,
  type FlowKey,
  NO_ROUTE,
  RT_SCOPE_NOWHERE,
  RT_TABLE_DEFAULT,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  type RouteSpec,
  RTPROT_KERNEL,
} from "./fib-types.js";
import { bumpRouting } from "./generation.js";

/** How a route joins those of the same network, TOS and metric: the verbs of `ip route`. */
export type AddMode = "add" | "append" | "prepend" | "replace" | "change";

/** Which route `ip route del` means: what is left out matches any. */
export interface RouteSelector extends Omit<RouteSpec, "prefix"> {
  readonly prefix: Ipv4Prefix;
}

const EEXIST = "RTNETLINK answers: File exists";
const ENOENT = "RTNETLINK answers: No such file or directory";
const ESRCH = "RTNETLINK answers: No such process";

/** The routing tables and rules of one namespace. */
export class Fib {
  readonly #ns: NetworkNamespace;
  readonly #tables = new Map<number, FibTable>([
    [RT_TABLE_LOCAL, new FibTable(RT_TABLE_LOCAL)],
    [RT_TABLE_MAIN, new FibTable(RT_TABLE_MAIN)],
  ]);
  #rules: readonly FibRule[] = DEFAULT_RULES;
  /** A rule was ever added or deleted. Mirrors net->ipv4.fib_has_custom_rules. */
  hasCustomRules = false;
  /** A local route was ever added by hand. Mirrors net->ipv4.fib_has_custom_local_routes. */
  hasCustomLocalRoutes = false;

  /** A route with realms was ever added: the way back to the sender says one as well. Mirrors fib_num_tclassid_users(). */
  hasRealms = false;

  /** Some rule looks at more than addresses, TOS, mark and devices: decisions cannot be shared between flows. */
  looksAtPorts = false;

  constructor(ns: NetworkNamespace) {
    this.#ns = ns;
  }

  get rules(): readonly FibRule[] {
    return this.#rules;
  }

  /** Adds a route; a refusal comes back in the words of `ip route`. Mirrors net/ipv4/fib_trie.c:fib_table_insert(). */
  add(spec: RouteSpec, mode: AddMode = "add"): string | undefined {
    const route = createRoute(this.#ns, this, spec);
    if (typeof route === "string") return route;
    const refusal = this.#insert(route, mode);
    if (refusal !== undefined) return refusal;
    if (route.nexthops.some(({ realms }) => realms !== 0)) this.hasRealms = true;
    if (route.type === "local" && route.protocol !== RTPROT_KERNEL)
      this.hasCustomLocalRoutes = true;
    bumpRouting(this.#ns);
    return undefined;
  }

  /** Removes the first route that fits. Mirrors net/ipv4/fib_trie.c:fib_table_delete(). */
  remove(selector: RouteSelector): string | undefined {
    const table = this.#tables.get(tableOf(selector));
    const routes = table?.at(selector.prefix) ?? [];
    const index = routes.findIndex((route) => selects(selector, route));
    if (table === undefined || index < 0) return ESRCH;
    table.set(selector.prefix, routes.toSpliced(index, 1));
    bumpRouting(this.#ns);
    return undefined;
  }

  /** The routes of a table in the order `ip route show` prints them; undefined for a table that was never used. */
  list(table: number = RT_TABLE_MAIN): readonly FibRoute[] | undefined {
    return this.#tables.get(table)?.list();
  }

  /** The tables in the order `ip route show table all` prints them. */
  tables(): readonly number[] {
    return [...this.#tables.keys()].sort((a, b) => (a & 255) - (b & 255) || a - b);
  }

  table(id: number): FibTable | undefined {
    return this.#tables.get(id);
  }

  /** Which route a flow takes. Mirrors include/net/ip_fib.h:fib_lookup(). */
  lookup(key: FlowKey): FibResult {
    if (this.hasCustomRules) return this.#lookupByRules(key);
    const found = this.#lookupMerged(key);
    if (found.kind === "match") return found;
    const byDefault = this.#tables.get(RT_TABLE_DEFAULT)?.lookup(key);
    if (byDefault?.kind === "match") return byDefault;
    return found.again ? { ...found, error: "ENETUNREACH" } : found;
  }

  /** Adds a rule; a refusal comes back in the words of `ip rule`. */
  addRule(asked: AskedRule<Ipv4>): string | undefined {
    return this.#setRules(withRule(this.#rules, asked));
  }

  /** Removes the first rule that has all the fields asked for. */
  removeRule(asked: Partial<FibRule>): string | undefined {
    return this.#setRules(withoutRule(this.#rules, asked));
  }

  /**
   * A device went down, or away: its routes go, a multipath route keeps a dead nexthop while another lives.
   * Routes of local addresses stay unless the device goes away. Mirrors net/ipv4/fib_semantics.c:fib_sync_down_dev().
   */
  syncDown(dev: NetDevice, unregistered: boolean): void {
    this.#prune((route) => {
      let dead = 0;
      for (const nexthop of route.nexthops) {
        if (nexthop.dev === dev && (unregistered || nexthop.scope !== RT_SCOPE_NOWHERE))
          nexthop.dead = true;
        if (nexthop.dead) dead++;
      }
      if (unregistered && route.nexthops.some((nexthop) => nexthop.dev === dev)) return false;
      return dead === 0 || dead < route.nexthops.length;
    });
  }

  /** Dead nexthops of a device that is up again live. Mirrors fib_sync_up(). */
  syncUp(dev: NetDevice): void {
    for (const table of this.#tables.values()) {
      for (const route of table.list()) {
        for (const nexthop of route.nexthops) if (nexthop.dev === dev) nexthop.dead = false;
      }
    }
    bumpRouting(this.#ns);
  }

  /** Routes whose source is an address that is gone, go. Mirrors fib_sync_down_addr(). */
  syncDownAddress(address: Ipv4): void {
    this.#prune((route) => route.source !== address);
  }

  #prune(keep: (route: FibRoute) => boolean): void {
    for (const table of this.#tables.values()) {
      for (const route of table.list()) {
        if (!keep(route)) {
          table.set(
            route.prefix,
            table.at(route.prefix).filter((other) => other !== route),
          );
        }
      }
    }
    bumpRouting(this.#ns);
  }

  #insert(route: FibRoute, mode: AddMode): string | undefined {
    const table = this.#tables.get(route.table);
    const routes = table?.at(route.prefix) ?? [];
    const from = routes.findIndex(
      (other) => other.tos === route.tos && other.metric === route.metric,
    );
    if (from < 0) {
      if (mode === "change") return ENOENT;
      const at = routes.findIndex(
        (other) =>
          other.tos < route.tos || (other.tos === route.tos && other.metric > route.metric),
      );
      this.#tableFor(route.table).set(
        route.prefix,
        routes.toSpliced(at < 0 ? routes.length : at, 0, route),
      );
      return undefined;
    }
    if (mode === "add") return EEXIST;
    const equals = routes.filter(
      (other) => other.tos === route.tos && other.metric === route.metric,
    );
    const twin = equals.findIndex((other) => sameRoute(other, route));
    if (mode === "replace" || mode === "change") {
      if (twin >= 0) return twin === 0 ? undefined : EEXIST;
      table?.set(route.prefix, routes.toSpliced(from, 1, route));
      return undefined;
    }
    if (twin >= 0) return EEXIST;
    table?.set(
      route.prefix,
      routes.toSpliced(mode === "append" ? from + equals.length : from, 0, route),
    );
    return undefined;
  }

  #tableFor(id: number): FibTable {
    let table = this.#tables.get(id);
    if (table === undefined) {
      table = new FibTable(id);
      this.#tables.set(id, table);
    }
    return table;
  }

  /** While nobody touched the rules, local and main are one trie: the longest prefix of both wins. */
  #lookupMerged(key: FlowKey): FibResult {
    const local = this.#tableFor(RT_TABLE_LOCAL);
    const main = this.#tableFor(RT_TABLE_MAIN);
    let a = 0;
    let b = 0;
    for (;;) {
      const localLength = local.lengths[a] ?? -1;
      const mainLength = main.lengths[b] ?? -1;
      if (localLength < 0 && mainLength < 0) return NO_ROUTE;
      const fromLocal = localLength >= mainLength;
      const found = fromLocal
        ? local.lookupLength(key, localLength)
        : main.lookupLength(key, mainLength);
      if (found !== undefined) return found;
      if (fromLocal) a++;
      else b++;
    }
  }

  /** Mirrors net/core/fib_rules.c:fib_rules_lookup(). */
  #lookupByRules(key: FlowKey): FibResult {
    let last: FibMiss = NO_ROUTE;
    for (let index = 0; index < this.#rules.length; index++) {
      const rule = this.#rules[index] as FibRule;
      if (!ruleMatches(rule, key)) continue;
      if (rule.action === "goto") {
        const target = this.#rules.findIndex((other) => other.priority === rule.target);
        if (target > index) index = target - 1;
        continue;
      }
      if (rule.action === "nop") continue;
      const found = this.#ask(rule, key);
      if (found.kind === "match") return found;
      if (!found.again) return found;
      last = found;
    }
    return { ...last, error: "ENETUNREACH" };
  }

  #ask(rule: FibRule, key: FlowKey): FibResult {
    if (rule.action !== "lookup") {
      const error = RULE_ERRORS[rule.action] ?? "EINVAL";
      return { kind: "miss", error, again: false, route: undefined, rule: formatRule(rule) };
    }
    const found = this.#tables.get(rule.table ?? RT_TABLE_MAIN)?.lookup(key) ?? NO_ROUTE;
    const suppress = rule.suppressPrefixLength ?? -1;
    return found.kind === "match" && found.route.prefix.length <= suppress ? NO_ROUTE : found;
  }

  #setRules(rules: readonly FibRule[] | string): string | undefined {
    if (typeof rules === "string") return rules;
    this.#rules = rules;
    this.hasCustomRules = true;
    this.looksAtPorts = looksAtPorts(rules);
    bumpRouting(this.#ns);
    return undefined;
  }
}

export const fib: (ns: NetworkNamespace) => Fib = perNamespace((ns) => new Fib(ns));

function sameRoute(a: FibRoute, b: FibRoute): boolean {
  return (
    a.type === b.type &&
    a.scope === b.scope &&
    a.protocol === b.protocol &&
    a.source === b.source &&
    a.mtu === b.mtu &&
    a.mtuLock === b.mtuLock &&
    a.advmss === b.advmss &&
    a.nexthops.length === b.nexthops.length &&
    a.nexthops.every((nexthop, index) => sameNexthop(nexthop, b.nexthops[index] as FibNexthop))
  );
}

function sameNexthop(a: FibNexthop, b: FibNexthop): boolean {
  return (
    a.dev === b.dev &&
    a.gateway === b.gateway &&
    a.weight === b.weight &&
    a.onlink === b.onlink &&
    a.realms === b.realms
  );
}

/** Mirrors the loop of fib_table_delete() with fib_nh_match(). */
function selects(selector: RouteSelector, route: FibRoute): boolean {
  const { type, scope, source, protocol, metric, nexthops } = selector;
  if ((selector.tos ?? 0) !== route.tos) return false;
  if (type !== undefined && type !== route.type) return false;
  if (scope !== undefined && scope !== route.scope) return false;
  if (source !== undefined && source !== route.source) return false;
  if (protocol !== undefined && protocol !== route.protocol) return false;
  if (metric !== undefined && metric !== 0 && metric !== route.metric) return false;
  if (nexthops === undefined || nexthops.length === 0) return true;
  if (nexthops.length > 1 && nexthops.length !== route.nexthops.length) return false;
  return nexthops.every((asked, index) => {
    const found = route.nexthops[index];
    if (found === undefined)
      return asked.dev === undefined && asked.gateway === undefined && asked.realms === undefined;
    return (
      (asked.dev === undefined || asked.dev === found.dev) &&
      (asked.gateway === undefined || asked.gateway === found.gateway) &&
      (asked.realms === undefined || asked.realms === found.realms)
    );
  });
}
