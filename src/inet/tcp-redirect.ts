import { TCP_FIN, TCP_SYN, type TcpHeader } from "../wire/tcp.js";
import type { RedirectNotice } from "./protocols.js";
import type { TcpConnection } from "./tcp-connection.js";
import { isAfter, isBefore } from "./tcp-sequence.js";
import { tcpTable } from "./tcp-table.js";

/**
 * A router says that a segment of ours has a nearer way. A connection believes it whichever router it uses, a handshake that came
 * in does not. Mirrors NDISC_REDIRECT of net/ipv6/tcp_ipv6.c:tcp_v6_err().
 */
export function tcpRedirect({ quoted, skb, take }: RedirectNotice): void {
  const { network, transport, payload } = quoted;
  if (network?.kind !== "ipv6" || transport?.kind !== "tcp") return;
  const connection = tcpTable(skb.ns).connection(
    network.source,
    transport.sourcePort,
    network.destination,
    transport.destinationPort,
  );
  if (connection === undefined) return;
  const { state, out } = connection;
  if (state === "SYN_RECV" || state === "TIME_WAIT" || state === "CLOSE") return;
  if (isBefore(transport.sequence, out.una) || isAfter(transport.sequence, out.sent)) return;
  if (!isHeld(connection, transport, payload)) take();
}

/**
 * Whether the program's own call still holds the socket: what comes back before connect(), send() or close() returns is lost, as
 * from another namespace of one machine. The ACK that ends a handshake leaves within connect() as well. Mirrors sock_owned_by_user().
 */
function isHeld(connection: TcpConnection, header: TcpHeader, payload: Uint8Array): boolean {
  if (connection.calledAt !== connection.ns.sim.queue.now) return false;
  const ofCall = (header.flags & (TCP_SYN | TCP_FIN)) !== 0 || payload.length > 0;
  return ofCall || connection.in.ackTimeout === 0;
}
