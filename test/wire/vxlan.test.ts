import { describe, expect, it } from "vitest";
import {
  decodeVxlan,
  encodeVxlan,
  formatVxlan,
  isVxlanPort,
  VXLAN_HLEN,
  type VxlanHeader,
} from "../../src/wire/vxlan.js";
import { encoded, hex, reasonOf, valueOf } from "./support.js";

const bytes = hex("0811 1213 212223 31 a1a2");
const header: VxlanHeader = { flags: 0x0811_1213, vni: 0x21_2223, reserved: 0x31 };

describe("VXLAN", () => {
  it("reads flags, network and the frame that follows", () => {
    expect(valueOf(decodeVxlan(bytes))).toEqual({ header, payload: hex("a1a2") });
  });

  it("writes every byte of its header", () => {
    expect(encoded(VXLAN_HLEN, (into) => encodeVxlan(header, into))).toEqual(
      bytes.subarray(0, VXLAN_HLEN),
    );
    const highest = { flags: 0x0800_0000, vni: 0xff_ffff, reserved: 0 };
    expect(encoded(VXLAN_HLEN, (into) => encodeVxlan(highest, into))).toEqual(
      hex("0800 0000 ffff ff00"),
    );
  });

  it("refuses a short header", () => {
    expect(reasonOf(decodeVxlan(bytes.subarray(0, 7)))).toBe(
      "VXLAN header cut short: 7 of 8 bytes",
    );
  });

  it("prints as tcpdump does", () => {
    expect(formatVxlan(header)).toBe("VXLAN, flags [I] (0x08), vni 2171427");
    expect(formatVxlan({ flags: 0, vni: 1, reserved: 0 })).toBe("VXLAN, flags [.] (0x00), vni 1");
  });

  it("is looked for on its two ports alone", () => {
    const plain = hex("0800 0000 0000 0100");
    expect([4789, 8472, 53].map((port) => isVxlanPort(plain, port))).toEqual([true, true, false]);
    expect(isVxlanPort(hex("1234 0000 0000 0100"), 4789)).toBe(false);
    expect(isVxlanPort(hex("0800"), 4789)).toBe(false);
  });
});
