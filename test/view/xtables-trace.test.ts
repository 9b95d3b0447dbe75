import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import type { Simulation } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { familyOf } from "../../src/inet/families.js";
import { PingSocket } from "../../src/inet/ping.js";
import { connectTcp } from "../../src/inet/tcp-socket.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { later, seconds } from "../../src/sim/time.js";
import { runTool } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";
import { formatXtablesTrace } from "../../src/view/xtables-trace.js";
import { type Ipv4, type Ipv6, parseIpv4, parseIpv6 } from "../../src/wire/ip.js";
import { build } from "../tools/tool-fixtures.js";

interface Recorded {
  readonly rules: string;
  readonly lines: readonly string[];
}

const golden = JSON.parse(
  readFileSync(new URL("../golden/xtables-trace.json", import.meta.url), "utf8"),
) as Readonly<Record<"nft" | "legacy" | "nft6" | "legacy6", Recorded>>;

const address = (text: string): Ipv4 => parseIpv4(text) ?? (0 as Ipv4);

/** A client, a server that forwards, and a host behind it; the packets of the recording. */
function eventsOf(rules: string, variant: "nft" | "legacy"): readonly TraceEvent[] {
  const sim = createLinux({ seed: 1 });
  build(
    sim,
    `ip netns add client
    ip netns add server
    ip netns add behind
    ip link add c0 netns client address 02:00:00:00:00:0a type veth peer name s0 netns server address 02:00:00:00:00:01
    ip link add b0 netns behind address 02:00:00:00:00:0b type veth peer name s1 netns server address 02:00:00:00:00:02
    client: ip addr add 10.1.0.2/24 dev c0
    server: ip addr add 10.1.0.1/24 dev s0
    server: ip addr add 10.2.0.1/24 dev s1
    behind: ip addr add 10.2.0.2/24 dev b0
    client: ip link set c0 up
    server: ip link set s0 up
    server: ip link set s1 up
    behind: ip link set b0 up
    client: ip route add default via 10.1.0.1
    client: ip route add 10.1.0.9/32 via 10.1.0.1
    behind: ip route add default via 10.2.0.1
    server: sysctl -qw net.ipv4.ip_forward=1`,
  );
  const program = variant === "nft" ? "iptables-restore" : "iptables-legacy-restore";
  const loaded = runTool(sim, { ns: "server", argv: [program], stdin: rules });
  expect(loaded).toEqual({ code: 0, stdout: "", stderr: "" });
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  send(sim);
  return events;
}

function send(sim: Simulation): void {
  const client = sim.namespaces.get("client");
  if (client === undefined) throw new Error("no client");
  const wait = (): void => sim.runUntilIdle(later(sim.queue.now, seconds(0.3)));
  const udp = new UdpSocket(client);
  udp.bind(address("10.1.0.2"), 4_000);
  for (const to of ["10.1.0.1", "10.1.0.9"]) {
    udp.sendTo(new TextEncoder().encode("hello"), address(to), 53);
    wait();
  }
  connect(client);
  wait();
  new PingSocket(client).send(address("10.1.0.1"), { data: new Uint8Array(56) });
  wait();
}

function connect(client: NetworkNamespace): void {
  connectTcp(client, { address: address("10.1.0.1"), port: 80, sourcePort: 4_001 });
}

/** The same over IPv6. */
function events6Of(rules: string, variant: "nft" | "legacy"): readonly TraceEvent[] {
  const sim = createLinux({ seed: 1 });
  build(
    sim,
    `ip netns add client
    ip netns add server
    ip netns add behind
    ip link add c0 netns client address 02:00:00:00:00:0a type veth peer name s0 netns server address 02:00:00:00:00:01
    ip link add b0 netns behind address 02:00:00:00:00:0b type veth peer name s1 netns server address 02:00:00:00:00:02
    client: sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 net.ipv6.conf.c0.accept_dad=0 net.ipv6.auto_flowlabels=0 net.ipv4.tcp_timestamps=0
    server: sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 net.ipv6.conf.s0.accept_dad=0 net.ipv6.auto_flowlabels=0
    behind: sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 net.ipv6.auto_flowlabels=0
    client: ip addr add 2001:db8:1::2/64 dev c0
    server: ip addr add 2001:db8:1::1/64 dev s0
    server: ip addr add 2001:db8:2::1/64 dev s1
    behind: ip addr add 2001:db8:2::2/64 dev b0
    client: ip link set lo up
    server: ip link set lo up
    client: ip link set c0 up
    server: ip link set s0 up
    server: ip link set s1 up
    behind: ip link set b0 up
    client: ip route add default via 2001:db8:1::1
    behind: ip route add default via 2001:db8:2::1
    server: sysctl -qw net.ipv6.conf.all.forwarding=1`,
  );
  const program = variant === "nft" ? "ip6tables-restore" : "ip6tables-legacy-restore";
  const loaded = runTool(sim, { ns: "server", argv: [program], stdin: rules });
  expect(loaded).toEqual({ code: 0, stdout: "", stderr: "" });
  sim.runUntilIdle(later(sim.queue.now, seconds(3)));
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  send6(sim);
  return events;
}

