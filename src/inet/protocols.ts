import type { Errno } from "../core/errno.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import type { Frame } from "../wire/frame.js";

/** An ICMP error about a packet of ours. `quoted` is what came back of that packet. */
export interface IcmpErrorNotice {
  readonly type: number;
  readonly code: number;
  readonly rest: number;
  readonly quoted: Frame;
  /** The error itself. */
  readonly skb: SkBuff;
  /** What the code means to a socket, and whether it ends what the socket does. Mirrors icmp_err_convert[]. */
  readonly errno: Errno;
  readonly fatal: boolean;
  /** A router could not pass a packet of its size on. */
  readonly tooBig: boolean;
}

/** A router of the link says that a packet of ours has a nearer way. Its conditions were checked but for who it is. */
export interface RedirectNotice {
  /** What came back of that packet. */
  readonly quoted: Frame;
  /** The redirect itself. */
  readonly skb: SkBuff;
  /** From now on packets to that destination go the way. Mirrors net/ipv6/route.c:rt6_do_redirect(). */
  readonly take: () => void;
  /** The same, if the router is the one in use to there, by the device that says it. Mirrors ip6_redirect(). */
  readonly takeOfRouterInUse: () => void;
}

/** Who takes the packets of an IP protocol. Mirrors struct net_protocol and struct inet6_protocol. */
export interface IpProtocol {
  /** Ends the packet. */
  receive(skb: SkBuff): void;
  /** Hears of errors about packets that were sent. */
  error?(notice: IcmpErrorNotice): void;
  /** IPv6: hears of redirects of packets that were sent. One that hears nothing follows none. */
  redirect?(notice: RedirectNotice): void;
}

/** The handlers of one namespace by IP protocol number. Mirrors inet_protos[]. */
export const ipProtocols: (ns: NetworkNamespace) => Map<number, IpProtocol> = perNamespace(
  () => new Map<number, IpProtocol>(),
);

/** The same for IPv6. Mirrors inet6_protos[]. */
export const ip6Protocols: (ns: NetworkNamespace) => Map<number, IpProtocol> = perNamespace(
  () => new Map<number, IpProtocol>(),
);
