import { expect, test } from "vitest";
import { devQueueXmit } from "../../src/core/device.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { ETH_P_ARP, ETH_P_IPV6 } from "../../src/wire/ethernet.js";
import { formatFrame } from "../../src/wire/format-frame.js";
import { type Frame, NO_BYTES } from "../../src/wire/frame.js";
import { formatMac, IPV6_ANY, parseIpv4, parseIpv6 } from "../../src/wire/ip.js";
import { encodeNdisc, linkLayerOption, ND_OPT_SOURCE_LL_ADDR } from "../../src/wire/ndisc.js";
import { build, run } from "../tools/tool-fixtures.js";
import { mac } from "./link-fixtures.js";

// What an ARP question meets is compared with 6.18 in the lab vxlan-proxy; neighbour discovery is from the kernel's source.

const GUEST = "02:00:00:00:00:0c";
const FAR = "02:00:00:00:00:0f";

/** A host whose VXLAN device `vx` knows 10.9.0.2 and 2001:db8::2 by hand. */
function proxy(): {
  readonly sim: Simulation;
  readonly ns: NetworkNamespace;
  readonly events: TraceEvent[];
} {
  const sim = createLinux({ seed: 1 });
  build(
    sim,
    `ip netns add a
     a: ip link add eth0 type veth peer name eth1
     a: ip link set eth0 up
     a: ip link set eth1 up
     a: ip addr add 192.0.2.1/24 dev eth0
     a: ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:22 dev eth0
     a: ip link add vx address 02:00:00:00:00:0a type vxlan id 5 remote 192.0.2.2 dstport 4789 proxy rsc
     a: ip link set vx up
     a: ip neigh add 10.9.0.2 lladdr ${FAR} dev vx
     a: ip -6 neigh add 2001:db8::2 lladdr ${FAR} dev vx
     a: bridge fdb add ${FAR} dev vx dst 192.0.2.2 router`,
  );
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  const ns = sim.namespaces.get("a");
  if (ns === undefined) throw new Error("a");
  return { sim, ns, events };
}

function send({ sim, ns }: ReturnType<typeof proxy>, frame: Frame): void {
  devQueueXmit(newSkb(ns, frame, "test"), ns.device("vx"));
  sim.runUntilIdle(later(sim.queue.now, seconds(1)));
}

/** What comes out of the VXLAN device on its own host, and what leaves by the wire. */
function seen(events: readonly TraceEvent[]): {
  readonly back: readonly string[];
  readonly wire: number;
} {
  const device = events.filter((event) => event.kind === "device");
  const back = device.filter(({ dev, direction }) => dev === "vx" && direction === "rx");
  return {
    back: back.map(({ frame }) => `${formatMac(frame.link.source)} ${formatFrame(frame)}`),
    wire: device.filter(({ dev, direction }) => dev === "eth0" && direction === "tx").length,
  };
}

function question(target: string): Frame {
  return {
    link: { source: mac(GUEST), destination: mac("ff:ff:ff:ff:ff:ff"), etherType: ETH_P_ARP },
    network: {
      kind: "arp",
      operation: 1,
      senderMac: mac(GUEST),
      senderIp: address(target.startsWith("10.") ? "10.9.0.7" : target),
      targetMac: mac("00:00:00:00:00:00"),
      targetIp: address(target),
    },
    transport: undefined,
    payload: NO_BYTES,
  };
}

function address(text: string) {
  const value = parseIpv4(text);
  if (value === undefined) throw new Error(text);
  return value;
}

test("a question about a neighbour that is known is answered and not carried", () => {
  const lab = proxy();
  send(lab, question("10.9.0.2"));
  expect(seen(lab.events)).toEqual({
    back: [`${FAR} ARP, Reply 10.9.0.2 is-at ${FAR}, length 28`],
    wire: 0,
  });
});

test.each(["10.9.0.3", "127.0.0.1", "224.0.0.9"])(
  "a question about %s ends without a word",
  (to) => {
    const lab = proxy();
    send(lab, question(to));
    expect(seen(lab.events)).toEqual({ back: [], wire: 0 });
  },
);

test("a solicitation is answered with the router flag of its entry", () => {
  const lab = proxy();
  const target = parseIpv6("2001:db8::2") ?? IPV6_ANY;
  send(lab, {
    link: { source: mac(GUEST), destination: mac("33:33:ff:00:00:02"), etherType: ETH_P_IPV6 },
    network: {
      kind: "ipv6",
      trafficClass: 0,
      flowLabel: 0,
      hopLimit: 255,
      protocol: 58,
      source: parseIpv6("fe80::c") ?? IPV6_ANY,
      destination: parseIpv6("ff02::1:ff00:2") ?? IPV6_ANY,
      extensions: [],
    },
    transport: { kind: "icmpv6", type: 135, code: 0, rest: 0 },
    payload: encodeNdisc(target, [linkLayerOption(ND_OPT_SOURCE_LL_ADDR, mac(GUEST))]),
  });
  expect(seen(lab.events)).toEqual({
    back: [
      `${FAR} IP6 2001:db8::2 > fe80::c: ICMP6, neighbor advertisement, tgt is 2001:db8::2, length 32`,
    ],
    wire: 0,
  });
});

test("no more addresses are learned or told than there may be", () => {
  const { sim } = proxy();
  build(sim, "a: ip link add vy type vxlan id 6 remote 192.0.2.3 dstport 4790 maxaddress 2");
  build(sim, `a: bridge fdb add ${FAR} dev vy dst 192.0.2.2`);
  expect(run(sim, "a", `bridge fdb add ${GUEST} dev vy dst 192.0.2.2`)).toEqual({
    code: 255,
    stdout: "",
    stderr: "RTNETLINK answers: No space left on device\n",
  });
});
