import { describe, expect, it } from "vitest";
import { type ArpHeader, decodeArp, encodeArp, formatArp } from "../../src/wire/arp.js";
import { type Ipv4, MAC_ZERO, type Mac } from "../../src/wire/ip.js";
import { encoded, hex, reasonOf, valueOf } from "./support.js";

const bytes = hex("0001 0800 06 04 0001 111213141516 0a090001 212223242526 0a090032");
const request: ArpHeader = {
  kind: "arp",
  operation: 1,
  senderMac: 0x1112_1314_1516 as Mac,
  senderIp: 0x0a09_0001 as Ipv4,
  targetMac: 0x2122_2324_2526 as Mac,
  targetIp: 0x0a09_0032 as Ipv4,
};

describe("ARP", () => {
  it("reads who asks whom", () => {
    expect(valueOf(decodeArp(bytes))).toEqual(request);
  });

  it("writes all 28 bytes and none behind them", () => {
    expect(encoded(30, (into) => encodeArp(request, into))).toEqual(
      new Uint8Array([...bytes, 0xa5, 0xa5]),
    );
  });

  it("refuses a message that is cut short or for other networks", () => {
    expect(reasonOf(decodeArp(bytes.subarray(0, 27)))).toBe("ARP cut short: 27 of 28 bytes");
    const tokenRing = bytes.slice();
    tokenRing[1] = 6;
    expect(reasonOf(decodeArp(tokenRing))).toBe("ARP that is not for IPv4 over Ethernet");
  });

  it("prints requests and replies as tcpdump does", () => {
    expect(formatArp({ ...request, targetMac: MAC_ZERO })).toBe(
      "Request who-has 10.9.0.50 tell 10.9.0.1",
    );
    expect(formatArp(request)).toBe("Request who-has 10.9.0.50 (21:22:23:24:25:26) tell 10.9.0.1");
    expect(formatArp({ ...request, operation: 2 })).toBe("Reply 10.9.0.1 is-at 11:12:13:14:15:16");
  });
});
