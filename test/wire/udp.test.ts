import { describe, expect, it } from "vitest";
import { pseudoHeaderSum } from "../../src/wire/checksum.js";
import type { Ipv4 } from "../../src/wire/ip.js";
import { type UdpHeader, decodeUdp, encodeUdp, formatUdp } from "../../src/wire/udp.js";
import { encoded, hex, reasonOf, valueOf } from "./support.js";

// Pseudo header: 0a00+0001+0a00+0002+0011+000b = 0x141f.
// Datagram words 1112+2122+000b+a1a2+a300 = 0x176e1; with the pseudo header 0x18b00, folded 0x8b01, complement 0x74fe.
const bytes = hex("1112 2122 000b 74fe a1a2 a3");
const header: UdpHeader = { kind: "udp", sourcePort: 0x1112, destinationPort: 0x2122 };
const pseudo = pseudoHeaderSum(0x0a00_0001 as Ipv4, 0x0a00_0002 as Ipv4, 17, 11);

const encode = (value: UdpHeader, payload: Uint8Array, sum = pseudo): Uint8Array =>
  encoded(8 + payload.length, (into) => {
    into.set(payload, 8);
    encodeUdp(value, sum, into);
  });

describe("UDP", () => {
  it("reads ports and payload of a datagram whose checksum is right", () => {
    expect(valueOf(decodeUdp(bytes, pseudo))).toEqual({ header, payload: hex("a1a2a3") });
  });

  it("writes every byte of its header around the payload", () => {
    expect(encode(header, hex("a1a2a3"))).toEqual(bytes);
  });

  it("keeps the absence of a checksum", () => {
    const without = valueOf(decodeUdp(bytes.with(6, 0).with(7, 0), pseudo)).header;
    expect(without).toEqual({ ...header, noChecksum: true });
    expect(encode(without, hex("a1a2a3"))).toEqual(bytes.with(6, 0).with(7, 0));
  });

  it("sends a computed checksum of 0 as 0xffff, which verifies", () => {
    const sum = 0xffff - 0x1112 - 0x2122 - 8;
    const into = encode(header, new Uint8Array(0), sum);
    expect(into.subarray(6)).toEqual(hex("ffff"));
    expect(valueOf(decodeUdp(into, sum)).header).toEqual(header);
  });

  it("keeps a wrong checksum as wrong as it was", () => {
    const spoilt = bytes.with(7, 0xff);
    const read = valueOf(decodeUdp(spoilt, pseudo)).header;
    expect(read.checksumError).toBe(1);
    expect(encode(read, hex("a1a2a3"))).toEqual(spoilt);
  });

  it("refuses a short header and a length that is not the packet's", () => {
    expect(reasonOf(decodeUdp(bytes.subarray(0, 7), pseudo))).toBe(
      "UDP header cut short: 7 of 8 bytes",
    );
    expect(reasonOf(decodeUdp(bytes.subarray(0, 10), pseudo))).toBe(
      "UDP length 11 in a packet of 10 bytes",
    );
  });

  it("prints the length of what it carries", () => {
    expect(formatUdp(3)).toBe("UDP, length 3");
  });
});
