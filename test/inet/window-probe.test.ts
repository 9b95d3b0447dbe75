import { beforeEach, expect, test } from "vitest";
import type { Simulation } from "../../src/core/simulation.js";
import { connectTcp, type TcpConnection } from "../../src/inet/tcp-socket.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { IPV4_ANY, parseIpv4 } from "../../src/wire/ip.js";
import { TCP_FIN } from "../../src/wire/tcp.js";
import { build } from "../tools/tool-fixtures.js";

interface Sent {
  readonly at: number;
  readonly by: string;
  readonly fin: boolean;
}

let sim: Simulation;
let client: TcpConnection;
let sent: Sent[];
let errors: string[];

/** A client whose SYN a proxy answers without a window, because the server behind it says nothing. */
beforeEach(() => {
  sim = createLinux({ seed: 3 });
  build(
    sim,
    `ip netns add c
    ip netns add s
    ip link add eth0 netns c type veth peer name eth0 netns s
    c: ip link set eth0 up
    s: ip link set eth0 up
    c: ip addr add 10.0.1.2/24 dev eth0
    s: ip addr add 10.0.1.1/24 dev eth0
    c: sysctl -qw net.ipv4.tcp_retries2=4
    s: sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
    s: iptables -t raw -A PREROUTING -i eth0 -p tcp --syn -j CT --notrack
    s: iptables -A INPUT -i lo -j DROP
    s: iptables -A INPUT -p tcp -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY --mss 1460`,
  );
  const ns = sim.namespaces.get("c");
  if (ns === undefined) throw new Error("no client");
  sent = [];
  errors = [];
  sim.trace = (event) => {
    if (event.kind !== "born" || event.ns !== "c" || !event.by.startsWith("tcp")) return;
    const { transport } = event.frame;
    const fin = transport?.kind === "tcp" && (transport.flags & TCP_FIN) !== 0;
    sent.push({ at: sim.queue.now, by: event.by, fin });
  };
  client = connectTcp(ns, { address: parseIpv4("10.0.1.1") ?? IPV4_ANY, port: 80 });
  client.onError = (errno) => errors.push(errno);
  sim.runUntilIdle(later(sim.queue.now, seconds(0.1)));
  sent.length = 0;
});

test("data behind a closed window waits, and questions go out at doubled distances until nobody believes any more", () => {
  client.send(new TextEncoder().encode("hello"));
  const start = sim.queue.now;
  sim.runUntilIdle(later(start, seconds(20)));
  const probes = sent.filter(({ by }) => by === "tcp window probe").map(({ at }) => at - start);
  expect(sent.every(({ by }) => by === "tcp window probe")).toBe(true);
  const [first = 0] = probes;
  expect(first).toBeGreaterThanOrEqual(200_000);
  expect(probes.map((at) => Math.round(at / first))).toEqual([1, 3, 7, 15]);
  expect(errors).toEqual(["ETIMEDOUT"]);
});

test("a FIN waits for room in the window as data does", () => {
  client.shutdown();
  sim.runUntilIdle(later(sim.queue.now, seconds(1)));
  expect(sent.map(({ by, fin }) => `${by}${fin ? " with FIN" : ""}`)).toEqual([
    "tcp window probe",
    "tcp window probe",
  ]);
});
