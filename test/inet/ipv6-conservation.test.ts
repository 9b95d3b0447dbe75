import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type NetDevice, netifReceiveSkb, packetTypeFor } from "../../src/core/device.js";
import { newSkb } from "../../src/core/simulation.js";
import { createLinux } from "../../src/tools/stack.js";
import { later, seconds } from "../../src/sim/time.js";
import { decodeFrame, encodeFrame, type Frame } from "../../src/wire/frame.js";
import { type Ipv6, type Mac, MAC_BROADCAST, multicastMac6, parseIpv6 } from "../../src/wire/ip.js";
import type { Ipv6Header } from "../../src/wire/ipv6.js";
import { encodeNdisc, linkLayerOption } from "../../src/wire/ndisc.js";
import { build } from "../tools/tool-fixtures.js";
import { anyFrame } from "../wire/frames.js";

function ip6(text: string): Ipv6 {
  const address = parseIpv6(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

/** Addresses that mean something to the router below. */
const ADDRESSES = [
  "::",
  "::1",
  "2001:db8:1::1",
  "2001:db8:1::",
  "2001:db8:1::2",
  "2001:db8:1::99",
  "2001:db8:2::1",
  "2001:db8:2::2",
  "2001:db8:a1::1",
  "2001:db8:a2::1",
  "2001:db8:dead::1",
  "fe80::ff:fe00:101",
  "fe80::5",
  "ff01::1",
  "ff02::1",
  "ff02::2",
  "ff02::1:ff00:1",
  "ff05::2",
].map(ip6);

const MACS: readonly Mac[] = [
  0x0200_0000_0101 as Mac,
  0x0200_0000_0777 as Mac,
  MAC_BROADCAST,
  multicastMac6(ip6("ff02::1")),
];

/** Any IPv6 frame, between addresses that lead somewhere; some are solicitations and advertisements. */
const frames: fc.Arbitrary<Frame> = fc
  .tuple(
    anyFrame.filter(({ network }) => network?.kind === "ipv6"),
    fc.constantFrom(...ADDRESSES),
    fc.constantFrom(...ADDRESSES),
    fc.constantFrom(...MACS),
    fc.constantFrom(0, 1, 2, 64, 255),
    fc.option(fc.constantFrom(133, 134, 135, 136, 137, 130, 131, 143, 128, 129, 1, 2, 3, 4), {
      nil: undefined,
    }),
  )
  .map(([frame, source, destination, mac, hopLimit, type]): Frame => {
    const network = { ...(frame.network as Ipv6Header), source, destination, hopLimit };
    const link = { ...frame.link, destination: mac };
    if (type === undefined) return { ...frame, link, network };
    const payload = encodeNdisc(
      destination,
      [linkLayerOption(type === 136 ? 2 : 1, 0x0200_0000_0900 as Mac)],
      type === 137 ? source : undefined,
    );
    return {
      link,
      network: { ...network, protocol: 58, extensions: [] },
      transport: { kind: "icmpv6", type, code: 0, rest: 0x6000_0000 },
      payload,
    };
  });

function router(): { readonly left: NetDevice; readonly right: NetDevice } {
  const sim = createLinux({ seed: 1 });
  for (const name of ["client", "node", "server"]) {
    sim.createNamespace(name);
    build(sim, `${name}: sysctl -qw net.ipv6.conf.all.disable_ipv6=0`);
    build(sim, `${name}: ip link set lo up`);
  }
  build(
    sim,
    `ip link add e0 address 02:00:00:00:01:02 netns client type veth peer name e0 address 02:00:00:00:01:01 netns node
     ip link add e1 netns node type veth peer name e0 netns server
     client: ip link set e0 up
     node: ip link set e0 up
     node: ip link set e1 up
     server: ip link set e0 up
     node: sysctl -qw net.ipv6.conf.all.forwarding=1
     node: sysctl -qw net.ipv6.conf.all.proxy_ndp=1
     client: ip -6 addr add 2001:db8:1::2/64 dev e0 nodad
     node: ip -6 addr add 2001:db8:1::1/64 dev e0 nodad
     node: ip -6 addr add 2001:db8:2::1/64 dev e1 nodad
     server: ip -6 addr add 2001:db8:2::2/64 dev e0 nodad
     node: ip -6 neigh add proxy 2001:db8:1::99 dev e0
     node: ip -6 route add unreachable 2001:db8:a1::/48
     node: ip -6 route add prohibit 2001:db8:a2::/48`,
  );
  sim.runUntilIdle(later(sim.queue.now, seconds(30)));
  const node = sim.namespaces.get("node");
  if (node === undefined) throw new Error("no router");
  return { left: node.device("e0"), right: node.device("e1") };
}

describe("any IPv6 packets at a router", () => {
  it("are born once and end once, delivered or dropped", () => {
    const { left, right } = router();
    const { sim } = left.ns;
    fc.assert(
      fc.property(fc.array(fc.tuple(frames, fc.boolean()), { maxLength: 12 }), (arriving) => {
        for (const [frame, atLeft] of arriving) {
          // What came over a wire: only frames that can be read back.
          const read = decodeFrame(encodeFrame(frame));
          if (!read.ok) continue;
          const dev = atLeft ? left : right;
          const skb = newSkb(dev.ns, read.value, "test");
          skb.packetType = packetTypeFor(read.value.link.destination, dev);
          netifReceiveSkb(skb, dev);
        }
        sim.runUntilIdle(later(sim.queue.now, seconds(120)), 200_000);
        expect(sim.packets.born).toBe(sim.packets.delivered + sim.packets.dropped);
      }),
      { numRuns: 170, seed: 6 },
    );
    expect(Math.min(sim.packets.delivered, sim.packets.dropped)).toBeGreaterThan(100);
  });
});
