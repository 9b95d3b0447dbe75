import { microseconds } from "../sim/time.js";
import type { TcpConnection } from "./tcp-connection.js";

/** Runs what the program asks for. What comes for the socket meanwhile waits until it is done. Mirrors lock_sock() and release_sock(). */
export function lockSock<T>(connection: TcpConnection, call: () => T): T {
  const { softirq } = connection.ns.sim;
  if (connection.backlog !== undefined) return softirq.systemCall(call);
  const backlog: (() => void)[] = [];
  connection.backlog = backlog;
  const result = softirq.systemCall(call);
  if (backlog.length === 0) connection.backlog = undefined;
  else releaseSock(connection, backlog);
  return result;
}

/** The program hears of nothing before its call has returned. Mirrors net/core/sock.c:__release_sock(). */
function releaseSock(connection: TcpConnection, backlog: (() => void)[]): void {
  const { queue, softirq } = connection.ns.sim;
  queue.after(microseconds(0), "tcp backlog", () => {
    softirq.systemCall(() => {
      for (let next = backlog.shift(); next !== undefined; next = backlog.shift()) next();
    });
    connection.backlog = undefined;
  });
}
