/** A UDP header. Length and checksum follow from the frame. RFC 768. */
export interface UdpHeader {
  readonly kind: "udp";
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** True when the sender left the checksum out (0 on the wire). */
  readonly noChecksum?: boolean | undefined;
  /** How far the checksum is off, as a 16-bit difference; absent when it is right. */
  readonly checksumError?: number | undefined;
}
