import { describe, expect, test } from "vitest";
import { internetChecksum, pseudoHeaderSum6 } from "../../../src/wire/checksum.js";
import { NDISC_REDIRECT } from "../../../src/wire/icmpv6.js";
import type { Frame, TransportHeader } from "../../../src/wire/frame.js";
import { encodeIpPacket, encodeTransport } from "../../../src/wire/frame.js";
import { putIpv6 } from "../../../src/wire/ip.js";
import { IPPROTO_ICMPV6, IPPROTO_NONE } from "../../../src/wire/ipv6.js";
import type { FragmentExtension } from "../../../src/wire/ipv6-extension.js";
import { echo6, error6, infoOf, ip6, packet6, rig, udp6 } from "../rig.js";

const A = "2001:db8:1::2";
const B = "2001:db8:2::2";

describe("a connection of IPv6", () => {
  test("is listed with compressed addresses, and its answer is one of its packets", () => {
    const router = rig();
    expect(infoOf(router.forward(udp6(`[${A}]:1111`, `[${B}]:53`)))).toBe("NEW");
    expect(infoOf(router.forward(udp6(`[${B}]:53`, `[${A}]:1111`)))).toBe("ESTABLISHED_REPLY");
    expect(router.list()).toEqual([
      "udp      17 30 src=2001:db8:1::2 dst=2001:db8:2::2 sport=1111 dport=53 src=2001:db8:2::2 dst=2001:db8:1::2 sport=53 dport=1111 mark=0 use=1",
    ]);
  });

  test("is another one than that of the same ports between IPv4 addresses", () => {
    const router = rig();
    router.forward(udp6("[::a01:2]:1111", "[::a02:2]:53"));
    router.forward(udp6("[::a01:2]:1111", "[::a02:3]:53"));
    expect(router.list()).toHaveLength(2);
  });

  test("of an ESP packet is one of its two addresses", () => {
    const router = rig();
    expect(infoOf(router.forward(packet6(A, B, 50, undefined, new Uint8Array(20))))).toBe("NEW");
    expect(router.list()).toEqual([
      "unknown  50 600 src=2001:db8:1::2 dst=2001:db8:2::2 [UNREPLIED] src=2001:db8:2::2 dst=2001:db8:1::2 mark=0 use=1",
    ]);
  });
});

describe("ICMPv6", () => {
  /** As a 6.18 kernel counted them by -m conntrack, one message of each type. */
  const untracked = [130, 131, 132, 133, 134, 135, 136, 143, 151, 152];
  const fresh = [128, 139];

  test.each(Array.from({ length: 128 }, (_, index) => 128 + index))(
    "of type %i is new, untracked or invalid as on the kernel",
    (type) => {
      const expected = untracked.includes(type)
        ? "UNTRACKED"
        : fresh.includes(type)
          ? "NEW"
          : "INVALID";
      expect(infoOf(rig().forward(echo6(type, A, B, 7)))).toBe(expected);
    },
  );

  test("echo is listed with its type, code and id", () => {
    const router = rig();
    router.forward(echo6(128, A, B, 4711));
    expect(infoOf(router.forward(echo6(129, B, A, 4711)))).toBe("ESTABLISHED_REPLY");
    expect(router.list()).toEqual([
      "icmpv6   58 30 src=2001:db8:1::2 dst=2001:db8:2::2 type=128 code=0 id=4711 src=2001:db8:2::2 dst=2001:db8:1::2 type=129 code=0 id=4711 mark=0 use=1",
    ]);
  });

  test("of type 8 is not the echo of IPv4", () => {
    expect(infoOf(rig().forward(echo6(8, A, B, 7)))).toBe("INVALID");
    expect(infoOf(rig().forward(packet6(A, B, 1, undefined, new Uint8Array(8))))).toBe("INVALID");
  });

  test("error about a known packet is related, from any router", () => {
    const router = rig();
    const request = udp6(`[${A}]:1111`, `[${B}]:53`);
    router.forward(request);
    expect(infoOf(router.forward(error6("2001:db8:9::9", A, request)))).toBe("RELATED_REPLY");
  });

  test("error to somebody else than the quoted sender is invalid", () => {
    const router = rig();
    const request = udp6(`[${A}]:1111`, `[${B}]:53`);
    router.forward(request);
    expect(infoOf(router.forward(error6(B, "2001:db8:1::3", request)))).toBe("INVALID");
    expect(infoOf(router.forward(error6(B, A, udp6(`[${A}]:1112`, `[${B}]:53`))))).toBe("INVALID");
  });

  test("error about a first fragment finds its connection by the ports behind the fragment header", () => {
    const router = rig();
    const request = udp6(`[${A}]:1111`, `[${B}]:53`, new Uint8Array(64));
    router.forward(request);
    const [first, later] = piecesOf(request, [48, 24]);
    if (first === undefined || later === undefined) throw new Error("two pieces");
    expect(infoOf(router.forward(error6(B, A, first)))).toBe("RELATED_REPLY");
    expect(infoOf(router.forward(error6(B, A, later)))).toBe("INVALID");
  });

  test("with a wrong checksum is invalid on the way in", () => {
    const wrong = echo6(128, A, B, 1);
    const transport = { ...wrong.transport, checksumError: 5 } as TransportHeader;
    expect(infoOf(rig().forward({ ...wrong, transport }))).toBe("INVALID");
  });

  test("redirect belongs to the connection it quotes, when that is its first option and it comes from a neighbour", () => {
    const request = udp6(`[${A}]:1111`, `[${B}]:53`);
    const outcome = (source: string, option: number, hopLimit = 255): string => {
      const router = rig();
      router.forward(request);
      return infoOf(router.forward(redirect(source, A, request, option, hopLimit)));
    };
    expect(outcome("fe80::1", 4)).toBe("RELATED_REPLY");
    expect(outcome("fe80::1", 2)).toBe("INVALID");
    expect(outcome("2001:db8:1::1", 4)).toBe("INVALID");
    expect(outcome("fe80::1", 4, 254)).toBe("INVALID");
  });
});

