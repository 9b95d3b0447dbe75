import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Frame, decodeIpPacket, encodeIpPacket } from "../../src/wire/frame.js";
import type { Ipv4, Ipv6 } from "../../src/wire/ip.js";
import { rewriteQuote } from "../../src/wire/quote.js";
import { anyFrame } from "./frames.js";
import { hex, oneZero, valueOf } from "./support.js";

const change = {
  source: 0x0a60_0001 as Ipv4,
  destination: 0x0a60_0002 as Ipv4,
  sourcePort: 0x7172,
  destinationPort: 0x8182,
};

const change6 = {
  ...change,
  source: ((0x20010db8n << 96n) | 0x1112_1314_1516_1718n) as Ipv6,
  destination: ((0xfd00n << 112n) | 0x2122_2324_2526_2728n) as Ipv6,
};

describe("a rewritten quote", () => {
  it("is what the rewritten packet would be, wrong checksums included", () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        const { network } = frame;
        fc.pre(network !== undefined && network.kind !== "arp");
        const asked = network.kind === "ipv4" ? change : change6;
        expect(oneZero(rewriteQuote(encodeIpPacket(frame), asked))).toEqual(
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

  it("of IPv6 has new ports behind extension headers and in first fragments, and new addresses alone in later ones", () => {
    const addresses = "fe80000000000000 0000000000000001 fe80000000000000 0000000000000002";
    const options = hex(`6000000000103c40 ${addresses} 1100010400000000 1112212200080000`);
    expect(rewriteQuote(options, change6).subarray(40)).toEqual(
      hex("1100010400000000 7172818200080000"),
    );
    const first = hex(`6000000000102c40 ${addresses} 1100000100000005 1112212200080000`);
    expect(rewriteQuote(first, change6).subarray(40)).toEqual(
      hex("1100000100000005 7172818200080000"),
    );
    const later = hex(`6000000000102c40 ${addresses} 1100000900000005 1112212200080000`);
    const rewritten = rewriteQuote(later, change6);
    expect(rewritten.subarray(40)).toEqual(later.subarray(40));
    expect(valueOf(decodeIpPacket(rewritten)).network).toMatchObject({
      source: change6.source,
      destination: change6.destination,
    });
  });

  it("keeps the addresses of another family than the change", () => {
    const quote = hex("4500001c00004000400600000a0900010a090002 1112 2122 31323334");
    expect(rewriteQuote(quote, change6).subarray(12, 20)).toEqual(quote.subarray(12, 20));
  });

  it("comes back as it was when it is no IP packet", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const rewritten = rewriteQuote(bytes, change);
        expect(rewritten.length).toBe(bytes.length);
        if (!decodeIpPacket(bytes).ok && ![4, 6].includes((bytes[0] ?? 0) >>> 4))
          expect(rewritten).toEqual(bytes);
      }),
    );
  });
});

/** The same change on values: echoes have an id, other ICMP messages nothing to change. */
function changed(frame: Frame): Frame {
  const { network, transport } = frame;
  if (network === undefined || network.kind === "arp") return frame;
  const moved: Frame =
    network.kind === "ipv4"
      ? {
          ...frame,
          network: { ...network, source: change.source, destination: change.destination },
        }
      : {
          ...frame,
          network: { ...network, source: change6.source, destination: change6.destination },
        };
  if (transport === undefined) return moved;
  if (transport.kind === "icmpv6")
    return transport.type === 128 || transport.type === 129
      ? { ...moved, transport: { ...transport, rest: withId(transport.rest) } }
      : moved;
  if (transport.kind !== "icmp") {
    const ports = { sourcePort: change.sourcePort, destinationPort: change.destinationPort };
    return { ...moved, transport: { ...transport, ...ports } };
  }
  if (transport.type !== 0 && transport.type !== 8) return moved;
  return {
    ...moved,
    transport: { ...transport, rest: withId(transport.rest) },
  };
}

function withId(rest: number): number {
  return change.sourcePort * 0x1_0000 + (rest & 0xffff);
}