function send6(sim: Simulation): void {
  const client = sim.namespaces.get("client");
  if (client === undefined) throw new Error("no client");
  const wait = (): void => sim.runUntilIdle(later(sim.queue.now, seconds(0.3)));
  const udp = new UdpSocket(client, {}, familyOf(address6("2001:db8:1::2")));
  udp.bind(address6("2001:db8:1::2"), 4_000);
  for (const to of ["2001:db8:1::1", "2001:db8:2::2"]) {
    udp.sendTo(new TextEncoder().encode("hello"), address6(to), 53);
    wait();
  }
  connectTcp(client, { address: address6("2001:db8:1::1"), port: 80, sourcePort: 4_001 });
  wait();
  new PingSocket(client).send(address6("2001:db8:1::1"), { data: new Uint8Array(56) });
  wait();
}

const address6 = (text: string): Ipv6 => parseIpv6(text) ?? (0n as Ipv6);

/** Without neighbour discovery, which the recording leaves out. */
function withoutLinkTalk(events: readonly TraceEvent[]): readonly TraceEvent[] {
  return events.filter((event) => {
    const network = "frame" in event ? event.frame.network : undefined;
    return network?.kind !== "ipv6" || network.hopLimit !== 255;
  });
}

/** As the recording is masked: packet ids in order, IP ids away. */
function masked(text: string): readonly string[] {
  const ids = new Map<string, string>();
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) =>
      line
        .replace(/: (2|10) ([0-9a-f]{8}) /, (_, family: string, id: string) => {
          if (!ids.has(id)) ids.set(id, `P${ids.size + 1}`);
          return `: ${family} ${ids.get(id) ?? ""} `;
        })
        .replace(/ ID=\d+ /, " ID=N "),
    );
}

describe("a trace as the kernel tells it", () => {
  it("is for the nft variant what xtables-monitor printed", () => {
    const { rules, lines } = golden.nft;
    expect(masked(formatXtablesTrace(eventsOf(rules, "nft")))).toEqual(lines);
  });

  it("is for the legacy variant what the log had of table, chain, rule, devices and header", () => {
    const { rules, lines } = golden.legacy;
    const told = formatXtablesTrace(eventsOf(rules, "legacy"))
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.replace(/ MAC=[0-9a-f:]+/, "").replace(/ ID=\d+/, ""))
      .map((line) => line.replace(/(PROTO=\w+) .*$/, "$1"));
    expect(told).toEqual(lines);
  });
});

describe("a trace of IPv6 packets as the kernel tells it", () => {
  it("is for the nft variant what xtables-monitor printed", () => {
    const { rules, lines } = golden.nft6;
    expect(masked(formatXtablesTrace(withoutLinkTalk(events6Of(rules, "nft"))))).toEqual(lines);
  });

  it("is for the legacy variant what the log had of table, chain, rule, devices and header", () => {
    const { rules, lines } = golden.legacy6;
    const told = formatXtablesTrace(events6Of(rules, "legacy"))
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.replace(/ MAC=[0-9a-f:]+/, ""))
      .map((line) => line.replace(/(?<!\[.*)(PROTO=\w+) .*$/, "$1"));
    expect(told).toEqual(lines);
  });

  it("tells extension headers, and the packet that an error is about", () => {
    const { rules } = golden.legacy6;
    const text = formatXtablesTrace(events6Of(rules, "legacy"));
    expect(text).toMatch(
      /^TRACE: raw:OUTPUT:policy:3 IN= OUT=s0 SRC=2001:0db8:0001:0000:0000:0000:0000:0001 DST=\S+ LEN=101 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=ICMPv6 TYPE=1 CODE=4 \[SRC=2001:0db8:0001:0000:0000:0000:0000:0002 DST=\S+ LEN=53 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=UDP SPT=4000 DPT=53 LEN=13 \] $/m,
    );
  });
});

describe("without -j TRACE", () => {
  it("every packet is told, from its first table on, under the name of its namespace", () => {
    const rules = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p icmp -j RETURN\nCOMMIT\n";
    const text = formatXtablesTrace(eventsOf(rules, "legacy"));
    const [first, second, ...rest] = text.split("\n");
    expect(first).toBe("# server");
    expect(second).toMatch(
      /^TRACE: filter:INPUT:policy:2 IN=s0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:0a:08:00 SRC=10\.1\.0\.2 DST=10\.1\.0\.1 LEN=33 TOS=0x00 PREC=0x00 TTL=64 ID=\d+ DF PROTO=UDP SPT=4000 DPT=53 LEN=13 $/,
    );
    // RETURN in a base chain: the rule, and the policy's entry behind all rules.
    expect(
      rest.filter((line) => / IN=s0 .*PROTO=ICMP/.test(line)).map((line) => line.slice(7, 28)),
    ).toEqual(["filter:INPUT:rule:1 I", "filter:INPUT:policy:2"]);
  });

  it("a SYN is told with sequence, window, flags and options", () => {
    const text = formatXtablesTrace(eventsOf("*filter\nCOMMIT\n*raw\nCOMMIT\n", "legacy"));
    expect(text).toMatch(
      /PROTO=TCP SPT=4001 DPT=80 SEQ=\d+ ACK=0 WINDOW=64240 RES=0x00 SYN URGP=0 OPT \(020405B4[0-9A-F]+\) $/m,
    );
  });
});
