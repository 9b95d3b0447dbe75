import { get16, put16 } from "./bytes.js";
import { checksumErrorOf, internetChecksum, spoilChecksum } from "./checksum.js";
import { type Decoded, type Layer, decoded, refused } from "./decoded.js";

export const UDP_HLEN = 8;

/** A UDP header. Length and checksum follow from the frame. RFC 768. */
export interface UdpHeader {
  readonly kind: "udp";
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** True when the sender left the checksum out (0 on the wire). */
  readonly noChecksum?: boolean | undefined;
  /** How far the checksum is off, 1..65534 in one's complement; absent when it is right. */
  readonly checksumError?: number | undefined;
}

/**
 * Refuses a datagram whose length field does not fit its packet exactly: such bytes stay opaque, as a router leaves them.
 * `pseudo` is the sum of the pseudo header; undefined for a datagram that was cut short and cannot be verified.
 */
export function decodeUdp(
  bytes: Uint8Array,
  pseudo: number | undefined,
): Decoded<Layer<UdpHeader>> {
  if (bytes.length < UDP_HLEN)
    return refused(`UDP header cut short: ${bytes.length} of ${UDP_HLEN} bytes`);
  const length = get16(bytes, 4);
  if (pseudo !== undefined && length !== bytes.length)
    return refused(`UDP length ${length} in a packet of ${bytes.length} bytes`);
  const found = get16(bytes, 6);
  const error = found === 0 || pseudo === undefined ? undefined : checksumErrorOf(bytes, pseudo);
  const header: UdpHeader = {
    kind: "udp",
    sourcePort: get16(bytes, 0),
    destinationPort: get16(bytes, 2),
    ...(found === 0 ? { noChecksum: true } : {}),
    ...(error === undefined ? {} : { checksumError: error }),
  };
  return decoded({ header, payload: bytes.subarray(UDP_HLEN) });
}

/** Writes the header over the first 8 bytes of `into`, the whole datagram: its payload must be there already. */
export function encodeUdp(header: UdpHeader, pseudo: number, into: Uint8Array): void {
  put16(into, 0, header.sourcePort);
  put16(into, 2, header.destinationPort);
  put16(into, 4, into.length);
  put16(into, 6, 0);
  if (header.noChecksum === true) return;
  // 0 means "none": a computed 0 is sent as its other form. Mirrors CSUM_MANGLED_0.
  put16(into, 6, spoilChecksum(internetChecksum(into, pseudo), header.checksumError) || 0xffff);
}

/** As tcpdump prints a datagram it looks no further into: `UDP, length 20`. */
export function formatUdp(payloadLength: number): string {
  return `UDP, length ${payloadLength}`;
}
