import { drop } from "../core/drop.js";
import { jhash2 } from "../base/jhash.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { later, seconds } from "../sim/time.js";
import { addressWords, type CookieFlow, mssOfSynCookie, synCookie } from "./syn-cookies.js";
import { ipv4Sysctls } from "./sysctls.js";
import type { TcpConnection } from "./tcp-connection.js";
import { isAcceptQueueFull } from "./tcp-handshake.js";
import type { TcpOptions } from "./tcp-options.js";
import { sendSynAckAt } from "./tcp-output.js";
import type { Received } from "./tcp-received.js";
import { newRequest } from "./tcp-request.js";
import { advance } from "./tcp-sequence.js";
import type { TcpListener } from "./tcp-socket.js";
import { tcpTable } from "./tcp-table.js";

/** A cookie is looked for that long after the last that was sent. Mirrors TCP_SYNCOOKIE_VALID. */
const VALID = seconds(120);
/** The low bits of a cookie's timestamp: what the client offered. Mirrors TSBITS and TS_OPT_WSCALE_MASK of net/ipv4/syncookies.c. */
const OPTION_RANGE = 64;
const NO_SCALE = 15;
const SACK = 16;

/**
 * Answers a SYN with a sequence number that says everything, and forgets it: the answer is not repeated. What the client offered stands
 * in the timestamp, if it has one. Mirrors net/ipv4/syncookies.c:cookie_init_sequence() and cookie_init_timestamp().
 */
export function answerWithCookie(
  connection: TcpConnection,
  { header }: Received,
  mss: number | undefined,
): void {
  const { ns, out } = connection;
  const offered = mss ?? LEAST_MSS[connection.family.name];
  connection.initialSequence = synCookie(ns, flowOf(connection), header.sequence, offered);
  out.una = connection.initialSequence;
  out.sent = advance(out.una, 1);
  const scale = connection.in.windowScale === 0 ? NO_SCALE : out.windowScale;
  const said = scale + (connection.sackPermitted ? SACK : 0);
  const now = Math.floor(ns.sim.queue.now / 1000);
  const stamp = Math.floor(now / OPTION_RANGE) * OPTION_RANGE + said;
  const timestamp = (stamp > now ? stamp - OPTION_RANGE : stamp) + timestampOffset(connection);
  sendSynAckAt(connection, timestamp >>> 0, "tcp syn cookie");
}

/** What a client takes that does not say. Mirrors TCP_MSS_DEFAULT and, for IPv6, the mss_clamp of tcp_request_sock_ipv6_ops. */
const LEAST_MSS = { ipv4: 536, ipv6: 1220 } as const;

/**
 * The connection that an ACK with a cookie makes; undefined when it is dropped for want of a place. Mirrors net/ipv4/syncookies.c:
 * cookie_v4_check(), cookie_tcp_check() and tcp_get_cookie_sock(), and net/ipv6/syncookies.c.
 */
export function callByCookie(
  listener: TcpListener,
  received: Received,
): TcpConnection | "no cookie" | undefined {
  const { skb, header } = received;
  const { lastCookie } = listener;
  if (ipv4Sysctls(skb.ns).get("net.ipv4.tcp_syncookies") === 0) return "no cookie";
  if (lastCookie === undefined || skb.ns.sim.queue.now > later(lastCookie, VALID))
    return "no cookie";
  const { network } = skb.frame;
  if (network === undefined || network.kind === "arp") return "no cookie";
  const { sourcePort, destinationPort } = header;
  const flow = {
    source: network.source,
    destination: network.destination,
    sourcePort,
    destinationPort,
  };
  const cookie = advance(header.acknowledgment, -1);
  const mss = mssOfSynCookie(skb.ns, flow, header.sequence, cookie);
  const options = mss === undefined ? undefined : offeredBefore(skb.ns, flow, mss, received);
  if (options === undefined) return "no cookie";
  const first = { ...received, header: { ...header, sequence: advance(header.sequence, -1) } };
  const connection = newRequest(listener, first, options);
  if (connection === undefined || isAcceptQueueFull(listener)) {
    drop(skb, connection === undefined ? "IP_OUTNOROUTES" : "NO_SOCKET", "cookie_v4_check");
    return undefined;
  }
  begin(connection, cookie);
  return connection;
}

/** Where the connection stands after the handshake that nobody kept. */
function begin(connection: TcpConnection, cookie: number): void {
  const { out, ns } = connection;
  connection.initialSequence = cookie;
  if (connection.timestamps) connection.timestampOffset = timestampOffset(connection);
  out.una = advance(cookie, 1);
  out.sent = out.una;
  out.end = out.una;
  out.small = out.una;
  connection.acceptQueue?.requests.add(connection);
  tcpTable(ns).addConnection(connection);
}

/** What the client's SYN offered, as its echo of our timestamp tells; undefined for what this host does not speak. Mirrors cookie_timestamp_decode(). */
function offeredBefore(
  ns: NetworkNamespace,
  flow: CookieFlow,
  mss: number,
  { options }: Received,
): TcpOptions | undefined {
  const knobs = ipv4Sysctls(ns);
  const { timestamp } = options;
  if (timestamp === undefined) return { mss };
  if (knobs.get("net.ipv4.tcp_timestamps") === 0) return { mss };
  const [, echo] = timestamp;
  const said = echo === 0 ? 0 : (echo - offsetOf(ns, flow)) >>> 0;
  const sackPermitted = (said & SACK) !== 0;
  if (sackPermitted && knobs.get("net.ipv4.tcp_sack") === 0) return undefined;
  const scale = said & NO_SCALE;
  if (scale === NO_SCALE) return { mss, timestamp, sackPermitted };
  if (knobs.get("net.ipv4.tcp_window_scaling") === 0) return undefined;
  return { mss, timestamp, sackPermitted, windowScale: scale };
}

/** Who called, from the connection of the one that was called. */
function flowOf(connection: TcpConnection): CookieFlow {
  const { localAddress, localPort, remoteAddress, remotePort } = connection;
  return {
    source: remoteAddress,
    destination: localAddress,
    sourcePort: remotePort,
    destinationPort: localPort,
  };
}

function timestampOffset(connection: TcpConnection): number {
  return offsetOf(connection.ns, flowOf(connection));
}

const keyOf: (ns: NetworkNamespace) => { readonly key: number } = perNamespace((ns) => ({
  key: Math.floor(ns.sim.random() * 0x1_0000_0000) >>> 0,
}));

/** Where the clock of a pair of hosts starts, the same for every connection of theirs. Mirrors secure_tcp_ts_off(). */
function offsetOf(ns: NetworkNamespace, { source, destination }: CookieFlow): number {
  if (ipv4Sysctls(ns).get("net.ipv4.tcp_timestamps") !== 1) return 0;
  return jhash2([...addressWords(destination), ...addressWords(source)], keyOf(ns).key);
}
