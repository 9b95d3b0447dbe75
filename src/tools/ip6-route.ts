import type { NetworkNamespace } from "../core/namespace.js";
import { parseRouteProtocol, parseTable } from "../inet/fib-names.js";
import { RT_TABLE_MAIN, RTPROT_BOOT } from "../inet/fib-types.js";
import { type Add6Mode, fib6 } from "../inet/ipv6/fib.js";
import { formatRoute6Lines, type Route6Words } from "../inet/ipv6/fib-format.js";
import type { Fib6Route, Nexthop6Spec, Route6Spec, Route6Type } from "../inet/ipv6/fib-types.js";
import { type Ipv6, ipv6PrefixContains, type Ipv6Prefix, maskIpv6 } from "../wire/ip.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { deviceOf, type IpContext, namespaceOf, readAddress6, readPrefix6 } from "./ip-context.js";
import { ip6RouteGet } from "./ip6-route-get.js";
import {
  abbreviates,
  chooseCommand,
  garbage,
  parseNumber,
  type Words,
  wrongArgument,
} from "./words.js";

type Command = (words: Words, context: IpContext) => string;

const adds =
  (mode: Add6Mode): Command =>
  (words, context) => {
    const ns = namespaceOf(context);
    const refusal = fib6(ns).add(readRoute(words, ns, false), mode);
    if (refusal !== undefined) throw rtnetlink(refusal);
    return "";
  };

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["list", show],
  ["show", show],
  ["lst", show],
  ["get", ip6RouteGet],
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

/** `ip -6 route`. */
export function ip6Route(words: Words, context: IpContext): string {
  return chooseCommand(COMMANDS, words.shift(), "ip route help")(words, context);
}

function remove(words: Words, context: IpContext): string {
  const ns = namespaceOf(context);
  const refusal = fib6(ns).remove(readRoute(words, ns, true));
  if (refusal !== undefined) throw rtnetlink(refusal);
  return "";
}

const TYPES: readonly Route6Type[] = [
  "unicast",
  "local",
  "multicast",
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
];

type Draft = { -readonly [Key in keyof Route6Spec]: Route6Spec[Key] };

/** Mirrors iproute2's iproute_modify() for AF_INET6. */
function readRoute(words: Words, ns: NetworkNamespace, forDelete: boolean): Route6Spec {
  const draft: Partial<Draft> = {};
  let single: Nexthop6Spec | undefined;
  const nexthops: Nexthop6Spec[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "via") single = { ...single, gateway: readGateway(words) };
    else if (word === "dev" || word === "oif")
      single = { ...single, dev: deviceOf(ns, words.value()) };
    else if (word === "onlink") single = { ...single, onlink: true };
    else if (word === "nexthop") nexthops.push(...readNexthops(words, ns));
    else if (OTHER_WORDS.includes(word)) throw notModelled("ip", `ip -6 route … ${word}`);
    else if (!readAttribute(word, words, draft)) readDestination(word, words, draft);
  }
  if (draft.prefix === undefined)
    throw new ToolFailure(255, "Usage: ip route { add | del | change | append | replace } ROUTE\n");
  return {
    ...draft,
    prefix: draft.prefix,
    type: draft.type ?? (forDelete ? undefined : "unicast"),
    protocol: draft.protocol ?? (forDelete ? undefined : RTPROT_BOOT),
    nexthops: single === undefined ? nexthops : [single, ...nexthops],
  };
}

const OTHER_WORDS: readonly string[] =
  "from as nhid encap rtt rttvar reordering window cwnd initcwnd initrwnd ssthresh realms rto_min features quickack congctl expires fastopen_no_cookie ttl-propagate vrf pervasive".split(
    " ",
  );

function readAttribute(word: string, words: Words, draft: Partial<Draft>): boolean {
  if (word === "src") draft.source = readAddress6(words.value());
  else if (word === "mtu") {
    if (words.take("lock")) throw notModelled("ip", "ip -6 route … mtu lock");
    draft.mtu = unsigned(words, '"mtu" value is invalid\n');
  } else if (word === "advmss") draft.advmss = unsigned(words, '"mss" value is invalid\n');
  else if (word === "hoplimit")
    draft.hopLimit = unsigned(words, '"hoplimit" value is invalid\n', 255);
  else if (word === "pref") draft.pref = readPref(words.value());
  else if (abbreviates(word, "metric") || abbreviates(word, "priority") || word === "preference")
    draft.metric = unsigned(words, '"metric" value is invalid\n');
  // Scopes and TOS say nothing about IPv6 routes.
  else if (abbreviates(word, "scope") || word === "tos" || word === "dsfield") words.value();
  else if (abbreviates(word, "protocol"))
    draft.protocol = named(words, parseRouteProtocol, '"protocol" value is invalid\n');
  else if (abbreviates(word, "table"))
    draft.table = named(words, parseTable, '"table" value is invalid\n');
  else return false;
  return true;
}

function readDestination(word: string, words: Words, draft: Partial<Draft>): void {
  let given = word === "to" ? words.value() : word;
  if (given === "broadcast" || given === "anycast")
    throw notModelled("ip", `ip -6 route … ${given}`);
  const type = TYPES.find((name) => name === given);
  if (type !== undefined) {
    draft.type = type;
    given = words.value();
  }
  if (draft.prefix !== undefined) throw garbage("to", given);
  draft.prefix = readPrefix6(given);
}

