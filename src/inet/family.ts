import type { NetDevice } from "../core/device.js";
import type { Errno, SendResult } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import type { Frame, TransportHeader } from "../wire/frame.js";
import type { IpAddress } from "../wire/ip.js";
import type { EchoListener } from "./ping-sockets.js";
import type { IcmpErrorNotice } from "./protocols.js";
import type { RouteEntry } from "./route-entry.js";
import type { OutputRefusal } from "./route-output.js";

export type SocketRoute = RouteEntry<IpAddress>;

/** A socket's packet as routing sees it. Both addresses are of the socket's family. */
export interface SocketFlow {
  readonly destination: IpAddress;
  readonly source?: IpAddress | undefined;
  readonly mark: number;
  readonly oif?: NetDevice | undefined;
  readonly tos: number;
  readonly uid?: number | undefined;
  /** IPv4: the source need not be an address of this namespace. Mirrors inet_sk_flowi_flags(). */
  readonly anySource?: boolean | undefined;
  readonly protocol: number;
  readonly sourcePort?: number | undefined;
  readonly destinationPort?: number | undefined;
}

/** A packet's fields that a socket decides. */
export interface SocketPacket {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  readonly tos: number;
  /** undefined: as the namespace, or the route, has it. */
  readonly ttl: number | undefined;
  /** Asked for only by a family whose packets have one. */
  readonly id: () => number;
  /** IPv4 alone: `path` as the path's MTU and the sysctls have it. */
  readonly dontFragment: "never" | "path" | "always";
}

/**
 * What sockets need of the family they speak: one code serves both. Addresses handed in are of that family, another one is
 * our bug. Mirrors struct inet_connection_sock_af_ops and struct proto_ops.
 */
export interface InetFamily {
  readonly name: "ipv4" | "ipv6";
  readonly any: IpAddress;
  readonly loopback: IpAddress;
  /** Of IP, in bytes. */
  readonly headerLength: number;
  route(ns: NetworkNamespace, flow: SocketFlow): SocketRoute | OutputRefusal;
  /** The way to a peer that a socket connects to. */
  connect(ns: NetworkNamespace, flow: SocketFlow): SocketRoute | OutputRefusal;
  /** What connect() found stays a TCP socket's way; IPv4 looks again with the port that was chosen. Mirrors ip_route_newports(). */
  readonly keepsFirstRoute: boolean;
  packet(
    route: SocketRoute | undefined,
    fields: SocketPacket,
    transport: TransportHeader,
    payload: Uint8Array,
    ns: NetworkNamespace,
  ): Frame;
  /** OUTPUT, then out. */
  localOut(skb: SkBuff): SendResult;
  /** Why nobody can bind to an address here. */
  bindRefusal(
    ns: NetworkNamespace,
    address: IpAddress,
    dev: NetDevice | undefined,
  ): Errno | undefined;
  isGroup(address: IpAddress): boolean;
  /** One more reason for a device to be in a multicast group, and one less. */
  joinGroup(dev: NetDevice, group: IpAddress): void;
  leaveGroup(dev: NetDevice, group: IpAddress): void;
  portUnreachable(skb: SkBuff): void;
  learnPathMtu(notice: IcmpErrorNotice): void;
  /** Of echo requests. */
  readonly echoProtocol: number;
  echoRequest(rest: number): TransportHeader;
  /** Who waits for echo replies, by id. */
  echoListeners(ns: NetworkNamespace): Map<number, EchoListener>;
  /** The next hop was heard of. */
  confirm(dev: NetDevice, address: IpAddress): void;
  /** Whether a packet of this host still waits for its next hop to be found. */
  isWaiting(skb: SkBuff): boolean;
  /** The smallest segment size that is offered. */
  leastMss(ns: NetworkNamespace): number;
  /** What the kernel answers carries the mark of what it answers. */
  reflectsMark(ns: NetworkNamespace): boolean;
}
