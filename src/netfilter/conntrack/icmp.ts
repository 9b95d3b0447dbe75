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
import type { Zone } from "./connection.js";
import { type IcmpVerdict, invalidIcmp, judgeQuote, QUERY } from "./icmp-error.js";
import { type ConntrackProtocol, VALID, invalid, refreshAndCount, timeoutsOf } from "./protocol.js";
import type { ConntrackTable } from "./table.js";

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

export function isIcmpError(header: IcmpHeader): boolean {
  return ERRORS.has(header.type);
}

/** Finds the connection that an ICMP error is about. Mirrors nf_conntrack_icmpv4_error(). */
export function judgeIcmp(
  skb: SkBuff,
  header: IcmpHeader,
  hook: Hook,
  table: ConntrackTable,
  zone: Zone,
): IcmpVerdict {
  const { network } = skb.frame;
  if (network?.kind !== "ipv4") return QUERY;
  const badChecksum =
    header.checksumError !== undefined &&
    hook === "PREROUTING" &&
    table.settings.flags.checksum === 1;
  if (badChecksum) return invalidIcmp("bad hw icmp checksum");
  if (header.type > NR_ICMP_TYPES) return invalidIcmp("invalid icmp type");
  if (!isIcmpError(header)) return QUERY;
  return judgeQuote(skb.frame.payload, network.destination, table, zone);
}
