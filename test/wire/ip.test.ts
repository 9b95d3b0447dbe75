import { isIP } from "node:net";
import fc from "fast-check";
import { IPv6 } from "ip-num";
import { Netmask } from "netmask";
import { describe, expect, it } from "vitest";
import {
  type Ipv6,
  type Mac,
  addToIpv4,
  broadcastOf,
  formatIpv4,
  formatIpv4Prefix,
  formatIpv6,
  formatMac,
  ipv4,
  ipv4Mask,
  isIpv4Loopback,
  isIpv4Multicast,
  isMulticastMac,
  multicastMac,
  networkOf,
  parseIpv4,
  parseIpv4Prefix,
  parseIpv6,
  parseMac,
  prefixContains,
  prefixesOverlap,
} from "../../src/wire/ip.js";

const address = fc.integer({ min: 0, max: 0xffff_ffff }).map(ipv4);
const prefix = fc.record({ address, length: fc.integer({ min: 0, max: 32 }) });
/** Text that looks like an address, mostly. */
const addressLike = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.stringMatching(/^[0-9a-f.:]{1,20}$/),
  fc.stringMatching(/^[0-9]{1,3}(\.[0-9]{1,3}){2,4}$/),
);

describe("an IPv4 address", () => {
  it("is read and printed", () => {
    expect(parseIpv4("10.244.1.5")).toBe(0x0af4_0105);
    expect(formatIpv4(ipv4(0xfffe_0001))).toBe("255.254.0.1");
  });

  it("is read exactly when Node's net.isIP calls it one", () => {
    fc.assert(
      fc.property(addressLike, (text) => {
        expect(parseIpv4(text) !== undefined).toBe(isIP(text) === 4);
      }),
      { numRuns: 1000 },
    );
  });

  it.each(["010.0.0.1", "1.2.3", "1.2.3.4.5", "1..2.3", "256.0.0.1", "1.2.3.4 ", "0x1.2.3.4", ""])(
    "is not %j",
    (text) => {
      expect(parseIpv4(text)).toBeUndefined();
    },
  );

  it("is printed as it can be read again", () => {
    fc.assert(
      fc.property(address, (value) => {
        expect(parseIpv4(formatIpv4(value))).toBe(value);
      }),
    );
  });

  it("wraps when it is counted past the end", () => {
    expect(formatIpv4(addToIpv4(ipv4(0xffff_ffff), 2))).toBe("0.0.0.1");
  });

  it("is multicast from 224 to 239, loopback in 127", () => {
    const texts = ["223.255.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.0", "127.9.9.9"];
    const values = texts.map((text) => ipv4(parseIpv4(text) ?? 0));
    expect(values.map(isIpv4Multicast)).toEqual([false, true, true, false, false]);
    expect(values.map(isIpv4Loopback)).toEqual([false, false, false, false, true]);
  });
});

describe("an IPv4 prefix", () => {
  it("keeps its host bits until they are cleared", () => {
    const read = parseIpv4Prefix("10.1.2.3/8");
    expect(read && [formatIpv4Prefix(read), formatIpv4Prefix(networkOf(read))]).toEqual([
      "10.1.2.3/8",
      "10.0.0.0/8",
    ]);
    expect(parseIpv4Prefix("10.1.2.3")).toEqual({ address: 0x0a01_0203, length: 32 });
  });

  it.each([
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.0/",
    "10.0.0.0/8abc",
    "10.0.0.0/ 8",
    "10.0.0.0/1e1",
  ])("is not %j", (text) => {
    expect(parseIpv4Prefix(text)).toBeUndefined();
  });

  it("has the mask, first address, last address and members that netmask gives it", () => {
    fc.assert(
      fc.property(prefix, address, (block, other) => {
        const judge = new Netmask(formatIpv4Prefix(block));
        expect(formatIpv4(ipv4Mask(block.length))).toBe(judge.mask);
        expect(formatIpv4(networkOf(block).address)).toBe(judge.base);
        // netmask has no broadcast address for /31 and /32; the last address is the same thing.
        expect(formatIpv4(broadcastOf(block))).toBe(judge.broadcast ?? judge.last);
        expect(prefixContains(block, other)).toBe(judge.contains(formatIpv4(other)));
      }),
      { numRuns: 1000 },
    );
  });

  it("overlaps another exactly when one contains the other's network", () => {
    fc.assert(
      fc.property(prefix, prefix, (a, b) => {
        const contained =
          prefixContains(a, networkOf(b).address) || prefixContains(b, networkOf(a).address);
        expect(prefixesOverlap(a, b)).toBe(contained);
      }),
    );
  });
});

describe("an IPv6 address", () => {
  it("is read exactly when Node's net.isIP calls it one", () => {
    fc.assert(
      fc.property(addressLike, (text) => {
        expect(parseIpv6(text) !== undefined).toBe(isIP(text) === 6);
      }),
      { numRuns: 1000 },
    );
  });

  it("has the value that ip-num gives it, and is printed as it can be read again", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (value) => {
        const full = IPv6.fromBigInt(value).toString();
        expect(parseIpv6(full)).toBe(value);
        expect(parseIpv6(formatIpv6(value as Ipv6))).toBe(value);
      }),
    );
  });

  it.each([
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:DB8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["::ffff:a00:1", "::ffff:10.0.0.1"],
  ])("is printed as RFC 5952 says: %s becomes %s", (text, printed) => {
    const value = parseIpv6(text);
    expect(value === undefined ? undefined : formatIpv6(value)).toBe(printed);
  });
});

describe("a MAC address", () => {
  it("is read with one or two digits a byte, and printed with two", () => {
    expect(parseMac("2:0:0:0:1:A")).toBe(0x0200_0000_010a);
    expect(formatMac(0x0200_0000_010a as Mac)).toBe("02:00:00:00:01:0a");
    expect(
      ["02:00:00:00:01", "02:00:00:00:01:0g", "020000000102", "02-00-00-00-01-02"].map(parseMac),
    ).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("is a group's when the lowest bit of its first byte is set", () => {
    const macs = [
      "ff:ff:ff:ff:ff:ff",
      "01:00:5e:00:00:01",
      "02:00:00:00:00:01",
      "fe:ff:ff:ff:ff:ff",
    ];
    expect(macs.map((text) => isMulticastMac(parseMac(text) ?? (0 as Mac)))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it("of a multicast address keeps the low 23 bits", () => {
    expect(formatMac(multicastMac(ipv4(0xe080_0203)))).toBe("01:00:5e:00:02:03");
    expect(formatMac(multicastMac(ipv4(0xefff_ffff)))).toBe("01:00:5e:7f:ff:ff");
  });
});
