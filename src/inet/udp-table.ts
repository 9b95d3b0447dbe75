import type { NetDevice } from "../core/device.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { type IpAddress, isAnyAddress } from "../wire/ip.js";
import { type Bound, chooseOfGroup, clashes } from "./reuse-port.js";
import type { UdpSocket } from "./udp-socket.js";

/** The bound UDP sockets of one namespace by port. Mirrors struct udp_table. */
export class UdpTable {
  readonly #byPort = new Map<number, readonly UdpSocket[]>();

  add(socket: UdpSocket): void {
    // The socket that was bound last is found first. Mirrors hlist_add_head.
    this.#byPort.set(socket.localPort, [socket, ...this.at(socket.localPort)]);
  }

  remove(socket: UdpSocket): void {
    const rest = this.at(socket.localPort).filter((other) => other !== socket);
    if (rest.length === 0) this.#byPort.delete(socket.localPort);
    else this.#byPort.set(socket.localPort, rest);
  }

  at(port: number): readonly UdpSocket[] {
    return this.#byPort.get(port) ?? NONE;
  }

  /** Whether a socket may be bound there. */
  isFree(wanted: Bound, port: number): boolean {
    return !this.at(port).some((other) => clashes(wanted, other));
  }

  /** The socket that fits a datagram best, or one of its group. Mirrors net/ipv4/udp.c:__udp4_lib_lookup(). */
  lookup(
    to: IpAddress,
    toPort: number,
    from: IpAddress,
    fromPort: number,
    dev: NetDevice | undefined,
  ): UdpSocket | undefined {
    let best: UdpSocket | undefined;
    let bestScore = -1;
    for (const socket of this.at(toPort)) {
      const score = scoreOf(socket, to, from, fromPort, dev);
      if (score <= bestScore) continue;
      best = socket;
      bestScore = score;
    }
    if (best === undefined || best.remotePort !== 0 || best.owner.reusePort !== true) return best;
    const group = this.at(toPort).filter(({ remotePort }) => remotePort === 0);
    const flow = { local: to, localPort: toPort, remote: from, remotePort: fromPort };
    return chooseOfGroup(best.ns, best, group, flow);
  }
}

const NONE: readonly UdpSocket[] = [];

export const udpTable: (ns: NetworkNamespace) => UdpTable = perNamespace(() => new UdpTable());

/** How well a socket fits a datagram; -1 when it does not. Mirrors compute_score(). */
export function scoreOf(
  socket: UdpSocket,
  to: IpAddress,
  from: IpAddress,
  fromPort: number,
  dev: NetDevice | undefined,
): number {
  let score = 1;
  if (!isAnyAddress(socket.localAddress)) {
    if (socket.localAddress !== to) return -1;
    score += 4;
  } else if (typeof socket.localAddress !== typeof to) return -1;
  if (socket.remotePort !== 0) {
    if (socket.remoteAddress !== from || socket.remotePort !== fromPort) return -1;
    score += 8;
  }
  const { boundDevice } = socket.owner;
  if (boundDevice !== undefined) {
    if (boundDevice !== dev?.name) return -1;
    score += 4;
  }
  return score;
}
