import { describe, expect, test } from "vitest";
import type { Simulation } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { PingSocket } from "../../src/inet/ping.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { ICMP_ECHO, ICMP_ECHOREPLY } from "../../src/wire/icmp.js";
import { ip } from "../inet/inet-fixtures.js";
import { build, run } from "../tools/tool-fixtures.js";

/** `node` eth0 (192.0.2.1) on a wire to `ext` (192.0.2.9), with the children `a` (.10) and `b` (.11) in namespaces of their own. */
function wire(options: string): Simulation {
  const sim = createLinux({ seed: 1 });
  for (const name of ["node", "ext", "a", "b"]) sim.createNamespace(name);
  build(
    sim,
    `node: ip link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns ext
     node: ip addr add 192.0.2.1/24 dev eth0
     ext: ip addr add 192.0.2.9/24 dev eth0
     node: ip link set lo up
     node: ip link set eth0 up
     ext: ip link set eth0 up
     node: ip link add iva link eth0 netns a type ipvlan ${options}
     node: ip link add ivb link eth0 netns b type ipvlan ${options}
     a: ip addr add 192.0.2.10/24 dev iva
     b: ip addr add 192.0.2.11/24 dev ivb
     a: ip link set iva up
     b: ip link set ivb up`,
  );
  // In the modes of layer 3 nobody answers ARP for the children: the outside has to know.
  if (!options.includes("l2"))
    build(
      sim,
      `ext: ip neigh add 192.0.2.10 lladdr 02:00:00:00:00:01 dev eth0
       ext: ip neigh add 192.0.2.11 lladdr 02:00:00:00:00:01 dev eth0`,
    );
  return sim;
}

/** Where an echo request and its reply were seen, as `ns dev rx` (reply in brackets), and how the request ended. */
function ping(sim: Simulation, from: string, to: string): readonly string[] {
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  new PingSocket(namespace(sim, from)).send(ip(to));
  sim.runUntilIdle(later(sim.queue.now, seconds(5)));
  sim.trace = undefined;
  return events.flatMap((event) => {
    if (!("frame" in event) || event.frame.transport?.kind !== "icmp") return [];
    const { type } = event.frame.transport;
    if (type !== ICMP_ECHO && type !== ICMP_ECHOREPLY) return [];
    const isReply = type === ICMP_ECHOREPLY;
    if (event.kind === "device") {
      const seen = `${event.ns} ${event.dev} ${event.direction}`;
      return [isReply ? `(${seen})` : seen];
    }
    if (event.kind === "dropped") return [`${event.reason} ${event.where}`];
    return event.kind === "delivered" && isReply ? ["answered"] : [];
  });
}

function namespace(sim: Simulation, name: string) {
  const ns = sim.namespaces.get(name);
  if (ns === undefined) throw new Error(name);
  return ns;
}

const DIRECT = ["a iva tx", "b ivb rx", "(b ivb tx)", "(a iva rx)", "answered"];

