import type { NetDevice } from "../core/device.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { type IpAddress, isAnyAddress } from "../wire/ip.js";
import { type Bound, chooseOfGroup, clashes } from "./reuse-port.js";
import type { TcpConnection } from "./tcp-connection.js";
import type { TcpListener } from "./tcp-socket.js";

/** The TCP sockets of one namespace. Mirrors struct inet_hashinfo. */
export class TcpTable {
  /** By local and remote port: those four-tuples share. */
  readonly #connections = new Map<number, readonly TcpConnection[]>();
  readonly #listeners = new Map<number, readonly TcpListener[]>();
  /** Own and other address of connections that ended in peace, with a round-trip time measured. */
  readonly #proven = new Set<string>();

  addConnection(connection: TcpConnection): void {
    const key = portsKey(connection.localPort, connection.remotePort);
    this.#connections.set(key, [...(this.#connections.get(key) ?? NO_CONNECTIONS), connection]);
  }

  removeConnection(connection: TcpConnection): void {
    const key = portsKey(connection.localPort, connection.remotePort);
    const rest = (this.#connections.get(key) ?? NO_CONNECTIONS).filter(
      (other) => other !== connection,
    );
    if (rest.length === 0) this.#connections.delete(key);
    else this.#connections.set(key, rest);
  }

  /** Mirrors __inet_lookup_established(). */
  connection(
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
  ): TcpConnection | undefined {
    const candidates = this.#connections.get(portsKey(localPort, remotePort));
    if (candidates === undefined) return undefined;
    for (const candidate of candidates) {
      if (candidate.localAddress === local && candidate.remoteAddress === remote) return candidate;
    }
    return undefined;
  }

  /** Every connection, for `ss` and for whole-namespace checks. */
  connections(): readonly TcpConnection[] {
    return [...this.#connections.values()].flat();
  }

  /** A connection ended as both sides wished: its peer is there. Mirrors net/ipv4/tcp_metrics.c:tcp_update_metrics(). */
  noteEnd({ localAddress, remoteAddress, out }: TcpConnection): void {
    const pair = `${localAddress} ${remoteAddress}`;
    if (out.retransmits === 0 && out.roundTrip > 0) this.#proven.add(pair);
    else this.#proven.delete(pair);
  }

  /** Mirrors tcp_peer_is_proven(). */
  isProven(local: IpAddress, remote: IpAddress): boolean {
    return this.#proven.has(`${local} ${remote}`);
  }

  addListener(listener: TcpListener): void {
    this.#listeners.set(listener.port, [listener, ...this.listenersAt(listener.port)]);
  }

  removeListener(listener: TcpListener): void {
    const rest = this.listenersAt(listener.port).filter((other) => other !== listener);
    if (rest.length === 0) this.#listeners.delete(listener.port);
    else this.#listeners.set(listener.port, rest);
  }

  listenersAt(port: number): readonly TcpListener[] {
    return this.#listeners.get(port) ?? NO_LISTENERS;
  }

  /** The listener that fits best: bound to the device, then to the address; one of its group for who calls. Mirrors inet_lookup_listener(). */
  listener(
    address: IpAddress,
    port: number,
    dev: NetDevice | undefined,
    caller?: { readonly address: IpAddress; readonly port: number },
  ): TcpListener | undefined {
    let best: TcpListener | undefined;
    let bestScore = -1;
    for (const listener of this.listenersAt(port)) {
      const { boundDevice } = listener.owner;
      const any = isAnyAddress(listener.address);
      if (any ? typeof listener.address !== typeof address : listener.address !== address) continue;
      if (boundDevice !== undefined && boundDevice !== dev?.name) continue;
      const score = (boundDevice === undefined ? 0 : 1) + (any ? 0 : 1);
      if (score <= bestScore) continue;
      best = listener;
      bestScore = score;
    }
    if (best === undefined || caller === undefined) return best;
    const flow = {
      local: address,
      localPort: port,
      remote: caller.address,
      remotePort: caller.port,
    };
    return chooseOfGroup(best.ns, best, this.listenersAt(port), flow);
  }

  /** Whether a listener may be bound there. */
  isFree(wanted: Bound, port: number): boolean {
    return !this.listenersAt(port).some((other) => clashes(wanted, other));
  }
}

const NO_CONNECTIONS: readonly TcpConnection[] = [];
const NO_LISTENERS: readonly TcpListener[] = [];

export const tcpTable: (ns: NetworkNamespace) => TcpTable = perNamespace(() => new TcpTable());

function portsKey(local: number, remote: number): number {
  return local * 0x1_0000 + remote;
}
