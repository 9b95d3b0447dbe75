import type { SkBuff } from "../../core/skbuff.js";
import { encodeIpPacket } from "../../wire/frame.js";
import { fragmentOffsetOf, upperPayload } from "./packet.js";
import { inRange, type Negatable, type Range } from "./values.js";

/** A test of an unsigned number in the transport header, as a payload expression of nf_tables makes it. */
export interface PayloadTest {
  /** In bytes from the header's start. */
  readonly at: number;
  readonly size: 1 | 2;
  readonly holds: (value: number) => boolean;
}

/**
 * Whether a packet whose transport header is not whole passes tests that the nft variant makes of plain bytes: it needs no
 * more of the header than they look at, and one that is not there fails. Of a later fragment of IPv6 it looks at the packet
 * from its very beginning. Mirrors net/netfilter/nft_payload.c:nft_payload_eval().
 */
export function fitsPayload({ frame }: SkBuff, tests: readonly PayloadTest[]): boolean {
  const payload =
    frame.network?.kind === "ipv6" && fragmentOffsetOf(frame) > 0
      ? encodeIpPacket(frame)
      : upperPayload(frame)?.payload;
  if (payload === undefined) return false;
  return tests.every(({ at, size, holds }) => {
    if (payload.length < at + size) return false;
    const high = payload[at] ?? 0;
    return holds(size === 1 ? high : high * 256 + (payload[at + 1] ?? 0));
  });
}

/** Source ports are at 0, destination ports at 2. */
export function portTest(at: 0 | 2, test: Negatable<Range> | undefined): readonly PayloadTest[] {
  if (test === undefined) return [];
  return [{ at, size: 2, holds: (port) => inRange(port, test.value) !== test.invert }];
}
