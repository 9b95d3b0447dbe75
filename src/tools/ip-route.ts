import type { NetworkNamespace } from "../core/namespace.js";
import { type AddMode, fib } from "../inet/fib.js";
import { formatRouteLines } from "../inet/fib-format.js";
import { parseRouteProtocol, parseScope, parseTable } from "../inet/fib-names.js";
import { type FibRoute, RT_TABLE_MAIN } from "../inet/fib-types.js";
import { formatIpv4, type Ipv4Prefix, networkOf, prefixContains } from "../wire/ip.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { deviceOf, type IpContext, isAboutIpv6, namespaceOf, readPrefix } from "./ip-context.js";
import { ip6Route } from "./ip6-route.js";
import { ipRouteGet } from "./ip-route-get.js";
import { readRoute } from "./ip-route-spec.js";
import { abbreviates, chooseCommand, type Words, wrongArgument } from "./words.js";

type Command = (words: Words, context: IpContext) => string;

const adds =
  (mode: AddMode): Command =>
  (words, context) =>
    add(words, context, mode);

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["list", show],
  ["show", show],
  ["lst", show],
  ["get", ipRouteGet],
  ["add", adds("add")],
  ["change", adds("change")],
  ["chg", adds("change")],
  ["replace", adds("replace")],
  ["prepend", adds("prepend")],
  ["append", adds("append")],
  ["test", adds("add")],
  ["delete", remove],
  ["flush", flush],
];

/** `ip route`. */
export function ipRoute(words: Words, context: IpContext): string {
  if (isAboutIpv6(words, context)) return ip6Route(words, context);
  return chooseCommand(COMMANDS, words.shift(), "ip route help")(words, context);
}

function add(words: Words, context: IpContext, mode: AddMode): string {
  const ns = namespaceOf(context);
  const refusal = fib(ns).add(readRoute(words, ns, false), mode);
  if (refusal !== undefined) throw rtnetlink(refusal);
  return "";
}

function remove(words: Words, context: IpContext): string {
  const ns = namespaceOf(context);
  const refusal = fib(ns).remove(readRoute(words, ns, true));
  if (refusal !== undefined) throw rtnetlink(refusal);
  return "";
}

/** Which routes a `show` or `flush` is about. */
interface Filter {
  readonly table: number | "all";
  readonly match: (route: FibRoute) => boolean;
  /** Words that the filter makes superfluous: `ip` leaves them out. */
  readonly hidden: readonly string[];
}

function show(words: Words, context: IpContext): string {
  const ns = namespaceOf(context);
  const filter = readFilter(words, ns);
  return selected(ns, filter, true)
    .map((route) => {
      const lines = formatRouteLines(
        route,
        filter.table === "all" && route.table !== RT_TABLE_MAIN,
      );
      const text = lines.join(context.oneLine ? "\\" : "\n");
      return `${filter.hidden.reduce((shown, word) => shown.replace(word, ""), text)}\n`;
    })
    .join("");
}

function flush(words: Words, context: IpContext): string {
  if (words.isEmpty) throw new ToolFailure(1, '"ip route flush" requires arguments.\n');
  const ns = namespaceOf(context);
  for (const route of selected(ns, readFilter(words, ns), false)) {
    const { prefix, table, type, tos, metric, scope, protocol, nexthops } = route;
    fib(ns).remove({ prefix, table, type, tos, metric, scope, protocol, nexthops });
  }
  return "";
}

function selected(
  ns: NetworkNamespace,
  { table, match }: Filter,
  refuseMissing: boolean,
): readonly FibRoute[] {
  if (table === "all")
    return fib(ns)
      .tables()
      .flatMap((id) => fib(ns).list(id) ?? [])
      .filter(match);
  const routes = fib(ns).list(table);
  if (routes === undefined && refuseMissing)
    throw new ToolFailure(2, "Error: ipv4: FIB table does not exist.\nDump terminated\n");
  return (routes ?? []).filter(match);
}

/** Mirrors iproute2's iproute_list_flush_or_save(). */
function readFilter(words: Words, ns: NetworkNamespace): Filter {
  let table: Filter["table"] = RT_TABLE_MAIN;
  const conditions: ((route: FibRoute) => boolean)[] = [];
  const hidden: string[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (abbreviates(word, "table")) {
      const name = words.value();
      table = name === "all" ? "all" : lookUp(name, parseTable, "table id value is invalid\n");
    } else if (word === "dev" || word === "oif") {
      const dev = deviceOf(ns, words.value());
      hidden.push(`dev ${dev.name} `);
      conditions.push((route) => route.nexthops.length === 1 && route.nexthops[0]?.dev === dev);
    } else if (abbreviates(word, "protocol")) {
      const name = words.value();
      hidden.push(`proto ${name} `);
      const protocol = lookUp(name, parseRouteProtocol, 'invalid "protocol"\n');
      conditions.push((route) => route.protocol === protocol);
    } else if (abbreviates(word, "scope")) {
      const name = words.value();
      hidden.push(`scope ${name} `);
      const scope = lookUp(name, parseScope, 'invalid "scope"\n');
      conditions.push((route) => route.scope === scope);
    } else if (abbreviates(word, "type")) {
      const type = words.value();
      hidden.push(`${type} `);
      conditions.push((route) => route.type === type);
    } else if (word === "via") {
      const { address } = readPrefix(words.value());
      hidden.push(`via ${formatIpv4(address)} `);
      conditions.push(
        (route) => route.nexthops.length === 1 && route.nexthops[0]?.gateway === address,
      );
    } else if (
      ["src", "tos", "metric", "mark", "realms", "from", "cache", "vrf", "iif"].includes(word)
    ) {
      throw notModelled("ip", `ip route show ${word}`);
    } else conditions.push(readDestinations(word, words));
  }
  return { table, hidden, match: (route) => conditions.every((condition) => condition(route)) };
}

/** `root P`, `match P`, `exact P`, or a bare prefix, which means exactly it. */
function readDestinations(word: string, words: Words): (route: FibRoute) => boolean {
  const kind = word === "to" ? words.value() : word;
  if (kind === "root" || kind === "match" || kind === "exact") {
    const prefix = networkOf(readPrefix(words.value()));
    if (kind === "root")
      return (route) =>
        route.prefix.length >= prefix.length && prefixContains(prefix, route.prefix.address);
    if (kind === "match")
      return (route) =>
        route.prefix.length <= prefix.length && prefixContains(route.prefix, prefix.address);
    return samePrefix(prefix);
  }
  return samePrefix(networkOf(readPrefix(kind)));
}

function samePrefix(prefix: Ipv4Prefix): (route: FibRoute) => boolean {
  return (route) =>
    route.prefix.address === prefix.address && route.prefix.length === prefix.length;
}

function lookUp(word: string, parse: (word: string) => number | undefined, why: string): number {
  const value = parse(word);
  if (value === undefined) throw wrongArgument(word, why);
  return value;
}
