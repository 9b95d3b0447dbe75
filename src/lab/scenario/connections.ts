import type { Errno } from "../../core/errno.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import { familyOf } from "../../inet/families.js";
import { PingSocket } from "../../inet/ping.js";
import { connectTcp, type TcpConnection } from "../../inet/tcp-socket.js";
import { UdpSocket } from "../../inet/udp-socket.js";
import { later, type Micros, milliseconds } from "../../sim/time.js";
import type { IpAddress } from "../../wire/ip.js";

/** After its program was told, a step goes on so long: for acknowledgements, and for what others do about it. */
const SETTLING: Micros = milliseconds(50);

export interface ConnectionTarget {
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly address: IpAddress;
  readonly port: number;
  readonly sourcePort: number;
}

/** A client's socket that lives over several steps. */
export interface Connection {
  /** Sends; what fails at once is its result. */
  send(data: Uint8Array): Errno | undefined;
  close(): void;
  /** The state of TCP; undefined for others. */
  readonly state: string | undefined;
  /** The port it sends from. */
  readonly sourcePort: number;
  /** Called when its program is told something: connected, an answer, an error, the peer's end. */
  onTold: (() => void) | undefined;
}

export function openConnection(ns: NetworkNamespace, target: ConnectionTarget): Connection {
  switch (target.protocol) {
    case "tcp":
      return new TcpClient(ns, target);
    case "udp":
      return new UdpClient(ns, target);
    case "icmp":
      return new PingClient(ns, target);
  }
}

/**
 * Does something and runs the world until the connection's program was told of it, or its patience is at an end; then a
 * little longer.
 */
export function actAndWait(
  ns: NetworkNamespace,
  connection: Connection,
  patience: Micros,
  act: () => Errno | undefined,
): void {
  const { sim } = ns;
  let told = false;
  connection.onTold = () => {
    told = true;
  };
  if (act() !== undefined) told = true;
  const until = later(sim.queue.now, patience);
  while (!told && (sim.queue.nextAt ?? Number.POSITIVE_INFINITY) <= until) sim.step();
  connection.onTold = undefined;
  sim.runUntilIdle(told ? later(sim.queue.now, SETTLING) : until);
}

class TcpClient implements Connection {
  onTold: (() => void) | undefined;
  readonly #socket: TcpConnection;

  constructor(ns: NetworkNamespace, { address, port, sourcePort }: ConnectionTarget) {
    this.#socket = connectTcp(ns, { address, port, sourcePort });
    const tell = (): void => this.onTold?.();
    this.#socket.onConnected = tell;
    this.#socket.onData = tell;
    this.#socket.onError = tell;
    this.#socket.onClose = tell;
  }

  get state(): string {
    return this.#socket.state;
  }

  get sourcePort(): number {
    return this.#socket.localPort;
  }

  /** What the connection's beginning failed with at once. */
  get error(): Errno | undefined {
    return this.#socket.error;
  }

  send(data: Uint8Array): Errno | undefined {
    return this.#socket.send(data);
  }

  close(): void {
    this.#socket.close();
  }
}

class UdpClient implements Connection {
  readonly state = undefined;
  onTold: (() => void) | undefined;
  readonly #socket: UdpSocket;
  readonly #refused: Errno | undefined;

  constructor(ns: NetworkNamespace, { address, port, sourcePort }: ConnectionTarget) {
    const family = familyOf(address);
    this.#socket = new UdpSocket(ns, {}, family);
    const tell = (): void => this.onTold?.();
    this.#socket.onDatagram = tell;
    this.#socket.onError = tell;
    this.#refused =
      this.#socket.bind(family.any, sourcePort) ?? this.#socket.connect(address, port);
  }

  get sourcePort(): number {
    return this.#socket.localPort;
  }

  send(data: Uint8Array): Errno | undefined {
    return this.#refused ?? this.#socket.send(data);
  }

  close(): void {
    this.#socket.close();
  }
}

/** An echo request; it is sent once. */
class PingClient implements Connection {
  readonly state = undefined;
  onTold: (() => void) | undefined;
  readonly sourcePort: number;
  readonly #socket: PingSocket;
  readonly #address: IpAddress;

  constructor(ns: NetworkNamespace, { address, sourcePort }: ConnectionTarget) {
    this.#socket = new PingSocket(ns);
    this.#address = address;
    this.sourcePort = sourcePort === 0 ? 1 : sourcePort;
    const tell = (): void => this.onTold?.();
    this.#socket.onReply = tell;
    this.#socket.onError = tell;
  }

  send(data: Uint8Array): Errno | undefined {
    return this.#socket.send(this.#address, { id: this.sourcePort, data });
  }

  close(): void {
    this.#socket.close();
  }
}
