import type { Errno } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SocketEvent } from "../core/trace.js";
import { formatIpv4, type Ipv4 } from "../wire/ip.js";

/** The two ends of a socket. */
export interface Endpoints {
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly localAddress: Ipv4;
  readonly localPort: number;
  readonly remoteAddress: Ipv4;
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
  const local = `${ends.protocol} ${formatIpv4(ends.localAddress)}:${ends.localPort}`;
  return ends.remotePort === 0 && ends.remoteAddress === 0
    ? local
    : `${local} > ${formatIpv4(ends.remoteAddress)}:${ends.remotePort}`;
}
