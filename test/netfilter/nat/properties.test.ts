import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ACCEPT } from "../../../src/core/hooks.js";
import {
  hashTuple,
  invertTuple,
  sameTuple,
  tupleOf,
} from "../../../src/netfilter/conntrack/tuple.js";
import { registerNatLookup } from "../../../src/netfilter/nat/hooks.js";
import { setupDnat, setupSnat } from "../../../src/netfilter/nat/targets.js";
import { type Frame, encodeFrame } from "../../../src/wire/frame.js";
import { type Rig, echo6, icmp, ip, ip6, rig, tcp, udp, udp6 } from "../rig.js";

const address = fc.integer({ min: 1, max: 3 }).map((host) => `10.1.0.${host}`);
const service = fc.integer({ min: 1, max: 3 }).map((host) => `10.9.0.${host}`);
const port = fc.constantFrom(7, 700, 5555, 5556);

/** The first packet of a flow, from few addresses and ports so that they clash. */
const request: fc.Arbitrary<Frame> = fc.oneof(
  fc
    .tuple(address, port, service, port)
    .map(([from, sport, to, dport]) =>
      udp(`${from}:${sport}`, `${to}:${dport}`, new Uint8Array(3)),
    ),
  fc
    .tuple(address, port, service, port)
    .map(([from, sport, to, dport]) => tcp(`${from}:${sport}`, `${to}:${dport}`, "S", { seq: 1 })),
  fc.tuple(address, service, port).map(([from, to, id]) => icmp(from, to, 8, id)),
);

const address6 = address.map((host) => `fd00::${host.slice(-1)}`);
const service6 = service.map((host) => `fd00:9::${host.slice(-1)}`);

/** The same over IPv6. */
const request6: fc.Arbitrary<Frame> = fc.oneof(
  fc
    .tuple(address6, port, service6, port)
    .map(([from, sport, to, dport]) =>
      udp6(`[${from}]:${sport}`, `[${to}]:${dport}`, new Uint8Array(3)),
    ),
  fc.tuple(address6, service6, port).map(([from, to, id]) => echo6(128, from, to, id)),
);

const anyRequest: fc.Arbitrary<Frame> = fc.oneof(request, request6);

/** Every service is one of two backends, every client the router. */
function natWorld(seed: number): Rig {
  const world = rig(seed);
  registerNatLookup(world.ns, "ipv4", "PREROUTING", (skb, state) => {
    const low = ip("10.2.0.2");
    const high = ip("10.2.0.3");
    return skb.frame.network?.kind === "ipv4" && skb.frame.network.destination !== ip("10.9.0.3")
      ? setupDnat(skb, state, { addresses: { low, high } })
      : ACCEPT;
  });
  registerNatLookup(world.ns, "ipv4", "POSTROUTING", (skb, state) =>
    setupSnat(skb, state, { addresses: { low: ip("10.2.0.1"), high: ip("10.2.0.1") } }),
  );
  registerNatLookup(world.ns, "ipv6", "PREROUTING", (skb, state) => {
    const addresses = { low: ip6("fd00:2::2"), high: ip6("fd00:3::9") };
    return skb.frame.network?.kind === "ipv6" && skb.frame.network.destination !== ip6("fd00:9::3")
      ? setupDnat(skb, state, { addresses })
      : ACCEPT;
  });
  registerNatLookup(world.ns, "ipv6", "POSTROUTING", (skb, state) =>
    setupSnat(skb, state, { addresses: { low: ip6("fd00:2::1"), high: ip6("fd00:2::1") } }),
  );
  return world;
}

/** The frame that the other end would send back. */
function answerTo(frame: Frame): Frame | undefined {
  const { network, transport } = frame;
  if (network === undefined || network.kind === "arp" || transport === undefined) return undefined;
  const swapped =
    network.kind === "ipv4"
      ? { ...network, source: network.destination, destination: network.source }
      : { ...network, source: network.destination, destination: network.source };
  if (transport.kind === "icmp")
    return { ...frame, network: swapped, transport: { ...transport, type: 0 } };
  if (transport.kind === "icmpv6")
    return { ...frame, network: swapped, transport: { ...transport, type: 129 } };
  const { sourcePort, destinationPort } = transport;
  const ports = { sourcePort: destinationPort, destinationPort: sourcePort };
  if (transport.kind === "udp")
    return { ...frame, network: swapped, transport: { ...transport, ...ports } };
  return {
    ...frame,
    network: swapped,
    transport: { ...transport, ...ports, flags: 0x12, acknowledgment: 2 },
  };
}

describe("NAT of any flows", () => {
  test("the answer to an answer is the request", () => {
    fc.assert(
      fc.property(anyRequest, (frame) => {
        const tuple = tupleOf(frame);
        const back = tuple === undefined ? undefined : invertTuple(tuple);
        const again = back === undefined ? undefined : invertTuple(back);
        expect(again).toEqual(tuple);
        if (tuple !== undefined && again !== undefined)
          expect(hashTuple(again, 3)).toBe(hashTuple(tuple, 3));
      }),
    );
  });

  test("no two connections ever wait for the same answers", () => {
    fc.assert(
      fc.property(fc.array(anyRequest, { maxLength: 60 }), fc.nat(), (frames, seed) => {
        const world = natWorld(seed);
        for (const frame of frames) world.forward(frame);
        const entries = [...world.table.entries()];
        entries.forEach((entry, index) => {
          for (const other of entries.slice(index + 1)) {
            expect(sameTuple(entry.reply, other.reply)).toBe(false);
            expect(sameTuple(entry.original, other.original)).toBe(false);
          }
        });
      }),
    );
  });

  test("an answer comes back to the client as if there were no NAT", () => {
    fc.assert(
      fc.property(
        fc.array(anyRequest, { minLength: 1, maxLength: 30 }),
        fc.nat(),
        (frames, seed) => {
          const world = natWorld(seed);
          for (const frame of frames) {
            const sent = world.forward(frame);
            const answer = sent === undefined ? undefined : answerTo(sent.frame);
            const received = answer === undefined ? undefined : world.forward(answer);
            const wanted = answerTo(frame);
            if (received === undefined || wanted === undefined) throw new Error("lost");
            expect(encodeFrame(received.frame)).toEqual(encodeFrame(wanted));
          }
        },
      ),
    );
  });

  test("every packet ends: delivered up to the last hook or dropped", () => {
    fc.assert(
      fc.property(fc.array(anyRequest, { maxLength: 40 }), fc.nat(), (frames, seed) => {
        const world = natWorld(seed);
        const survived = frames.filter((frame) => world.forward(frame) !== undefined).length;
        expect(world.sim.packets.born).toBe(frames.length);
        expect(world.sim.packets.dropped).toBe(frames.length - survived);
      }),
    );
  });
});
