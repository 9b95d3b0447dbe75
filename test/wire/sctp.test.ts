import { expect, it } from "vitest";
import { crc32c } from "../../src/base/crc32c.js";
import { decodeSctp, withSctpPorts } from "../../src/wire/sctp.js";

/** DATA from port 0x1112 to 0x1314 with tag 0x15161718, as the kernel's checksum offload would finish it. */
const bytes = Uint8Array.from(
  Buffer.from(
    "111213141516171800000000000300122122232425262728313233344142".padEnd(64, "0"),
    "hex",
  ),
);

it("CRC-32C of the check string is the one that every table names", () => {
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe306_9283);
});

it("a packet is read with its tag and chunks, and its checksum is looked at", () => {
  expect(decodeSctp(bytes)).toEqual({
    verificationTag: 0x1516_1718,
    chunks: [{ type: 0, flags: 3, length: 18, initiateTag: undefined }],
    isChecksumRight: false,
  });
  expect(decodeSctp(withSctpPorts(bytes, {}))?.isChecksumRight).toBe(true);
});

it("other ports change the checksum and nothing else", () => {
  const changed = withSctpPorts(bytes, { destination: 0x5152 });
  expect([...changed.subarray(0, 8)]).toEqual([0x11, 0x12, 0x51, 0x52, 0x15, 0x16, 0x17, 0x18]);
  expect([...changed.subarray(12)]).toEqual([...bytes.subarray(12)]);
  expect(decodeSctp(changed)?.isChecksumRight).toBe(true);
});

it("a chunk without a length is the last one, and a short header none", () => {
  const endless = Uint8Array.from([...bytes.subarray(0, 12), 1, 0, 0, 0, 9, 9, 9, 9]);
  expect(decodeSctp(endless)?.chunks).toEqual([
    { type: 1, flags: 0, length: 0, initiateTag: undefined },
  ]);
  expect(decodeSctp(bytes.subarray(0, 11))).toBeUndefined();
});
