import { drop } from "../core/drop.js";
import type { SkBuff } from "../core/skbuff.js";
import { get16 } from "../wire/bytes.js";
import { internetChecksum, pseudoHeaderSum, pseudoHeaderSum6 } from "../wire/checksum.js";
import type { IpHeader } from "../wire/frame.js";
import { IPPROTO_UDPLITE } from "../wire/ports.js";
import { familyOf } from "./families.js";
import type { IpProtocol } from "./protocols.js";
import { isForAll } from "./udp.js";

const HEADER = 8;

/**
 * UDP-Lite (RFC 3828) on a host where no program has such a socket. Mirrors net/ipv4/udplite.c:udplite_protocol and
 * net/ipv6/udplite.c:udplitev6_protocol.
 */
export const udpliteProtocol: IpProtocol = { receive: udpliteRcv };

/** Mirrors net/ipv4/udp.c:__udp4_lib_rcv() for the table of UDP-Lite. */
function udpliteRcv(skb: SkBuff): void {
  const { network, payload } = skb.frame;
  if (network === undefined || network.kind === "arp" || payload.length < HEADER)
    return drop(skb, "PKT_TOO_SMALL", "__udp4_lib_rcv");
  const where = network.kind === "ipv4" ? "__udp4_lib_rcv" : "__udp6_lib_rcv";
  const coverage = coverageOf(payload);
  if (coverage === undefined) return drop(skb, "UDP_CSUM", where);
  if (isForAll(skb, network)) return drop(skb, "NOT_SPECIFIED", where);
  if (internetChecksum(payload.subarray(0, coverage), pseudoSum(network, payload.length)) !== 0)
    return drop(skb, "UDP_CSUM", where);
  skb.ct = undefined;
  familyOf(network.source).portUnreachable(skb);
  drop(skb, "NO_SOCKET", where);
}

/**
 * How many bytes the checksum is over; undefined for a header that says too few or too many of them, or has none, which
 * UDP-Lite does not allow. Mirrors include/net/udplite.h:udplite_checksum_init().
 */
function coverageOf(bytes: Uint8Array): number | undefined {
  const told = get16(bytes, 4);
  const coverage = told === 0 ? bytes.length : told;
  if (get16(bytes, 6) === 0) return undefined;
  return coverage < HEADER || coverage > bytes.length ? undefined : coverage;
}

function pseudoSum(network: IpHeader, length: number): number {
  return network.kind === "ipv4"
    ? pseudoHeaderSum(network.source, network.destination, IPPROTO_UDPLITE, length)
    : pseudoHeaderSum6(network.source, network.destination, IPPROTO_UDPLITE, length);
}
