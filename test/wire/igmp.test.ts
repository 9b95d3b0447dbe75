import { describe, expect, it } from "vitest";
import { formatFrame } from "../../src/wire/format-frame.js";
import { decodeIpPacket } from "../../src/wire/frame.js";
import {
  type IgmpMessage,
  decodeIgmp,
  encodeIgmp,
  formatIgmp,
  igmpCodeValue,
} from "../../src/wire/igmp.js";
import { IPV4_ANY, ipv4 } from "../../src/wire/ip.js";
import { hex, reasonOf, valueOf } from "./support.js";

const group = ipv4(0xef11_1213);
const own = ipv4(0x2122_2324);

/** Messages with their bytes, and the words of tcpdump 4.99. */
const messages: readonly (readonly [string, IgmpMessage, string])[] = [
  [
    "1100eeff00000000",
    { kind: "query", group: IPV4_ANY, responseCode: 0, version3: undefined },
    "igmp query v1",
  ],
  [
    "1164ee9b00000000",
    { kind: "query", group: IPV4_ANY, responseCode: 100, version3: undefined },
    "igmp query v2",
  ],
  [
    "110aedd0ef111213",
    { kind: "query", group, responseCode: 10, version3: undefined },
    "igmp query v2 [max resp time 10] [gaddr 239.17.18.19]",
  ],
  [
    "11909d86ef1112130b7d000121222324",
    {
      kind: "query",
      group,
      responseCode: 0x90,
      version3: { suppress: true, robustness: 3, intervalCode: 125, sources: [own] },
    },
    "igmp query v3 [max resp time 25.6s] [gaddr 239.17.18.19, 1 source(s)]",
  ],
  ["1200ecdaef111213", { kind: "report", version: 1, group }, "igmp v1 report 239.17.18.19"],
  ["1600e8daef111213", { kind: "report", version: 2, group }, "igmp v2 report 239.17.18.19"],
  ["1700e7daef111213", { kind: "leave", group }, "igmp leave 239.17.18.19"],
  [
    "22004a450000000204000000ef11121306000001212223242122232a",
    {
      kind: "report3",
      records: [
        { type: 4, group, sources: [] },
        { type: 6, group: own, sources: [ipv4(0x2122_232a)] },
      ],
    },
    "igmp v3 report, 2 group record(s)",
  ],
];

describe("IGMP", () => {
  it.each(messages)("%s is read, written again and printed", (bytes, message, words) => {
    expect(valueOf(decodeIgmp(hex(bytes)))).toEqual(message);
    expect(encodeIgmp(message)).toEqual(hex(bytes));
    expect(formatIgmp(message)).toBe(words);
  });

  it("prints what a code of minutes stands for, and knows codes with an exponent", () => {
    expect(igmpCodeValue(127)).toBe(127);
    expect(igmpCodeValue(0x80)).toBe(128);
    expect(igmpCodeValue(0xff)).toBe(31_744);
    const version3 = { suppress: false, robustness: 2, intervalCode: 125, sources: [] };
    const query = { kind: "query", group: IPV4_ANY, version3 } as const;
    expect(formatIgmp({ ...query, responseCode: 0xff })).toBe(
      "igmp query v3 [max resp time 52m54s]",
    );
    expect(formatIgmp({ ...query, responseCode: 100 })).toBe("igmp query v3");
  });

  it("keeps how wrong a checksum is", () => {
    const spoilt = hex("1600e8dbef111213");
    const message = valueOf(decodeIgmp(spoilt));
    expect(message.checksumError).toBe(1);
    expect(encodeIgmp(message)).toEqual(spoilt);
  });

  it("refuses messages that end early and types that it does not know", () => {
    expect(reasonOf(decodeIgmp(hex("16000000ef1112")))).toBe(
      "IGMP message cut short: 7 of 8 bytes",
    );
    expect(reasonOf(decodeIgmp(hex("1100000000000000" + "027d0001")))).toBe(
      "IGMP query cut short: 12 of 16 bytes",
    );
    expect(reasonOf(decodeIgmp(hex("2200000000000001" + "04000000")))).toBe(
      "IGMP report cut short: 12 of 16 bytes",
    );
    expect(reasonOf(decodeIgmp(hex("1300000000000000")))).toBe("IGMP message of type 19");
  });

  it("is told in a packet's line", () => {
    const packet = hex("46c00020000040000102" + "0000" + "0a000001e0000016" + "94040000");
    const whole = new Uint8Array([...packet, ...hex("1600e8daef111213")]);
    expect(formatFrame(valueOf(decodeIpPacket(whole)))).toBe(
      "IP 10.0.0.1 > 224.0.0.22: igmp v2 report 239.17.18.19",
    );
  });
});
