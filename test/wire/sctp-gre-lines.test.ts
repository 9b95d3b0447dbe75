import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseHex } from "../../src/wire/bytes.js";
import { formatFrame } from "../../src/wire/format-frame.js";
import { decodeIpPacket, encodeIpPacket } from "../../src/wire/frame.js";
import { decodeGre, encodeGre, formatGre, type GreHeader } from "../../src/wire/gre.js";
import { portsOfFrame } from "../../src/wire/ports.js";
import { formatSctp } from "../../src/wire/format-sctp.js";

interface Case {
  readonly name: string;
  readonly packet: string;
  readonly line: string;
}

const golden: { readonly cases: readonly Case[] } = JSON.parse(
  readFileSync(new URL("../golden/tcpdump-sctp-gre.json", import.meta.url), "utf8"),
);

/** tcpdump breaks lines, and leaves blanks at their ends. */
const squeezed = (line: string): string => line.replaceAll(/\s+/g, " ").trimEnd();

describe("packets of SCTP, GRE and UDP-Lite", () => {
  it.each(golden.cases)("$name: printed as by tcpdump, and encoded to the same bytes", (one) => {
    const bytes = bytesOf(one.packet);
    const packet = decodeIpPacket(bytes);
    if (!packet.ok) throw new Error(packet.reason);
    expect(squeezed(formatFrame(packet.value))).toBe(squeezed(one.line));
    expect(encodeIpPacket(packet.value)).toEqual(bytes);
  });

  it("have ports where they begin with some", () => {
    const ports = (name: string): unknown => {
      const packet = decodeIpPacket(bytesOf(golden.cases.find((one) => one.name === name)?.packet));
      return packet.ok ? portsOfFrame(packet.value) : undefined;
    };
    expect(ports("init")).toEqual({ source: 40_001, destination: 5060 });
    expect(ports("data6")).toEqual({ source: 40_001, destination: 5060 });
    expect(ports("udplite")).toEqual({ source: 1000, destination: 2000 });
    expect(ports("udplite short")).toBeUndefined();
    expect(ports("fragment")).toBeUndefined();
    expect(ports("gre")).toBeUndefined();
  });
});

describe("a GRE header", () => {
  const header: GreHeader = {
    version: 0,
    protocol: 0x1112,
    checksum: 0x1314,
    key: 0x1516_1718,
    sequence: 0x191a_1b1c,
    acknowledgment: undefined,
  };
  const bytes = bytesOf("b0001112131400001516171819".concat("1a1b1c2122"));

  it("is read with all its parts", () => {
    expect(decodeGre(bytes)).toEqual({
      ok: true,
      value: { header, payload: Uint8Array.of(0x21, 0x22) },
    });
  });

  it("is written with all its parts", () => {
    expect(encodeGre(header, Uint8Array.of(0x21, 0x22))).toEqual(bytes);
    const pptp = { ...header, version: 1, checksum: undefined, acknowledgment: 0x1d1e_1f20 };
    expect(decodeGre(encodeGre(pptp, bytes))).toEqual({
      ok: true,
      value: { header: pptp, payload: bytes },
    });
  });

  it("that is cut short is refused", () => {
    for (let length = 0; length < 16; length++)
      expect(decodeGre(bytes.subarray(0, length)).ok).toBe(false);
  });
});

it("whatever the bytes are, they are printed", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      formatSctp(bytes);
      formatGre(bytes, () => "");
    }),
  );
});

function bytesOf(hex = ""): Uint8Array {
  return parseHex(hex) ?? new Uint8Array(0);
}
