import type { NetworkNamespace } from "../core/namespace.js";
import type { RouteType } from "../core/route.js";
import { parseRouteProtocol, parseScope, parseTable } from "../inet/fib-names.js";
import type { NexthopSpec, RouteSpec } from "../inet/fib-types.js";
import { RTPROT_BOOT } from "../inet/fib-types.js";
import type { Ipv4, Ipv4Prefix } from "../wire/ip.js";
import { notModelled, ToolFailure } from "./failure.js";
import { deviceOf, readAddress, readPrefix } from "./ip-context.js";
import { abbreviates, garbage, parseNumber, type Words, wrongArgument } from "./words.js";

const TYPES: readonly RouteType[] = [
  "unicast",
  "local",
  "broadcast",
  "multicast",
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
];

const OTHER_WORDS: readonly string[] =
  "as nhid encap rtt rttvar reordering window cwnd initcwnd initrwnd ssthresh rto_min hoplimit features quickack congctl pref expires fastopen_no_cookie ttl-propagate vrf pervasive".split(
    " ",
  );

/** A route as it is put together while its words are read. */
interface Draft {
  /** The destination said that this is IPv4, which changes the words of later complaints. */
  hasFamily: boolean;
  prefix: Ipv4Prefix | undefined;
  type: RouteType | undefined;
  table: number | undefined;
  tos: number | undefined;
  metric: number | undefined;
  scope: number | undefined;
  protocol: number | undefined;
  source: Ipv4 | undefined;
  mtu: number | undefined;
  mtuLock: boolean | undefined;
  advmss: number | undefined;
  gateway: Ipv4 | undefined;
  dev: string | undefined;
  onlink: boolean | undefined;
  realms: number | undefined;
  readonly nexthops: NexthopSpec[];
}

/** Reads a route. For `del` what is left out matches any. Mirrors iproute2's iproute_modify(). */
export function readRoute(words: Words, ns: NetworkNamespace, forDelete: boolean): RouteSpec {
  const draft = readDraft(words, ns);
  if (draft.prefix === undefined) {
    throw new ToolFailure(255, "Usage: ip route { add | del | change | append | replace } ROUTE\n");
  }
  const dev = draft.dev === undefined ? undefined : deviceOf(ns, draft.dev);
  const single = dev !== undefined || draft.gateway !== undefined;
  const nexthops = single
    ? [
        { dev, gateway: draft.gateway, onlink: draft.onlink, realms: draft.realms },
        ...draft.nexthops,
      ]
    : draft.nexthops;
  return {
    prefix: draft.prefix,
    type: draft.type ?? (forDelete ? undefined : "unicast"),
    table: draft.table,
    tos: draft.tos,
    metric: draft.metric,
    scope: draft.scope,
    protocol: draft.protocol ?? (forDelete ? undefined : RTPROT_BOOT),
    source: draft.source,
    mtu: draft.mtu,
    mtuLock: draft.mtuLock,
    advmss: draft.advmss,
    nexthops,
  };
}

function readDraft(words: Words, ns: NetworkNamespace): Draft {
  const draft: Draft = {
    hasFamily: false,
    prefix: undefined,
    type: undefined,
    table: undefined,
    tos: undefined,
    metric: undefined,
    scope: undefined,
    protocol: undefined,
    source: undefined,
    mtu: undefined,
    mtuLock: undefined,
    advmss: undefined,
    gateway: undefined,
    dev: undefined,
    onlink: undefined,
    realms: undefined,
    nexthops: [],
  };
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "nexthop") draft.nexthops.push(...readNexthops(words, ns));
    else if (OTHER_WORDS.includes(word)) throw notModelled("ip", `ip route … ${word}`);
    else if (!readAttribute(word, words, draft)) readDestination(word, words, draft);
  }
  return draft;
}

