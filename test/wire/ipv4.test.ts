import { describe, expect, it } from "vitest";
import type { Ipv4 } from "../../src/wire/ip.js";
import {
  type Ipv4Header,
  decodeIpv4,
  encodeIpv4,
  formatIpv4Header,
  isFragment,
} from "../../src/wire/ipv4.js";
import { encoded, hex, reasonOf, valueOf } from "./support.js";

const bytes = hex("46 b8 001c 2122 4000 33 06 0000 41424344 51525354 94040000 a1a2a3a4");
const header: Ipv4Header = {
  kind: "ipv4",
  tos: 0xb8,
  id: 0x2122,
  dontFragment: true,
  moreFragments: false,
  fragmentOffset: 0,
  ttl: 0x33,
  protocol: 6,
  source: 0x4142_4344 as Ipv4,
  destination: 0x5152_5354 as Ipv4,
  options: hex("94040000"),
};

describe("IPv4", () => {
  it("reads a header with options and what it carries", () => {
    const good = withChecksum(bytes);
    expect(valueOf(decodeIpv4(good))).toEqual({
      header,
      totalLength: 28,
      payload: hex("a1a2a3a4"),
    });
  });

  it("leaves out the padding behind the total length, and tells when bytes are missing", () => {
    const padded = new Uint8Array([...withChecksum(bytes), 0, 0, 0]);
    expect(valueOf(decodeIpv4(padded)).payload).toEqual(hex("a1a2a3a4"));
    const short = valueOf(decodeIpv4(withChecksum(bytes).subarray(0, 26)));
    expect([short.totalLength, short.payload]).toEqual([28, hex("a1a2")]);
  });

  it("writes every byte of its header and none behind it", () => {
    const into = encoded(28, (target) => encodeIpv4(header, 28, target));
    expect(into).toEqual(
      new Uint8Array([...withChecksum(bytes).subarray(0, 24), 0xa5, 0xa5, 0xa5, 0xa5]),
    );
  });

  it("keeps the flags and the offset of a fragment", () => {
    const piece: Ipv4Header = {
      ...header,
      dontFragment: false,
      moreFragments: true,
      fragmentOffset: 1480,
    };
    const into = encoded(24, (target) => encodeIpv4(piece, 1500, target));
    expect(into.subarray(6, 8)).toEqual(hex("20b9"));
    expect(valueOf(decodeIpv4(into)).header).toEqual(piece);
    expect([isFragment(piece), isFragment(header)]).toEqual([true, false]);
  });

  it("keeps a wrong checksum as wrong as it was, with another TTL too", () => {
    const spoilt = withChecksum(bytes);
    spoilt[11] = ((spoilt[11] ?? 0) + 7) & 0xff;
    const read = valueOf(decodeIpv4(spoilt)).header;
    expect(read.checksumError).toBe(7);
    const into = encoded(24, (target) => encodeIpv4({ ...read, ttl: 9 }, 28, target));
    expect(valueOf(decodeIpv4(into)).header.checksumError).toBe(7);
  });

  it("refuses short headers, other versions and impossible lengths", () => {
    const changed = (at: number, value: number): Uint8Array => bytes.with(at, value);
    expect(reasonOf(decodeIpv4(bytes.subarray(0, 19)))).toBe(
      "IPv4 header cut short: 19 of 20 bytes",
    );
    expect(reasonOf(decodeIpv4(bytes.subarray(0, 23)))).toBe(
      "IPv4 header cut short: 23 of 24 bytes",
    );
    expect(reasonOf(decodeIpv4(changed(0, 0x66)))).toBe("IPv4 header of version 6");
    expect(reasonOf(decodeIpv4(changed(0, 0x44)))).toBe("IPv4 header length of 16 bytes");
    expect(reasonOf(decodeIpv4(changed(3, 23)))).toBe("IPv4 total length 23 below the header's 24");
  });

  it("prints its ends", () => {
    expect(formatIpv4Header(header)).toBe("65.66.67.68 > 81.82.83.84");
  });
});

/** The header with the checksum of RFC 1071, added up here word by word. */
function withChecksum(packet: Uint8Array): Uint8Array {
  const view = new DataView(packet.slice().buffer);
  view.setUint16(10, 0);
  let sum = 0;
  for (let at = 0; at < 24; at += 2) {
    sum += view.getUint16(at);
    if (sum > 0xffff) sum -= 0xffff;
  }
  view.setUint16(10, 0xffff - sum);
  return new Uint8Array(view.buffer);
}
