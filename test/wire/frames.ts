import fc from "fast-check";
import type { ArpHeader } from "../../src/wire/arp.js";
import { type Frame, NO_BYTES, type TransportHeader } from "../../src/wire/frame.js";
import type { IcmpHeader } from "../../src/wire/icmp.js";
import { type Ipv4, type Mac, ipv4 } from "../../src/wire/ip.js";
import type { Ipv4Header } from "../../src/wire/ipv4.js";
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

const PROTOCOLS = { icmp: 1, udp: 17, tcp: 6 };

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

const otherFrames: fc.Arbitrary<Frame> = fc
  .record({
    destination: mac,
    source: mac,
    etherType: fc.constantFrom(0x0026, 0x8100, 0x86dd, 0x88cc),
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
  otherFrames,
);
