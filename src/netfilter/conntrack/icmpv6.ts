import type { Hook } from "../../core/hooks.js";
import type { SkBuff } from "../../core/skbuff.js";
import type { Frame } from "../../wire/frame.js";
import {
  type Icmpv6Header,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_MGM_QUERY,
  ICMPV6_MGM_REDUCTION,
  ICMPV6_MGM_REPORT,
  ICMPV6_MLD2_REPORT,
  isIcmpv6Error,
  NDISC_NEIGHBOUR_ADVERTISEMENT,
  NDISC_NEIGHBOUR_SOLICITATION,
  NDISC_REDIRECT,
  NDISC_ROUTER_ADVERTISEMENT,
  NDISC_ROUTER_SOLICITATION,
} from "../../wire/icmpv6.js";
import { isIpv6LinkLocal } from "../../wire/ip.js";
import type { Ipv6Header } from "../../wire/ipv6.js";
import { ND_OPT_REDIRECT_HDR } from "../../wire/ndisc.js";
import type { Zone } from "./connection.js";
import { type IcmpVerdict, invalidIcmp, judgeQuote, QUERY } from "./icmp-error.js";
import { type ConntrackProtocol, VALID, invalid, refreshAndCount, timeoutsOf } from "./protocol.js";
import type { ConntrackTable } from "./table.js";

const ICMPV6_NI_QUERY = 139;
/** Multicast router discovery. RFC 4286 §3. */
const ICMPV6_MRDISC_ADVERTISEMENT = 151;
const ICMPV6_MRDISC_SOLICITATION = 152;

/** Types that may start an entry. Mirrors valid_new. */
const QUERIES: ReadonlySet<number> = new Set([ICMPV6_ECHO_REQUEST, ICMPV6_NI_QUERY]);

/** What hosts and routers of one link say to each other is left alone; a redirect is not among it. Mirrors noct_valid_new. */
const UNTRACKED_TYPES: ReadonlySet<number> = new Set([
  ICMPV6_MGM_QUERY,
  ICMPV6_MGM_REPORT,
  ICMPV6_MGM_REDUCTION,
  NDISC_ROUTER_SOLICITATION,
  NDISC_ROUTER_ADVERTISEMENT,
  NDISC_NEIGHBOUR_SOLICITATION,
  NDISC_NEIGHBOUR_ADVERTISEMENT,
  ICMPV6_MLD2_REPORT,
  ICMPV6_MRDISC_ADVERTISEMENT,
  ICMPV6_MRDISC_SOLICITATION,
]);

/** ICMPv6 queries and their answers. Mirrors net/netfilter/nf_conntrack_proto_icmpv6.c:nf_conntrack_icmpv6_packet(). */
export const icmpv6: ConntrackProtocol = {
  name: "icmpv6",
  allowClash: true,

  track(entry, packet) {
    if (!entry.confirmed && !QUERIES.has(entry.original.icmpType))
      return invalid("an answer without its query");
    refreshAndCount(entry, timeoutsOf(entry, packet.table).icmpv6_timeout, packet);
    return VALID;
  },
};

/** Sorts ICMPv6 messages and finds the connection that an error is about. Mirrors nf_conntrack_icmpv6_error(). */
export function judgeIcmpv6(
  skb: SkBuff,
  header: Icmpv6Header,
  hook: Hook,
  table: ConntrackTable,
  zone: Zone,
): IcmpVerdict {
  const { frame } = skb;
  const { network } = frame;
  if (network?.kind !== "ipv6") return QUERY;
  const { type, checksumError } = header;
  if (checksumError !== undefined && hook === "PREROUTING" && table.settings.flags.checksum === 1)
    return invalidIcmp("ICMPv6 checksum failed");
  if (UNTRACKED_TYPES.has(type)) return { kind: "untracked" };
  if (type === NDISC_REDIRECT) return judgeRedirect(frame, network, header, table, zone);
  if (!isIcmpv6Error(type)) return QUERY;
  return judgeQuote(frame.payload, network.destination, table, zone);
}

/** Target and destination come before a redirect's options. */
const REDIRECT_OPTIONS_AT = 32;
const OPTION_HEADER = 8;

/** A redirect is about the packet it quotes, if that comes first of its options. Mirrors nf_conntrack_icmpv6_redirect(). */
function judgeRedirect(
  { payload }: Frame,
  network: Ipv6Header,
  { code }: Icmpv6Header,
  table: ConntrackTable,
  zone: Zone,
): IcmpVerdict {
  if (payload.length < REDIRECT_OPTIONS_AT) return invalidIcmp("short redirect");
  if (code !== 0) return QUERY;
  if (network.hopLimit !== 255 || !isIpv6LinkLocal(network.source))
    return invalidIcmp("invalid saddr or hoplimit for redirect");
  const [type, length] = payload.subarray(REDIRECT_OPTIONS_AT);
  if (type === undefined || length === undefined || length === 0)
    return invalidIcmp("redirect without options");
  if (type !== ND_OPT_REDIRECT_HDR) return QUERY;
  const quote = payload.subarray(REDIRECT_OPTIONS_AT + OPTION_HEADER);
  return judgeQuote(quote, network.destination, table, zone);
}
