import { isIP, BlockList } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  cidrContains,
  hostPort,
  parseAddress,
  parseCidr,
} from "../../../src/kube/proxy/addresses.js";

describe("addresses as Kubernetes reads them", () => {
  it.each([
    ["10.0.0.1", "10.0.0.1"],
    ["192.168.099.022", "192.168.99.22"],
    ["fd00:0010::0001", "fd00:10::1"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["::", "::"],
    ["1::", "1::"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ])("%s is %s", (text, canonical) => {
    expect(parseAddress(text)?.text).toBe(canonical);
  });

  it.each(
    [
      [
        "",
        "10.0.0",
        "10.0.0.256",
        "10.0.0.1.2",
        "010.0.0.0x1",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3",
        ":::",
        "12345::",
      ],
      ["::1%eth0", " 10.0.0.1", "1:2:3:4:5:6:7:8::", "1.2.3.4::", "::1.2.3", "g::"],
    ].flat(),
  )("%j is no address", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it("reads exactly what Node calls an IPv6 address, zones apart", () => {
    const digit = fc.constantFrom("0", "1", "f", "ffff", "10", ":", "::", ".", "1.2.3.4", "g");
    fc.assert(
      fc.property(
        fc.oneof(
          fc.ipV6(),
          fc.array(digit, { maxLength: 17 }).map((parts) => parts.join("")),
        ),
        (text) => {
          if (isIP(text) === 4) return;
          expect(parseAddress(text) !== undefined && text.includes(":")).toBe(isIP(text) === 6);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("prints IPv6 so that it reads back as the same bits", () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const address = parseAddress(text);
        expect(parseAddress(address?.text ?? "")).toEqual(address);
      }),
    );
  });

  it("writes an endpoint with brackets around IPv6 alone", () => {
    const write = (text: string): string | undefined => {
      const address = parseAddress(text);
      return address && hostPort(address, 80);
    };
    expect([write("10.0.0.1"), write("fd00::1")]).toEqual(["10.0.0.1:80", "[fd00::1]:80"]);
  });
});

describe("CIDRs as Kubernetes reads them", () => {
  it.each([
    ["203.0.113.000/025", "203.0.113.0/25"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["2001:db8:1::5/33", "2001:db8::/33"],
    ["::/0", "::/0"],
  ])("%s is %s", (text, canonical) => {
    expect(parseCidr(text)?.text).toBe(canonical);
  });

  it.each(["10.0.0.1", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "x/8", "10.0.0.0/8/8"])(
    "%j is none",
    (text) => {
      expect(parseCidr(text)).toBeUndefined();
    },
  );

  it("hold the addresses that Node's BlockList says they hold", () => {
    const near = fc.tuple(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }));
    fc.assert(
      fc.property(near, ([network, address, length]) => {
        const list = new BlockList();
        list.addSubnet(network, length, "ipv4");
        const cidr = parseCidr(`${network}/${length}`);
        const parsed = parseAddress(address);
        expect(cidr && parsed && cidrContains(cidr, parsed)).toBe(list.check(address, "ipv4"));
      }),
    );
  });
});
