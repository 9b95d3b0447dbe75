import { describe, expect, test } from "vitest";
import { bridgeHooks } from "../../src/core/bridge-hooks.js";
import type { HookEntry } from "../../src/core/hooks.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import type { Simulation } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { ipDefrag } from "../../src/inet/ip-defrag.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { withDestination } from "../../src/wire/frame.js";
import { formatIpv4, formatMac } from "../../src/wire/ip.js";
import { isFragment } from "../../src/wire/ipv4.js";
import { address } from "../inet/neighbour-fixtures.js";
import { build, run } from "../tools/tool-fixtures.js";

interface NodeLab {
  readonly sim: Simulation;
  readonly node: NetworkNamespace;
  readonly events: TraceEvent[];
}

/** Pods a (10.1.0.2) and b (10.1.0.3) on br0 of a node (10.1.0.1), which also has x0 (10.2.0.1) towards a host (10.2.0.2). */
function nodeLab(): NodeLab {
  const sim = createLinux({ seed: 1 });
  build(
    sim,
    `ip netns add node
    ip netns add a
    ip netns add b
    ip netns add host
    node: ip link add br0 type bridge
    node: ip link set lo up
    ip link add pa netns node address 02:00:00:00:01:0a type veth peer name eth0 netns a address 02:00:00:00:02:0a
    ip link add pb netns node address 02:00:00:00:01:0b type veth peer name eth0 netns b address 02:00:00:00:02:0b
    ip link add x0 netns node address 02:00:00:00:01:0c type veth peer name eth0 netns host address 02:00:00:00:02:0c
    node: ip link set pa master br0
    node: ip link set pb master br0
    node: ip link set pa up
    node: ip link set pb up
    node: ip link set br0 up
    node: ip link set x0 up
    node: ip addr add 10.1.0.1/24 dev br0
    node: ip addr add 10.2.0.1/24 dev x0
    node: sysctl -qw net.ipv4.ip_forward=1
    a: ip addr add 10.1.0.2/24 dev eth0
    a: ip link set eth0 up
    a: ip route add default via 10.1.0.1
    b: ip addr add 10.1.0.3/24 dev eth0
    b: ip link set eth0 up
    b: ip route add default via 10.1.0.1
    host: ip addr add 10.2.0.2/24 dev eth0
    host: ip link set eth0 up
    host: ip route add default via 10.2.0.1`,
  );
  const node = namespaceOf(sim, "node");
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  return { sim, node, events };
}

function namespaceOf(sim: Simulation, name: string): NetworkNamespace {
  const ns = sim.namespaces.get(name);
  if (ns === undefined) throw new Error(`no namespace ${name}`);
  return ns;
}

/** Notes every hook of bridge and ipv4 that a UDP packet passes in the node, with its devices. */
function spy(lab: NodeLab): string[] {
  const walked: string[] = [];
  for (const family of ["bridge", "ipv4"] as const) {
    for (const hook of ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] as const) {
      // Before br_netfilter's own entries, which stand at 0 or last.
      lab.node.hooks.register(family, {
        name: "spy",
        hook,
        priority: -1,
        run: (skb, state) => {
          if (skb.frame.transport?.kind === "udp")
            walked.push(`${family} ${hook} ${state.in?.name ?? "-"} ${state.out?.name ?? "-"}`);
          return { kind: "accept" };
        },
      });
    }
  }
  return walked;
}

function sendUdp(lab: NodeLab, from: string, destination: string, length = 4): void {
  const socket = new UdpSocket(namespaceOf(lab.sim, from));
  expect(socket.bind(address("0.0.0.0"), 4000)).toBeUndefined();
  expect(socket.sendTo(new Uint8Array(length), address(destination), 9)).toBeUndefined();
  lab.sim.runUntilIdle(later(lab.sim.queue.now, seconds(1)));
  socket.close();
}

