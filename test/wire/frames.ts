import fc from "fast-check";
import type { ArpHeader } from "../../src/wire/arp.js";
import { type Frame, NO_BYTES, type TransportHeader } from "../../src/wire/frame.js";
import type { IcmpHeader } from "../../src/wire/icmp.js";
import type { Icmpv6Header } from "../../src/wire/icmpv6.js";
import { type Ipv4, type Ipv6, type Mac, ipv4 } from "../../src/wire/ip.js";
import type { Ipv4Header } from "../../src/wire/ipv4.js";
import type { Ipv6Extension, OptionsType } from "../../src/wire/ipv6-extension.js";
import type { Ipv6Header } from "../../src/wire/ipv6.js";
import type { TcpHeader } from "../../src/wire/tcp.js";
import type { UdpHeader } from "../../src/wire/udp.js";

const word16 = fc.integer({ min: 0, max: 0xffff });
const word32 = fc.integer({ min: 0, max: 0xffff_ffff });
const byte = fc.integer({ min: 0, max: 0xff });
const mac = fc.integer({ min: 0, max: 0xffff_ffff_ffff }).map((value) => value as Mac);
const address: fc.Arbitrary<Ipv4> = word32.map(ipv4);
const options = fc
  .integer({ min: 0, max: 10 })
  .chain((words) => fc.uint8Array({ minLength: 4 * words, maxLength: 4 * words }));
const payload = fc.uint8Array({ maxLength: 90 });
/** Present in one frame of a few. */
const spoilt = fc.option(fc.integer({ min: 1, max: 0xfffe }), { nil: undefined, freq: 3 });

function withError<T extends object>(header: T, checksumError: number | undefined): T {
  return checksumError === undefined ? header : { ...header, checksumError };
}

const arpFrames: fc.Arbitrary<Frame> = fc
  .record({
    operation: word16,
    senderMac: mac,
    senderIp: address,
    targetMac: mac,
    targetIp: address,
  })
  .chain((fields) => {
    const network: ArpHeader = { kind: "arp", ...fields };
    return fc.record({ destination: mac, source: mac }).map((macs): Frame => {
      return {
        link: { ...macs, etherType: 0x0806 },
        network,
        transport: undefined,
        payload: NO_BYTES,
      };
    });
  });

const icmp: fc.Arbitrary<TransportHeader> = fc
  .tuple(fc.record({ type: byte, code: byte, rest: word32 }), spoilt)
  .map(([fields, error]) => withError<IcmpHeader>({ kind: "icmp", ...fields }, error));

const udp: fc.Arbitrary<TransportHeader> = fc
  .tuple(fc.record({ sourcePort: word16, destinationPort: word16 }), spoilt, fc.boolean())
  .map(([fields, error, noChecksum]): UdpHeader => {
    const header: UdpHeader = { kind: "udp", ...fields };
    return noChecksum ? { ...header, noChecksum } : withError(header, error);
  });

const tcp: fc.Arbitrary<TransportHeader> = fc
  .tuple(
    fc.record({
      sourcePort: word16,
      destinationPort: word16,
      sequence: word32,
      acknowledgment: word32,
      flags: fc.integer({ min: 0, max: 0xfff }),
      window: word16,
      urgent: word16,
      options,
    }),
    spoilt,
  )
  .map(([fields, error]) => withError<TcpHeader>({ kind: "tcp", ...fields }, error));

const icmpv6: fc.Arbitrary<TransportHeader> = fc
  .tuple(fc.record({ type: byte, code: byte, rest: word32 }), spoilt)
  .map(([fields, error]) => withError<Icmpv6Header>({ kind: "icmpv6", ...fields }, error));

const PROTOCOLS = { icmp: 1, icmpv6: 58, udp: 17, tcp: 6 };

const ipv4Frames: fc.Arbitrary<Frame> = fc
  .tuple(
    fc.record({ destination: mac, source: mac }),
    fc.record({
      tos: byte,
      id: word16,
      dontFragment: fc.boolean(),
      ttl: byte,
      source: address,
      destination: address,
      options,
    }),
    spoilt,
    fc.option(fc.oneof(icmp, udp, tcp), { nil: undefined, freq: 5 }),
    fc.record({
      moreFragments: fc.boolean(),
      fragmentOffset: fc.integer({ min: 0, max: 0x1fff }).map((units) => units * 8),
    }),
    payload,
  )
  .map(([macs, fields, error, transport, fragment, bytes]): Frame => {
    // Without a transport header: a fragment, or a protocol that is not read (254 is for experiments).
    const whole = { moreFragments: false, fragmentOffset: 0 };
    const protocol = transport === undefined ? 254 : PROTOCOLS[transport.kind];
    const place = transport === undefined ? fragment : whole;
    const network = withError<Ipv4Header>({ kind: "ipv4", ...fields, ...place, protocol }, error);
    return { link: { ...macs, etherType: 0x0800 }, network, transport, payload: bytes };
  });

const address6: fc.Arbitrary<Ipv6> = fc
  .bigInt({ min: 0n, max: (1n << 128n) - 1n })
  .map((value) => value as Ipv6);

const extension: fc.Arbitrary<Ipv6Extension> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom<OptionsType>(0, 43, 60),
      fc.integer({ min: 1, max: 3 }).chain((units) => {
        const length = 8 * units - 2;
        return fc.uint8Array({ minLength: length, maxLength: length });
      }),
    )
    .map(([type, body]): Ipv6Extension => ({ kind: "options", type, body })),
  fc
    .uint8Array({ minLength: 10, maxLength: 10 })
    .map((body): Ipv6Extension => ({ kind: "options", type: 51, body })),
);

const ipv6Frames: fc.Arbitrary<Frame> = fc
  .tuple(
    fc.record({ destination: mac, source: mac }),
    fc.record({
      trafficClass: byte,
      flowLabel: fc.integer({ min: 0, max: 0xf_ffff }),
      hopLimit: byte,
      source: address6,
      destination: address6,
    }),
    fc.array(extension, { maxLength: 3 }),
    fc.option(fc.oneof(icmpv6, udp, tcp), { nil: undefined, freq: 5 }),
    fc.option(
      fc.record({
        moreFragments: fc.boolean(),
        fragmentOffset: fc.integer({ min: 0, max: 0x1fff }).map((units) => units * 8),
        id: word32,
      }),
      { nil: undefined },
    ),
    payload,
  )
  .map(([macs, fields, before, transport, fragment, bytes]): Frame => {
    const protocol = transport === undefined ? 254 : PROTOCOLS[transport.kind];
    const piece: readonly Ipv6Extension[] =
      transport !== undefined || fragment === undefined
        ? []
        : [{ kind: "fragment", type: 44, ...fragment }];
    const extensions = [...before, ...piece];
    const network: Ipv6Header = { kind: "ipv6", ...fields, protocol, extensions };
    return { link: { ...macs, etherType: 0x86dd }, network, transport, payload: bytes };
  });

const otherFrames: fc.Arbitrary<Frame> = fc
  .record({
    destination: mac,
    source: mac,
    etherType: fc.constantFrom(0x0026, 0x8100, 0x88cc),
  })
  .chain((link) =>
    payload.map((bytes): Frame => ({
      link,
      network: undefined,
      transport: undefined,
      payload: bytes,
    })),
  );

/** Any frame that can be on a wire, wrong checksums, options and fragments among them. */
export const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  arpFrames,
  { arbitrary: ipv4Frames, weight: 6 },
  { arbitrary: ipv6Frames, weight: 6 },
  otherFrames,
);
