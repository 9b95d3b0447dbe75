import { checksumErrorOf } from "../wire/checksum.js";
import { IPPROTO_UDP } from "../wire/ipv4.js";

/** These are not covered by one sum over all they carry: DCCP, GRE, ESP, AH, SCTP, UDP-Lite. */
const WITHOUT_CHECKSUM: ReadonlySet<number> = new Set([33, 47, 50, 51, 132, 136]);

/**
 * Whether what a packet carries may have its checksum: an unknown protocol is summed up as if it had one, and a first piece over what is not there.
 * `pseudo` is the unfolded sum of the protocol's pseudo header, 0 where it has none.
 * Mirrors include/net/netfilter/nf_reject.h:nf_reject_verify_csum() with nf_checksum().
 */
export function mayBeWhole(protocol: number, payload: Uint8Array, pseudo: number): boolean {
  if (WITHOUT_CHECKSUM.has(protocol)) return true;
  if (protocol === IPPROTO_UDP && payload[6] === 0 && payload[7] === 0) return true;
  return checksumErrorOf(payload, pseudo) === undefined;
}
