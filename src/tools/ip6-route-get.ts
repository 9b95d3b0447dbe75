import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { tableName } from "../inet/fib-names.js";
import { RT_TABLE_MAIN } from "../inet/fib-types.js";
import { formatRoute6Lines } from "../inet/ipv6/fib-format.js";
import { ip6Packet } from "../inet/ipv6/packet.js";
import { decideInput6, isRoute6, type Route6, routeOutput6 } from "../inet/ipv6/route.js";
import { NO_BYTES, type TransportHeader } from "../wire/frame.js";
import { formatIpv6, IPV6_ANY, type Ipv6 } from "../wire/ip.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.js";
import { notModelled, rtnetlink } from "./failure.js";
import { type IpContext, namespaceOf, readPrefix6 } from "./ip-context.js";
import { readRouteQuestion, type RouteQuestion } from "./ip-route-question.js";
import type { Words } from "./words.js";

type Question = RouteQuestion<Ipv6>;

/** `ip -6 route get`. Mirrors net/ipv6/route.c:inet6_rtm_getroute() and iproute2's iproute_get(). */
export function ip6RouteGet(words: Words, context: IpContext): string {
  const ns = namespaceOf(context);
  const question = readRouteQuestion(words, ns, "ipv6", (word) => readPrefix6(word).address);
  const { iif, fibmatch } = question;
  const route = iif === undefined ? outgoing(ns, question) : incoming(question, iif);
  if (fibmatch) return `${withDevice(formatMatch(route), iif)}\n`;
  if (iif === undefined) return `${formatOutgoing(ns, question, route)}\n`;
  return `${withDevice(formatWay(question, route, route.decidedBy6?.source), iif)}\n`;
}

function outgoing(ns: NetworkNamespace, question: Question): Route6 {
  const { destination, source, oif, mark, uid, tos, protocol } = question;
  const { sourcePort, destinationPort } = question;
  const flow = { destination, source, oif, mark, uid, tos, protocol, sourcePort, destinationPort };
  const route = routeOutput6(ns, flow);
  if (!isRoute6(route)) throw refused(route.error);
  return route;
}

function incoming(question: Question, iif: NetDevice): Route6 {
  const { source = IPV6_ANY, destination, mark, tos, protocol } = question;
  const fields = { source, destination, protocol, trafficClass: tos, flowLabel: 0, hopLimit: 64 };
  const frame = ip6Packet(fields, headerOf(question), NO_BYTES);
  const { route } = decideInput6(frame, iif, mark);
  if (route.error !== undefined) throw refused(route.error);
  return route;
}

function headerOf({ protocol, ...asked }: Question): TransportHeader | undefined {
  const ports = { sourcePort: asked.sourcePort, destinationPort: asked.destinationPort };
  if (protocol === IPPROTO_UDP) return { kind: "udp", ...ports };
  if (protocol !== IPPROTO_TCP) return undefined;
  const numbers = { sequence: 0, acknowledgment: 0, flags: 0, window: 0, urgent: 0 };
  return { kind: "tcp", ...ports, ...numbers, options: NO_BYTES };
}

/** The source is that of the packet, or what the kernel would choose where one was asked for. */
function formatOutgoing(ns: NetworkNamespace, question: Question, route: Route6): string {
  const { source, destination } = question;
  const chosen =
    source === undefined || route.source === undefined
      ? undefined
      : routeOutput6(ns, { destination, mark: 0, tos: 0, oif: route.dev });
  const shown = chosen !== undefined && isRoute6(chosen) ? chosen.source : undefined;
  return formatWay(question, route, shown ?? route.source);
}

function formatWay(
  { destination, source }: Question,
  route: Route6,
  src: Ipv6 | undefined,
): string {
  const [, ...rest] = route.text.split(" ");
  const typed = /^(local|anycast|multicast) /.exec(route.text)?.[1];
  const shown = rest.slice(typed === undefined ? 0 : 1).join(" ");
  const table = route.decidedBy6?.table ?? RT_TABLE_MAIN;
  const tableWord = table === RT_TABLE_MAIN ? "" : `table ${tableName(table)} `;
  const placed = shown.replace(/\bdev \S+ /, `dev ${route.dev.name} ${tableWord}`);
  const srcWord = src === undefined ? "" : `src ${formatIpv6(src)} `;
  const text = placed.replace(/(?:src \S+ )?metric /, `${srcWord}metric `);
  const from = formatIpv6(source ?? IPV6_ANY);
  return `${typed === undefined ? "" : `${typed} `}${formatIpv6(destination)} from ${from} ${text}`;
}

/** `fibmatch`: the route that decided, as `ip -6 route show table all` prints it. */
function formatMatch({ decidedBy6 }: Route6): string {
  if (decidedBy6 === undefined) throw notModelled("ip", "fibmatch of what no route decides");
  return formatRoute6Lines(decidedBy6, { withTable: decidedBy6.table !== RT_TABLE_MAIN }).join(
    "\n",
  );
}

function withDevice(text: string, iif: NetDevice | undefined): string {
  return iif === undefined ? text : text.replace(/ pref /, ` iif ${iif.name} pref `);
}

function refused(error: string): Error {
  return rtnetlink(ANSWERS[error] ?? error);
}

/** Errors of a lookup in the words of strerror(3). */
const ANSWERS: Readonly<Record<string, string>> = {
  ENETUNREACH: "Network is unreachable",
  EHOSTUNREACH: "No route to host",
  EACCES: "Permission denied",
  EINVAL: "Invalid argument",
  EADDRNOTAVAIL: "Cannot assign requested address",
};
