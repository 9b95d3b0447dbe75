import { describe, expect, it } from "vitest";
import { pseudoHeaderSum } from "../../src/wire/checksum.js";
import type { Ipv4 } from "../../src/wire/ip.js";
import {
  TCP_ACK,
  TCP_PSH,
  TCP_SYN,
  type TcpHeader,
  decodeTcp,
  encodeTcp,
  formatTcp,
} from "../../src/wire/tcp.js";
import { encoded, hex, reasonOf, valueOf } from "./support.js";

// Pseudo header: 0a00+0001+0a00+0002+0006+001a = 0x1423. Segment words without the checksum:
// 1112+2122+3132+3334+4142+4344+6018+5152+6162+0204+05b4+a1a2 = 0x2d746; together 0x2eb69, folded 0xeb6b, complement 0x1494.
const bytes = hex("1112 2122 31323334 41424344 6018 5152 1494 6162 020405b4 a1a2");
const header: TcpHeader = {
  kind: "tcp",
  sourcePort: 0x1112,
  destinationPort: 0x2122,
  sequence: 0x3132_3334,
  acknowledgment: 0x4142_4344,
  flags: TCP_PSH | TCP_ACK,
  window: 0x5152,
  urgent: 0x6162,
  options: hex("020405b4"),
};
const pseudo = pseudoHeaderSum(0x0a00_0001 as Ipv4, 0x0a00_0002 as Ipv4, 6, 26);

describe("TCP", () => {
  it("reads every field, options and payload", () => {
    expect(valueOf(decodeTcp(bytes, pseudo))).toEqual({ header, payload: hex("a1a2") });
  });

  it("writes every byte of its header around the payload", () => {
    const into = encoded(26, (target) => {
      target.set(hex("a1a2"), 24);
      encodeTcp(header, pseudo, target);
    });
    expect(into).toEqual(bytes);
  });

  it("tells how wrong a checksum is", () => {
    expect(valueOf(decodeTcp(bytes.with(17, 0x96), pseudo)).header.checksumError).toBe(2);
  });

  it("reads ports and sequence of a segment of which a quote keeps 8 bytes", () => {
    const { header: read, payload } = valueOf(decodeTcp(bytes.subarray(0, 8), undefined));
    expect([read.sourcePort, read.destinationPort, read.sequence]).toEqual([
      0x1112, 0x2122, 0x3132_3334,
    ]);
    expect([read.flags, payload.length]).toEqual([0, 0]);
  });

  it("refuses a header that is cut short or too small for itself", () => {
    expect(reasonOf(decodeTcp(bytes.subarray(0, 19), pseudo))).toBe(
      "TCP header cut short: 19 of 20 bytes",
    );
    expect(reasonOf(decodeTcp(bytes.subarray(0, 23), pseudo))).toBe(
      "TCP header cut short: 23 of 24 bytes",
    );
    expect(reasonOf(decodeTcp(bytes.with(12, 0x40), pseudo))).toBe("TCP header length of 16 bytes");
    expect(reasonOf(decodeTcp(bytes.subarray(0, 7), undefined))).toBe(
      "TCP header cut short: 7 of 20 bytes",
    );
  });

  it("prints flags, numbers and options as tcpdump does", () => {
    expect(formatTcp(header, 2)).toBe(
      "Flags [P.], seq 825373492:825373494, ack 1094861636, win 20818, options [mss 1460], length 2",
    );
    const syn: TcpHeader = {
      ...header,
      flags: TCP_SYN,
      options: hex("020405b4 0402 080a 00000007 00000000 01 030307"),
    };
    expect(formatTcp(syn, 0)).toBe(
      "Flags [S], seq 825373492, win 20818, options [mss 1460,sackOK,TS val 7 ecr 0,nop,wscale 7], length 0",
    );
    expect(formatTcp({ ...header, flags: 0, options: hex("") }, 0)).toBe(
      "Flags [none], win 20818, length 0",
    );
  });
});
