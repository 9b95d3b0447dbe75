import { describe, expect, it } from "vitest";
import {
  type EthernetHeader,
  decodeEthernet,
  encodeEthernet,
  formatEthernet,
} from "../../src/wire/ethernet.js";
import type { Mac } from "../../src/wire/ip.js";
import { encoded, hex, reasonOf, valueOf } from "./support.js";

const bytes = hex("111213141516 212223242526 0800 a1a2");
const header: EthernetHeader = {
  destination: 0x1112_1314_1516 as Mac,
  source: 0x2122_2324_2526 as Mac,
  etherType: 0x0800,
};

describe("Ethernet", () => {
  it("reads destination, source and type, and leaves the rest", () => {
    expect(valueOf(decodeEthernet(bytes))).toEqual({ header, payload: hex("a1a2") });
  });

  it("writes every byte of its header and none behind it", () => {
    expect(encoded(16, (into) => encodeEthernet(header, into))).toEqual(
      hex("111213141516 212223242526 0800 a5a5"),
    );
  });

  it("refuses a frame that ends inside the header", () => {
    expect(reasonOf(decodeEthernet(bytes.subarray(0, 13)))).toBe(
      "Ethernet header cut short: 13 of 14 bytes",
    );
  });

  it("prints as tcpdump -e does, unknown types too", () => {
    expect(formatEthernet(header)).toBe(
      "21:22:23:24:25:26 > 11:12:13:14:15:16, ethertype IPv4 (0x0800)",
    );
    expect(formatEthernet({ ...header, etherType: 0x88cc })).toContain(
      "ethertype Unknown (0x88cc)",
    );
  });
});
