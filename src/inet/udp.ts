import { deliver, drop } from "../core/drop.js";
import type { Errno } from "../core/errno.js";
import { cloneSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { isIpv6Multicast } from "../wire/ip.js";
import type { IpHeader } from "../wire/frame.js";
import type { UdpHeader } from "../wire/udp.js";
import { assignedSocket } from "./assigned-socket.js";
import { familyOf } from "./families.js";
import type { IcmpErrorNotice, IpProtocol } from "./protocols.js";
import { traceSocket } from "./socket-trace.js";
import type { UdpSocket } from "./udp-socket.js";
import { scoreOf, udpTable } from "./udp-table.js";

/** Both families' datagrams. Mirrors net/ipv4/udp.c:udp_protocol and net/ipv6/udp.c:udpv6_protocol. */
export const udpProtocol: IpProtocol = { receive: udpRcv, error: udpErr };

/** Mirrors __udp4_lib_rcv(). */
function udpRcv(skb: SkBuff): void {
  const { network, transport } = skb.frame;
  if (network === undefined || network.kind === "arp" || transport?.kind !== "udp")
    return drop(skb, "PKT_TOO_SMALL", "__udp4_lib_rcv");
  const where = WHERE[network.kind];
  if (isForAll(skb, network)) return deliverToAll(skb, network, transport);
  const given = assignedSocket(skb);
  const socket =
    given?.kind === "udp"
      ? given.socket
      : udpTable(skb.ns).lookup(
          network.destination,
          transport.destinationPort,
          network.source,
          transport.sourcePort,
          skb.dev,
        );
  // Over IPv6 a datagram has a checksum. RFC 8200 §8.1.
  if (network.kind === "ipv6" && transport.noChecksum === true)
    return drop(skb, socket === undefined ? "NO_SOCKET" : "UDP_CSUM", where);
  if (transport.checksumError !== undefined)
    return drop(skb, "UDP_CSUM", socket === undefined ? where : "udp_queue_rcv_one_skb");
  if (socket !== undefined) return hand(skb, socket, network, transport);
  // Mirrors net/ipv4/udp.c:__udp4_lib_rcv(): the error finds its connection by what it quotes, in the zone of its own.
  skb.ct = undefined;
  familyOf(network.source).portUnreachable(skb);
  drop(skb, "NO_SOCKET", where);
}

const WHERE = { ipv4: "__udp4_lib_rcv", ipv6: "__udp6_lib_rcv" } as const;

/** Whether a datagram is for every socket that fits, and nobody is told when there is none. */
export function isForAll(skb: SkBuff, network: IpHeader): boolean {
  return network.kind === "ipv6"
    ? isIpv6Multicast(network.destination)
    : skb.route?.type === "broadcast" || skb.route?.type === "multicast";
}

/** Every socket that fits gets one. Mirrors __udp4_lib_mcast_deliver(). */
function deliverToAll(skb: SkBuff, network: IpHeader, transport: UdpHeader): void {
  const { source, destination } = network;
  const fitting = udpTable(skb.ns)
    .at(transport.destinationPort)
    .filter((socket) => scoreOf(socket, destination, source, transport.sourcePort, skb.dev) >= 0);
  if (fitting.length === 0) return drop(skb, "NOT_SPECIFIED", WHERE[network.kind]);
  if (transport.checksumError !== undefined) return drop(skb, "UDP_CSUM", "udp_queue_rcv_one_skb");
  const last = fitting.length - 1;
  for (const [index, socket] of fitting.entries()) {
    hand(index === last ? skb : cloneSkb(skb, "broadcast copy"), socket, network, transport);
  }
}

function hand(skb: SkBuff, socket: UdpSocket, network: IpHeader, transport: UdpHeader): void {
  if (socket.encapsulation !== undefined) return socket.encapsulation(skb);
  const { payload } = skb.frame;
  deliver(skb, skb.ns.sim.trace === undefined ? "socket udp" : `socket udp/${socket.localPort}`);
  if (skb.ns.sim.trace !== undefined)
    traceSocket(skb.ns, socket, "received", `received ${payload.length} bytes`);
  socket.onDatagram?.({
    data: payload,
    source: network.source,
    sourcePort: transport.sourcePort,
    destination: network.destination,
    destinationPort: transport.destinationPort,
    skb,
  });
}

/** Only a connected socket hears of it, and only of what is fatal. Mirrors __udp4_lib_err(). */
function udpErr(notice: IcmpErrorNotice): void {
  const { network, transport } = notice.quoted;
  if (network === undefined || network.kind === "arp" || transport?.kind !== "udp") return;
  const { ns, dev } = notice.skb;
  const socket = udpTable(ns).lookup(
    network.source,
    transport.sourcePort,
    network.destination,
    transport.destinationPort,
    dev,
  );
  if (socket === undefined) return;
  const { tooBig } = notice;
  if (tooBig) familyOf(network.source).learnPathMtu(notice);
  const errno: Errno = notice.errno;
  if ((notice.fatal || tooBig) && socket.remotePort !== 0) socket.raise(errno);
}