/** Sends `from` to `to` in PREROUTING, as a DNAT rule would. */
function dnat(from: string, to: string): HookEntry {
  return {
    name: "nat",
    hook: "PREROUTING",
    priority: -100,
    run: (skb) => {
      const { network } = skb.frame;
      if (network?.kind === "ipv4" && network.destination === address(from))
        skb.frame = withDestination(skb.frame, address(to));
      return { kind: "accept" };
    },
  };
}

/** UDP frames that passed devices of the node, as `pa rx 10.1.0.2>10.1.0.3 ttl 64 …:0a>…:0b`. */
function frames(lab: NodeLab): readonly string[] {
  return lab.events.flatMap((event) => {
    if (
      event.kind !== "device" ||
      event.ns !== "node" ||
      event.frame.transport?.kind !== "udp" ||
      event.frame.network?.kind !== "ipv4"
    )
      return [];
    const { source, destination, ttl } = event.frame.network;
    const short = (mac: Parameters<typeof formatMac>[0]): string => formatMac(mac).slice(9);
    const macs = `${short(event.frame.link.source)}>${short(event.frame.link.destination)}`;
    return [
      `${event.dev} ${event.direction} ${formatIpv4(source)}>${formatIpv4(destination)} ttl ${ttl} ${macs}`,
    ];
  });
}

function drops(lab: NodeLab): readonly string[] {
  return lab.events.flatMap((event) =>
    event.kind === "dropped" && event.ns === "node" ? [`${event.reason} ${event.where}`] : [],
  );
}

