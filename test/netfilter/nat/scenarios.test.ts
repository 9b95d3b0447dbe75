import { describe, expect, test } from "vitest";
import type { Simulation } from "../../../src/core/simulation.js";
import { UdpSocket } from "../../../src/inet/udp-socket.js";
import { conntrack } from "../../../src/netfilter/conntrack/table.js";
import { seconds } from "../../../src/sim/time.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";
import { formatIp } from "../../../src/wire/ip.js";
import { ip } from "../rig.js";

/** client 10.1.0.2 --- 10.1.0.1 [router] 10.2.0.1 --- 10.2.0.2 server */
const SETUP = [
  ["", "ip netns add client"],
  ["", "ip netns add router"],
  ["", "ip netns add server"],
  ["", "ip link add c0 netns client type veth peer name r0 netns router"],
  ["", "ip link add s0 netns server type veth peer name r1 netns router"],
  ["client", "ip addr add 10.1.0.2/24 dev c0"],
  ["router", "ip addr add 10.1.0.1/24 dev r0"],
  ["router", "ip addr add 10.2.0.1/24 dev r1"],
  ["server", "ip addr add 10.2.0.2/24 dev s0"],
  ["client", "ip link set lo up"],
  ["router", "ip link set lo up"],
  ["client", "ip link set c0 up"],
  ["router", "ip link set r0 up"],
  ["router", "ip link set r1 up"],
  ["server", "ip link set s0 up"],
  ["client", "ip route add default via 10.1.0.1"],
  ["server", "ip route add default via 10.2.0.1"],
  ["router", "sysctl -qw net.ipv4.ip_forward=1"],
] as const;

function network(...rules: readonly string[]): Simulation {
  const sim = createLinux({ seed: 1 });
  for (const [ns, line] of SETUP) run(sim, ns, line);
  for (const rule of rules) run(sim, "router", `iptables ${rule}`);
  return sim;
}

function run(sim: Simulation, ns: string, line: string): string {
  const { code, stdout, stderr } = runTool(sim, {
    ns: ns === "" ? undefined : ns,
    argv: line.split(" "),
  });
  expect([line, code, stderr]).toEqual([line, 0, stderr]);
  return stdout;
}

function namespace(sim: Simulation, name: string): Parameters<typeof conntrack>[0] {
  const ns = sim.namespaces.get(name);
  if (ns === undefined) throw new Error(name);
  return ns;
}

/** A server that answers every datagram; gives what it saw: `10.2.0.1:5555`. */
function echo(sim: Simulation, ns: string, address: string, port: number): string[] {
  const seen: string[] = [];
  const socket = new UdpSocket(namespace(sim, ns));
  expect(socket.bind(ip(address), port)).toBeUndefined();
  socket.onDatagram = (datagram) => {
    seen.push(`${formatIp(datagram.source)}:${datagram.sourcePort}`);
    socket.sendTo(datagram.data, datagram.source, datagram.sourcePort, datagram.skb);
  };
  return seen;
}

/** Sends one datagram and gives what came back: `10.9.0.1:53`, the error, or nothing. */
function ask(sim: Simulation, ns: string, to: string, port: number, sourcePort = 5555): string {
  const socket = new UdpSocket(namespace(sim, ns));
  expect(socket.bind(ip("0.0.0.0"), sourcePort)).toBeUndefined();
  let got = "nothing";
  socket.onDatagram = (datagram) => (got = `${formatIp(datagram.source)}:${datagram.sourcePort}`);
  socket.onError = (errno) => (got = errno);
  expect(socket.connect(ip(to), port)).toBeUndefined();
  const result = socket.send(new Uint8Array(4));
  sim.runUntilIdle(seconds(sim.queue.now / 1_000_000 + 5));
  socket.close();
  return result ?? got;
}

