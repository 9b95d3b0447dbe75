import { ipv4Sysctls } from "./sysctls.js";
import type { TcpConnection } from "./tcp-connection.js";
import type { SackBlock } from "./tcp-options.js";
import { isAfter, isBefore } from "./tcp-sequence.js";

/** What the options of a segment have room for, beside timestamps or alone. */
const BLOCKS_WITH_TIMESTAMPS = 3;
const MOST_BLOCKS = 4;

/** Something came behind a hole: its block is told first. Mirrors net/ipv4/tcp_input.c:tcp_sack_new_ofo_skb() and tcp_sack_maybe_coalesce(). */
export function noteEarly({ in: received }: TcpConnection, start: number, end: number): void {
  let block: SackBlock = { start, end };
  const others: SackBlock[] = [];
  for (const other of received.blocks) {
    const touches = !isAfter(block.start, other.end) && !isAfter(other.start, block.end);
    if (touches)
      block = {
        start: isBefore(other.start, block.start) ? other.start : block.start,
        end: isAfter(other.end, block.end) ? other.end : block.end,
      };
    else others.push(other);
  }
  received.blocks = [block, ...others].slice(0, MOST_BLOCKS);
}

/** A hole is filled: what is no longer behind one is not told. Mirrors tcp_sack_remove(). */
export function noteInOrder({ in: received }: TcpConnection): void {
  if (received.blocks.length === 0) return;
  received.blocks =
    received.early.length === 0
      ? []
      : received.blocks.filter(({ start }) => isAfter(start, received.next));
}

/** Bytes came a second time: the next answer says so (RFC 2883). Mirrors tcp_dsack_set(). */
export function noteDuplicate(connection: TcpConnection, start: number, end: number): void {
  if (connection.sackPermitted && ipv4Sysctls(connection.ns).get("net.ipv4.tcp_dsack") !== 0)
    connection.in.duplicate = { start, end };
}

/** The blocks of the segment that leaves now: what came twice is told once. */
export function takeBlocks(connection: TcpConnection): readonly SackBlock[] {
  const told = blocksOf(connection);
  connection.in.duplicate = undefined;
  return told;
}

/** What the blocks take of the next segment's room, in bytes. Mirrors the end of tcp_current_mss(). */
export function blocksLength(connection: TcpConnection): number {
  const { length } = blocksOf(connection);
  return length === 0 ? 0 : 4 + length * 8;
}

/** Mirrors tcp_established_options(). */
function blocksOf({
  in: received,
  sackPermitted,
  timestamps,
}: TcpConnection): readonly SackBlock[] {
  const { duplicate, blocks } = received;
  if (!sackPermitted || (duplicate === undefined && blocks.length === 0)) return NO_BLOCKS;
  const told = duplicate === undefined ? blocks : [duplicate, ...blocks];
  return told.slice(0, timestamps ? BLOCKS_WITH_TIMESTAMPS : MOST_BLOCKS);
}

const NO_BLOCKS: readonly SackBlock[] = [];
