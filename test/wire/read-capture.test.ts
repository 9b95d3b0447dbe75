import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { type Capture, packetBytes } from "../../src/wire/capture.js";
import { encodePcap } from "../../src/wire/pcap.js";
import { encodePcapng } from "../../src/wire/pcapng.js";
import { readCapture } from "../../src/wire/read-capture.js";
import { hex } from "./support.js";

const pcap = readFileSync("test/golden/captures/web-0.pcap");
const pcapng = readFileSync("test/golden/captures/worker-1.pcapng");

/** Times and bytes of each packet. */
function packetsOf(capture: Capture): readonly (readonly [number, string])[] {
  return capture.packets.map((packet) => [
    packet.time,
    Buffer.from(packetBytes(capture, packet)).toString("hex"),
  ]);
}

/** What is wrong with a file: `byte 8: message`. */
function mistake(bytes: Uint8Array): string {
  try {
    readCapture("x", bytes);
  } catch (error) {
    if (error instanceof UserError) return `byte ${error.details.byte?.offset}: ${error.message}`;
    throw error;
  }
  return "none";
}

/** A number as bytes of either order. */
function put(little: boolean, size: 2 | 4 | 8, value: number): string {
  const digits = value.toString(16).padStart(size * 2, "0");
  return little ? (digits.match(/../g) ?? []).toReversed().join("") : digits;
}

describe("a pcap file is read", () => {
  it("as it was written, with the times between packets", () => {
    const packets = [
      { time: 11_000_000, bytes: hex("a1a2a3") },
      { time: 11_000_007, bytes: hex("b1") },
    ];
    const capture = readCapture("x.pcap", encodePcap(packets));
    expect(capture.format).toBe("pcap");
    expect(capture.interfaces).toEqual([{ name: undefined, linkType: 1 }]);
    expect(packetsOf(capture)).toEqual([
      [0, "a1a2a3"],
      [7000, "b1"],
    ]);
  });

  it.each([
    ["little endian, microseconds", true, 0xa1b2c3d4, 1000],
    ["big endian, microseconds", false, 0xa1b2c3d4, 1000],
    ["little endian, nanoseconds", true, 0xa1b23c4d, 1],
    ["big endian, nanoseconds", false, 0xa1b23c4d, 1],
  ])("in %s", (_, little, magic, scale) => {
    const w = (size: 2 | 4, value: number): string => put(little, size, value);
    const header = `${w(4, magic)}${w(2, 2)}${w(2, 4)}${w(4, 0)}${w(4, 0)}${w(4, 65535)}${w(4, 113)}`;
    const record = (seconds: number, fraction: number, bytes: string, original: number): string =>
      `${w(4, seconds)}${w(4, fraction)}${w(4, bytes.length / 2)}${w(4, original)}${bytes}`;
    const capture = readCapture(
      "x",
      hex(`${header}${record(5, 10, "0102", 2)}${record(6, 12, "0304", 99)}`),
    );
    expect(capture.interfaces[0]?.linkType).toBe(113);
    expect(packetsOf(capture)).toEqual([
      [0, "0102"],
      [1e9 + 2 * scale, "0304"],
    ]);
    expect(capture.packets[1]?.originalLength).toBe(99);
  });

  it("without the frame check sequence that its header announces", () => {
    const header = "d4c3b2a1020004000000000000000000ffff000001000024";
    const capture = readCapture("x", hex(`${header}00000000000000000600000006000000 0102fcfcfcfc`));
    expect(packetsOf(capture)).toEqual([[0, "0102"]]);
  });

  it("as far as it goes when it was cut off, and says where", () => {
    const file = encodePcap([
      { time: 0, bytes: hex("a1a2a3") },
      { time: 1, bytes: hex("b1b2b3b4") },
    ]);
    const inData = readCapture("x", file.subarray(0, file.length - 2));
    expect(inData.packets).toHaveLength(1);
    expect(inData.notes).toEqual([
      "x: byte 59: truncated dump file; tried to read 4 captured bytes, only got 2: what comes before is read",
    ]);
    const inHeader = readCapture("x", file.subarray(0, 50));
    expect(inHeader.packets).toHaveLength(1);
    expect(inHeader.notes[0]).toContain(
      "byte 43: truncated dump file; tried to read 16 header bytes, only got 7",
    );
  });

  it("or not at all, with the byte that is wrong", () => {
    expect(mistake(hex(""))).toBe("byte 0: unknown file format");
    expect(mistake(hex("1f8b0800"))).toBe("byte 0: unknown file format");
    expect(mistake(hex("d4c3b2a10200"))).toBe(
      "byte 6: truncated dump file; tried to read 24 file header bytes, only got 6",
    );
    expect(mistake(hex(`d4c3b2a10300${"00".repeat(18)}`))).toBe(
      "byte 4: pcap of version 3; version 2 is the only one",
    );
    expect(
      mistake(hex(`d4c3b2a102000400${"00".repeat(12)}01000000${"00".repeat(8)}ffffff7fffffff7f`)),
    ).toBe("byte 32: invalid packet capture length 2147483647, bigger than maximum of 262144");
  });
});