// The development kernel has no ipvlan: what follows is read from drivers/net/ipvlan of Linux 6.18.
describe("ipvlan devices of mode l2", () => {
  test("share the MAC address and talk to each other directly", () => {
    const sim = wire("mode l2");
    expect(ping(sim, "a", "192.0.2.11")).toEqual(DIRECT);
    expect(run(sim, "a", "ip neigh").stdout).toContain(
      "192.0.2.11 dev iva lladdr 02:00:00:00:00:01",
    );
  });

  test("reach the outside by the device below, and are reached by their IP address", () => {
    const sim = wire("mode l2");
    expect(ping(sim, "a", "192.0.2.9")).toEqual([
      "a iva tx",
      "node eth0 tx",
      "ext eth0 rx",
      "(ext eth0 tx)",
      "(node eth0 rx)",
      "(a iva rx)",
      "answered",
    ]);
    expect(ping(sim, "ext", "192.0.2.11").at(-1)).toBe("answered");
    expect(ping(sim, "ext", "192.0.2.1").at(-1)).toBe("answered");
  });

  test("never find their own host, whose address nobody on the wire has", () => {
    const sim = wire("mode l2");
    expect(ping(sim, "a", "192.0.2.1")).toEqual(["NEIGH_FAILED neigh_invalidate"]);
  });

  test("as private ones do not find each other: the answer to the ARP request dies", () => {
    const sim = wire("mode l2 private");
    const events: TraceEvent[] = [];
    expect(ping(sim, "a", "192.0.2.11")).toEqual(["NEIGH_FAILED neigh_invalidate"]);
    sim.trace = (event) => events.push(event);
    new PingSocket(namespace(sim, "a")).send(ip("192.0.2.11"));
    sim.runUntilIdle(later(sim.queue.now, seconds(0.5)));
    expect(events.flatMap((event) => (event.kind === "bridge" ? [event.why] : []))).toEqual([
      "192.0.2.10 is an address of iva, and the ipvlans of eth0 are private",
    ]);
    expect(ping(wire("mode l2 private"), "a", "192.0.2.9").at(-1)).toBe("answered");
  });

  test("as vepa ones send everything to the wire", () => {
    const sim = wire("mode l2 vepa");
    build(sim, "a: ip neigh add 192.0.2.11 lladdr 02:00:00:00:00:01 dev iva");
    expect(ping(sim, "a", "192.0.2.11")).toEqual([
      "a iva tx",
      "node eth0 tx",
      "ext eth0 rx",
      "OTHERHOST ip_rcv_core",
    ]);
  });
});

describe("ipvlan devices of mode l3", () => {
  test("ask for no neighbour and talk to each other directly", () => {
    const sim = wire("mode l3");
    expect(run(sim, "a", "ip link show iva").stdout).toMatch(
      /^\d+: iva@if\d+: <BROADCAST,MULTICAST,NOARP,UP,LOWER_UP> /,
    );
    expect(ping(sim, "a", "192.0.2.11")).toEqual(DIRECT);
  });

  test("are routed in the namespace of the device below, whose OUTPUT and POSTROUTING see the packets", () => {
    const sim = wire("mode l3");
    build(
      sim,
      `node: iptables -A OUTPUT -s 192.0.2.10 -o eth0
       node: iptables -A INPUT
       node: iptables -A FORWARD`,
    );
    expect(ping(sim, "a", "192.0.2.9").at(-1)).toBe("answered");
    const rules = run(sim, "node", "iptables-save -c").stdout;
    expect(rules).toContain("[1:28] -A OUTPUT -s 192.0.2.10/32 -o eth0");
    expect(rules).toContain("[0:0] -A INPUT");
    expect(rules).toContain("[0:0] -A FORWARD");
  });

  test("follow routes of that namespace; without one the destination is taken to be on the wire", () => {
    const sim = wire("mode l3");
    build(
      sim,
      `a: ip route add default dev iva
       node: ip route add unreachable 198.51.100.0/24
       node: ip route add 203.0.113.0/24 via 192.0.2.9`,
    );
    expect(ping(sim, "a", "203.0.113.1").slice(0, 3)).toEqual([
      "a iva tx",
      "node eth0 tx",
      "ext eth0 rx",
    ]);
    expect(ping(sim, "a", "198.51.100.1")).toEqual(["a iva tx", "NEIGH_FAILED neigh_invalidate"]);
  });

  test("send nothing to groups", () => {
    const sim = wire("mode l3");
    build(sim, "a: ip route add default dev iva");
    const seen = ping(sim, "a", "224.0.0.1");
    expect(seen).toContain("NOT_SPECIFIED ipvlan_process_outbound");
    expect(seen).not.toContain("node eth0 tx");
  });
});

