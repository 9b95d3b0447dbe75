import type { Errno } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { type IpAddress, isAnyAddress } from "../wire/ip.js";
import type { Micros } from "../sim/time.js";
import { IPPROTO_TCP } from "../wire/ipv4.js";
import { familyOf } from "./families.js";
import { isRoute } from "./route-output.js";
import { bindRefusal } from "./bind-refusal.js";
import { boundDeviceOf, type SocketOwner } from "./socket-owner.js";
import { socketPorts } from "./socket-ports.js";
import { traceSocket } from "./socket-trace.js";
import { ipv4Sysctls } from "./sysctls.js";
import { TcpConnection, type TcpOperations } from "./tcp-connection.js";
import { prepare, prepareRoute } from "./tcp-open.js";
import { keepRoute, pump, sendReset, sendSyn } from "./tcp-output.js";
import { advance } from "./tcp-sequence.js";
import { lockSock } from "./tcp-lock.js";
import { tcpTable } from "./tcp-table.js";
import { armTimer, enterFinWait2, forget, watch } from "./tcp-timer.js";

export { TcpConnection } from "./tcp-connection.js";

/** A program that waits for connections. One without `onAccept` does not get round to accepting them. */
export interface TcpListener {
  readonly ns: NetworkNamespace;
  /** 0.0.0.0 or :: for every address. */
  readonly address: IpAddress;
  readonly port: number;
  readonly owner: SocketOwner;
  readonly onAccept: ((connection: TcpConnection) => void) | undefined;
  /** How many connections may wait to be accepted, less one. Mirrors sk_max_ack_backlog. */
  readonly backlog: number;
  /** SO_KEEPALIVE, which what is accepted inherits. */
  readonly keepAlive: boolean;
  /** Connections that wait to be accepted. */
  readonly waiting: Set<TcpConnection>;
  /** Handshakes under way. */
  readonly requests: Set<TcpConnection>;
  /** When a SYN was last answered with a cookie. */
  lastCookie: Micros | undefined;
  readonly operations: TcpOperations;
  close(): void;
}

export interface ListenOptions {
  /** As listen() is asked for it; `net.core.somaxconn` is the limit. */
  readonly backlog?: number | undefined;
  readonly keepAlive?: boolean | undefined;
  readonly address: IpAddress;
  readonly port: number;
  readonly owner?: SocketOwner | undefined;
}

/** Listens on an address and port; the errno of bind() or listen() when that fails. */
export function listenTcp(
  ns: NetworkNamespace,
  options: ListenOptions,
  onAccept: ((connection: TcpConnection) => void) | undefined,
): TcpListener | Errno {
  const { address, owner = {} } = options;
  const refused = bindRefusal(ns, address, options.port, owner);
  if (refused !== undefined) return refused;
  const table = tcpTable(ns);
  const port =
    options.port === 0
      ? socketPorts(ns).anyPort((candidate) => table.isFree({ address, owner }, candidate))
      : options.port;
  if (port === undefined || !table.isFree({ address, owner }, port)) return "EADDRINUSE";
  const listener: TcpListener = {
    ns,
    address,
    port,
    owner,
    onAccept,
    keepAlive: options.keepAlive === true,
    operations: OPERATIONS,
    backlog: Math.min(
      options.backlog ?? Number.POSITIVE_INFINITY,
      ipv4Sysctls(ns).get("net.core.somaxconn"),
    ),
    waiting: new Set(),
    requests: new Set(),
    lastCookie: undefined,
    close() {
      table.removeListener(listener);
      for (const request of listener.requests) forget(request);
      // Mirrors inet_csk_listen_stop().
      for (const connection of listener.waiting) abort(connection);
      listener.waiting.clear();
    },
  };
  table.addListener(listener);
  return listener;
}

export interface ConnectOptions {
  readonly address: IpAddress;
  readonly port: number;
  /** A free one is chosen when it is left out or 0. */
  readonly sourcePort?: number | undefined;
  readonly sourceAddress?: IpAddress | undefined;
  readonly owner?: SocketOwner | undefined;
  readonly ttl?: number | undefined;
  readonly tos?: number | undefined;
  readonly keepAlive?: boolean | undefined;
}

/**
 * Begins a connection. What fails at once stands in the result's `error`; everything else comes by `onConnected` and
 * `onError`, never before this returns. Mirrors net/ipv4/tcp_ipv4.c:tcp_v4_connect().
 */
export function connectTcp(ns: NetworkNamespace, options: ConnectOptions): TcpConnection {
  const { owner = {}, tos = 0 } = options;
  const family = familyOf(options.address);
  const connection = new TcpConnection(ns, owner, OPERATIONS);
  connection.remoteAddress = isAnyAddress(options.address) ? family.loopback : options.address;
  connection.remotePort = options.port;
  connection.localAddress = options.sourceAddress ?? family.any;
  connection.localPort = options.sourcePort ?? 0;
  connection.ttl = options.ttl;
  connection.tos = tos;
  connection.keepAlive = options.keepAlive === true;
  const refused = chooseLocal(connection);
  if (refused !== undefined) {
    connection.error = refused;
    if (ns.sim.trace !== undefined)
      traceSocket(ns, connection, "error", `connect failed with ${refused}`, refused);
    return connection;
  }
  if (ns.sim.trace !== undefined) traceSocket(ns, connection, "connect", "connect");
  prepare(connection);
  prepareRoute(connection, 0);
  connection.state = "SYN_SENT";
  connection.calledAt = ns.sim.queue.now;
  tcpTable(ns).addConnection(connection);
  connection.out.timedAt = ns.sim.queue.now;
  lockSock(connection, () => {
    sendSyn(connection);
    armTimer(connection);
  });
  return connection;
}

