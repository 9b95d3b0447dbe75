import type { NetworkNamespace } from "../core/namespace.js";
import { familyOf } from "../inet/families.js";
import { PingSocket } from "../inet/ping.js";
import { connectTcp } from "../inet/tcp-socket.js";
import { UdpSocket } from "../inet/udp-socket.js";
import { later, type Micros, seconds } from "../sim/time.js";
import type { IpAddress } from "../wire/ip.js";

/** One request of a program. */
export interface OutgoingRequest {
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly address: IpAddress;
  /** The device that a link-local address is behind. */
  readonly device?: string | undefined;
  readonly port: number;
  /** The id of an ICMP echo. */
  readonly sourcePort: number;
  readonly ttl: number | undefined;
  /** What a datagram carries. */
  readonly data: Uint8Array;
  /** What is asked over a TCP connection once it stands; then an answer is waited for. */
  readonly asks?: Uint8Array | undefined;
  /** Stop as soon as the request was delivered. */
  readonly oneWay: boolean;
  /** How often it asks, each time when it was answered; over TCP, how many packets its connection sends at least. 1 when undefined. */
  readonly count?: number | undefined;
}

/** How long programs wait for an answer to a datagram or an echo request. */
const patience: Micros = seconds(5);

/** How long a connection that was asked for more packets is watched after it stands. */
const settling: Micros = seconds(1);

/**
 * Sends the request and runs the world until its program was told: connected, answered, refused, or nothing in time.
 * A connection is not used further; TCP waits as long as the kernel does, about two minutes.
 */
export function sendRequest(ns: NetworkNamespace, request: OutgoingRequest): void {
  const { sim } = ns;
  let told = false;
  const done = (): void => {
    told = true;
  };
  start(ns, request, done);
  const listener = sim.trace;
  const until = later(sim.queue.now, request.protocol === "tcp" ? seconds(300) : patience);
  if (request.oneWay) {
    sim.trace = (event) => {
      listener?.(event);
      if (event.kind === "delivered" && event.to.startsWith("socket")) told = true;
    };
  }
  while (!told && (sim.queue.nextAt ?? Number.POSITIVE_INFINITY) <= until) sim.step();
  if (told && (request.count ?? 1) > 1) sim.runUntilIdle(later(sim.queue.now, settling));
  sim.trace = listener;
}

function start(ns: NetworkNamespace, request: OutgoingRequest, done: () => void): void {
  switch (request.protocol) {
    case "tcp":
      return startTcp(ns, request, done);
    case "udp":
      return startUdp(ns, request, done);
    case "icmp":
      return startPing(ns, request, done);
  }
}

function startTcp(
  ns: NetworkNamespace,
  { address, device, port, sourcePort, ttl, data, asks, count = 1 }: OutgoingRequest,
  done: () => void,
): void {
  const owner = { boundDevice: device };
  const connection = connectTcp(ns, { address, port, sourcePort, ttl, owner });
  connection.onConnected =
    asks === undefined
      ? () => {
          // The request and what ends the handshake are two.
          for (let sent = 2; sent < count; sent++) connection.send(data);
          done();
        }
      : () => {
          connection.onData = done;
          connection.onClose = done;
          connection.send(asks);
        };
  connection.onError = done;
  if (connection.error !== undefined) done();
}

function startUdp(
  ns: NetworkNamespace,
  { address, device, port, sourcePort, ttl, data, count = 1 }: OutgoingRequest,
  done: () => void,
): void {
  const family = familyOf(address);
  const socket = new UdpSocket(ns, { boundDevice: device }, family);
  socket.ttl = ttl;
  socket.onDatagram = repeated(count, () => socket.send(data), done);
  socket.onError = done;
  const failed =
    socket.bind(family.any, sourcePort) ?? socket.connect(address, port) ?? socket.send(data);
  if (failed !== undefined) done();
}

function startPing(
  ns: NetworkNamespace,
  { address, device, sourcePort, ttl, data, count = 1 }: OutgoingRequest,
  done: () => void,
): void {
  const socket = new PingSocket(ns, { boundDevice: device });
  socket.ttl = ttl;
  const send = (sequence: number): unknown =>
    socket.send(address, { id: sourcePort, sequence, data });
  socket.onReply = repeated(count, send, done);
  socket.onError = done;
  if (send(1) !== undefined) done();
}

/** What an answer leads to: the next of `count` messages, and the end after the last or when one cannot be sent. */
function repeated(count: number, send: (number: number) => unknown, done: () => void): () => void {
  let sent = 1;
  return () => {
    if (sent >= count) return done();
    sent++;
    if (send(sent) !== undefined) done();
  };
}
