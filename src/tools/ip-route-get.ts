import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { fib } from "../inet/fib.js";
import { formatRouteLines } from "../inet/fib-format.js";
import { tableName } from "../inet/fib-names.js";
import { RT_TABLE_MAIN } from "../inet/fib-types.js";
import { ipPacket } from "../inet/ip-local-out.js";
import { inetAddrType, isRoute, routeOutput } from "../inet/route.js";
import type { RouteEntry } from "../inet/route-entry.js";
import { decideInput } from "../inet/route-input.js";
import { NO_BYTES, type TransportHeader } from "../wire/frame.js";
import { formatIpv4, IPV4_ANY, type Ipv4 } from "../wire/ip.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.js";
import { notModelled, rtnetlink } from "./failure.js";
import { type IpContext, namespaceOf, readPrefix } from "./ip-context.js";
import { readRouteQuestion, type RouteQuestion } from "./ip-route-question.js";
import type { Words } from "./words.js";

type Question = RouteQuestion<Ipv4>;

const ECN_MASK = 3;

/** `ip route get`: the way a local packet would take, or one that comes in. Mirrors net/ipv4/route.c:inet_rtm_getroute(). */
export function ipRouteGet(words: Words, context: IpContext): string {
  const ns = namespaceOf(context);
  const question = readRouteQuestion(words, ns, "ipv4", (word) => readPrefix(word).address);
  const { iif } = question;
  const route = iif === undefined ? outgoing(ns, question) : incoming(question, iif);
  if (question.fibmatch) return formatMatch(ns, route, context);
  return iif === undefined
    ? formatOutgoing(ns, question, route, context)
    : formatIncoming(question, iif, route, context);
}

function outgoing(ns: NetworkNamespace, question: Question): RouteEntry {
  const { destination, source, oif, mark, uid, protocol, sourcePort, destinationPort } = question;
  const flow = { destination, source, oif, mark, uid, protocol, sourcePort, destinationPort };
  const route = routeOutput(ns, { ...flow, tos: question.tos });
  if (!isRoute(route) || route.error !== undefined) throw refused(route.error);
  return route;
}

/** With the rules and checks of packets that come in. */
function incoming(question: Question, iif: NetDevice): RouteEntry {
  const { source: from = IPV4_ANY, destination, mark, tos, protocol } = question;
  const fields = { source: from, destination, protocol, tos, ttl: 64, id: 0, dontFragment: false };
  const frame = ipPacket(fields, headerOf(question), NO_BYTES);
  const { decision } = decideInput({
    source: from,
    destination,
    tos: tos & ~ECN_MASK,
    mark,
    dev: iif,
    frame,
  });
  if (typeof decision === "string") throw rtnetlink("Invalid argument");
  if (decision.error !== undefined) throw refused(decision.error);
  return decision;
}

/** Mirrors inet_rtm_getroute_build_skb(). */
function headerOf({ protocol, sourcePort, destinationPort }: Question): TransportHeader {
  const ports = { sourcePort, destinationPort };
  if (protocol === IPPROTO_UDP) return { kind: "udp", ...ports };
  if (protocol !== IPPROTO_TCP) return { kind: "icmp", type: 8, code: 0, rest: 0 };
  const numbers = { sequence: 0, acknowledgment: 0, flags: 0, window: 0, urgent: 0 };
  return { kind: "tcp", ...ports, ...numbers, options: NO_BYTES };
}

function formatOutgoing(
  ns: NetworkNamespace,
  { destination, source, mark, uid }: Question,
  route: RouteEntry,
  context: IpContext,
): string {
  const type = inetAddrType(ns, destination);
  const parts = [`${type === "UNICAST" ? "" : `${type.toLowerCase()} `}${formatIpv4(destination)}`];
  if (source !== undefined) parts.push(`from ${formatIpv4(source)}`);
  parts.push(...wayWords(route, ns));
  if (source === undefined && typeof route.source === "number")
    parts.push(`src ${formatIpv4(route.source)}`);
  if (mark !== 0) parts.push(formatMark(mark));
  // The flag of a multicast route is a bit that iproute2 takes for something else.
  if (type === "MULTICAST") parts.push("rt_offload_failed");
  parts.push(`uid ${uid}`);
  return `${parts.join(" ")} ${context.oneLine ? "\\" : "\n"}    cache ${OUTPUT_FLAGS.get(type) ?? ""}\n`;
}

const OUTPUT_FLAGS: ReadonlyMap<string, string> = new Map([
  ["LOCAL", "<local> "],
  ["BROADCAST", "<local,brd> "],
  ["MULTICAST", "<mc> "],
]);

function formatIncoming(
  { destination, source, mark }: Question,
  iif: NetDevice,
  route: RouteEntry,
  context: IpContext,
): string {
  const { type, redirect } = route;
  const parts = [`${type === "unicast" ? "" : `${type} `}${formatIpv4(destination)}`];
  if (source !== undefined) parts.push(`from ${formatIpv4(source)}`);
  parts.push(...wayWords(route, iif.ns));
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

/** The TOS that the deciding route is about, the gateway, the device and the table. */
function wayWords(route: RouteEntry, ns: NetworkNamespace): readonly string[] {
  const tos = route.decidedBy?.tos ?? 0;
  return [
    ...(tos === 0 ? [] : [`tos 0x${tos.toString(16).padStart(2, "0")}`]),
    ...(typeof route.gateway === "number" ? [`via ${formatIpv4(route.gateway)}`] : []),
    `dev ${route.dev.name}`,
    ...(isNamed(route, ns) ? [`table ${tableName(route.table ?? RT_TABLE_MAIN)}`] : []),
  ];
}

/** A table is named where it is not main; as long as nobody touched the rules, local is a part of main. */
function isNamed({ table }: RouteEntry, ns: NetworkNamespace): boolean {
  return table !== undefined && table !== RT_TABLE_MAIN && fib(ns).hasCustomRules;
}

/** `fibmatch`: the route that decided, as `ip route show` prints it, of the type that the packet is of. */
function formatMatch(ns: NetworkNamespace, route: RouteEntry, context: IpContext): string {
  const { decidedBy, type } = route;
  if (decidedBy === undefined) throw notModelled("ip", "fibmatch of what no route decides");
  const lines = formatRouteLines({ ...decidedBy, type }, isNamed(route, ns));
  return `${lines.join(context.oneLine ? "\\" : "\n")}\n`;
}

function formatMark(mark: number): string {
  return `mark ${mark >= 16 ? `0x${mark.toString(16)}` : mark}`;
}

function refused(error: string | undefined): Error {
  return rtnetlink(ANSWERS[error ?? ""] ?? error ?? "");
}

/** Errors of a lookup in the words of strerror(3). */
const ANSWERS: Readonly<Record<string, string>> = {
  ENETUNREACH: "Network is unreachable",
  EHOSTUNREACH: "No route to host",
  EACCES: "Permission denied",
  EINVAL: "Invalid argument",
  ENETDOWN: "Network is down",
};
