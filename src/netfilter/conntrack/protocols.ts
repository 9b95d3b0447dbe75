import { IPCT_ASSURED, IPS_ASSURED, IPS_SEEN_REPLY } from "../../core/conntrack.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.js";
import { IPPROTO_ICMPV6 } from "../../wire/ipv6.js";
import { icmp } from "./icmp.js";
import { icmpv6 } from "./icmpv6.js";
import { type ConntrackProtocol, VALID, refreshAndCount, timeoutsOf } from "./protocol.js";
import { sctp } from "./sctp.js";
import { tcp } from "./tcp.js";
import { IPPROTO_GRE } from "../../wire/gre.js";
import { IPPROTO_SCTP, IPPROTO_UDPLITE } from "../../wire/ports.js";
import { udp, udplite } from "./udp.js";

/** Everything else: one entry per pair of addresses. Mirrors net/netfilter/nf_conntrack_proto_generic.c. */
const generic: ConntrackProtocol = {
  name: "unknown",
  allowClash: false,

  track(entry, packet) {
    refreshAndCount(entry, timeoutsOf(entry, packet.table).generic_timeout, packet);
    return VALID;
  },
};

/** Mirrors net/netfilter/nf_conntrack_proto_gre.c:nf_conntrack_gre_packet(). */
const gre: ConntrackProtocol = {
  name: "gre",
  allowClash: true,

  track(entry, packet) {
    const timeouts = timeoutsOf(entry, packet.table);
    const replied = (entry.status & IPS_SEEN_REPLY) !== 0;
    refreshAndCount(entry, replied ? timeouts.gre_timeout_stream : timeouts.gre_timeout, packet);
    if (replied && (entry.status & IPS_ASSURED) === 0) {
      entry.status |= IPS_ASSURED;
      entry.events |= IPCT_ASSURED;
    }
    return VALID;
  },
};

/** Protocols by number. Adding one is a file and a line here. */
const PROTOCOLS: ReadonlyMap<number, ConntrackProtocol> = new Map([
  [IPPROTO_ICMP, icmp],
  [IPPROTO_TCP, tcp],
  [IPPROTO_UDP, udp],
  [IPPROTO_GRE, gre],
  [IPPROTO_ICMPV6, icmpv6],
  [IPPROTO_SCTP, sctp],
  [IPPROTO_UDPLITE, udplite],
]);

/** Mirrors nf_ct_l4proto_find(). */
export function conntrackProtocol(number: number): ConntrackProtocol {
  return PROTOCOLS.get(number) ?? generic;
}

/** Whether a protocol has a tracker of its own. */
export function hasTracker(number: number): boolean {
  return PROTOCOLS.has(number);
}
