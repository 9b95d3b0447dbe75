import type { NetDevice } from "../../core/device.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import { microseconds } from "../../sim/time.js";
import { type Ipv6, maskIpv6 } from "../../wire/ip.js";
import {
  type AskedRule,
  type FibRule,
  formatRule,
  looksAtPorts,
  RULE_ERRORS,
  ruleMatches,
  withoutRule,
  withRule,
} from "../fib-rules.js";
import { RT_TABLE_LOCAL, RT_TABLE_MAIN } from "../fib-types.js";
import { bumpRouting } from "../generation.js";
import { createRoute6 } from "./fib-create.js";
import { Fib6Table } from "./fib-table.js";
import {
  type Fib6Miss,
  type Fib6Nexthop,
  type Fib6Result,
  type Fib6Route,
  type Flow6Key,
  NO_ROUTE6,
  type Route6Spec,
  type Route6Type,
} from "./fib-types.js";

/** How a route joins those of the same network and metric: the verbs of `ip -6 route`. */
export type Add6Mode = "add" | "append" | "prepend" | "replace" | "change";

const DEFAULT_RULES: readonly FibRule<Ipv6>[] = [
  { priority: 0, action: "lookup", table: RT_TABLE_LOCAL },
  { priority: 32_766, action: "lookup", table: RT_TABLE_MAIN },
];

const EEXIST = "RTNETLINK answers: File exists";
const ESRCH = "RTNETLINK answers: No such process";
const NO_MATCH = "Error: Can not replace route - no match found.";