describe("ipvlan devices of mode l3s", () => {
  test("receive through PREROUTING and INPUT of the namespace of the device below", () => {
    const sim = wire("mode l3s");
    build(
      sim,
      `node: iptables -A INPUT -d 192.0.2.10 -i eth0
       node: iptables -t nat -A PREROUTING -d 192.0.2.77 -j DNAT --to-destination 192.0.2.10
       node: sysctl -qw net.ipv4.conf.all.proxy_arp=0
       ext: ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:01 dev eth0
       a: iptables -A INPUT`,
    );
    expect(ping(sim, "ext", "192.0.2.10")).toEqual([
      "ext eth0 tx",
      "node eth0 rx",
      "(a iva tx)",
      "(node eth0 tx)",
      "(ext eth0 rx)",
      "answered",
    ]);
    expect(ping(sim, "ext", "192.0.2.77").at(-1)).toBe("answered");
    expect(run(sim, "node", "iptables-save -c").stdout).toContain(
      "[2:56] -A INPUT -d 192.0.2.10/32 -i eth0",
    );
    expect(run(sim, "a", "iptables-save -c").stdout).toContain("[0:0] -A INPUT");
  });

  test("leave packets for the host itself to the host", () => {
    expect(ping(wire("mode l3s"), "ext", "192.0.2.1").at(-1)).toBe("answered");
  });
});

describe("ipvlan devices", () => {
  test("change their mode together", () => {
    const sim = wire("mode l2");
    build(sim, "a: ip link set iva type ipvlan mode l3");
    expect(run(sim, "b", "ip link show ivb").stdout).toContain("NOARP");
    build(sim, "b: ip link set ivb type ipvlan mode l2");
    expect(run(sim, "a", "ip link show iva").stdout).not.toContain("NOARP");
  });

  test("follow address, MTU and carrier of the device below, and go with it", () => {
    const sim = wire("mode l2");
    build(sim, "node: ip link set eth0 mtu 1400\nnode: ip link set eth0 address 02:00:00:00:00:33");
    expect(run(sim, "a", "ip link show iva").stdout).toMatch(
      /mtu 1400 .* state UNKNOWN [^]*link\/ether 02:00:00:00:00:33/,
    );
    build(sim, "ext: ip link set eth0 down");
    expect(run(sim, "a", "ip link show iva").stdout).toContain("<NO-CARRIER,");
    build(sim, "node: ip link del eth0");
    expect([...namespace(sim, "a").devices.keys()]).toEqual(["lo"]);
  });

  test("have IPv6 link-local addresses that differ", () => {
    const sim = wire("mode l2");
    build(
      sim,
      `a: sysctl -qw net.ipv6.conf.all.disable_ipv6=0
       b: sysctl -qw net.ipv6.conf.all.disable_ipv6=0`,
    );
    sim.runUntilIdle(later(sim.queue.now, seconds(5)));
    expect(run(sim, "a", "ip -6 addr show iva").stdout).toContain("fe80::200:0:100:1/64");
    expect(run(sim, "b", "ip -6 addr show ivb").stdout).toContain("fe80::200:0:200:1/64");
  });

  test("the last child gives the device below back", () => {
    const sim = wire("mode l3s");
    build(sim, "a: ip link del iva\nb: ip link del ivb\nnode: ip link add br0 type bridge");
    build(sim, "node: ip link set eth0 master br0");
  });

  test("are refused where the kernel and ip refuse them", () => {
    const sim = wire("mode l2");
    const said = (ns: string, line: string): string => {
      const { code, stderr } = run(sim, ns, line);
      return `${code} ${stderr.split("\n")[0]}`;
    };
    expect(said("node", "ip link add x type ipvlan mode l2")).toBe(
      "2 RTNETLINK answers: Invalid argument",
    );
    expect(said("node", "ip link add x link lo type ipvlan mode l2")).toBe(
      "2 RTNETLINK answers: Invalid argument",
    );
    expect(said("node", "ip link add x link eth0 type ipvlan mode zzz")).toBe(
      '1 Error: argument of "mode" must be either "l2", "l3" or "l3s"',
    );
    expect(said("node", "ip link add x link eth0 type ipvlan mode l2 bridge private")).toBe(
      '1 ipvlan: unknown option "private"?',
    );
    expect(said("node", "ip link add x link eth0 type macvlan mode bridge")).toBe(
      "2 RTNETLINK answers: Device or resource busy",
    );
    expect(said("a", "ip link set iva address 02:00:00:00:00:44")).toBe(
      "2 RTNETLINK answers: Operation not supported",
    );
    expect(said("b", "ip addr add 192.0.2.10/24 dev ivb")).toBe(
      "2 Error: Address already assigned to an ipvlan device.",
    );
  });
});
