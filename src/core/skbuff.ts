import type { Frame } from "../wire/frame.js";
import type { IpAddress } from "../wire/ip.js";
import type { ConntrackRef } from "./conntrack.js";
import type { NetDevice } from "./device.js";
import type { NetworkNamespace } from "./namespace.js";
import type { Route } from "./route.js";

/**
 * How the receiving device saw the frame's destination MAC; LOOPBACK is what a host sends to a group or to everybody, when it
 * comes back to it. Mirrors include/uapi/linux/if_packet.h.
 */
export type PacketType = "HOST" | "BROADCAST" | "MULTICAST" | "OTHERHOST" | "OUTGOING" | "LOOPBACK";

/** What a packet keeps of the socket that sent it, for matches and for routing again. */
export interface SocketInfo {
  readonly description: string;
  readonly mark: number;
  /** SO_BINDTODEVICE. */
  readonly boundDevice: string | undefined;
  /** A program's socket has a user, the kernel's own has none; an orphan has lost its program. Mirrors sk->sk_socket. */
  readonly holder: "program" | "kernel" | "orphan";
  readonly uid: number;
  /** undefined when nobody told. */
  readonly gid?: number | undefined;
  readonly groups?: readonly number[] | undefined;
  /** Called with the error that an ICMP message or a local failure brings to this socket. */
  onError?: ((errno: string) => void) | undefined;
}

/** Where a frame stands inside a bridge while br_netfilter shows it to the IP hooks. Mirrors struct nf_bridge_info. */
export interface BridgeInfo {
  physicalIn: NetDevice | undefined;
  physicalOut: NetDevice | undefined;
  /** pkt_type was OTHERHOST and is restored when the bridge takes the frame back. */
  wasOtherHost: boolean;
  /** IP PREROUTING has run inside the bridge and must not run again when the host receives the frame. */
  passedPrerouting: boolean;
  /** The destination before PREROUTING, to see a DNAT; set while PREROUTING runs. */
  originalDestination: IpAddress | undefined;
}

/**
 * The envelope of one packet: it changes, the frame in it does not. A rewrite replaces `frame`.
 * Made by `newSkb` and ended once, by `drop` or `deliver`. Mirrors struct sk_buff.
 */
export interface SkBuff {
  readonly id: number;
  frame: Frame;
  /** The namespace the packet is in now. */
  ns: NetworkNamespace;
  /** The device it came in by or goes out by; undefined before a local packet is routed. */
  dev: NetDevice | undefined;
  /** The device by which it entered this namespace (skb_iif); undefined for local packets. */
  inDev: NetDevice | undefined;
  packetType: PacketType;
  mark: number;
  priority: number;
  ct: ConntrackRef | undefined;
  route: Route | undefined;
  socket: SocketInfo | undefined;
  /** What goes to a group does not come back to its sender, as the sender's socket asks; until IP takes the packet in. Mirrors sk_mc_loop(). */
  notLoopedBack: boolean;
  bridge: BridgeInfo | undefined;
  /** Made by reassembly: the size in bytes of its largest fragment, IP header included; 0 otherwise. Mirrors IPCB(skb)->frag_max_size. */
  fragmentMaxSize: number;
  /** Made by reassembly, and the largest fragment had DF: pieces get it again. Mirrors IPSKB_FRAG_PMTU in IPCB(skb)->flags. */
  fragmentsHadDf: boolean;
  /** May be cut in pieces in spite of DF (reassembled by conntrack; a datagram of a local socket). Mirrors skb->ignore_df. */
  ignoreDf: boolean;
  /** All envelopes that were cloned of one another, this one too. Those with the same frame share its bytes. Mirrors skb_shared_info.dataref. */
  clones: Set<SkBuff> | undefined;
  /** The packet that made this one be sent (a request, an erroneous packet, an original), by id. */
  readonly cause: number | undefined;
  /** `-j TRACE` or `meta nftrace set 1`. */
  nfTrace: boolean;
  ended: boolean;
}
