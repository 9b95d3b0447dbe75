import { describe, expect, it } from "vitest";
import { type IcmpHeader, decodeIcmp, encodeIcmp, formatIcmp } from "../../src/wire/icmp.js";
import { encoded, hex, reasonOf, valueOf } from "./support.js";

// 0800 + 2122 + 3132 + a1a2 + a300 = 0x19ef6, folded 0x9ef7, complement 0x6108.
const bytes = hex("08 00 6108 2122 3132 a1a2 a3");
const header: IcmpHeader = { kind: "icmp", type: 8, code: 0, rest: 0x2122_3132 };

describe("ICMP", () => {
  it("reads an echo request with an odd number of bytes", () => {
    expect(valueOf(decodeIcmp(bytes))).toEqual({ header, payload: hex("a1a2a3") });
  });

  it("writes every byte of its header around the payload", () => {
    const into = encoded(11, (target) => {
      target.set(hex("a1a2a3"), 8);
      encodeIcmp(header, target);
    });
    expect(into).toEqual(bytes);
  });

  it("tells how wrong a checksum is, but not of a message that was cut short", () => {
    const spoilt = bytes.with(2, 0x60);
    expect(valueOf(decodeIcmp(spoilt)).header.checksumError).toBe(0xffff - 0x100);
    expect(valueOf(decodeIcmp(spoilt, false)).header).toEqual(header);
  });

  it("refuses a message that ends inside the header", () => {
    expect(reasonOf(decodeIcmp(bytes.subarray(0, 7)))).toBe("ICMP header cut short: 7 of 8 bytes");
  });

  it("prints echoes with id and sequence", () => {
    expect(formatIcmp(header)).toBe("ICMP echo request, id 8482, seq 12594");
    expect(formatIcmp({ ...header, type: 0 })).toBe("ICMP echo reply, id 8482, seq 12594");
    expect(formatIcmp({ ...header, type: 40 })).toBe("ICMP type-#40");
  });
});
