import { get8, get16, get32, put16, put32 } from "./bytes.js";
import { checksumErrorOf, internetChecksum, spoilChecksum } from "./checksum.js";
import { type Decoded, type Layer, decoded, refused } from "./decoded.js";

/** Flag bits of a TCP header, as on the wire. */
export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

export const TCP_HLEN = 20;

/** A TCP header. Data offset and checksum follow from the frame. RFC 9293 §3.1. */
export interface TcpHeader {
  readonly kind: "tcp";
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  /** The eight flags, and above them the four reserved bits (AccECN's among them): 0..0xfff. */
  readonly flags: number;
  readonly window: number;
  readonly urgent: number;
  /** Option bytes, padded to a multiple of 4. */
  readonly options: Uint8Array;
  /** How far the checksum is off, 1..65534 in one's complement; absent when it is right. */
  readonly checksumError?: number | undefined;
}

/**
 * `pseudo` is the sum of the pseudo header. It is undefined for a segment that was cut short: nothing is verified then, and
 * of a header of 8 bytes or more what is missing reads as 0.
 */
export function decodeTcp(
  bytes: Uint8Array,
  pseudo: number | undefined,
): Decoded<Layer<TcpHeader>> {
  const needed = pseudo === undefined ? 8 : TCP_HLEN;
  if (bytes.length < needed)
    return refused(`TCP header cut short: ${bytes.length} of ${TCP_HLEN} bytes`);
  const headerLength = bytes.length < TCP_HLEN ? TCP_HLEN : (get8(bytes, 12) >>> 4) * 4;
  if (headerLength < TCP_HLEN) return refused(`TCP header length of ${headerLength} bytes`);
  if (bytes.length < headerLength && pseudo !== undefined) {
    return refused(`TCP header cut short: ${bytes.length} of ${headerLength} bytes`);
  }
  const error = pseudo === undefined ? undefined : checksumErrorOf(bytes, pseudo);
  const header: TcpHeader = {
    kind: "tcp",
    sourcePort: get16(bytes, 0),
    destinationPort: get16(bytes, 2),
    sequence: get32(bytes, 4),
    acknowledgment: get32(bytes, 8),
    flags: get16(bytes, 12) & 0xfff,
    window: get16(bytes, 14),
    urgent: get16(bytes, 18),
    options: bytes.subarray(TCP_HLEN, headerLength),
    ...(error === undefined ? {} : { checksumError: error }),
  };
  return decoded({ header, payload: bytes.subarray(headerLength) });
}

/** Writes the header over the first bytes of `into`, the whole segment: its payload must be there already. */
export function encodeTcp(header: TcpHeader, pseudo: number, into: Uint8Array): void {
  put16(into, 0, header.sourcePort);
  put16(into, 2, header.destinationPort);
  put32(into, 4, header.sequence);
  put32(into, 8, header.acknowledgment);
  put16(into, 12, ((tcpHeaderLength(header) / 4) << 12) | header.flags);
  put16(into, 14, header.window);
  put16(into, 16, 0);
  put16(into, 18, header.urgent);
  into.set(header.options, TCP_HLEN);
  put16(into, 16, spoilChecksum(internetChecksum(into, pseudo), header.checksumError));
}

/** In bytes, options included. */
export function tcpHeaderLength(header: TcpHeader): number {
  return TCP_HLEN + header.options.length;
}

/** As `tcpdump -S` prints a segment: `Flags [P.], seq 101:105, ack 201, win 502, options [nop,nop,TS val 1 ecr 2], length 4`. */
export function formatTcp(header: TcpHeader, payloadLength: number): string {
  const { sequence, flags } = header;
  const parts = [`Flags [${formatTcpFlags(flags)}]`];
  if (payloadLength > 0)
    parts.push(`seq ${sequence}:${(sequence + payloadLength) % 0x1_0000_0000}`);
  else if ((flags & (TCP_SYN | TCP_FIN | TCP_RST)) !== 0) parts.push(`seq ${sequence}`);
  if ((flags & TCP_ACK) !== 0) parts.push(`ack ${header.acknowledgment}`);
  parts.push(`win ${header.window}`);
  if ((flags & TCP_URG) !== 0) parts.push(`urg ${header.urgent}`);
  if (header.options.length > 0) parts.push(`options [${formatTcpOptions(header.options)}]`);
  parts.push(`length ${payloadLength}`);
  return parts.join(", ");
}

/** `S.` for SYN and ACK; `none` without a flag. In tcpdump's letters and order. */
export function formatTcpFlags(flags: number): string {
  const letters = FLAG_LETTERS.filter(([bit]) => (flags & bit) !== 0).map(([, letter]) => letter);
  return letters.length === 0 ? "none" : letters.join("");
}

const FLAG_LETTERS: readonly (readonly [number, string])[] = [
  [TCP_FIN, "F"],
  [TCP_SYN, "S"],
  [TCP_RST, "R"],
  [TCP_PSH, "P"],
  [TCP_ACK, "."],
  [TCP_URG, "U"],
  [TCP_ECE, "E"],
  [TCP_CWR, "W"],
  [0x100, "e"],
];

/** One option by its kind: how its bytes after kind and length are printed, and how long the whole option must be. */
interface TcpOption {
  readonly length: number;
  print(bytes: Uint8Array, at: number): string;
}

const TCP_OPTIONS: ReadonlyMap<number, TcpOption> = new Map<number, TcpOption>([
  [2, { length: 4, print: (bytes, at) => `mss ${get16(bytes, at)}` }],
  [3, { length: 3, print: (bytes, at) => `wscale ${get8(bytes, at)}` }],
  [4, { length: 2, print: () => "sackOK" }],
  [
    8,
    { length: 10, print: (bytes, at) => `TS val ${get32(bytes, at)} ecr ${get32(bytes, at + 4)}` },
  ],
]);

function formatTcpOptions(options: Uint8Array): string {
  const words: string[] = [];
  for (let at = 0; at < options.length;) {
    const kind = get8(options, at);
    if (kind <= 1) {
      words.push(kind === 0 ? "eol" : "nop");
      if (kind === 0) break;
      at++;
      continue;
    }
    const length = get8(options, at + 1);
    if (length < 2 || at + length > options.length) return [...words, "bad"].join(",");
    const known = TCP_OPTIONS.get(kind);
    words.push(known?.length === length ? known.print(options, at + 2) : `unknown-${kind}`);
    at += length;
  }
  return words.join(",");
}
