import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatFrame } from "../../src/wire/format-frame.js";
import {
  type Frame,
  type TransportHeader,
  decodeFrame,
  encodeFrame,
  encodeIpPacket,
} from "../../src/wire/frame.js";
import { type Ipv6, type Mac, formatIpv6, parseIpv6 } from "../../src/wire/ip.js";
import type { Ipv6Extension } from "../../src/wire/ipv6-extension.js";
import { type Ipv6Header, decodeIpv6, encodeIpv6 } from "../../src/wire/ipv6.js";
import { MLD_ROUTER_ALERT, decodeMldRecords, encodeMldRecords } from "../../src/wire/mld.js";
import {
  ND_OPT_NONCE,
  ND_OPT_SOURCE_LL_ADDR,
  decodeNdisc,
  encodeNdisc,
  linkLayerOf,
  linkLayerOption,
} from "../../src/wire/ndisc.js";
import { encodePcap } from "../../src/wire/pcap.js";
import { encoded, hex, reasonOf, valueOf } from "./support.js";

const bytes = hex(`6 71 92931 000b 3a 17
  21222324 25262728 292a2b2c 2d2e2f30 31323334 35363738 393a3b3c 3d3e3f40
  8000 a56f 4142 5152 a1a2a3`);
const header: Ipv6Header = {
  kind: "ipv6",
  trafficClass: 0x71,
  flowLabel: 0x92931,
  hopLimit: 0x17,
  protocol: 58,
  source: address("2122:2324:2526:2728:292a:2b2c:2d2e:2f30"),
  destination: address("3132:3334:3536:3738:393a:3b3c:3d3e:3f40"),
  extensions: [],
};

