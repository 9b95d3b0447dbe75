import fc from "fast-check";
import { expect, test } from "vitest";
import { listenTcp } from "../../src/inet/tcp-socket.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { IPV4_ANY, type Ipv4 } from "../../src/wire/ip.js";
import type { TransportHeader } from "../../src/wire/frame.js";
import { arrive, ip, packet, routedLab, set } from "./inet-fixtures.js";

const address: fc.Arbitrary<Ipv4> = fc.constantFrom(
  ...[
    "10.1.0.2",
    "10.1.0.1",
    "10.2.0.1",
    "10.2.0.2",
    "10.2.0.9",
    "10.9.9.9",
    "10.1.0.255",
    "255.255.255.255",
    "224.0.0.1",
    "127.0.0.1",
    "0.0.0.0",
  ].map(ip),
);
const port = fc.constantFrom(53, 80, 81, 40_000);
const byte = fc.integer({ min: 0, max: 255 });
const word = fc.nat({ max: 0xffff_ffff });

const transport: fc.Arbitrary<TransportHeader | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.record({
    kind: fc.constant("udp" as const),
    sourcePort: port,
    destinationPort: port,
    checksumError: fc.constantFrom(undefined, 7),
  }),
  fc.record({
    kind: fc.constant("icmp" as const),
    type: fc.constantFrom(0, 3, 5, 8, 11, 12, 13, 30),
    code: fc.integer({ min: 0, max: 17 }),
    rest: word,
  }),
  fc.record({
    kind: fc.constant("tcp" as const),
    sourcePort: port,
    destinationPort: port,
    sequence: fc.oneof(word, fc.constant(1)),
    acknowledgment: word,
    flags: fc.integer({ min: 0, max: 0x3f }),
    window: fc.nat({ max: 0xffff }),
    urgent: fc.constant(0),
    options: fc
      .uint8Array({ maxLength: 5 })
      .map((bytes) => Uint8Array.from([...bytes, ...bytes, ...bytes, ...bytes])),
  }),
);

const PROTOCOLS = { udp: 17, icmp: 1, tcp: 6 } as const;

const frame = fc.record({
  transport,
  tos: byte,
  ttl: fc.constantFrom(0, 1, 2, 64),
  source: address,
  destination: address,
  dontFragment: fc.boolean(),
  moreFragments: fc.constantFrom(false, false, false, true),
  fragmentOffset: fc.constantFrom(0, 0, 0, 8, 16),
  options: fc.constantFrom(
    new Uint8Array(0),
    new Uint8Array([131, 3, 4, 0]),
    new Uint8Array([7, 9, 0, 0]),
    new Uint8Array([1, 1, 1, 0]),
  ),
  payload: fc.uint8Array({ maxLength: 40 }),
  big: fc.boolean(),
  packetType: fc.constantFrom(
    "HOST" as const,
    "HOST" as const,
    "BROADCAST" as const,
    "OTHERHOST" as const,
  ),
  at: fc.constantFrom("r0", "r1"),
  pause: fc.integer({ min: 0, max: 3 }),
});

test("whatever comes in, every packet that was born ends once", () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 30 }),
      fc.constantFrom(0, 1, 2),
      (frames, rpFilter) => {
        const lab = routedLab();
        set(lab.router, "net.ipv4.conf.all.rp_filter", rpFilter);
        lab.router.device("r1").mtu = 576;
        lab.router.notify("mtu", lab.router.device("r1"));
        for (const ns of [lab.router, lab.server]) {
          listenTcp(ns, { address: IPV4_ANY, port: 80 }, (connection) => {
            connection.onData = (data) => connection.send(data);
            connection.onClose = () => connection.close();
          });
          const socket = new UdpSocket(ns);
          socket.bind(IPV4_ANY, 53);
          socket.onDatagram = (datagram) =>
            socket.sendTo(datagram.data, datagram.source, datagram.sourcePort, datagram.skb);
        }
        for (const {
          transport: header,
          payload,
          big,
          packetType,
          at,
          pause,
          ...fields
        } of frames) {
          const fragment = fields.moreFragments || fields.fragmentOffset > 0;
          const protocol =
            header === undefined || header.kind === "icmpv6" ? 99 : PROTOCOLS[header.kind];
          const data = big ? new Uint8Array(900) : payload;
          arrive(
            lab.router.device(at),
            packet({ ...fields, protocol }, fragment ? undefined : header, data),
            packetType,
          );
          for (let step = 0; step < pause; step++) lab.sim.step();
        }
        lab.sim.runUntilIdle(undefined, 100_000);
        expect(lab.sim.packets.born).toBe(lab.sim.packets.delivered + lab.sim.packets.dropped);
      },
    ),
    { numRuns: 60 },
  );
});