describe("a pcapng file is read", () => {
  it("as it was written: interfaces, comments, times", () => {
    const capture = readCapture(
      "x",
      encodePcapng({
        interfaces: ["worker-1/cni0", "worker-1/eth0"],
        packets: [
          { interface: 1, time: 5, bytes: hex("a1a2a3"), comment: "step 1" },
          { interface: 0, time: 0x1_0000_0005, bytes: hex("b1b2") },
        ],
      }),
    );
    expect(capture.interfaces.map(({ name }) => name)).toEqual(["worker-1/cni0", "worker-1/eth0"]);
    expect(capture.packets.map(({ interface: index, comment }) => [index, comment])).toEqual([
      [1, "step 1"],
      [0, undefined],
    ]);
    expect(packetsOf(capture)).toEqual([
      [0, "a1a2a3"],
      [0x1_0000_0000 * 1000, "b1b2"],
    ]);
  });

  /** One block of a section. */
  const block = (little: boolean, type: number, body: string): string => {
    const padded = body.padEnd(Math.ceil(body.length / 8) * 8, "0");
    const length = put(little, 4, 12 + padded.length / 2);
    return `${put(little, 4, type)}${length}${padded}${length}`;
  };
  const section = (little: boolean): string =>
    block(
      little,
      0x0a0d0d0a,
      `${put(little, 4, 0x1a2b3c4d)}${put(little, 2, 1)}${put(little, 2, 0)}${"ff".repeat(8)}`,
    );
  const description = (little: boolean, options = ""): string =>
    block(little, 1, `${put(little, 2, 1)}0000${put(little, 4, 0)}${options}`);

  it.each([true, false])("with every kind of block, little endian: %s", (little) => {
    const w = (size: 2 | 4, value: number): string => put(little, size, value);
    const nanoseconds = `${w(2, 9)}${w(2, 1)}09000000${w(2, 0)}${w(2, 0)}`;
    const flags = `${w(2, 2)}${w(2, 4)}${w(4, 2)}${w(2, 0)}${w(2, 0)}`;
    const file = [
      section(little),
      description(little, nanoseconds),
      block(little, 4, "00000000"), // names
      block(little, 6, `${w(4, 0)}${w(4, 0)}${w(4, 1000)}${w(4, 2)}${w(4, 2)}a1a20000${flags}`),
      block(little, 3, `${w(4, 3)}b1b2b3`), // simple
      block(little, 2, `${w(2, 0)}${w(2, 9)}${w(4, 0)}${w(4, 1500)}${w(4, 1)}${w(4, 7)}c1000000`), // obsolete
      block(little, 5, `${w(4, 0)}${"00".repeat(8)}`), // statistics
      block(little, 10, "5453534c00000000"), // secrets
      block(little, 0x0bad, "0000dddd"), // somebody's own
    ].join("");
    const capture = readCapture("x", hex(file));
    expect(packetsOf(capture)).toEqual([
      [0, "a1a2"],
      [0, "b1b2b3"],
      [500, "c1"],
    ]);
    expect(capture.packets.map(({ direction }) => direction)).toEqual([
      "out",
      undefined,
      undefined,
    ]);
    expect(capture.packets[2]?.originalLength).toBe(7);
  });

  it("with sections of both byte orders, each with interfaces of its own", () => {
    const packet = (little: boolean, bytes: string): string =>
      block(
        little,
        6,
        `${put(little, 4, 0)}${"00".repeat(8)}${put(little, 4, 1)}${put(little, 4, 1)}${bytes}`,
      );
    const file = [true, false].map(
      (little) => section(little) + description(little) + packet(little, "aa"),
    );
    const capture = readCapture("x", hex(file.join("")));
    expect(capture.packets.map((one) => one.interface)).toEqual([0, 1]);
  });

  it("with times in powers of two, and an offset", () => {
    const halves = "0900010081000000"; // 2^-1 s
    const offset = "0e0008000a00000000000000";
    const packet = (time: string): string =>
      block(true, 6, `0000000000000000${time}0100000001000000aa`);
    const file =
      section(true) + description(true, halves + offset) + packet("02000000") + packet("05000000");
    expect(packetsOf(readCapture("x", hex(file)))[1]?.[0]).toBe(1.5e9);
  });

  it("or not at all, with the byte that is wrong", () => {
    const good = section(true) + description(true);
    expect(mistake(hex("0a0d0d0a1c0000001122334400000000"))).toBe(
      "byte 8: 0x11223344 is no byte-order magic",
    );
    expect(mistake(hex(good + "060000000d000000" + "00".repeat(20)))).toBe(
      "byte 52: block length 13 is not a multiple of 4",
    );
    expect(mistake(hex(good + "0600000004000000" + "00".repeat(20)))).toBe(
      "byte 52: block in pcapng dump file has a length of 4 < 12",
    );
    expect(mistake(hex(good + "06000000100000000000000011000000"))).toBe(
      "byte 60: block total length 17 at its end, 16 at its beginning",
    );
    expect(mistake(hex(good + block(true, 6, "07000000" + "00".repeat(16))))).toBe(
      "byte 56: a packet arrived on interface 7, but there's no Interface Description Block for that interface (there is 1 before it)",
    );
    expect(mistake(hex(good + block(true, 6, "00".repeat(12) + "0900000009000000")))).toBe(
      "byte 68: a packet of 9 bytes in a block with room for 0",
    );
    expect(mistake(hex(section(true).replace("01000000", "02000000")))).toBe(
      "byte 12: unsupported pcapng savefile version 2.0",
    );
    expect(mistake(hex(section(true) + block(true, 1, "0100000000000000020050006162")))).toBe(
      "byte 46: an option of 80 bytes in a block with room for 4",
    );
  });

  it("as far as it goes when it was cut off", () => {
    const whole = readCapture("x", pcapng);
    const cut = readCapture("x", pcapng.subarray(0, pcapng.length - 400));
    expect(cut.packets.length).toBeLessThan(whole.packets.length);
    expect(packetsOf(cut)).toEqual(packetsOf(whole).slice(0, cut.packets.length));
    expect(cut.notes[0]).toMatch(/^x: byte \d+: the file ends inside a block: \d+ of \d+ bytes/);
  });
});

