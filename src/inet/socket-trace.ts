import type { Errno } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SocketEvent } from "../core/trace.js";
import { formatIp, type IpAddress } from "../wire/ip.js";

/** The two ends of a socket. */
export interface Endpoints {
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly localAddress: IpAddress;
  readonly localPort: number;
  readonly remoteAddress: IpAddress;
  readonly remotePort: number;
}

/** The one place that tells what a program hears of its socket. Call it only when someone listens. */
export function traceSocket(
  ns: NetworkNamespace,
  ends: Endpoints,
  action: SocketEvent["action"],
  text: string,
  errno?: Errno,
): void {
  ns.sim.trace?.({
    time: ns.sim.queue.now,
    ns: ns.name,
    kind: "socket",
    socket: formatEndpoints(ends),
    action,
    errno,
    text,
  });
}

/** `tcp 10.244.1.5:40000 > 10.96.44.10:80`; without the part after `>` for one that is not connected. */
export function formatEndpoints(ends: Endpoints): string {
  const local = `${ends.protocol} ${formatHostPort(ends.localAddress, ends.localPort)}`;
  const connected = ends.remotePort !== 0 || BigInt(ends.remoteAddress) !== 0n;
  return connected ? `${local} > ${formatHostPort(ends.remoteAddress, ends.remotePort)}` : local;
}

/** `10.1.2.3:80`; an IPv6 address stands in brackets before a port. */
export function formatHostPort(address: IpAddress, port: number): string {
  const host = typeof address === "number" ? formatIp(address) : `[${formatIp(address)}]`;
  return `${host}:${port}`;
}
