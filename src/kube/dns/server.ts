import type { Errno } from "../../core/errno.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { stamp } from "../../core/trace.js";
import { UdpSocket } from "../../inet/udp-socket.js";
import { formatIpv4, IPV4_ANY, type Ipv4 } from "../../wire/ip.js";
import type { Client } from "./plugin.js";

/** A program that answers DNS messages: `DnsServer`, or a resolver whose answers are written down. */
export interface DnsResponder {
  receive(
    bytes: Uint8Array,
    client: Client,
    respond: (replies: readonly Uint8Array[], unknown?: string) => void,
  ): void;
}

export interface ServeOptions {
  /** 0.0.0.0 when left out. */
  readonly address?: Ipv4 | undefined;
  /** 53 when left out. */
  readonly port?: number | undefined;
  /** Told when a query meets something that is not modelled; nothing is sent then, and an `unknown` event says so too. */
  onUnknown?(reason: string, query: SkBuff): void;
}

/** A responder that listens; `close` ends it. */
export interface DnsListener {
  close(): void;
}

/** Binds a responder to UDP in a namespace. Each reply is born of the packet that asked. */
export function serveDns(
  ns: NetworkNamespace,
  responder: DnsResponder,
  options: ServeOptions = {},
): DnsListener | Errno {
  const socket = new UdpSocket(ns);
  const errno = socket.bind(options.address ?? IPV4_ANY, options.port ?? 53);
  if (errno !== undefined) return errno;
  socket.onDatagram = (datagram) => {
    const { source, sourcePort, skb } = datagram;
    const client: Client = { address: formatIpv4(source), port: sourcePort, proto: "udp" };
    responder.receive(datagram.data, client, (replies, unknown) => {
      if (unknown !== undefined) {
        ns.sim.trace?.({ ...stamp(skb), kind: "unknown", what: unknown, place: undefined });
        options.onUnknown?.(unknown, skb);
      }
      for (const reply of replies) socket.sendTo(reply, source, sourcePort, skb);
    });
  };
  return { close: () => socket.close() };
}