describe("through a router", () => {
  test("MASQUERADE shows the server the router, and the client the server", () => {
    const sim = network("-t nat -A POSTROUTING -o r1 -j MASQUERADE");
    const seen = echo(sim, "server", "10.2.0.2", 53);
    expect(ask(sim, "client", "10.2.0.2", 53)).toBe("10.2.0.2:53");
    expect(seen).toEqual(["10.2.0.1:5555"]);
    expect(run(sim, "router", "conntrack -L")).toMatch(
      /^udp {6}17 \d+ src=10\.1\.0\.2 dst=10\.2\.0\.2 sport=5555 dport=53 src=10\.2\.0\.2 dst=10\.2\.0\.1 sport=53 dport=5555 mark=0 use=1\n$/,
    );
  });

  test("DNAT leads to the server, whose answer comes from the address that was asked", () => {
    const sim = network(
      "-t nat -A PREROUTING -d 10.9.0.1 -p udp --dport 53 -j DNAT --to-destination 10.2.0.2:5300",
    );
    echo(sim, "server", "10.2.0.2", 5300);
    expect(ask(sim, "client", "10.9.0.1", 53)).toBe("10.9.0.1:53");
  });

  test("a port unreachable behind DNAT reaches the client as one about what it asked", () => {
    const sim = network(
      "-t nat -A PREROUTING -d 10.9.0.1 -p udp -j DNAT --to-destination 10.2.0.2:77",
    );
    expect(ask(sim, "client", "10.9.0.1", 53)).toBe("ECONNREFUSED");
  });

  test("without any rule that needs connections nothing is tracked", () => {
    const sim = network("-t nat -A POSTROUTING -o r1");
    echo(sim, "server", "10.2.0.2", 53);
    expect(ask(sim, "client", "10.2.0.2", 53)).toBe("10.2.0.2:53");
    expect(run(sim, "router", "conntrack -C")).toBe("0\n");
  });

  test("REDIRECT leads to the router by the address the packet came in on", () => {
    const sim = network("-t nat -A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 5300");
    const seen = echo(sim, "router", "10.1.0.1", 5300);
    expect(ask(sim, "client", "10.2.0.2", 53)).toBe("10.2.0.2:53");
    expect(seen).toEqual(["10.1.0.2:5555"]);
  });

  test("SNAT in INPUT changes the peer that a local program sees", () => {
    const sim = network("-t nat -A INPUT -p udp --dport 53 -j SNAT --to-source 10.77.0.1");
    const seen = echo(sim, "router", "10.1.0.1", 53);
    ask(sim, "client", "10.1.0.1", 53);
    expect(seen).toEqual(["10.77.0.1:5555"]);
  });
});

describe("for local programs", () => {
  test("OUTPUT DNAT routes the packet again", () => {
    const sim = network(
      "-t nat -A OUTPUT -d 10.1.0.99 -p udp -j DNAT --to-destination 10.2.0.2:53",
    );
    const seen = echo(sim, "server", "10.2.0.2", 53);
    expect(ask(sim, "router", "10.1.0.99", 53)).toBe("10.1.0.99:53");
    // The source was chosen before: DNAT does not change it.
    expect(seen).toEqual(["10.1.0.1:5555"]);
  });

  test("OUTPUT DNAT of 127.0.0.1 to elsewhere fails with EINVAL", () => {
    const sim = network(
      "-t nat -A OUTPUT -d 127.0.0.1 -p udp -j DNAT --to-destination 10.2.0.2:53",
    );
    expect(ask(sim, "router", "127.0.0.1", 53)).toBe("EINVAL");
  });

  test("a second client of an exhausted port gets EPERM", () => {
    const sim = network("-t nat -A POSTROUTING -p udp -j SNAT --to-source 10.2.0.1:7100");
    echo(sim, "server", "10.2.0.2", 53);
    expect(ask(sim, "router", "10.2.0.2", 53, 5555)).toBe("10.2.0.2:53");
    expect(ask(sim, "router", "10.2.0.2", 53, 5556)).toBe("EPERM");
  });

  test("one connection over lo has one entry, and is NEW in all four hooks", () => {
    const sim = network("-A INPUT -m conntrack --ctstate NEW -j ACCEPT");
    const ns = namespace(sim, "router");
    echo(sim, "router", "127.0.0.1", 53);
    expect(ask(sim, "router", "127.0.0.1", 53)).toBe("127.0.0.1:53");
    expect(conntrack(ns).count).toBe(1);
    expect(run(sim, "router", "iptables-save -c -t filter")).toContain(
      "[1:32] -A INPUT -m conntrack --ctstate NEW -j ACCEPT",
    );
  });
});

describe("masqueraded connections end", () => {
  test.each(["ip link set r1 down", "ip addr del 10.2.0.1/24 dev r1"])("on %s", (line) => {
    const sim = network("-t nat -A POSTROUTING -o r1 -j MASQUERADE");
    echo(sim, "server", "10.2.0.2", 53);
    ask(sim, "client", "10.2.0.2", 53);
    expect(run(sim, "router", "conntrack -C")).toBe("1\n");
    run(sim, "router", line);
    expect(run(sim, "router", "conntrack -C")).toBe("0\n");
  });

  test("but SNAT's do not", () => {
    const sim = network("-t nat -A POSTROUTING -o r1 -j SNAT --to-source 10.2.0.1");
    echo(sim, "server", "10.2.0.2", 53);
    ask(sim, "client", "10.2.0.2", 53);
    run(sim, "router", "ip link set r1 down");
    expect(run(sim, "router", "conntrack -C")).toBe("1\n");
  });
});
