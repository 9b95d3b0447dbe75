import type { IpAddress } from "../wire/ip.js";
import type { Micros } from "../sim/time.js";

/** The relation of a packet to its connection. Mirrors enum ip_conntrack_info. */
export type CtInfo =
  | "NEW"
  | "ESTABLISHED"
  | "ESTABLISHED_REPLY"
  | "RELATED"
  | "RELATED_REPLY"
  | "UNTRACKED";

/** One direction of a connection. Ports are 0 for protocols without; ICMP has id, type and code instead. */
export interface Tuple {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** TCP, UDP, SCTP: source port. ICMP: the id. */
  readonly sourcePort: number;
  /** TCP, UDP, SCTP: destination port. ICMP: 0. */
  readonly destinationPort: number;
  /** ICMP only. */
  readonly icmpType: number;
  readonly icmpCode: number;
}

/** The bits of ct->status. Mirrors include/uapi/linux/netfilter/nf_conntrack_common.h. */
export const IPS_EXPECTED: number = 1 << 0;
export const IPS_SEEN_REPLY: number = 1 << 1;
export const IPS_ASSURED: number = 1 << 2;
export const IPS_CONFIRMED: number = 1 << 3;
export const IPS_SRC_NAT: number = 1 << 4;
export const IPS_DST_NAT: number = 1 << 5;
export const IPS_SEQ_ADJUST: number = 1 << 6;
export const IPS_SRC_NAT_DONE: number = 1 << 7;
export const IPS_DST_NAT_DONE: number = 1 << 8;
export const IPS_DYING: number = 1 << 9;
export const IPS_FIXED_TIMEOUT: number = 1 << 10;
export const IPS_TEMPLATE: number = 1 << 11;
export const IPS_NAT_CLASH: number = 1 << 12;
export const IPS_HELPER: number = 1 << 13;

/** What may happen to a connection, as bits of a mask. Mirrors enum ip_conntrack_events. */
export const IPCT_NEW: number = 1 << 0;
export const IPCT_RELATED: number = 1 << 1;
export const IPCT_DESTROY: number = 1 << 2;
export const IPCT_REPLY: number = 1 << 3;
export const IPCT_ASSURED: number = 1 << 4;
export const IPCT_PROTOINFO: number = 1 << 5;
export const IPCT_HELPER: number = 1 << 6;
export const IPCT_MARK: number = 1 << 7;
export const IPCT_SEQADJ: number = 1 << 8;
export const IPCT_LABEL: number = 1 << 10;
export const IPCT_SYNPROXY: number = 1 << 11;

/** One tracked connection. `netfilter/conntrack` alone changes it. Mirrors struct nf_conn. */
export interface ConntrackEntry {
  readonly id: number;
  original: Tuple;
  reply: Tuple;
  status: number;
  mark: number;
  readonly zone: number;
  /** The TCP state's name as `conntrack -L` prints it; undefined for protocols without states. */
  state: string | undefined;
  /** When the entry dies unless refreshed. */
  expires: Micros;
  /** The connection this one belongs to (an expectation came true). */
  readonly master: ConntrackEntry | undefined;
  /** Per direction, once `nf_conntrack_acct` was on when the entry was made; bytes count from the IP header. */
  readonly counters:
    | { readonly original: ConntrackCounter; readonly reply: ConntrackCounter }
    | undefined;
}

export interface ConntrackCounter {
  packets: number;
  bytes: number;
}

/** What an skb carries: its connection (undefined for UNTRACKED) and where it stands in it. Mirrors skb->_nfct. */
export interface ConntrackRef {
  readonly entry: ConntrackEntry | undefined;
  readonly info: CtInfo;
}

/** What `-j CT --notrack` gives a packet: no connection, and none is looked for. */
export const UNTRACKED: ConntrackRef = { entry: undefined, info: "UNTRACKED" };

/**
 * What an answer to an untracked packet has: no connection, and yet `-j CT` passes it over as if it had one.
 * Mirrors skb->_nfct with IP_CT_RELATED and no pointer.
 */
export const ABOUT_UNTRACKED: ConntrackRef = { entry: undefined, info: "RELATED" };

/** Whether the packet goes the way of the connection's first packet. Mirrors CTINFO2DIR(). */
export function isOriginalDirection(info: CtInfo): boolean {
  return info !== "ESTABLISHED_REPLY" && info !== "RELATED_REPLY";
}

/**
 * What a packet has that answers another (an ICMP error, REJECT's reset): its connection as RELATED, in the other direction.
 * Mirrors net/netfilter/nf_conntrack_core.c:nf_conntrack_attach().
 */
export function relatedTo(cause: ConntrackRef | undefined): ConntrackRef | undefined {
  if (cause?.info === "UNTRACKED") return ABOUT_UNTRACKED;
  if (cause?.entry === undefined) return undefined;
  return {
    entry: cause.entry,
    info: isOriginalDirection(cause.info) ? "RELATED_REPLY" : "RELATED",
  };
}

/** Gives an answer what relatedTo() says. */
export function attachRelated(
  answer: { ct: ConntrackRef | undefined },
  cause: { readonly ct: ConntrackRef | undefined },
): void {
  answer.ct = relatedTo(cause.ct) ?? answer.ct;
}