function address(text: string): Ipv6 {
  const parsed = parseIpv6(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

describe("an IPv6 header", () => {
  it("is read field by field", () => {
    const packet = valueOf(decodeIpv6(bytes));
    expect(packet.header).toEqual(header);
    expect(packet.totalLength).toBe(51);
    expect(packet.payload).toEqual(bytes.subarray(40));
  });

  it("writes every byte of its 40", () => {
    expect(encoded(40, (into) => encodeIpv6(header, 51, into))).toEqual(bytes.subarray(0, 40));
  });

  it("is refused when it is short or of another version", () => {
    expect(reasonOf(decodeIpv6(bytes.subarray(0, 39)))).toBe(
      "IPv6 header cut short: 39 of 40 bytes",
    );
    expect(reasonOf(decodeIpv6(bytes.with(0, 0x45)))).toBe("IPv6 header of version 4");
  });

  it("carries its extension headers in their order, the last one naming the protocol", () => {
    const chain: readonly Ipv6Extension[] = [
      { kind: "options", type: 0, body: hex("05020000 0100") },
      { kind: "options", type: 43, body: hex("0400 61626364 71727374757677787172737475767778") },
      { kind: "fragment", type: 44, fragmentOffset: 0, moreFragments: false, id: 0x81828384 },
      { kind: "options", type: 51, body: hex("0000 91929394 a1a2a3a4 b1b2b3b4 b5b6b7b8 b9babbbc") },
      { kind: "options", type: 60, body: hex("0104 00000000") },
    ];
    const whole: Frame = { ...echo, network: { ...header, extensions: chain } };
    const wire = encodeFrame(whole);
    expect(wire.subarray(14 + 40, 14 + 40 + 8)).toEqual(hex("2b00 05020000 0100"));
    expect(valueOf(decodeFrame(wire))).toEqual(whole);
  });

  it("keeps the bytes of an extension header that is cut short", () => {
    const packet = bytes.with(6, 60).with(41, 7);
    const { header: read, payload } = valueOf(decodeIpv6(packet));
    expect([read.protocol, read.extensions, payload]).toEqual([60, [], packet.subarray(40)]);
  });

  it("lets pieces of a packet be bytes", () => {
    const fragment: Ipv6Extension = {
      kind: "fragment",
      type: 44,
      fragmentOffset: 1448,
      moreFragments: true,
      id: 7,
    };
    const piece: Frame = {
      ...echo,
      network: { ...header, protocol: 17, extensions: [fragment] },
      transport: undefined,
      payload: hex("0102030405060708"),
    };
    expect(valueOf(decodeFrame(encodeFrame(piece)))).toEqual(piece);
  });
});

describe("an IPv6 address as text", () => {
  it.each([
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["0:0:1:0:0:0:0:0", "0:0:1::"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["::", "::"],
    ["::1", "::1"],
    ["fe80::0:1", "fe80::1"],
  ])("%s is %s", (text, canonical) => {
    expect(formatIpv6(address(text))).toBe(canonical);
  });
});

describe("ICMPv6", () => {
  it("computes its checksum over the pseudo header, and tells how wrong another is", () => {
    const wire = encodeFrame(echo);
    expect(wire.subarray(14)).toEqual(bytes);
    expect(valueOf(decodeFrame(wire)).transport).toEqual(echo.transport);
    const spoilt = valueOf(decodeFrame(wire.with(14 + 42, 0xa4)));
    expect(spoilt.transport).toMatchObject({ checksumError: 0xffff - 0x100 });
    expect(encodeFrame(spoilt)).toEqual(wire.with(14 + 42, 0xa4));
  });
});

describe("a neighbour discovery message", () => {
  const target = address("2001:db8::5");

  it("carries a target and options both ways", () => {
    const mac = 0x0200_0000_0601 as Mac;
    const nonce = { type: ND_OPT_NONCE, body: hex("616263646566") };
    const payload = encodeNdisc(target, [linkLayerOption(ND_OPT_SOURCE_LL_ADDR, mac), nonce]);
    expect(payload).toEqual(
      hex("20010db8 00000000 00000000 00000005 0101 020000000601 0e01 616263646566"),
    );
    const message = valueOf(decodeNdisc(icmp(135), payload));
    expect(message.target).toBe(target);
    expect(linkLayerOf(message, ND_OPT_SOURCE_LL_ADDR)).toBe(mac);
    expect(message.options[1]).toEqual(nonce);
  });

  it("is refused with an option of length 0, or one past its end", () => {
    const payload = encodeNdisc(target, []);
    const reason = "neighbour discovery option of a wrong length";
    expect(reasonOf(decodeNdisc(icmp(135), new Uint8Array([...payload, 1, 0])))).toBe(reason);
    expect(reasonOf(decodeNdisc(icmp(135), new Uint8Array([...payload, 1, 1, 0])))).toBe(reason);
    expect(reasonOf(decodeNdisc(icmp(136), payload.subarray(1)))).toBe(
      "neighbour discovery cut short: 15 of 16 bytes",
    );
  });
});

describe("an MLDv2 report", () => {
  it("carries its records both ways", () => {
    const records = [
      { type: 4, group: address("ff02::1:ff00:5"), sources: [] },
      { type: 3, group: address("ff02::9"), sources: [address("2001:db8::1")] },
    ];
    const payload = encodeMldRecords(records);
    expect(payload.length).toBe(20 + 36);
    expect(valueOf(decodeMldRecords(2, payload))).toEqual(records);
    expect(reasonOf(decodeMldRecords(3, payload))).toBe("MLD report cut short: 56 of 76 bytes");
  });
});

const echo: Frame = {
  link: {
    destination: 0x0200_0000_0102 as Mac,
    source: 0x0200_0000_0101 as Mac,
    etherType: 0x86dd,
  },
  network: header,
  transport: { kind: "icmpv6", type: 128, code: 0, rest: 0x4142_5152 },
  payload: hex("a1a2a3"),
};

function icmp(type: number, code = 0, rest = 0): TransportHeader & { readonly kind: "icmpv6" } {
  return { kind: "icmpv6", type, code, rest };
}

/** Each kind of frame that the emulator sends over IPv6, once. */
function ownFrames(): Frame[] {
  const network: Ipv6Header = {
    ...header,
    flowLabel: 0,
    trafficClass: 0,
    source: address("2001:db8:1::1"),
    destination: address("2001:db8:2::2"),
  };
  const packet = (
    protocol: number,
    transport: TransportHeader | undefined,
    payload: Uint8Array = hex("a1a2a3a4"),
    extensions: readonly Ipv6Extension[] = [],
  ): Frame => ({ ...echo, network: { ...network, protocol, extensions }, transport, payload });
  const udp = packet(17, { kind: "udp", sourcePort: 40000, destinationPort: 7777 });
  const tcp = packet(
    6,
    {
      kind: "tcp",
      sourcePort: 40000,
      destinationPort: 8081,
      sequence: 1,
      acknowledgment: 0,
      flags: 2,
      window: 64800,
      urgent: 0,
      options: hex("020405a0"),
    },
    hex(""),
  );
  const message = (type: number, code: number, rest: number, payload: Uint8Array): Frame =>
    packet(58, icmp(type, code, rest), payload);
  const quote = encodeIpPacket(udp);
  const mac = linkLayerOption(ND_OPT_SOURCE_LL_ADDR, 0x0200_0000_0601 as Mac);
  const piece = (fragmentOffset: number, moreFragments: boolean): Ipv6Extension => ({
    kind: "fragment",
    type: 44,
    fragmentOffset,
    moreFragments,
    id: 0x1234,
  });
  return [
    udp,
    tcp,
    message(128, 0, 0x0007_0001, hex("a1a2a3a4")),
    message(129, 0, 0x0007_0001, hex("a1a2a3a4")),
    ...[0, 1, 2, 3, 4, 5, 6, 7].map((code) => message(1, code, 0, quote)),
    message(1, 4, 0, encodeIpPacket(tcp)),
    message(2, 0, 1280, quote),
    message(3, 0, 0, quote),
    message(3, 1, 0, quote),
    message(4, 0, 42, quote),
    message(4, 1, 6, quote),
    message(4, 2, 40, quote),
    message(133, 0, 0, encodeNdisc(undefined, [mac])),
    message(135, 0, 0, encodeNdisc(network.source, [mac])),
    message(136, 0, 0x6000_0000, encodeNdisc(network.source, [mac])),
    message(137, 0, 0, encodeNdisc(network.source, [mac], network.destination)),
    message(131, 0, 0, encodeNdisc(network.source, [])),
    packet(
      58,
      icmp(143, 0, 1),
      encodeMldRecords([{ type: 4, group: address("ff02::9"), sources: [] }]),
      [MLD_ROUTER_ALERT],
    ),
    packet(17, undefined, encodeIpPacket(udp).subarray(40), [piece(1448, true)]),
    packet(17, undefined, encodeIpPacket(udp).subarray(40), [piece(1448, false)]),
    packet(253, undefined),
    packet(59, undefined, hex("")),
  ];
}

/** Whether tcpdump can be run here. */
const tcpdumpHere = spawnSync("tcpdump", ["--version"]).error === undefined;

describe("the line of an IPv6 frame", () => {
  it("is tcpdump's, for a datagram and a solicitation", () => {
    const lines = ownFrames().map(formatFrame);
    expect(lines[0]).toBe("IP6 2001:db8:1::1.40000 > 2001:db8:2::2.7777: UDP, length 4");
    expect(lines).toContain(
      "IP6 2001:db8:1::1 > 2001:db8:2::2: ICMP6, neighbor solicitation, who has 2001:db8:1::1, length 32",
    );
  });

  it("tells routing headers of every type as tcpdump does", () => {
    const golden: { readonly lines: readonly { readonly frame: string; readonly line: string }[] } =
      JSON.parse(
        readFileSync(new URL("../golden/routing-header-lines.json", import.meta.url), "utf8"),
      );
    const ours = golden.lines.map(({ frame }) => formatFrame(valueOf(decodeFrame(hex(frame)))));
    expect(ours).toEqual(golden.lines.map(({ line }) => line));
  });

  it.skipIf(!tcpdumpHere)("equals tcpdump's for every kind of frame we make", () => {
    const frames = ownFrames();
    const folder = mkdtempSync(join(tmpdir(), "hopwise-"));
    const file = join(folder, "capture");
    writeFileSync(
      file,
      encodePcap(frames.map((frame, at) => ({ time: at, bytes: encodeFrame(frame) }))),
    );
    const { stdout } = spawnSync("tcpdump", ["-r", file, "-n", "-S", "-t"], { encoding: "utf8" });
    rmSync(folder, { recursive: true });
    expect(frames.map(formatFrame)).toEqual(
      // Of codes it does not know tcpdump shows the bytes as well.
      stdout
        .trimEnd()
        .split("\n")
        .filter((line) => !line.startsWith("\t")),
    );
  });
});
