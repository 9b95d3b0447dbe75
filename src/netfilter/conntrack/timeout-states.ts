import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.js";
import { IPPROTO_ICMPV6 } from "../../wire/ipv6.js";
import type { TimeoutName } from "./settings.js";
import { GENERIC_PROTOCOL } from "./timeout-policies.js";
import { IPPROTO_GRE } from "../../wire/gre.js";
import { IPPROTO_SCTP, IPPROTO_UDPLITE } from "../../wire/ports.js";

/** A state of a protocol as `nfct` names it, and the time that it has. */
export type TimeoutState = readonly [string, TimeoutName];

const TCP: readonly TimeoutState[] = [
  ["SYN_SENT", "tcp_timeout_syn_sent"],
  ["SYN_RECV", "tcp_timeout_syn_recv"],
  ["ESTABLISHED", "tcp_timeout_established"],
  ["FIN_WAIT", "tcp_timeout_fin_wait"],
  ["CLOSE_WAIT", "tcp_timeout_close_wait"],
  ["LAST_ACK", "tcp_timeout_last_ack"],
  ["TIME_WAIT", "tcp_timeout_time_wait"],
  ["CLOSE", "tcp_timeout_close"],
  ["SYN_SENT2", "tcp_timeout_syn_sent2"],
  ["RETRANS", "tcp_timeout_max_retrans"],
  ["UNACKNOWLEDGED", "tcp_timeout_unacknowledged"],
];

const UDP: readonly TimeoutState[] = [
  ["UNREPLIED", "udp_timeout"],
  ["REPLIED", "udp_timeout_stream"],
];

const SCTP: readonly TimeoutState[] = [
  ["CLOSED", "sctp_timeout_closed"],
  ["COOKIE_WAIT", "sctp_timeout_cookie_wait"],
  ["COOKIE_ECHOED", "sctp_timeout_cookie_echoed"],
  ["ESTABLISHED", "sctp_timeout_established"],
  ["SHUTDOWN_SENT", "sctp_timeout_shutdown_sent"],
  ["SHUTDOWN_RECD", "sctp_timeout_shutdown_recd"],
  ["SHUTDOWN_ACK_SENT", "sctp_timeout_shutdown_ack_sent"],
];

/** The states of each protocol that may have a policy, in the order in which they are told. */
export const TIMEOUT_STATES: ReadonlyMap<number, readonly TimeoutState[]> = new Map([
  [IPPROTO_TCP, TCP],
  [IPPROTO_UDP, UDP],
  [IPPROTO_UDPLITE, UDP],
  [IPPROTO_SCTP, SCTP],
  [IPPROTO_ICMP, [["TIMEOUT", "icmp_timeout"]]],
  [IPPROTO_ICMPV6, [["TIMEOUT", "icmpv6_timeout"]]],
  [
    IPPROTO_GRE,
    [
      ["UNREPLIED", "gre_timeout"],
      ["REPLIED", "gre_timeout_stream"],
    ],
  ],
  [GENERIC_PROTOCOL, [["TIMEOUT", "generic_timeout"]]],
]);
