import { get16, get8 } from "./bytes.js";
import { ICMPV6_HLEN } from "./icmpv6.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "./ipv4.js";
import { IPPROTO_ICMPV6, IPPROTO_NONE } from "./ipv6.js";
import {
  FRAGMENT_HLEN,
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
} from "./ipv6-extension.js";
import { TCP_HLEN } from "./tcp.js";
import { UDP_HLEN } from "./udp.js";

/**
 * Whether the first piece of an IPv6 packet ends before all of its headers are there: extension headers and, behind them, that of
 * the transport. `first` is the number in its fragment header, `bytes` is what follows that header. RFC 8200 §4.5.
 * Mirrors net/ipv6/reassembly.c:ipv6frag_thdr_truncated().
 */
export function isHeaderCut(first: number, bytes: Uint8Array): boolean {
  let protocol = first;
  let at = 0;
  while (SKIPPED.has(protocol)) {
    const length = lengthOfSkipped(protocol, bytes.subarray(at));
    if (length === undefined) return false;
    protocol = get8(bytes, at);
    at += length;
  }
  if (protocol === IPPROTO_NONE) return false;
  return at + (LEAST.get(protocol) ?? 1) > bytes.length;
}

const SKIPPED: ReadonlySet<number> = new Set([
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
  IPPROTO_FRAGMENT,
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
]);

/** What must be there of each transport, in bytes; of others one byte. */
const LEAST: ReadonlyMap<number, number> = new Map([
  [IPPROTO_TCP, TCP_HLEN],
  [IPPROTO_UDP, UDP_HLEN],
  [IPPROTO_ICMPV6, ICMPV6_HLEN],
]);

/** In bytes, as the header itself says; undefined where the walk ends without an answer. Mirrors net/ipv6/exthdrs_core.c:ipv6_skip_exthdr(). */
function lengthOfSkipped(protocol: number, bytes: Uint8Array): number | undefined {
  if (bytes.length < 2) return undefined;
  switch (protocol) {
    case IPPROTO_FRAGMENT: {
      const isFirst = bytes.length >= FRAGMENT_HLEN && get16(bytes, 2) < 8;
      return isFirst ? FRAGMENT_HLEN : undefined;
    }
    case IPPROTO_AH:
      return (get8(bytes, 1) + 2) * 4;
    default:
      return (get8(bytes, 1) + 1) * 8;
  }
}
