import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readFtp } from "../../../../src/netfilter/conntrack/helpers/ftp-commands.js";
import { formatFtp } from "../../../../src/netfilter/conntrack/helpers/ftp-format.js";
import { formatIp, parseIpv6 } from "../../../../src/wire/ip.js";
import { ip } from "../../rig.js";

/** What was read, in short: `PORT 10.0.1.2:40020 at 5+16`. */
function read(data: string, from: "client" | "server" = "client", isIpv6 = false): string {
  const reading = readFtp(data, from, isIpv6);
  if (reading.kind !== "announces")
    return reading.kind === "partial" ? `partial ${reading.name}` : "nothing";
  const { kind, address, port, at, length } = reading.announcement;
  const host = address === undefined || address === "other" ? String(address) : formatIp(address);
  return `${kind} ${host}:${port} at ${at}+${length}`;
}

describe("the client's commands", () => {
  test("PORT has six numbers, in any case of letters", () => {
    expect(read("PORT 10,0,1,2,156,84\r\n")).toBe("PORT 10.0.1.2:40020 at 5+15");
    expect(read("port 10,0,1,2,0,21\r\n")).toBe("PORT 10.0.1.2:21 at 5+13");
  });

  test("a PORT that is not all there, or makes no sense, is partial", () => {
    for (const data of ["PORT", "PO", "PORT ", "PORT 1,2,3\r\n", "PORT 1,2,3,4,5,6", "PORT x\r\n"])
      expect([data, read(data)]).toEqual([data, "partial PORT"]);
  });

  test("EPRT names family, address and port between any delimiters", () => {
    expect(read("EPRT |1|10.0.1.2|40020|\r\n")).toBe("EPRT 10.0.1.2:40020 at 5+18");
    expect(read("EPRT !1!10.0.1.2!40020!\r\n")).toBe("EPRT 10.0.1.2:40020 at 5+18");
    expect(read("EPRT |2|2001:db8::2|40020|\r\n", "client", true)).toBe(
      "EPRT 2001:db8::2:40020 at 5+21",
    );
    for (const data of [
      "EPRT |2|2001:db8::2|40020|\r\n",
      "EPRT |1|10.0.1.2|0|\r\n",
      "EPRT |1|10.0.1|40020|\r\n",
      "EPRT 11|10.0.1.2|40020|\r\n",
    ])
      expect([data, read(data)]).toEqual([data, "partial EPRT"]);
  });

  test("answers mean nothing in the client's mouth, nor does any other line", () => {
    expect(read("227 Entering Passive Mode (10,0,2,2,156,94)\r\n")).toBe("nothing");
    expect(read("USER anonymous\r\n")).toBe("nothing");
    expect(read("POPO")).toBe("nothing");
  });
});

describe("the server's answers", () => {
  test("227 has six numbers from its first digit on, in parentheses or not", () => {
    expect(read("227 Entering Passive Mode (10,0,2,2,156,94)\r\n", "server")).toBe(
      "PASV 10.0.2.2:40030 at 27+15",
    );
    expect(read("227 =10,0,2,2,156,94\r\n", "server")).toBe("PASV 10.0.2.2:40030 at 5+15");
  });

  test("227 without numbers is partial", () => {
    expect(read("227 whatever\r\n", "server")).toBe("partial 227 ");
    expect(read("227 Entering (10,0,2,2,156)\r\n", "server")).toBe("partial 227 ");
  });

  test("229 has a port alone", () => {
    expect(read("229 Entering Extended Passive Mode (|||40030|)\r\n", "server")).toBe(
      "EPSV undefined:40030 at 36+9",
    );
    expect(read("229 Entering (||40030|)\r\n", "server")).toBe("partial 229 ");
  });
});

test("what is written is read back", () => {
  const v6 = parseIpv6("2001:db8::2");
  if (v6 === undefined) throw new Error("no address");
  expect(formatFtp("PORT", ip("10.0.1.2"), 40020)).toBe("10,0,1,2,156,84");
  expect(formatFtp("PASV", ip("10.0.1.2"), 21)).toBe("10,0,1,2,0,21");
  expect(formatFtp("EPRT", ip("10.0.1.2"), 40020)).toBe("|1|10.0.1.2|40020|");
  expect(formatFtp("EPRT", v6, 40020)).toBe("|2|2001:0db8:0000:0000:0000:0000:0000:0002|40020|");
  expect(formatFtp("EPSV", v6, 40020)).toBe("|||40020|");
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.integer({ min: 1, max: 0xffff }), (host, port) => {
      const address = ip([24, 16, 8, 0].map((shift) => (host >>> shift) & 255).join("."));
      const line = `PORT ${formatFtp("PORT", address, port)}\r\n`;
      expect(read(line)).toBe(`PORT ${formatIp(address)}:${port} at 5+${line.length - 7}`);
    }),
  );
});

test("any bytes are read without a word", () => {
  const bytes = fc.string({
    unit: fc.constantFrom(...Array.from("PORTEPSV227 9(|),.:0123456789\r\n\u00ff")),
  });
  fc.assert(
    fc.property(bytes, fc.boolean(), fc.boolean(), (data, isClient, isIpv6) => {
      const reading = readFtp(data, isClient ? "client" : "server", isIpv6);
      if (reading.kind !== "announces") return;
      const { at, length, port } = reading.announcement;
      expect(at + length).toBeLessThanOrEqual(data.length);
      expect(port).toBeLessThanOrEqual(0xffff);
    }),
    { numRuns: 2_000 },
  );
});
