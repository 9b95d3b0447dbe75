import { describe, expect, it } from "vitest";
import { newSkb } from "../../src/core/simulation.js";
import { ip6RouteMeHarder } from "../../src/inet/ipv6/output.js";
import { ip6Packet } from "../../src/inet/ipv6/packet.js";
import { createLinux } from "../../src/tools/stack.js";
import { NO_BYTES } from "../../src/wire/frame.js";
import { formatIp, type Ipv6, parseIpv6 } from "../../src/wire/ip.js";
import { build } from "../tools/tool-fixtures.js";

function ip6(text: string): Ipv6 {
  const address = parseIpv6(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

describe("a local IPv6 packet whose mark a hook changed", () => {
  const sim = createLinux({ seed: 1 });
  const ns = sim.createNamespace("a");
  sim.createNamespace("b");
  build(
    sim,
    `a: sysctl -qw net.ipv6.conf.all.disable_ipv6=0
     a: ip link set lo up
     ip link add e0 netns a type veth peer name e0 netns b
     b: ip link set e0 up
     a: ip link set e0 up
     a: ip -6 addr add 2001:db8:1::1/64 dev e0 nodad
     a: ip -6 route add default via 2001:db8:1::2
     a: ip -6 route add default via 2001:db8:1::3 table 100
     a: ip -6 rule add fwmark 7 table 100
     a: ip -6 rule add fwmark 8 prohibit`,
  );
  const packet = ip6Packet(
    {
      source: ip6("2001:db8:1::1"),
      destination: ip6("2001:db8:9::9"),
      protocol: 17,
      trafficClass: 0,
      flowLabel: 0,
      hopLimit: 64,
    },
    { kind: "udp", sourcePort: 1, destinationPort: 2 },
    NO_BYTES,
  );

  it.each([
    [0, "2001:db8:1::2"],
    [7, "2001:db8:1::3"],
  ])("goes by the rules for mark %i to %s, from the same source", (mark, gateway) => {
    const skb = newSkb(ns, packet, "test");
    skb.mark = mark;
    expect(ip6RouteMeHarder(skb)).toBeUndefined();
    expect(formatIp(skb.route?.gateway ?? (0n as Ipv6))).toBe(gateway);
    expect(skb.frame).toBe(packet);
  });

  it("is refused with the rule's error", () => {
    const skb = newSkb(ns, packet, "test");
    skb.mark = 8;
    expect(ip6RouteMeHarder(skb)).toBe("EACCES");
  });
});
