import { describe, expect, test } from "vitest";
import { type ConfigurationBpdu, decodeBpdu, encodeBpdu, formatBpdu } from "../../src/wire/bpdu.js";
import { formatHex, parseHex } from "../../src/wire/bytes.js";
import { formatFrame } from "../../src/wire/format-frame.js";
import { decodeFrame } from "../../src/wire/frame.js";
import { mac } from "../link/link-fixtures.js";

const BYTES =
  "424203" +
  "00000000" +
  "81" +
  "1112020000000013" +
  "21222324" +
  "3132020000000033" +
  "4142" +
  "0151" +
  "1461" +
  "0271" +
  "0f81";

const MESSAGE: ConfigurationBpdu = {
  kind: "configuration",
  topologyChange: true,
  acknowledged: true,
  root: { priority: 0x1112, mac: mac("02:00:00:00:00:13") },
  rootPathCost: 0x2122_2324,
  bridge: { priority: 0x3132, mac: mac("02:00:00:00:00:33") },
  port: 0x4142,
  messageAge: 0x0151,
  maxAge: 0x1461,
  helloTime: 0x0271,
  forwardDelay: 0x0f81,
};

function bytes(text: string): Uint8Array {
  return parseHex(text) ?? new Uint8Array();
}

describe("BPDUs", () => {
  test("are read", () => {
    expect(decodeBpdu(bytes(BYTES))).toEqual({ ok: true, value: MESSAGE });
    expect(decodeBpdu(bytes("42420300000080"))).toEqual({ ok: true, value: { kind: "tcn" } });
  });

  test("are written as they were read", () => {
    expect(formatHex(encodeBpdu(MESSAGE))).toBe(formatHex(bytes(BYTES)));
    expect(formatHex(encodeBpdu({ kind: "tcn" }))).toBe(formatHex(bytes("42420300000080")));
  });

  test.each([
    ["424203000000", "BPDU cut short: 6 of 7 bytes"],
    ["42420300000000", "BPDU cut short: 7 of 38 bytes"],
    ["aaaa0300000080", "an LLC frame that is not of spanning tree"],
    ["42420300010080", "a BPDU of another protocol or version"],
    ["42420300000280", "a BPDU of another protocol or version"],
    ["42420300000007", "a BPDU of type 7"],
  ])("%s is refused: %s", (text, reason) => {
    expect(decodeBpdu(bytes(text))).toEqual({ ok: false, reason });
  });

  test("are printed as tcpdump prints them", () => {
    expect(formatBpdu(MESSAGE)).toBe(
      "STP 802.1d, Config, Flags [Topology change, Topology change ACK], bridge-id 3132.02:00:00:00:00:33.4142, length 35",
    );
    const frame = decodeFrame(bytes(`0180c20000000200000001120007${"42420300000080"}`));
    expect(frame.ok && formatFrame(frame.value)).toBe("STP 802.1d, Topology Change");
  });
});
