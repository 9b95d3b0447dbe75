import { get8, get16 } from "./bytes.js";
import { type Ipv4, type Ipv6, ipv6Words } from "./ip.js";

/** The sum of the 16-bit words of `bytes` on top of `sum`, not folded; an odd last byte counts as its word's high half. RFC 1071. */
export function sumWords(bytes: Uint8Array, sum = 0): number {
  const even = bytes.length & ~1;
  for (let at = 0; at < even; at += 2) sum += get16(bytes, at);
  return even === bytes.length ? sum : sum + get8(bytes, even) * 0x100;
}

/** The checksum that goes with a sum of words: its one's complement in 16 bits. Mirrors csum_fold(). */
export function foldChecksum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return ~folded & 0xffff;
}

/** The Internet checksum of `bytes`; `sum` is what comes before them, such as a pseudo header. 0 over bytes that hold their own. RFC 1071. */
export function internetChecksum(bytes: Uint8Array, sum = 0): number {
  return foldChecksum(sumWords(bytes, sum));
}

/** The unfolded sum of the pseudo header over IPv6. RFC 8200 §8.1. */
export function pseudoHeaderSum6(
  source: Ipv6,
  destination: Ipv6,
  protocol: number,
  length: number,
): number {
  let sum = protocol + length;
  for (const address of [source, destination])
    for (const word of ipv6Words(address)) sum += (word >>> 16) + (word & 0xffff);
  return sum;
}

/** The unfolded sum of the pseudo header of TCP and UDP. RFC 9293 §3.1. */
export function pseudoHeaderSum(
  source: Ipv4,
  destination: Ipv4,
  protocol: number,
  length: number,
): number {
  return (
    (source >>> 16) +
    (source & 0xffff) +
    (destination >>> 16) +
    (destination & 0xffff) +
    protocol +
    length
  );
}

/** The checksum after one 16-bit word under it changed; it stays as wrong as it was. RFC 1624, mirrors csum_replace2(). */
export function replaceWord(checksum: number, before: number, after: number): number {
  return foldChecksum((~checksum & 0xffff) + (~before & 0xffff) + after);
}

/** The checksum after a 32-bit value under it changed, such as an address. Mirrors csum_replace4(). */
export function replaceLong(checksum: number, before: number, after: number): number {
  const high = replaceWord(checksum, before >>> 16, after >>> 16);
  return replaceWord(high, before & 0xffff, after & 0xffff);
}

/**
 * How far the checksum inside `bytes` is from the right one, 1..65534 in one's complement; undefined when it verifies.
 * The two zeros of one's complement, 0 and 0xffff, are one value.
 */
export function checksumErrorOf(bytes: Uint8Array, sum = 0): number | undefined {
  const error = sumWords(bytes, sum) % 0xffff;
  return error === 0 ? undefined : error;
}

/** A checksum that is as wrong as `error` says, whatever it is computed over by now. */
export function spoilChecksum(right: number, error: number | undefined): number {
  return error === undefined ? right : (right + error) % 0xffff;
}