function readNexthops(words: Words, ns: NetworkNamespace): Nexthop6Spec[] {
  const nexthops: Nexthop6Spec[] = [];
  do {
    let hop: Nexthop6Spec = {};
    while (!words.isEmpty && words.peek() !== "nexthop") {
      const word = words.value();
      if (word === "via") hop = { ...hop, gateway: readGateway(words) };
      else if (word === "dev") hop = { ...hop, dev: deviceOf(ns, words.value()) };
      else if (word === "onlink") hop = { ...hop, onlink: true };
      else if (word === "weight")
        hop = { ...hop, weight: Math.max(unsigned(words, '"weight" is invalid\n', 256), 1) };
      else
        throw new ToolFailure(
          255,
          `Error: "nexthop" or end of line is expected instead of "${word}"\n`,
        );
    }
    nexthops.push(hop);
  } while (words.take("nexthop"));
  return nexthops;
}

function readGateway(words: Words): Ipv6 {
  words.take("inet6");
  if (words.peek() === "inet") throw notModelled("ip", "an IPv4 gateway of an IPv6 route");
  return readAddress6(words.value());
}

function readPref(word: string): "low" | "medium" | "high" {
  if (word === "low" || word === "medium" || word === "high") return word;
  throw wrongArgument(word, '"pref" value is invalid\n');
}

function unsigned(words: Words, why: string, high = 0xffff_ffff): number {
  const word = words.value();
  const value = parseNumber(word);
  if (value === undefined || value > high) throw wrongArgument(word, why);
  return value;
}

function named(words: Words, parse: (word: string) => number | undefined, why: string): number {
  const word = words.value();
  const value = parse(word);
  if (value === undefined) throw wrongArgument(word, why);
  return value;
}

/** Which routes a `show` or `flush` is about. */
interface Filter {
  readonly table: number | "all";
  readonly match: (route: Fib6Route) => boolean;
  readonly words: Route6Words;
}

function show(words: Words, context: IpContext): string {
  const filter = readFilter(words, namespaceOf(context));
  return selected(namespaceOf(context), filter)
    .map((route) => {
      const withTable = filter.table === "all" && route.table !== RT_TABLE_MAIN;
      const lines = formatRoute6Lines(route, { ...filter.words, withTable });
      return `${lines.join(context.oneLine ? "\\" : "\n")}\n`;
    })
    .join("");
}

function flush(words: Words, context: IpContext): string {
  if (words.isEmpty) throw new ToolFailure(1, '"ip route flush" requires arguments.\n');
  const ns = namespaceOf(context);
  for (const route of selected(ns, readFilter(words, ns))) fib6(ns).discard(route);
  return "";
}

function selected(ns: NetworkNamespace, { table, match }: Filter): readonly Fib6Route[] {
  const tables = table === "all" ? fib6(ns).tables() : [table];
  return tables.flatMap((id) => fib6(ns).list(id) ?? []).filter(match);
}

/** Mirrors iproute2's iproute_list_flush_or_save(). */
function readFilter(words: Words, ns: NetworkNamespace): Filter {
  let table: Filter["table"] = RT_TABLE_MAIN;
  const conditions: ((route: Fib6Route) => boolean)[] = [];
  let hidden: Route6Words = {};
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (abbreviates(word, "table")) {
      const name = words.value();
      const id = parseTable(name);
      if (name !== "all" && id === undefined)
        throw wrongArgument(name, "table id value is invalid\n");
      table = id ?? "all";
    } else if (word === "dev" || word === "oif") {
      const dev = deviceOf(ns, words.value());
      hidden = { ...hidden, withoutDevice: true };
      conditions.push(({ nexthops }) => nexthops.length === 1 && nexthops[0]?.dev === dev);
    } else if (abbreviates(word, "protocol")) {
      const protocol = named(words, parseRouteProtocol, 'invalid "protocol"\n');
      hidden = { ...hidden, withoutProtocol: true };
      conditions.push((route) => route.protocol === protocol);
    } else if (abbreviates(word, "type")) {
      const type = words.value();
      conditions.push((route) => route.type === type);
    } else if (["src", "via", "tos", "metric", "mark", "from", "cache", "scope"].includes(word))
      throw notModelled("ip", `ip -6 route show ${word}`);
    else conditions.push(readDestinations(word, words));
  }
  return {
    table,
    words: hidden,
    match: (route) => conditions.every((condition) => condition(route)),
  };
}

/** `root P`, `match P`, `exact P`, or a bare prefix, which means exactly it. */
function readDestinations(word: string, words: Words): (route: Fib6Route) => boolean {
  const kind = word === "to" ? words.value() : word;
  const isKind = kind === "root" || kind === "match" || kind === "exact";
  const { address, length } = readPrefix6(isKind ? words.value() : kind);
  const asked: Ipv6Prefix = { address: maskIpv6(address, length), length };
  if (kind === "root")
    return ({ prefix }) => prefix.length >= length && ipv6PrefixContains(asked, prefix.address);
  if (kind === "match")
    return ({ prefix }) => prefix.length <= length && ipv6PrefixContains(prefix, asked.address);
  return ({ prefix }) => prefix.address === asked.address && prefix.length === length;
}