describe("UDP-Lite", () => {
  /** Ports 1000 and 98 and three bytes, over which the checksum of a pseudo header with protocol 17 is right. */
  const segment = (coverage: number, checksum: number): Uint8Array => {
    const bytes = new Uint8Array([0x03, 0xe8, 0, 98, 0, coverage, 0, 0, 1, 2, 3]);
    bytes.set([checksum >>> 8, checksum & 0xff], 6);
    return bytes;
  };
  const right = (coverage: number, protocol: number): number =>
    internetChecksum(
      segment(coverage, 0).subarray(0, coverage === 0 ? 11 : coverage),
      pseudoHeaderSum6(ip6(A), ip6(B), protocol, 11),
    );

  test.each([
    [11, 17, "NEW"],
    [0, 17, "NEW"],
    [8, 17, "NEW"],
    [11, 136, "INVALID"],
    [7, 17, "INVALID"],
    [12, 17, "INVALID"],
  ])(
    "of coverage %i with a checksum for protocol %i is %s, as on the kernel",
    (coverage, protocol, state) => {
      const payload = segment(coverage, right(coverage, protocol));
      expect(infoOf(rig().forward(packet6(A, B, 136, undefined, payload)))).toBe(state);
    },
  );
});

describe("extension headers", () => {
  test("are stepped over on the way to the ports", () => {
    const router = rig();
    const options = { kind: "options", type: 60, body: new Uint8Array(6) } as const;
    const plain = udp6(`[${A}]:1111`, `[${B}]:53`);
    const frame: Frame = {
      ...plain,
      network: {
        ...(plain.network as NonNullable<typeof plain.network>),
        extensions: [options],
      } as Frame["network"],
    };
    router.forward(frame);
    expect(router.list()[0]).toContain("sport=1111 dport=53");
  });

  test("that lead nowhere make a packet invalid", () => {
    expect(infoOf(rig().forward(packet6(A, B, IPPROTO_NONE, undefined)))).toBe("INVALID");
  });
});

/** A packet cut at the given sizes. */
function piecesOf(frame: Frame, sizes: readonly number[]): readonly Frame[] {
  const { network } = frame;
  if (network?.kind !== "ipv6") throw new Error("an IPv6 packet");
  const bytes = encodeTransport(frame);
  let at = 0;
  return sizes.map((size) => {
    const start = at;
    at += size;
    const fragment: FragmentExtension = {
      kind: "fragment",
      type: 44,
      fragmentOffset: start,
      moreFragments: at < bytes.length,
      id: 0x1112_1314,
    };
    return {
      ...frame,
      network: { ...network, extensions: [fragment] },
      transport: undefined,
      payload: bytes.subarray(start, at),
    };
  });
}

/** A redirect whose first option is of the given type and holds the packet. */
function redirect(
  source: string,
  destination: string,
  about: Frame,
  option: number,
  hopLimit: number,
): Frame {
  const quote = encodeIpPacket(about);
  const payload = new Uint8Array(40 + quote.length);
  putIpv6(payload, 0, ip6("fe80::2"));
  putIpv6(payload, 16, ip6(B));
  payload[32] = option;
  payload[33] = (8 + quote.length) / 8;
  payload.set(quote, 40);
  const transport: TransportHeader = { kind: "icmpv6", type: NDISC_REDIRECT, code: 0, rest: 0 };
  const frame = packet6(source, destination, IPPROTO_ICMPV6, transport, payload);
  return { ...frame, network: { ...frame.network, hopLimit } as Frame["network"] };
}
