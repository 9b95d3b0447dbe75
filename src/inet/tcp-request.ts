import { ipv4Sysctls } from "./sysctls.js";
import { TcpConnection } from "./tcp-connection.js";
import { agree, prepare, prepareRoute } from "./tcp-open.js";
import type { TcpOptions } from "./tcp-options.js";
import { TIMESTAMP_LENGTH } from "./tcp-output.js";
import type { Received } from "./tcp-received.js";
import { advance } from "./tcp-sequence.js";
import type { TcpListener } from "./tcp-socket.js";

/**
 * The passive end of a connection, begun by a SYN that offers `options` and is not in any table yet; undefined when there is no way
 * to its peer. Mirrors tcp_openreq_init(), tcp_v4_init_req() and tcp_openreq_init_rwin().
 */
export function newRequest(
  listener: TcpListener,
  { skb, header }: Received,
  options: TcpOptions,
): TcpConnection | undefined {
  const { network } = skb.frame;
  if (network === undefined || network.kind === "arp") return undefined;
  const owner =
    ipv4Sysctls(skb.ns).get("net.ipv4.tcp_fwmark_accept") === 0
      ? listener.owner
      : { ...listener.owner, mark: skb.mark };
  const connection = new TcpConnection(skb.ns, owner, listener.operations);
  connection.localAddress = network.destination;
  connection.localPort = header.destinationPort;
  connection.remoteAddress = network.source;
  connection.remotePort = header.sourcePort;
  connection.current = skb;
  prepare(connection);
  const timestamps = connection.timestamps && options.timestamp !== undefined;
  if (!prepareRoute(connection, timestamps ? TIMESTAMP_LENGTH : 0)) return undefined;
  agree(connection, options);
  connection.in.next = advance(header.sequence, 1);
  connection.in.acknowledged = connection.in.next;
  connection.out.window = header.window;
  connection.state = "SYN_RECV";
  connection.keepAlive = listener.keepAlive;
  connection.accept = listener.onAccept;
  connection.acceptQueue = listener;
  return connection;
}
