import { crc32c } from "../base/crc32c.js";
import { get8, get16, get32, put16, put32 } from "./bytes.js";

/** Chunk types of SCTP. RFC 9260 §3.2. */
export const SCTP_INIT = 1;
export const SCTP_INIT_ACK = 2;
export const SCTP_HEARTBEAT = 4;
export const SCTP_HEARTBEAT_ACK = 5;
export const SCTP_ABORT = 6;
export const SCTP_SHUTDOWN = 7;
export const SCTP_SHUTDOWN_ACK = 8;
export const SCTP_ERROR = 9;
export const SCTP_COOKIE_ECHO = 10;
export const SCTP_COOKIE_ACK = 11;
export const SCTP_SHUTDOWN_COMPLETE = 14;
export const SCTP_DATA = 0;

/** The common header. */
export const SCTP_HLEN = 12;

/** One chunk of a packet; `initiateTag` is 0 for chunks that are no INIT or INIT ACK. */
export interface SctpChunk {
  readonly type: number;
  readonly flags: number;
  /** As it says, header included; 0 is wrong. */
  readonly length: number;
  readonly initiateTag: number | undefined;
}

/** A packet as connection tracking reads it: the frame keeps its bytes. */
export interface SctpPacket {
  readonly verificationTag: number;
  readonly chunks: readonly SctpChunk[];
  readonly isChecksumRight: boolean;
}

/**
 * Reads what follows the IP header; undefined when the common header is cut short. Chunks end where one says that it has
 * no length, which is the last one then.
 */
export function decodeSctp(bytes: Uint8Array): SctpPacket | undefined {
  if (bytes.length < SCTP_HLEN) return undefined;
  const chunks: SctpChunk[] = [];
  for (let at = SCTP_HLEN; at + 4 <= bytes.length;) {
    const [type, length] = [get8(bytes, at), get16(bytes, at + 2)];
    const hasTag = (type === SCTP_INIT || type === SCTP_INIT_ACK) && at + 20 <= bytes.length;
    const initiateTag = hasTag ? get32(bytes, at + 4) : undefined;
    chunks.push({ type, flags: get8(bytes, at + 1), length, initiateTag });
    if (length === 0) break;
    at += (length + 3) & ~3;
  }
  return {
    verificationTag: get32(bytes, 4),
    chunks,
    isChecksumRight: checksumOf(bytes) === checksumIn(bytes),
  };
}

/** The bytes with other ports, and the checksum that goes with them. */
export function withSctpPorts(
  bytes: Uint8Array,
  {
    source,
    destination,
  }: { readonly source?: number | undefined; readonly destination?: number | undefined },
): Uint8Array {
  const changed = bytes.slice();
  if (source !== undefined) put16(changed, 0, source);
  if (destination !== undefined) put16(changed, 2, destination);
  if (changed.length < SCTP_HLEN) return changed;
  const crc = checksumOf(changed);
  // It is sent with its lowest byte first.
  put32(changed, 8, swapped(crc));
  return changed;
}

function checksumIn(bytes: Uint8Array): number {
  return swapped(get32(bytes, 8));
}

/** Over the whole packet with the field itself as zeros. */
function checksumOf(bytes: Uint8Array): number {
  const zeroed = bytes.slice();
  put32(zeroed, 8, 0);
  return crc32c(zeroed);
}

function swapped(value: number): number {
  return (
    ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0
  );
}
