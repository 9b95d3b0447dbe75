import type { IpAddress } from "../wire/ip.js";
import type { NetDevice } from "./device.js";
import type { Errno, SendResult } from "./errno.js";
import { type NetworkNamespace, perNamespace } from "./namespace.js";
import type { Route } from "./route.js";
import type { SkBuff } from "./skbuff.js";

/** Where a device wants to send what it carries, in either family. Mirrors struct flowi4 as udp_tunnel_dst_lookup() fills it. */
export interface TunnelFlow {
  readonly source: IpAddress | undefined;
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly tos: number;
  readonly oif: NetDevice | undefined;
}

/** The rest of the outer headers. */
export interface TunnelHeaders {
  /** undefined: the namespace's default. */
  readonly ttl: number | undefined;
  readonly dontFragment: boolean;
  readonly checksum: boolean;
}

/** What the Internet floor does for devices that carry frames in UDP; it fills this in. Mirrors net/ipv4/udp_tunnel_core.c. */
export interface UdpTunnels {
  /** Binds a port; `receive` gets each datagram's packet and ends it. Mirrors setup_udp_tunnel_sock(). */
  open: (
    family: "ipv4" | "ipv6",
    port: number,
    receive: (skb: SkBuff) => void,
  ) => TunnelPort | Errno;
  /** The way to the other end. Mirrors udp_tunnel_dst_lookup(). */
  route: (flow: TunnelFlow) => Route | { readonly error: Errno };
  /** An inner packet larger than `mtu` bytes makes its own route smaller. Mirrors skb_tunnel_check_pmtu(). */
  limitInner: (skb: SkBuff, mtu: number) => void;
  /** Sends `payload` instead of the frame in `skb`, as a packet of this host. Mirrors udp_tunnel_xmit_skb(). */
  transmit: (
    skb: SkBuff,
    route: Route,
    flow: TunnelFlow,
    headers: TunnelHeaders,
    payload: Uint8Array,
  ) => SendResult;
}

export interface TunnelPort {
  close(): void;
}

/** Without an Internet floor nothing can be carried. */
export const udpTunnels: (ns: NetworkNamespace) => UdpTunnels = perNamespace(() => ({
  open: () => "ENETDOWN",
  route: () => ({ error: "ENETUNREACH" }),
  limitInner: () => undefined,
  transmit: () => "ENETUNREACH",
}));