// Orders, devices and MAC addresses as Linux 6.18 has them (nft trace and AF_PACKET sockets).
describe("a frame bridged from port to port", () => {
  test("passes IP's PREROUTING, FORWARD and POSTROUTING inside the bridge's hooks, with the bridge as device", () => {
    const lab = nodeLab();
    const walked = spy(lab);
    sendUdp(lab, "a", "10.1.0.3");
    expect(walked).toEqual([
      "bridge PREROUTING pa -",
      "ipv4 PREROUTING br0 -",
      "bridge FORWARD pa pb",
      "ipv4 FORWARD br0 br0",
      "bridge POSTROUTING - pb",
      "ipv4 POSTROUTING - br0",
    ]);
    expect(frames(lab)).toEqual([
      "pa rx 10.1.0.2>10.1.0.3 ttl 64 00:02:0a>00:02:0b",
      "pb tx 10.1.0.2>10.1.0.3 ttl 64 00:02:0a>00:02:0b",
    ]);
  });

  test("passes only the bridge's hooks when the sysctl is 0", () => {
    const lab = nodeLab();
    run(lab.sim, "node", "sysctl -qw net.bridge.bridge-nf-call-iptables=0");
    const walked = spy(lab);
    sendUdp(lab, "a", "10.1.0.3");
    expect(walked).toEqual([
      "bridge PREROUTING pa -",
      "bridge FORWARD pa pb",
      "bridge POSTROUTING - pb",
    ]);
  });

  test("passes IP's hooks in spite of the sysctl when its own bridge asks for them", () => {
    const lab = nodeLab();
    run(lab.sim, "node", "sysctl -qw net.bridge.bridge-nf-call-iptables=0");
    bridgeHooks(lab.node).callIptables.add(lab.node.device("br0"));
    const walked = spy(lab);
    sendUdp(lab, "a", "10.1.0.3");
    expect(walked).toContain("ipv4 FORWARD br0 br0");
    build(lab.sim, "node: ip link add br1 type bridge nf_call_iptables 1");
    expect([...bridgeHooks(lab.node).callIptables].map(({ name }) => name)).toEqual(["br0", "br1"]);
  });

  test("shows its ports to the rules of FORWARD", () => {
    const lab = nodeLab();
    const seen: unknown[] = [];
    lab.node.hooks.register("ipv4", {
      name: "spy",
      hook: "FORWARD",
      priority: 0,
      run: (skb) => {
        seen.push(skb.bridge?.physicalIn?.name, skb.bridge?.physicalOut?.name);
        return { kind: "accept" };
      },
    });
    sendUdp(lab, "a", "10.1.0.3");
    expect(seen.slice(0, 2)).toEqual(["pa", "pb"]);
  });

  test("dies where a rule of FORWARD drops it", () => {
    const lab = nodeLab();
    lab.node.hooks.register("ipv4", {
      name: "filter",
      hook: "FORWARD",
      priority: 0,
      run: () => ({ kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" }),
    });
    sendUdp(lab, "a", "10.1.0.3");
    expect(drops(lab)).toEqual(["NETFILTER_DROP nf_hook_slow"]);
  });

  test("is not shown to IP in a world without the module", () => {
    const sim = createLinux({ seed: 1, brNetfilter: { callIptables: false } });
    build(sim, "ip netns add node");
    expect(run(sim, "node", "sysctl -n net.bridge.bridge-nf-call-iptables").stdout).toBe("0\n");
  });

  test("is shown to the rules of ARP's FORWARD when it is ARP", () => {
    const lab = nodeLab();
    const seen: string[] = [];
    lab.node.hooks.register("arp", {
      name: "arptables",
      hook: "FORWARD",
      priority: 0,
      run: (_skb, state) => {
        seen.push(`${state.in?.name} ${state.out?.name}`);
        return { kind: "accept" };
      },
    });
    sendUdp(lab, "a", "10.1.0.3");
    expect(seen.slice(0, 2)).toEqual(["pa pb", "pb pa"]);
  });
});

describe("a frame for the node itself", () => {
  test("passes IP's PREROUTING once", () => {
    const lab = nodeLab();
    const walked = spy(lab);
    sendUdp(lab, "a", "10.1.0.1");
    expect(walked).toEqual([
      "bridge PREROUTING pa -",
      "ipv4 PREROUTING br0 -",
      "bridge INPUT pa -",
      "ipv4 INPUT br0 -",
    ]);
  });

  test("is routed on through the ordinary hooks", () => {
    const lab = nodeLab();
    const walked = spy(lab);
    sendUdp(lab, "a", "10.2.0.2");
    expect(walked).toEqual([
      "bridge PREROUTING pa -",
      "ipv4 PREROUTING br0 -",
      "bridge INPUT pa -",
      "ipv4 FORWARD br0 x0",
      "ipv4 POSTROUTING br0 x0",
    ]);
  });
});

describe("a packet that the node sends or routes into the bridge", () => {
  test("has passed IP's POSTROUTING when the bridge takes it, and does not again", () => {
    const lab = nodeLab();
    const walked = spy(lab);
    sendUdp(lab, "node", "10.1.0.2");
    expect(walked).toEqual([
      "ipv4 OUTPUT - br0",
      "ipv4 POSTROUTING - br0",
      "bridge OUTPUT - pa",
      "bridge POSTROUTING - pa",
    ]);
  });

  test("from another device passes FORWARD once", () => {
    const lab = nodeLab();
    const walked = spy(lab);
    sendUdp(lab, "host", "10.1.0.2");
    expect(walked).toEqual([
      "ipv4 PREROUTING x0 -",
      "ipv4 FORWARD x0 br0",
      "ipv4 POSTROUTING x0 br0",
      "bridge OUTPUT - pa",
      "bridge POSTROUTING - pa",
    ]);
  });
});

describe("a frame whose destination PREROUTING changed", () => {
  test("to a host behind the same bridge goes on bridged, with the sender's MAC address and its TTL", () => {
    const lab = nodeLab();
    sendUdp(lab, "node", "10.1.0.3");
    lab.events.length = 0;
    lab.node.hooks.register("ipv4", dnat("10.96.0.1", "10.1.0.3"));
    sendUdp(lab, "a", "10.96.0.1");
    expect(frames(lab)).toEqual([
      "pa rx 10.1.0.2>10.96.0.1 ttl 64 00:02:0a>00:01:0a",
      "pb tx 10.1.0.2>10.1.0.3 ttl 64 00:02:0a>00:02:0b",
    ]);
  });

  test("to a host that must first be asked for crosses the bridge device with the bridge's address", () => {
    const lab = nodeLab();
    lab.node.hooks.register("ipv4", dnat("10.96.0.1", "10.1.0.3"));
    sendUdp(lab, "a", "10.96.0.1");
    expect(frames(lab)).toEqual([
      "pa rx 10.1.0.2>10.96.0.1 ttl 64 00:02:0a>00:01:0a",
      "br0 tx 10.1.0.2>10.1.0.3 ttl 64 00:01:0a>00:02:0b",
      "pb tx 10.1.0.2>10.1.0.3 ttl 64 00:02:0a>00:02:0b",
    ]);
  });

  test("back to its sender is refused by the port unless hairpin is on", () => {
    const lab = nodeLab();
    lab.node.hooks.register("ipv4", dnat("10.96.0.1", "10.1.0.2"));
    sendUdp(lab, "a", "10.96.0.1");
    expect(drops(lab)).toContain("NOT_SPECIFIED br_handle_frame_finish");
    run(lab.sim, "node", "bridge link set dev pa hairpin on");
    lab.events.length = 0;
    sendUdp(lab, "a", "10.96.0.1");
    expect(frames(lab).at(-1)).toBe("pa tx 10.1.0.2>10.1.0.2 ttl 64 00:02:0a>00:02:0a");
  });

  test("to a host elsewhere is routed", () => {
    const lab = nodeLab();
    lab.node.hooks.register("ipv4", dnat("10.1.0.3", "10.2.0.2"));
    const walked = spy(lab);
    sendUdp(lab, "a", "10.1.0.3");
    expect(walked).toEqual([
      "bridge PREROUTING pa -",
      "ipv4 PREROUTING br0 -",
      "bridge INPUT pa -",
      "ipv4 FORWARD br0 x0",
      "ipv4 POSTROUTING br0 x0",
    ]);
    expect(frames(lab).at(-1)).toBe("x0 tx 10.1.0.2>10.2.0.2 ttl 63 00:01:0c>00:02:0c");
  });

  test("to an address that may not come in dies there", () => {
    const lab = nodeLab();
    lab.node.hooks.register("ipv4", dnat("10.1.0.3", "127.0.0.1"));
    sendUdp(lab, "a", "10.1.0.3");
    expect(drops(lab)).toEqual(["IP_LOCALNET br_nf_pre_routing_finish"]);
  });

  test("ends every packet once", () => {
    const lab = nodeLab();
    lab.node.hooks.register("ipv4", dnat("10.96.0.1", "10.1.0.99"));
    sendUdp(lab, "a", "10.96.0.1");
    lab.sim.runUntilIdle();
    const { born, delivered, dropped } = lab.sim.packets;
    expect(delivered + dropped).toBe(born);
    expect(drops(lab)).toContain("NEIGH_FAILED neigh_invalidate");
  });
});

test("a large datagram that was reassembled for the rules goes out of the port in pieces again", () => {
  const lab = nodeLab();
  lab.node.hooks.register("ipv4", {
    name: "defrag",
    hook: "PREROUTING",
    priority: -400,
    run: (skb) => {
      const { network } = skb.frame;
      if (network?.kind !== "ipv4" || !isFragment(network)) return { kind: "accept" };
      return ipDefrag(skb, "conntrack-in") === undefined
        ? { kind: "stolen", by: "defrag" }
        : { kind: "accept" };
    },
  });
  sendUdp(lab, "a", "10.1.0.3", 3000);
  const sizes = lab.events.flatMap((event) =>
    event.kind === "device" &&
    event.ns === "node" &&
    event.frame.network?.kind === "ipv4" &&
    event.frame.network.protocol === 17
      ? [`${event.dev} ${event.direction} ${event.frame.network.fragmentOffset}`]
      : [],
  );
  expect(sizes).toEqual([
    "pa rx 0",
    "pa rx 1480",
    "pa rx 2960",
    "pb tx 0",
    "pb tx 1480",
    "pb tx 2960",
  ]);
});
