/** Flag bits of a TCP header, as on the wire. */
export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

/** A TCP header. Data offset and checksum follow from the frame. RFC 9293 §3.1. */
export interface TcpHeader {
  readonly kind: "tcp";
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  readonly urgent: number;
  /** Option bytes, padded to a multiple of 4. */
  readonly options: Uint8Array;
  /** How far the checksum is off, as a 16-bit difference; absent when it is right. */
  readonly checksumError?: number | undefined;
}
