import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { type AddMode, fib } from "../inet/fib.js";
import { formatRouteLines } from "../inet/fib-format.js";
import { parseRouteProtocol, parseScope, parseTable, tableName } from "../inet/fib-names.js";
import { type FibRoute, RT_TABLE_MAIN } from "../inet/fib-types.js";
import { ipPacket } from "../inet/ip-local-out.js";
import { inetAddrType, isRoute, routeOutput } from "../inet/route.js";
import { decideInput } from "../inet/route-input.js";
import type { RouteEntry } from "../inet/route-entry.js";
import { NO_BYTES } from "../wire/frame.js";
import {
  formatIpv4,
  IPV4_ANY,
  type Ipv4,
  type Ipv4Prefix,
  networkOf,
  prefixContains,
} from "../wire/ip.js";
import { IPPROTO_UDP } from "../wire/ipv4.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { deviceOf, type IpContext, isAboutIpv6, namespaceOf, readPrefix } from "./ip-context.js";
import { ip6Route } from "./ip6-route.js";
import { readRoute } from "./ip-route-spec.js";
import { abbreviates, chooseCommand, garbage, type Words, wrongArgument } from "./words.js";

type Command = (words: Words, context: IpContext) => string;

const adds =
  (mode: AddMode): Command =>
  (words, context) =>
    add(words, context, mode);

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["list", show],
  ["show", show],
  ["lst", show],
  ["get", get],
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

/** What `ip route get` is asked. */
interface Question {
  readonly destination: Ipv4;
  readonly source: Ipv4 | undefined;
  readonly oif: NetDevice | undefined;
  readonly mark: number;
  readonly uid: number;
  /** A packet that comes in by this device, instead of a local one. */
  readonly iif: NetDevice | undefined;
}

/** The way a local packet would take, or one that comes in. Mirrors net/ipv4/route.c:inet_rtm_getroute(). */
function get(words: Words, context: IpContext): string {
  const ns = namespaceOf(context);
  const question = readQuestion(words, ns);
  const { destination, source, oif, mark, uid, iif } = question;
  if (iif !== undefined) return getInput(question, iif, context);
  const route = routeOutput(ns, { destination, source, oif, mark, tos: 0, uid });
  if (!isRoute(route)) throw rtnetlink(ANSWERS[route.error] ?? route.error);
  if (route.error !== undefined) throw rtnetlink(ANSWERS[route.error] ?? route.error);
  const type = inetAddrType(ns, destination);
  const shownType = type === "UNICAST" ? "" : `${type.toLowerCase()} `;
  const parts = [`${shownType}${formatIpv4(destination)}`];
  if (source !== undefined) parts.push(`from ${formatIpv4(source)}`);
  if (typeof route.gateway === "number") parts.push(`via ${formatIpv4(route.gateway)}`);
  parts.push(`dev ${route.dev.name}`, ...tableWords(route, ns));
  if (source === undefined && typeof route.source === "number")
    parts.push(`src ${formatIpv4(route.source)}`);
  if (mark !== 0) parts.push(formatMark(mark));
  // The flag of a multicast route is a bit that iproute2 takes for something else.
  if (type === "MULTICAST") parts.push("rt_offload_failed");
  parts.push(`uid ${uid}`);
  const flags =
    type === "LOCAL"
      ? "<local> "
      : type === "BROADCAST"
        ? "<local,brd> "
        : type === "MULTICAST"
          ? "<mc> "
          : "";
  return `${parts.join(" ")} ${context.oneLine ? "\\" : "\n"}    cache ${flags}\n`;
}

/** The way of a packet that comes in by a device, with the rules and checks of such packets. */
function getInput(
  { destination, source, mark }: Question,
  iif: NetDevice,
  context: IpContext,
): string {
  const from = source ?? IPV4_ANY;
  const fields = { source: from, destination, protocol: IPPROTO_UDP, tos: 0, ttl: 64, id: 0 };
  const ports = { kind: "udp", sourcePort: 0, destinationPort: 0 } as const;
  const frame = ipPacket({ ...fields, dontFragment: false }, ports, NO_BYTES);
  const { decision } = decideInput({ source: from, destination, tos: 0, mark, dev: iif, frame });
  if (typeof decision === "string") throw rtnetlink("Invalid argument");
  if (decision.error !== undefined) throw rtnetlink(ANSWERS[decision.error] ?? decision.error);
  const { type, gateway, dev, redirect } = decision;
  const parts = [`${type === "unicast" ? "" : `${type} `}${formatIpv4(destination)}`];
  if (source !== undefined) parts.push(`from ${formatIpv4(source)}`);
  if (gateway !== undefined) parts.push(`via ${formatIpv4(gateway)}`);
  parts.push(`dev ${dev.name}`, ...tableWords(decision, iif.ns));
  if (mark !== 0) parts.push(formatMark(mark));
  if (type === "multicast") parts.push("rt_offload_failed");
  const flags = redirect ? "<redirect> " : (INPUT_FLAGS.get(type) ?? "");
  return `${parts.join(" ")} ${context.oneLine ? "\\" : "\n"}    cache ${flags}iif ${iif.name} \n`;
}

const INPUT_FLAGS: ReadonlyMap<string, string> = new Map([
  ["local", "<local> "],
  ["broadcast", "<local,brd> "],
  ["multicast", "<local,mc> "],
]);

/** Named where it is not main; as long as nobody touched the rules, local is a part of main. */
function tableWords({ table }: Pick<RouteEntry, "table">, ns: NetworkNamespace): readonly string[] {
  if (table === undefined || table === RT_TABLE_MAIN || !fib(ns).hasCustomRules) return [];
  return [`table ${tableName(table)}`];
}

function formatMark(mark: number): string {
  return `mark ${mark >= 16 ? `0x${mark.toString(16)}` : mark}`;
}

function readQuestion(words: Words, ns: NetworkNamespace): Question {
  let destination: Ipv4 | undefined;
  let source: Ipv4 | undefined;
  let oif: NetDevice | undefined;
  let iif: NetDevice | undefined;
  let mark = 0;
  let uid = 0;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "from") source = readPrefix(words.value()).address;
    else if (word === "oif" || word === "dev") oif = deviceOf(ns, words.value());
    else if (word === "iif") iif = deviceOf(ns, words.value());
    else if (word === "mark") mark = words.number("mark", 0, 0xffff_ffff);
    else if (word === "uid") uid = words.number("uid", 0, 0xffff_fffe);
    else if (
      [
        "tos",
        "dsfield",
        "vrf",
        "ipproto",
        "sport",
        "dport",
        "fibmatch",
        "connected",
        "notify",
      ].includes(word)
    ) {
      throw notModelled("ip", `ip route get ${word}`);
    } else {
      const given = word === "to" ? words.value() : word;
      if (destination !== undefined) throw garbage("to", given);
      destination = readPrefix(given).address;
    }
  }
  if (destination === undefined) throw new ToolFailure(1, "need at least a destination address\n");
  return { destination, source, oif, mark, uid, iif };
}

/** Errors of a lookup in the words of strerror(3). */
const ANSWERS: Readonly<Record<string, string>> = {
  ENETUNREACH: "Network is unreachable",
  EHOSTUNREACH: "No route to host",
  EACCES: "Permission denied",
  EINVAL: "Invalid argument",
  ENETDOWN: "Network is down",
};
