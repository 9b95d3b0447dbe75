import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import type { TcpConnection } from "./tcp-connection.js";
import type { TcpListener } from "./tcp-socket.js";
import type { UdpSocket } from "./udp-socket.js";

/** A socket that packets can be for. */
export type InetSocket =
  | { readonly kind: "connection"; readonly socket: TcpConnection }
  | { readonly kind: "listener"; readonly socket: TcpListener }
  | { readonly kind: "udp"; readonly socket: UdpSocket };

const assigned: (ns: NetworkNamespace) => WeakMap<SkBuff, InetSocket> = perNamespace(
  () => new WeakMap(),
);

/** Says which socket gets a packet, whatever its addresses are. Mirrors include/net/netfilter/nf_tproxy.h:nf_tproxy_assign_sock(). */
export function assignSocket(skb: SkBuff, socket: InetSocket): void {
  assigned(skb.ns).set(skb, socket);
}

/** Takes back what assignSocket() gave. Mirrors include/linux/skbuff.h:skb_orphan(). */
export function orphan(skb: SkBuff): void {
  assigned(skb.ns).delete(skb);
}

/** The socket that a packet was given to in this namespace. Mirrors include/net/inet_hashtables.h:inet_steal_sock(). */
export function assignedSocket(skb: SkBuff): InetSocket | undefined {
  return assigned(skb.ns).get(skb);
}
