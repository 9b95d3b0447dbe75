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
}

/** How long programs wait for an answer to a datagram or an echo request. */
const patience: Micros = seconds(5);

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
  { address, device, port, sourcePort, ttl, asks }: OutgoingRequest,
  done: () => void,
): void {
  const owner = { boundDevice: device };
  const connection = connectTcp(ns, { address, port, sourcePort, ttl, owner });
  connection.onConnected =
    asks === undefined
      ? done
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
  { address, device, port, sourcePort, ttl, data }: OutgoingRequest,
  done: () => void,
): void {
  const family = familyOf(address);
  const socket = new UdpSocket(ns, { boundDevice: device }, family);
  socket.ttl = ttl;
  socket.onDatagram = done;
  socket.onError = done;
  const failed =
    socket.bind(family.any, sourcePort) ?? socket.connect(address, port) ?? socket.send(data);
  if (failed !== undefined) done();
}

function startPing(
  ns: NetworkNamespace,
  { address, device, sourcePort, ttl, data }: OutgoingRequest,
  done: () => void,
): void {
  const socket = new PingSocket(ns, { boundDevice: device });
  socket.ttl = ttl;
  socket.onReply = done;
  socket.onError = done;
  if (socket.send(address, { id: sourcePort, data }) !== undefined) done();
}