/** The IPv6 routing tables and rules of one namespace. Mirrors net/ipv6/ip6_fib.c and fib6_rules.c. */
export class Fib6 {
  readonly #ns: NetworkNamespace;
  readonly #tables = new Map<number, Fib6Table>([
    [RT_TABLE_MAIN, new Fib6Table(RT_TABLE_MAIN)],
    [RT_TABLE_LOCAL, new Fib6Table(RT_TABLE_LOCAL)],
  ]);
  #rules: readonly FibRule<Ipv6>[] = DEFAULT_RULES;
  #hasCustomRules = false;
  /** Some rule looks at more than addresses, mark and devices: decisions cannot be shared between flows. */
  looksAtPorts = false;

  constructor(ns: NetworkNamespace) {
    this.#ns = ns;
  }

  get rules(): readonly FibRule<Ipv6>[] {
    return this.#rules;
  }

  /** Adds a route; a refusal comes back in the words of `ip -6 route`. Mirrors net/ipv6/route.c:ip6_route_add(). */
  add(spec: Route6Spec, mode: Add6Mode = "add"): string | undefined {
    const route = createRoute6(this.#ns, this, spec);
    return typeof route === "string" ? route : this.insert(route, mode);
  }

  /** Mirrors net/ipv6/ip6_fib.c:fib6_add_rt2node(). */
  insert(route: Fib6Route, mode: Add6Mode): string | undefined {
    const table = this.#tableFor(route.table);
    const routes = table.at(route.prefix);
    const refusal = join(table, routes, route, mode);
    bumpRouting(this.#ns);
    return refusal;
  }

  /** Removes the first route that fits, of a route with several ways only the one that is named. Mirrors ip6_route_del(). */
  remove(spec: Route6Spec): string | undefined {
    const type = spec.type ?? "unicast";
    const table = this.#tables.get(spec.table ?? tableOf(type));
    const prefix = {
      address: maskIpv6(spec.prefix.address, spec.prefix.length),
      length: spec.prefix.length,
    };
    const routes = table?.at(prefix) ?? [];
    const index = routes.findIndex((route) => selects(spec, route));
    const found = routes[index];
    if (table === undefined || found === undefined) return ESRCH;
    const rest = found.nexthops.filter((nexthop) => !isMeant(spec, nexthop));
    const single = spec.nexthops?.length === 1 && spec.nexthops[0]?.gateway !== undefined;
    const kept = single && rest.length > 0 ? [{ ...found, nexthops: rest }] : [];
    table.set(prefix, routes.toSpliced(index, 1, ...kept));
    bumpRouting(this.#ns);
    return undefined;
  }

  /** What a router said: a new entry in the place of the one it said before, until it expires. Mirrors fib6_set_expires(). */
  learn(known: Fib6Route | undefined, route: Fib6Route): void {
    const table = this.#tableFor(route.table);
    const routes = table.at(route.prefix);
    const place = known === undefined ? -1 : routes.indexOf(known);
    if (place < 0) this.insert(route, "append");
    else table.set(route.prefix, routes.toSpliced(place, 1, route));
    bumpRouting(this.#ns);
    if (route.expires === undefined) return;
    const { queue } = this.#ns.sim;
    queue.after(microseconds(route.expires - queue.now), "route expires", () =>
      this.discard(route),
    );
  }

  /** Takes out exactly this entry, if it is there. */
  discard(route: Fib6Route): void {
    const table = this.#tables.get(route.table);
    table?.set(
      route.prefix,
      table.at(route.prefix).filter((other) => other !== route),
    );
    bumpRouting(this.#ns);
  }

  /** The routes of a table in the order `ip -6 route show` prints them; undefined for a table that was never used. */
  list(table: number = RT_TABLE_MAIN): readonly Fib6Route[] | undefined {
    return this.#tables.get(table)?.list();
  }

  /** The tables in the order `ip -6 route show table all` prints them. */
  tables(): readonly number[] {
    return [...this.#tables.keys()].sort((a, b) => (a & 255) - (b & 255) || a - b);
  }

  table(id: number): Fib6Table | undefined {
    return this.#tables.get(id);
  }

  /** Which route a flow takes. Mirrors net/ipv6/fib6_rules.c:fib6_rule_lookup(). */
  lookup(key: Flow6Key): Fib6Result {
    if (this.#hasCustomRules) return this.#lookupByRules(key);
    for (const id of [RT_TABLE_LOCAL, RT_TABLE_MAIN]) {
      const found = this.#ask(id, key);
      if (found.kind === "match" || !found.again) return found;
    }
    return NO_ROUTE6;
  }

  addRule(asked: AskedRule<Ipv6>): string | undefined {
    return this.#setRules(withRule(this.#rules, asked));
  }

  removeRule(asked: Partial<FibRule<Ipv6>>): string | undefined {
    return this.#setRules(withoutRule(this.#rules, asked));
  }

  /** A device went down: all its routes go. Mirrors rt6_disable_ip() and rt6_sync_down_dev(). */
  syncDown(dev: NetDevice): void {
    for (const table of this.#tables.values()) {
      for (const route of table.list()) {
        const rest = route.nexthops.filter((nexthop) => nexthop.dev !== dev);
        if (rest.length === route.nexthops.length) continue;
        const kept = rest.length > 0 ? [{ ...route, nexthops: rest }] : [];
        const routes = table.at(route.prefix);
        table.set(route.prefix, routes.toSpliced(routes.indexOf(route), 1, ...kept));
      }
    }
    bumpRouting(this.#ns);
  }

  /** Routes no longer prefer an address that is gone. Mirrors rt6_remove_prefsrc(). */
  forgetSource(address: Ipv6): void {
    for (const table of this.#tables.values()) {
      for (const route of table.list()) {
        if (route.source !== address) continue;
        const routes = table.at(route.prefix);
        table.set(
          route.prefix,
          routes.toSpliced(routes.indexOf(route), 1, { ...route, source: undefined }),
        );
      }
    }
    bumpRouting(this.#ns);
  }

  #tableFor(id: number): Fib6Table {
    let table = this.#tables.get(id);
    if (table === undefined) this.#tables.set(id, (table = new Fib6Table(id)));
    return table;
  }

  /** Mirrors net/core/fib_rules.c:fib_rules_lookup(). */
  #lookupByRules(key: Flow6Key): Fib6Result {
    const ruleKey = { ...key, oif: key.ruleOif };
    let last: Fib6Miss = NO_ROUTE6;
    for (let index = 0; index < this.#rules.length; index++) {
      const rule = this.#rules[index] as FibRule<Ipv6>;
      if (!ruleMatches(rule, ruleKey)) continue;
      if (rule.action === "goto") {
        const target = this.#rules.findIndex((other) => other.priority === rule.target);
        if (target > index) index = target - 1;
        continue;
      }
      if (rule.action === "nop") continue;
      const found = this.#askRule(rule, key);
      if (found.kind === "match" || !found.again) return found;
      last = found;
    }
    return { ...last, error: "ENETUNREACH" };
  }

  #askRule(rule: FibRule<Ipv6>, key: Flow6Key): Fib6Result {
    if (rule.action !== "lookup") {
      const error = RULE_ERRORS[rule.action] ?? "EINVAL";
      return { kind: "miss", error, again: false, route: undefined, rule: formatRule(rule) };
    }
    const found = this.#ask(rule.table ?? RT_TABLE_MAIN, key);
    const suppress = rule.suppressPrefixLength ?? -1;
    return found.kind === "match" && found.route.prefix.length <= suppress ? NO_ROUTE6 : found;
  }

  #ask(id: number, key: Flow6Key): Fib6Result {
    const found = this.#tables.get(id)?.lookup(key);
    if (found === undefined) return NO_ROUTE6;
    const error = TYPE_ERRORS[found.route.type];
    if (error === undefined) return found;
    const again = found.route.type === "throw";
    return { kind: "miss", error, again, route: found.route, rule: undefined };
  }

  #setRules(rules: readonly FibRule<Ipv6>[] | string): string | undefined {
    if (typeof rules === "string") return rules;
    this.#rules = rules;
    this.#hasCustomRules = true;
    this.looksAtPorts = looksAtPorts(rules);
    bumpRouting(this.#ns);
    return undefined;
  }
}

export const fib6: (ns: NetworkNamespace) => Fib6 = perNamespace((ns) => new Fib6(ns));

/** What a route of a refusing type means to a sender. Mirrors fib6_prop[]. */
const TYPE_ERRORS: Readonly<Partial<Record<Route6Type, Fib6Miss["error"]>>> = {
  blackhole: "EINVAL",
  unreachable: "EHOSTUNREACH",
  prohibit: "EACCES",
  throw: "ENETUNREACH",
};

/** Routes of this host's own addresses live in the local table. Mirrors fib6_table of ip6_route_info_create(). */
export function tableOf(type: Route6Type): number {
  return type === "local" || type === "anycast" ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
}

/** Puts a route among those of its network. */
function join(
  table: Fib6Table,
  routes: readonly Fib6Route[],
  route: Fib6Route,
  mode: Add6Mode,
): string | undefined {
  const from = routes.findIndex((other) => other.metric === route.metric);
  if (from < 0) {
    if (mode === "change") return NO_MATCH;
    const at = routes.findIndex((other) => other.metric > route.metric);
    table.set(route.prefix, routes.toSpliced(at < 0 ? routes.length : at, 0, route));
    return undefined;
  }
  const equals = routes.filter((other) => other.metric === route.metric);
  if (mode === "replace" || mode === "change") {
    table.set(route.prefix, routes.toSpliced(from, 1, route));
    return undefined;
  }
  if (mode === "add" && route.protocol !== KERNEL) return EEXIST;
  if (equals.some((other) => isTwin(other, route))) return EEXIST;
  const partner = equals.find((other) => canJoin(other) && canJoin(route));
  if (partner !== undefined) {
    const nexthops = [...partner.nexthops, ...route.nexthops];
    table.set(route.prefix, routes.toSpliced(routes.indexOf(partner), 1, { ...partner, nexthops }));
    return undefined;
  }
  const at = mode === "prepend" ? from : from + equals.length;
  table.set(route.prefix, routes.toSpliced(at, 0, route));
  return undefined;
}

/** RTPROT_KERNEL: the kernel's own routes of several devices stand side by side. */
const KERNEL = 2;

/** Routes with gateways become ways of one. Mirrors rt6_qualify_for_ecmp(). */
function canJoin({ nexthops, type, learned }: Fib6Route): boolean {
  if (learned === true) return false;
  return type === "unicast" && nexthops.every(({ gateway }) => gateway !== undefined);
}

/** Mirrors rt6_duplicate_nexthop(). */
function isTwin(a: Fib6Route, b: Fib6Route): boolean {
  return b.nexthops.some((nexthop) =>
    a.nexthops.some((other) => other.dev === nexthop.dev && other.gateway === nexthop.gateway),
  );
}

function selects(spec: Route6Spec, route: Fib6Route): boolean {
  const { metric, protocol, type, source } = spec;
  if (metric !== undefined && metric !== 0 && metric !== route.metric) return false;
  if (protocol !== undefined && protocol !== route.protocol) return false;
  if (type !== undefined && type !== "unicast" && type !== route.type) return false;
  if (source !== undefined && source !== route.source) return false;
  if (spec.nexthops === undefined || spec.nexthops.length === 0) return true;
  return route.nexthops.some((nexthop) => isMeant(spec, nexthop));
}

function isMeant(spec: Route6Spec, nexthop: Fib6Nexthop): boolean {
  return (spec.nexthops ?? []).some(
    (asked) =>
      (asked.dev === undefined || asked.dev === nexthop.dev) &&
      (asked.gateway === undefined || asked.gateway === nexthop.gateway),
  );
}
