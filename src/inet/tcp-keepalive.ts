import { type Micros, microseconds, seconds } from "../sim/time.js";
import { ipv4Sysctls } from "./sysctls.js";
import type { TcpConnection } from "./tcp-connection.js";
import { sendProbe, sendReset } from "./tcp-output.js";
import { isAfter } from "./tcp-sequence.js";
import { fail } from "./tcp-timer.js";

/** Asks from now on whether the peer is still there while nothing is said, if the program wants that. Mirrors tcp_set_keepalive(). */
export function startKeepAlive(connection: TcpConnection): void {
  connection.in.lastAck = connection.ns.sim.queue.now;
  if (connection.keepAlive) arm(connection, idleLimit(connection));
}

function arm(connection: TcpConnection, delay: Micros): void {
  connection.keepAliveTimer?.cancel();
  connection.keepAliveTimer = connection.ns.sim.queue.after(delay, "tcp keepalive", () =>
    onKeepAlive(connection),
  );
}

/** Mirrors net/ipv4/tcp_timer.c:tcp_keepalive_timer(). */
function onKeepAlive(connection: TcpConnection): void {
  const { out, in: received, ns, state, orphaned } = connection;
  connection.keepAliveTimer = undefined;
  // There the timer waits for the peer's FIN.
  if (state === "CLOSE" || (state === "FIN_WAIT2" && orphaned)) return;
  const limit = idleLimit(connection);
  // What waits for an answer, or to be sent, has timers of its own.
  const waits =
    out.una !== out.sent || isAfter(out.end, out.sent) || (out.finWanted && !out.finSent);
  if (waits) return arm(connection, limit);
  const idle = ns.sim.queue.now - Math.max(received.lastAck, received.lastData);
  if (idle < limit) return arm(connection, microseconds(limit - idle));
  const knobs = ipv4Sysctls(ns);
  if (out.probes >= knobs.get("net.ipv4.tcp_keepalive_probes")) {
    sendReset(connection);
    return fail(connection, connection.softError ?? "ETIMEDOUT");
  }
  sendProbe(connection, "tcp keepalive");
  out.probes++;
  arm(connection, seconds(knobs.get("net.ipv4.tcp_keepalive_intvl")));
}

/** How long nothing may be heard. */
function idleLimit({ ns }: TcpConnection): Micros {
  return seconds(ipv4Sysctls(ns).get("net.ipv4.tcp_keepalive_time"));
}
