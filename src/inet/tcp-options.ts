/** Options of a TCP segment as far as they are spoken. */
export interface TcpOptions {
  readonly mss?: number | undefined;
  readonly windowScale?: number | undefined;
  readonly sackPermitted?: boolean | undefined;
  /** TSval and TSecr, unsigned 32 bits. */
  readonly timestamp?: readonly [value: number, echo: number] | undefined;
  /** What came behind a hole, first byte and behind the last one, the latest first (RFC 2018, RFC 2883). */
  readonly sack?: readonly SackBlock[] | undefined;
}

/** Sequence numbers: from `start` up to `end`, without it. */
export interface SackBlock {
  readonly start: number;
  readonly end: number;
}

const NOP = 1;
const MSS = 2;
const WSCALE = 3;
const SACK_PERMITTED = 4;
const SACK = 5;
const TIMESTAMP = 8;
const SACK_BLOCK_LENGTH = 8;
/** RFC 7323 §2.3. */
const MAX_WSCALE = 14;

/** In the order and with the padding of net/ipv4/tcp_output.c:tcp_options_write(). */
export function encodeTcpOptions(options: TcpOptions): Uint8Array {
  const bytes: number[] = [];
  const { mss, windowScale, timestamp, sackPermitted, sack } = options;
  if (mss !== undefined) bytes.push(MSS, 4, mss >>> 8, mss & 255);
  if (timestamp !== undefined) {
    bytes.push(
      ...(sackPermitted === true ? [SACK_PERMITTED, 2] : [NOP, NOP]),
      TIMESTAMP,
      10,
      ...word(timestamp[0]),
      ...word(timestamp[1]),
    );
  } else if (sackPermitted === true) {
    bytes.push(NOP, NOP, SACK_PERMITTED, 2);
  }
  if (windowScale !== undefined) bytes.push(NOP, WSCALE, 3, windowScale);
  if (sack !== undefined && sack.length > 0) {
    bytes.push(NOP, NOP, SACK, 2 + sack.length * SACK_BLOCK_LENGTH);
    for (const { start, end } of sack) bytes.push(...word(start), ...word(end));
  }
  return Uint8Array.from(bytes);
}

function word(value: number): readonly number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

/** Reads what is understood; damaged options end the reading. Mirrors tcp_parse_options(). */
export function parseTcpOptions(bytes: Uint8Array): TcpOptions {
  const found: {
    mss?: number;
    windowScale?: number;
    sackPermitted?: boolean;
    timestamp?: readonly [number, number];
    sack?: readonly SackBlock[];
  } = {};
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    const kind = bytes[at];
    if (kind === 0) break;
    if (kind === NOP) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) break;
    if (kind === MSS && length === 4) found.mss = view.getUint16(at + 2);
    else if (kind === WSCALE && length === 3)
      found.windowScale = Math.min(view.getUint8(at + 2), MAX_WSCALE);
    else if (kind === SACK_PERMITTED && length === 2) found.sackPermitted = true;
    else if (kind === TIMESTAMP && length === 10)
      found.timestamp = [view.getUint32(at + 2), view.getUint32(at + 6)];
    else if (kind === SACK && length > 2 && (length - 2) % SACK_BLOCK_LENGTH === 0)
      found.sack = Array.from({ length: (length - 2) / SACK_BLOCK_LENGTH }, (_, index) => ({
        start: view.getUint32(at + 2 + index * SACK_BLOCK_LENGTH),
        end: view.getUint32(at + 6 + index * SACK_BLOCK_LENGTH),
      }));
    at += length;
  }
  return found;
}
