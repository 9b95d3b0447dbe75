import type { Errno } from "../../core/errno.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { told } from "../../core/trace.js";
import { familyOf } from "../../inet/families.js";
import { listenTcp, type TcpConnection } from "../../inet/tcp-socket.js";
import { UdpSocket } from "../../inet/udp-socket.js";
import type { Timer } from "../../sim/event-queue.js";
import { seconds } from "../../sim/time.js";
import { formatIp, type IpAddress, IPV4_ANY } from "../../wire/ip.js";
import type { Client } from "./plugin.js";
import { frameMessage, MessageReader } from "./tcp-framing.js";

/** A program that answers DNS messages: `DnsServer`, or a resolver whose answers are written down. */
export interface DnsResponder {
  /** `port` is the one the bytes came to. */
  receive(
    bytes: Uint8Array,
    client: Client,
    respond: (replies: readonly Uint8Array[], unknown?: string) => void,
    port: number,
  ): void;
}

export interface ServeOptions {
  /** 0.0.0.0 when left out. */
  readonly address?: IpAddress | undefined;
  /** 53 when left out. */
  readonly port?: number | undefined;
  /** Told when a query meets something that is not modelled; nothing is sent then, and an `unknown` event says so too. */
  onUnknown?(reason: string, query: SkBuff | undefined): void;
}

/** A responder that listens; `close` ends it. */
export interface DnsListener {
  close(): void;
}

/** A connection on which nothing is asked for so long is closed. Mirrors miekg/dns: 8 s, CoreDNS sets 10 s. */
const idleTimeout = seconds(10);

/** Binds a responder to UDP and TCP in a namespace. Each reply over UDP is born of the packet that asked. */
export function serveDns(
  ns: NetworkNamespace,
  responder: DnsResponder,
  options: ServeOptions = {},
): DnsListener | Errno {
  const address = options.address ?? IPV4_ANY;
  const port = options.port ?? 53;
  const socket = new UdpSocket(ns, {}, familyOf(address));
  const errno = socket.bind(address, port);
  if (errno !== undefined) return errno;
  const tell = (unknown: string | undefined, skb: SkBuff | undefined): void => {
    if (unknown === undefined) return;
    if (skb !== undefined)
      ns.sim.trace?.(told(skb, { kind: "unknown", what: unknown, place: undefined }));
    options.onUnknown?.(unknown, skb);
  };
  socket.onDatagram = (datagram) => {
    const { source, sourcePort, skb } = datagram;
    const client: Client = { address: formatIp(source), port: sourcePort, proto: "udp" };
    responder.receive(
      datagram.data,
      client,
      (replies, unknown) => {
        tell(unknown, skb);
        for (const reply of replies) socket.sendTo(reply, source, sourcePort, skb);
      },
      port,
    );
  };
  const listener = listenTcp(ns, { address, port }, (connection) =>
    accept(responder, connection, tell),
  );
  if (typeof listener === "string") {
    socket.close();
    return listener;
  }
  return {
    close() {
      socket.close();
      listener.close();
    },
  };
}

/** Answers every message of one connection until the client closes it or says nothing for too long. */
function accept(
  responder: DnsResponder,
  connection: TcpConnection,
  tell: (unknown: string | undefined, skb: SkBuff | undefined) => void,
): void {
  const { queue } = connection.ns.sim;
  const client: Client = {
    address: formatIp(connection.remote.address),
    port: connection.remote.port,
    proto: "tcp",
  };
  const reader = new MessageReader();
  const idle = (): Timer =>
    queue.after(idleTimeout, "dns connection idle", () => connection.close());
  let timer = idle();
  connection.onData = (data) => {
    timer.cancel();
    timer = idle();
    const { current } = connection;
    for (const message of reader.read(data)) {
      responder.receive(
        message,
        client,
        (replies, unknown) => {
          tell(unknown, current);
          for (const reply of replies) connection.send(frameMessage(reply), current);
        },
        connection.local.port,
      );
    }
  };
  connection.onClose = () => {
    timer.cancel();
    connection.close();
  };
  connection.onError = () => timer.cancel();
}