function readAttribute(word: string, words: Words, draft: Draft): boolean {
  if (word === "via") draft.gateway = readGateway(words, draft.hasFamily ? "inet" : "any valid");
  else if (word === "dev" || word === "oif") draft.dev = words.value();
  else if (word === "src") draft.source = readAddress(words.value());
  else if (word === "onlink") draft.onlink = true;
  else if (abbreviates(word, "realms")) draft.realms = readRealms(words);
  else if (word === "mtu") {
    draft.mtuLock = words.take("lock");
    draft.mtu = unsigned(words, '"mtu" value is invalid\n');
  } else if (word === "advmss") draft.advmss = unsigned(words, '"mss" value is invalid\n');
  else if (abbreviates(word, "metric") || abbreviates(word, "priority") || word === "preference") {
    draft.metric = unsigned(words, '"metric" value is invalid\n');
  } else if (word === "tos" || abbreviates(word, "dsfield")) draft.tos = readTos(words);
  else if (abbreviates(word, "scope"))
    draft.scope = named(words, parseScope, 'invalid "scope" value\n');
  else if (abbreviates(word, "protocol"))
    draft.protocol = named(words, parseRouteProtocol, '"protocol" value is invalid\n');
  else if (abbreviates(word, "table"))
    draft.table = named(words, parseTable, '"table" value is invalid\n');
  else return false;
  return true;
}

function readDestination(word: string, words: Words, draft: Draft): void {
  let given = word === "to" ? words.value() : word;
  const type = TYPES.find((name) => name === given);
  if (type !== undefined) {
    draft.type = type;
    given = words.value();
  }
  if (draft.prefix !== undefined) throw garbage("to", given);
  draft.prefix = readPrefix(given);
  draft.hasFamily = given !== "default" && given !== "any" && given !== "all";
}

/** `TO` or `FROM/TO`; the one name that /etc/iproute2/rt_realms has is `cosmos`. Mirrors iproute2's get_rt_realms_or_raw(). */
function readRealms(words: Words): number {
  const word = words.value();
  const [to, from = 0] = word
    .split("/")
    .map((text) => (text === "cosmos" ? 0 : parseNumber(text)))
    .toReversed();
  const isWrong = [to, from].some((realm) => realm === undefined || realm > 0xffff);
  if (isWrong || word.split("/").length > 2)
    throw wrongArgument(word, '"realm" value is invalid\n');
  return (((from ?? 0) << 16) | (to ?? 0)) >>> 0;
}

/** The words after `nexthop`, up to the end or the next `nexthop`. Mirrors iproute2's parse_nexthops(). */
function readNexthops(words: Words, ns: NetworkNamespace): NexthopSpec[] {
  const nexthops: NexthopSpec[] = [];
  do {
    let hop: NexthopSpec = {};
    while (!words.isEmpty && words.peek() !== "nexthop") {
      const word = words.value();
      if (word === "via") hop = { ...hop, gateway: readGateway(words, "inet") };
      else if (word === "dev") hop = { ...hop, dev: deviceOf(ns, words.value()) };
      else if (word === "weight") hop = { ...hop, weight: readWeight(words) };
      else if (word === "onlink") hop = { ...hop, onlink: true };
      else if (abbreviates(word, "realms")) hop = { ...hop, realms: readRealms(words) };
      else if (OTHER_WORDS.includes(word)) throw notModelled("ip", `ip route … nexthop ${word}`);
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

function readGateway(words: Words, kind: string): Ipv4 {
  words.take("inet");
  if (words.peek() === "inet6") throw notModelled("ip", "an IPv6 gateway");
  return readAddress(words.value(), kind);
}

function readWeight(words: Words): number {
  const word = words.value();
  const weight = parseNumber(word);
  if (weight === undefined || weight < 1 || weight > 256)
    throw wrongArgument(word, '"weight" is invalid\n');
  return weight;
}

function readTos(words: Words): number {
  const word = words.value();
  const value = /^[0-9a-f]{1,2}$/i.test(word) ? Number.parseInt(word, 16) : parseNumber(word);
  if (value === undefined || value > 255) throw wrongArgument(word, '"tos" value is invalid\n');
  return value;
}

function unsigned(words: Words, why: string): number {
  const word = words.value();
  const value = parseNumber(word);
  if (value === undefined || value > 0xffff_ffff) throw wrongArgument(word, why);
  return value;
}

function named(words: Words, parse: (word: string) => number | undefined, why: string): number {
  const word = words.value();
  const value = parse(word);
  if (value === undefined) throw wrongArgument(word, why);
  return value;
}
