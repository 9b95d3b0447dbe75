import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Frame, decodeIpPacket, encodeIpPacket } from "../../src/wire/frame.js";
import type { Ipv4 } from "../../src/wire/ip.js";
import { rewriteQuote } from "../../src/wire/quote.js";
import { anyFrame } from "./frames.js";
import { hex, oneZero, valueOf } from "./support.js";

const change = {
  source: 0x0a60_0001 as Ipv4,
  destination: 0x0a60_0002 as Ipv4,
  sourcePort: 0x7172,
  destinationPort: 0x8182,
};

describe("a rewritten quote", () => {
  it("is what the rewritten packet would be, wrong checksums included", () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        fc.pre(frame.network?.kind === "ipv4");
        expect(oneZero(rewriteQuote(encodeIpPacket(frame), change))).toEqual(
          oneZero(encodeIpPacket(changed(frame))),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it("has new ports where only 8 bytes of TCP are quoted, and nothing written past them", () => {
    const quote = hex("4500001c00004000400600000a0900010a090002 1112 2122 31323334");
    const rewritten = rewriteQuote(quote, change);
    expect(rewritten.subarray(20)).toEqual(hex("7172 8182 31323334"));
    expect(valueOf(decodeIpPacket(rewritten)).network).toMatchObject({
      source: change.source,
      destination: change.destination,
    });
    expect(quote.subarray(20)).toEqual(hex("1112 2122 31323334"));
  });

  it("comes back as it was when it is no IPv4 packet", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const rewritten = rewriteQuote(bytes, change);
        expect(rewritten.length).toBe(bytes.length);
        if (!decodeIpPacket(bytes).ok && (bytes[0] ?? 0) >>> 4 !== 4)
          expect(rewritten).toEqual(bytes);
      }),
    );
  });
});

/** The same change on values: echoes have an id, other ICMP messages nothing to change. */
function changed(frame: Frame): Frame {
  const { network, transport } = frame;
  if (network?.kind !== "ipv4") return frame;
  const moved: Frame = {
    ...frame,
    network: { ...network, source: change.source, destination: change.destination },
  };
  if (transport === undefined) return moved;
  if (transport.kind !== "icmp") {
    const ports = { sourcePort: change.sourcePort, destinationPort: change.destinationPort };
    return { ...moved, transport: { ...transport, ...ports } };
  }
  if (transport.type !== 0 && transport.type !== 8) return moved;
  return {
    ...moved,
    transport: { ...transport, rest: change.sourcePort * 0x1_0000 + (transport.rest & 0xffff) },
  };
}
