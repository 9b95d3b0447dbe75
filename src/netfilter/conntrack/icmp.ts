import type { ConntrackRef } from "../../core/conntrack.js";
import type { Hook } from "../../core/hooks.js";
import type { SkBuff } from "../../core/skbuff.js";
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  type IcmpHeader,
} from "../../wire/icmp.js";
import type { Ipv4 } from "../../wire/ip.js";
import type { Zone } from "./connection.js";
import { type ConntrackProtocol, VALID, invalid, refreshAndCount, timeoutsOf } from "./protocol.js";
import type { ConntrackTable } from "./table.js";
import { ORIGINAL, invertTuple, quotedTuple } from "./tuple.js";

const ICMP_SOURCE_QUENCH = 4;
const ICMP_TIMESTAMP = 13;
const ICMP_INFO_REQUEST = 15;
const ICMP_ADDRESS = 17;
/** The highest type there is. */
const NR_ICMP_TYPES = 18;

/** Types that may start an entry. */
const QUERIES: ReadonlySet<number> = new Set([
  ICMP_ECHO,
  ICMP_TIMESTAMP,
  ICMP_INFO_REQUEST,
  ICMP_ADDRESS,
]);
/** Types that quote the packet they are about. Mirrors include/linux/icmp.h:icmp_is_err(). */
const ERRORS: ReadonlySet<number> = new Set([
  ICMP_DEST_UNREACH,
  ICMP_SOURCE_QUENCH,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  ICMP_PARAMETERPROB,
]);

/** ICMP queries and their answers. Mirrors net/netfilter/nf_conntrack_proto_icmp.c:nf_conntrack_icmp_packet(). */
export const icmp: ConntrackProtocol = {
  name: "icmp",
  allowClash: true,

  track(entry, packet) {
    if (!entry.confirmed && !QUERIES.has(entry.original.icmpType))
      return invalid("an answer without its query");
    refreshAndCount(entry, timeoutsOf(entry, packet.table).icmp_timeout, packet);
    return VALID;
  },
};

/** What an ICMP message is to conntrack before tuples are looked at. */
export type IcmpVerdict =
  | { readonly kind: "query" }
  | { readonly kind: "related"; readonly ct: ConntrackRef }
  | { readonly kind: "invalid"; readonly why: string };

const QUERY: IcmpVerdict = { kind: "query" };

export function isIcmpError(header: IcmpHeader): boolean {
  return ERRORS.has(header.type);
}

/** Finds the connection that an ICMP error is about. Mirrors nf_conntrack_icmpv4_error() and nf_conntrack_inet_error(). */
export function judgeIcmp(
  skb: SkBuff,
  header: IcmpHeader,
  hook: Hook,
  table: ConntrackTable,
  zone: Zone,
): IcmpVerdict {
  const badChecksum =
    header.checksumError !== undefined &&
    hook === "PREROUTING" &&
    table.settings.flags.checksum === 1;
  if (badChecksum) return { kind: "invalid", why: "bad hw icmp checksum" };
  if (header.type > NR_ICMP_TYPES) return { kind: "invalid", why: "invalid icmp type" };
  if (!isIcmpError(header)) return QUERY;
  const quoted = quotedTuple(skb.frame.payload);
  const inverse = quoted === undefined ? undefined : invertTuple(quoted);
  if (quoted === undefined || inverse === undefined)
    return { kind: "invalid", why: "the quoted packet is cut short" };
  // The quoted packet went out, so it is the answer's tuple that the table knows it by.
  const found = table.find(inverse, zone);
  if (found === undefined)
    return { kind: "invalid", why: "the quoted packet belongs to no connection" };
  if (outerDestination(skb) !== found.tuple.destination) {
    return { kind: "invalid", why: "outer daddr does not match the quoted packet's source" };
  }
  return {
    kind: "related",
    ct: {
      entry: found.connection,
      info: found.direction === ORIGINAL ? "RELATED" : "RELATED_REPLY",
    },
  };
}

function outerDestination(skb: SkBuff): Ipv4 | undefined {
  return skb.frame.network?.kind === "ipv4" ? skb.frame.network.destination : undefined;
}