/** The own address by the route, then a port. Undefined when all is well. */
function chooseLocal(connection: TcpConnection): Errno | undefined {
  const { ns, owner, localAddress, remoteAddress, remotePort } = connection;
  const refused = bindRefusal(ns, localAddress, connection.localPort, owner);
  if (refused !== undefined) return refused;
  const route = connection.family.connect(ns, {
    destination: remoteAddress,
    source: localAddress,
    mark: owner.mark ?? 0,
    oif: boundDeviceOf(ns, owner),
    tos: connection.tos,
    uid: owner.uid,
    anySource: owner.transparent,
    protocol: IPPROTO_TCP,
    sourcePort: connection.localPort,
    destinationPort: remotePort,
  });
  if (!isRoute(route)) return route.error;
  if (route.type === "broadcast" || route.type === "multicast") return "ENETUNREACH";
  if (isAnyAddress(localAddress)) connection.localAddress = route.source ?? connection.family.any;
  if (connection.family.keepsFirstRoute) keepRoute(connection, route);
  const table = tcpTable(ns);
  const source = connection.localAddress;
  const isFree = (port: number): boolean =>
    table.connection(source, port, remoteAddress, remotePort) === undefined;
  if (connection.localPort !== 0) {
    if (!table.isFree({ address: source, owner }, connection.localPort)) return "EADDRINUSE";
    return isFree(connection.localPort) ? undefined : "EADDRNOTAVAIL";
  }
  const port = socketPorts(ns).connectPort(
    source,
    remoteAddress,
    remotePort,
    (candidate) => table.listenersAt(candidate).length === 0 && isFree(candidate),
  );
  if (port === undefined) return "EADDRNOTAVAIL";
  connection.localPort = port;
  return undefined;
}

const OPERATIONS: TcpOperations = {
  send: (connection, data, cause) => lockSock(connection, () => send(connection, data, cause)),
  shutdown: (connection) => lockSock(connection, () => shutdown(connection)),
  close: (connection) => lockSock(connection, () => close(connection)),
  abort: (connection) => lockSock(connection, () => abort(connection)),
};

/** Mirrors tcp_sendmsg(). */
function send(
  connection: TcpConnection,
  data: Uint8Array,
  cause: SkBuff | undefined,
): Errno | undefined {
  const { out, state, ns } = connection;
  if (state === "CLOSE" || out.finWanted || connection.orphaned) return connection.error ?? "EPIPE";
  if (data.length === 0) return undefined;
  if (ns.sim.trace !== undefined) traceSocket(ns, connection, "sent", `sent ${data.length} bytes`);
  out.chunks = [...out.chunks, { start: out.end, data, cause: cause ?? connection.current }];
  out.end = advance(out.end, data.length);
  push(connection);
  return undefined;
}

/** Sends what may be sent and watches for the answer. */
function push(connection: TcpConnection): void {
  if (connection.state === "SYN_SENT" || connection.state === "SYN_RECV") return;
  connection.calledAt = connection.ns.sim.queue.now;
  pump(connection);
  watch(connection);
}

/** Mirrors tcp_shutdown(). */
function shutdown(connection: TcpConnection): void {
  const { out, state } = connection;
  if (out.finWanted || state === "CLOSE") return;
  if (state === "SYN_SENT") return;
  out.finWanted = true;
  if (state === "ESTABLISHED" || state === "SYN_RECV") connection.state = "FIN_WAIT1";
  else if (state === "CLOSE_WAIT") connection.state = "LAST_ACK";
  push(connection);
}

/** Mirrors __tcp_close(). */
function close(connection: TcpConnection): void {
  const { state, ns } = connection;
  if (connection.orphaned) return;
  connection.orphaned = true;
  if (state === "CLOSE") return;
  if (ns.sim.trace !== undefined) traceSocket(ns, connection, "closed", "closed");
  if (state === "SYN_SENT") return forget(connection);
  if (connection.unread > 0) {
    sendReset(connection);
    return forget(connection);
  }
  shutdown(connection);
  // Its FIN was sent and answered before: nobody waits for the peer's for ever.
  if (connection.state === "FIN_WAIT2") {
    connection.out.timer?.cancel();
    connection.out.timer = undefined;
    enterFinWait2(connection, false);
  }
}

/** Mirrors tcp_disconnect() under SO_LINGER 0. */
function abort(connection: TcpConnection): void {
  const { state } = connection;
  connection.orphaned = true;
  if (state === "CLOSE") return;
  if (state !== "SYN_SENT" && state !== "TIME_WAIT") sendReset(connection);
  forget(connection);
}