/** Judges that are missing skip their tests. */
const editcap = spawnSync("editcap", ["-V"]).error === undefined;

describe("captures of the real tools", () => {
  it("have as many packets as their makers say", () => {
    expect(readCapture("web-0.pcap", pcap).packets).toHaveLength(52);
    const two = readCapture("worker-1.pcapng", pcapng);
    expect(two.packets).toHaveLength(68);
    expect(two.interfaces.map(({ name }) => name)).toEqual(["veth4a2e5ef7", "eth0"]);
  });

  it.skipIf(!editcap)("are the same in every format that editcap writes", () => {
    const folder = mkdtempSync(join(tmpdir(), "hopwise-"));
    const wanted = packetsOf(readCapture("x", pcap));
    for (const format of ["pcap", "nsecpcap", "pcapng"]) {
      const out = join(folder, format);
      spawnSync("editcap", ["-F", format, "test/golden/captures/web-0.pcap", out]);
      expect(packetsOf(readCapture(format, readFileSync(out))), format).toEqual(wanted);
    }
    rmSync(folder, { recursive: true });
  });
});

describe("whatever stands in a file", () => {
  /** A good capture with some bytes changed, cut or put in. */
  const damagedFiles = fc
    .tuple(
      fc.constantFrom(pcap.subarray(0, 900), pcapng.subarray(0, 1500)),
      fc.array(fc.tuple(fc.nat(1500), fc.uint8Array({ minLength: 1, maxLength: 4 })), {
        maxLength: 6,
      }),
      fc.nat(1500),
    )
    .map(([file, changes, end]) => {
      const bytes = Uint8Array.from(file);
      for (const [at, change] of changes)
        if (at + change.length <= bytes.length) bytes.set(change, at);
      return bytes.subarray(0, Math.max(4, end));
    });

  it("is read or refused with its byte, and no packet reaches beyond the file", () => {
    fc.assert(
      fc.property(fc.oneof(damagedFiles, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        try {
          const capture = readCapture("x", bytes);
          for (const { start, length, originalLength } of capture.packets) {
            expect(start + length).toBeLessThanOrEqual(bytes.length);
            expect(originalLength).toBeGreaterThanOrEqual(length);
          }
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
          expect(error.details.byte?.offset).toBeLessThanOrEqual(bytes.length);
        }
      }),
      { numRuns: Number(process.env["HOPWISE_FUZZ"] ?? 600) },
    );
  });
});
