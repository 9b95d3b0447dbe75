import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Frame,
  decodeFrame,
  decodeIpPacket,
  decodeTransport,
  encodeFrame,
  encodeIpPacket,
  encodeTransport,
  frameLength,
  ipLength,
  withDestination,
  withTtl,
} from "../../src/wire/frame.js";
import type { Ipv4 } from "../../src/wire/ip.js";
import { anyFrame } from "./frames.js";
import { hex, oneZero, reasonOf, valueOf } from "./support.js";

// The beginning of a connection, as tcpdump captured it in a network namespace of Linux 6.18.
const synBytes = hex(`020000000102020000000101080045000034c0de400040066591
  0a0900010a0900029c4000500000000100000000800200ff86b70000020405b40101040201030307`);

describe("a frame", () => {
  it("is the same after it was encoded and decoded", () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        expect(valueOf(decodeFrame(encodeFrame(frame)))).toEqual(frame);
      }),
      { numRuns: 1000 },
    );
  });

  it("has the lengths that its bytes have", () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        expect([encodeFrame(frame).length, encodeIpPacket(frame).length]).toEqual([
          frameLength(frame),
          ipLength(frame),
        ]);
      }),
    );
  });

  it("is decoded or refused with a reason, whatever the bytes are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        const result = decodeFrame(bytes);
        expect(result.ok || result.reason.length > 0).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it("survives one damaged byte: it is refused, or encodes to the damaged bytes", () => {
    fc.assert(
      fc.property(
        anyFrame,
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        (frame, position, value) => {
          const whole = encodeFrame(frame);
          const bytes = whole.with(position % whole.length, value);
          const result = decodeFrame(bytes);
          if (!result.ok) return;
          // The reserved flag of IPv4 is not kept.
          fc.pre(frame.network?.kind !== "ipv4" || position % whole.length !== 20 || value < 0x80);
          const again = encodeFrame(result.value);
          expect(again.length).toBeLessThanOrEqual(bytes.length);
          expect(oneZero(again)).toEqual(oneZero(bytes.subarray(0, again.length)));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("loses Ethernet's padding", () => {
    const padded = new Uint8Array(80);
    padded.set(synBytes);
    expect(encodeFrame(valueOf(decodeFrame(padded)))).toEqual(synBytes);
  });

  it("refuses a packet that says it is longer than it is", () => {
    expect(reasonOf(decodeFrame(synBytes.subarray(0, 60)))).toBe(
      "IPv4 packet cut short: 46 of 52 bytes",
    );
  });

  it("gets new checksums with a new destination", () => {
    const syn = valueOf(decodeFrame(synBytes));
    const moved = withTtl(withDestination(syn, 0x0af4_0205 as Ipv4), 63);
    expect(valueOf(decodeFrame(encodeFrame(moved)))).toEqual(moved);
    expect(differences(encodeFrame(syn), encodeFrame(moved))).toEqual([
      22, 24, 25, 31, 32, 33, 50, 51,
    ]);
  });

  it("keeps the bytes of a first fragment, and is whole again when its pieces are put together", () => {
    const syn = valueOf(decodeFrame(synBytes));
    const segment = encodeTransport(syn);
    if (syn.network?.kind !== "ipv4") throw new Error("not IPv4");
    const first: Frame = {
      ...syn,
      network: { ...syn.network, moreFragments: true },
      transport: undefined,
      payload: segment.slice(0, 24),
    };
    expect(valueOf(decodeFrame(encodeFrame(first)))).toEqual(first);
    const { transport, payload } = decodeTransport(
      syn.network,
      new Uint8Array([...first.payload, ...segment.slice(24)]),
    );
    expect({ ...syn, transport, payload }).toEqual(syn);
  });

  it("leaves a TCP header that makes no sense as bytes, as a router does", () => {
    const broken = synBytes.with(46, 0x40);
    const frame = valueOf(decodeFrame(broken));
    expect([frame.transport, frame.payload.length]).toEqual([undefined, 32]);
    expect(encodeFrame(frame)).toEqual(broken);
  });
});

describe("a packet that an ICMP error quotes", () => {
  it("is cut at the limit and still tells its whole length", () => {
    const quote = encodeIpPacket(valueOf(decodeFrame(synBytes)), 28);
    expect(quote).toEqual(synBytes.subarray(14, 42));
  });

  it("is read as far as it goes", () => {
    const { network, transport } = valueOf(decodeIpPacket(synBytes.subarray(14, 42)));
    expect(network).toEqual(valueOf(decodeFrame(synBytes)).network);
    expect(transport).toMatchObject({
      kind: "tcp",
      sourcePort: 40000,
      destinationPort: 80,
      sequence: 1,
    });
  });

  it("is read or refused, whatever the bytes are", () => {
    fc.assert(
      fc.property(anyFrame, fc.nat({ max: 120 }), (frame, limit) => {
        const result = decodeIpPacket(encodeIpPacket(frame, limit));
        expect(result.ok || result.reason.length > 0).toBe(true);
      }),
    );
  });
});

/** The offsets at which two equally long texts of bytes differ. */
function differences(a: Uint8Array, b: Uint8Array): number[] {
  return [...a.keys()].filter((at) => a[at] !== b[at]);
}
