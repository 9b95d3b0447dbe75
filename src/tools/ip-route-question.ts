import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { parseProtocol } from "../inet/fib-names.js";
import type { IpAddress } from "../wire/ip.js";
import { IPPROTO_ICMPV6 } from "../wire/ipv6.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { deviceOf } from "./ip-context.js";
import { garbage, parseNumber, type Words, wrongArgument } from "./words.js";

/** What `ip route get` is asked. */
export interface RouteQuestion<A extends IpAddress> {
  readonly destination: A;
  readonly source: A | undefined;
  readonly oif: NetDevice | undefined;
  readonly mark: number;
  readonly uid: number;
  /** A packet that comes in by this device, instead of a local one. */
  readonly iif: NetDevice | undefined;
  readonly tos: number;
  /** Where nothing is said: UDP over IPv4, 0 over IPv6. */
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Tell the route that decides, not the way. */
  readonly fibmatch: boolean;
}

type Draft<A extends IpAddress> = {
  -readonly [K in keyof RouteQuestion<A>]: RouteQuestion<A>[K] | undefined;
};

/** Reads `[fibmatch] ADDRESS [from …] [iif …] [tos …] [ipproto …] …`. Mirrors iproute2's ip/iproute.c:iproute_get(). */
export function readRouteQuestion<A extends IpAddress>(
  words: Words,
  ns: NetworkNamespace,
  family: "ipv4" | "ipv6",
  address: (word: string) => A,
): RouteQuestion<A> {
  const asked: Partial<Draft<A>> = {};
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (readSelector(word, words, ns, asked)) continue;
    if (word === "from") asked.source = address(words.value());
    else if (NOT_ASKED.includes(word)) throw notModelled("ip", `ip route get ${word}`);
    else {
      const given = word === "to" ? words.value() : word;
      if (asked.destination !== undefined) throw garbage("to", given);
      asked.destination = address(given);
    }
  }
  const { destination, protocol = family === "ipv4" ? IPPROTO_UDP : 0 } = asked;
  if (destination === undefined) throw new ToolFailure(1, "need at least a destination address\n");
  if (asked.protocol !== undefined && !PROTOCOLS[family].includes(protocol))
    throw rtnetlink("Error: Unsupported ip proto.");
  const { source, oif, iif, mark = 0, uid = 0, tos = 0, fibmatch = false } = asked;
  const { sourcePort = 0, destinationPort = 0 } = asked;
  const ports = { protocol, sourcePort, destinationPort };
  return { destination, source, oif, iif, mark, uid, tos, fibmatch, ...ports };
}

/** Mirrors net/ipv4/fib_semantics.c:rtm_getroute_parse_ip_proto(). */
const PROTOCOLS: Readonly<Record<"ipv4" | "ipv6", readonly number[]>> = {
  ipv4: [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP],
  ipv6: [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6],
};

const NOT_ASKED: readonly string[] = ["vrf", "connected", "notify"];

function readSelector<A extends IpAddress>(
  word: string,
  words: Words,
  ns: NetworkNamespace,
  asked: Partial<Draft<A>>,
): boolean {
  if (word === "oif" || word === "dev") asked.oif = deviceOf(ns, words.value());
  else if (word === "iif") asked.iif = deviceOf(ns, words.value());
  else if (word === "mark") asked.mark = words.number("mark", 0, 0xffff_ffff);
  else if (word === "uid") asked.uid = words.number("uid", 0, 0xffff_fffe);
  else if (word === "tos" || word === "dsfield") asked.tos = readTos(words.value());
  else if (word === "ipproto") asked.protocol = readProtocol(words.value());
  else if (word === "sport") asked.sourcePort = readPort(words.value(), word);
  else if (word === "dport") asked.destinationPort = readPort(words.value(), word);
  else if (word === "fibmatch") asked.fibmatch = true;
  else return false;
  return true;
}

/** Hexadecimal, with or without 0x. Mirrors iproute2's rtnl_dsfield_a2n(). */
function readTos(word: string): number {
  const value = /^(0x)?[0-9a-f]{1,8}$/i.test(word) ? Number.parseInt(word, 16) : undefined;
  if (value === undefined || value > 255) throw wrongArgument(word, "TOS value is invalid\n");
  return value;
}

function readProtocol(word: string): number {
  const value = parseProtocol(word);
  if (value === undefined) throw wrongArgument(word, 'Invalid "ipproto" value\n');
  return value;
}

function readPort(word: string, key: "sport" | "dport"): number {
  const value = parseNumber(word);
  if (value === undefined || value > 0xffff) throw wrongArgument(word, `invalid ${key}\n`);
  return value;
}
