import { expect, test } from "vitest";
import type { Errno } from "../../src/core/errno.js";
import { type Verdict } from "../../src/core/hooks.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { fib } from "../../src/inet/fib.js";
import { PingSocket } from "../../src/inet/ping.js";
import { connectTcp, listenTcp, type TcpConnection } from "../../src/inet/tcp-socket.js";
import { tcpTable } from "../../src/inet/tcp-table.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { later, seconds } from "../../src/sim/time.js";
import { IPV4_ANY } from "../../src/wire/ip.js";
import { TCP_ACK, TCP_RST, TCP_SYN } from "../../src/wire/tcp.js";
import {
  arrive,
  drops,
  host,
  ip,
  packet,
  received,
  routedLab,
  type RoutedLab,
  run,
  set,
  simulation,
} from "./inet-fixtures.js";

// What the application sees, the segments and their times are those of 6.18 (linux-datapath.md 7.1 to 7.6).

const SERVER = ip("10.2.0.2");
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function echoServer(lab: RoutedLab, port = 80): void {
  const listening = listenTcp(lab.server, { address: IPV4_ANY, port }, (connection) => {
    connection.onData = (data) => connection.send(data);
    connection.onClose = () => connection.close();
  });
  if (typeof listening === "string") throw new Error(listening);
}

/** Connects and tells how that ended. */
function connect(
  lab: RoutedLab,
  port = 80,
): { readonly connection: TcpConnection; readonly outcome: () => string } {
  const connection = connectTcp(lab.client, { address: SERVER, port });
  let outcome = connection.error ?? "waiting";
  connection.onConnected = () => (outcome = "connected");
  connection.onError = (errno) =>
    (outcome = `${errno} at ${Math.round(lab.sim.queue.now / 1e5) / 10} s`);
  return { connection, outcome: () => outcome };
}

/** Lets the router drop what comes to a host; `true` keeps it. */
function dropIn(lab: RoutedLab, keep: (count: number) => boolean, errno?: Errno): void {
  let count = 0;
  const verdict: Verdict = { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow", errno };
  lab.router.hooks.register("ipv4", {
    name: "test",
    hook: "FORWARD",
    priority: 0,
    run: () => (keep(count++) ? { kind: "accept" } : verdict),
  });
}

function flags(events: readonly TraceEvent[], dev: string): readonly string[] {
  return received(events, dev).map(
    (line) => `${/Flags \[([^\]]+)\]/.exec(line)?.[1]} ${/length (\d+)$/.exec(line)?.[1]}`,
  );
}

test("a connection is opened, carries data both ways and is closed in the segments that Linux sends", () => {
  const lab = routedLab();
  echoServer(lab);
  const { connection, outcome } = connect(lab);
  const got: string[] = [];
  connection.onConnected = () => connection.send(text("hello"));
  connection.onData = (data) => {
    got.push(new TextDecoder().decode(data));
    connection.close();
  };
  run(lab.sim);
  expect(got).toEqual(["hello"]);
  expect(outcome()).toBe("waiting");
  expect(flags(lab.events, "s0")).toEqual(["S 0", ". 0", "P. 5", ". 0", "F. 0", ". 0"]);
  expect(flags(lab.events, "c0")).toEqual(["S. 0", ". 0", "P. 5", "F. 0"]);
  expect(connection.state).toBe("TIME_WAIT");
  expect(tcpTable(lab.server).connections()).toEqual([]);
  lab.sim.runUntilIdle();
  expect(tcpTable(lab.client).connections()).toEqual([]);
  expect(lab.sim.packets.born).toBe(lab.sim.packets.delivered + lab.sim.packets.dropped);
});

test("SYN and SYN-ACK have the window, the options and the id of 6.18 at an MTU of 1500", () => {
  const lab = routedLab();
  echoServer(lab);
  connect(lab);
  run(lab.sim);
  const [syn] = received(lab.events, "s0");
  const [synAck] = received(lab.events, "c0");
  expect(syn).toMatch(
    /Flags \[S\], seq \d+, win 64240, options \[mss 1460,sackOK,TS val \d+ ecr 0,nop,wscale 10\], length 0$/,
  );
  expect(synAck).toMatch(
    /Flags \[S\.\], seq \d+, ack \d+, win 65160, options \[mss 1460,sackOK,TS val \d+ ecr \d+,nop,wscale 10\]/,
  );
  const answer = lab.events.find((event) => event.kind === "born" && event.by === "tcp accept");
  expect(answer).toMatchObject({ frame: { network: { id: 0, dontFragment: true, ttl: 64 } } });
  const asked = lab.events.find((event) => event.kind === "born" && event.by === "tcp connect");
  expect(answer).toMatchObject({ cause: asked?.kind === "born" ? asked.packet : -1 });
});

test("options that a sysctl switches off, or the peer does not know, are not used", () => {
  const lab = routedLab();
  echoServer(lab);
  set(lab.client, "net.ipv4.tcp_timestamps", 0);
  set(lab.client, "net.ipv4.tcp_sack", 0);
  set(lab.server, "net.ipv4.tcp_window_scaling", 0);
  connect(lab);
  run(lab.sim);
  expect(received(lab.events, "s0")[0]).toContain("options [mss 1460,nop,wscale 10]");
  expect(received(lab.events, "c0")[0]).toContain("win 64240, options [mss 1460]");
  expect(received(lab.events, "s0")[1]).toContain("win 64240, length 0");
});

test("over lo the segments are as large as its MTU allows", () => {
  const sim = simulation();
  const ns = host(sim, "h");
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  listenTcp(ns, { address: IPV4_ANY, port: 80 }, () => {});
  connectTcp(ns, { address: ip("127.0.0.1"), port: 80 });
  run(sim);
  expect(received(events, "lo")[0]).toContain("win 65495, options [mss 65495,");
  expect(received(events, "lo")[1]).toContain("win 65483, options [mss 65495,");
});

test("a closed port refuses at once with a reset of id 0; a reset is not answered", () => {
  const lab = routedLab();
  const { outcome } = connect(lab, 81);
  run(lab.sim);
  expect(outcome()).toBe("ECONNREFUSED at 0 s");
  expect(received(lab.events, "c0")[0]).toMatch(/Flags \[R\.\], seq 0, ack \d+, win 0, length 0$/);
  expect(drops(lab.events)).toEqual(["server NO_SOCKET tcp_v4_rcv"]);
  lab.events.length = 0;
  const segment = (flag: number): void => {
    const header = {
      kind: "tcp",
      sourcePort: 5,
      destinationPort: 81,
      sequence: 7,
      acknowledgment: 99,
      flags: flag,
      window: 0,
      urgent: 0,
      options: new Uint8Array(0),
    } as const;
    arrive(lab.server.device("s0"), packet({ protocol: 6 }, header));
    run(lab.sim);
  };
  segment(TCP_RST);
  expect(received(lab.events, "c0")).toEqual([]);
  segment(TCP_ACK);
  expect(received(lab.events, "c0")[0]).toContain("Flags [R], seq 99, win 0");
});

test("an unanswered SYN is sent at 0, 1, 2, 3, 4, 5, 7, 11, 19, 35 and 67 s and given up at 131 s", () => {
  const lab = routedLab();
  dropIn(lab, () => false);
  const { outcome } = connect(lab);
  lab.sim.runUntilIdle();
  const syns = lab.events.flatMap((event) =>
    event.kind === "born" && event.by === "tcp connect" ? [event.time / 1e6] : [],
  );
  expect(syns).toEqual([0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67]);
  expect(outcome()).toBe("ETIMEDOUT at 131 s");
});

test("a SYN-ACK that is not answered is sent five times more and then forgotten", () => {
  const lab = routedLab();
  echoServer(lab);
  dropIn(lab, (count) => count === 0);
  connect(lab).connection.abort();
  lab.sim.runUntilIdle();
  const sent = lab.events.flatMap((event) =>
    event.kind === "born" && event.by === "tcp accept" ? [Math.round(event.time / 1e6)] : [],
  );
  expect(sent).toEqual([0, 1, 3, 7, 15, 31]);
  expect(Math.round(lab.sim.queue.now / 1e6)).toBeGreaterThanOrEqual(63);
  expect(tcpTable(lab.server).connections()).toEqual([]);
});

test("data that nobody acknowledges is sent again at doubled distances and given up after a quarter of an hour", () => {
  const lab = routedLab();
  echoServer(lab);
  dropIn(lab, (count) => count < 3);
  const { connection, outcome } = connect(lab);
  connection.onConnected = () => connection.send(text("lost"));
  lab.sim.runUntilIdle();
  const again = lab.events.filter(
    (event) => event.kind === "born" && event.by === "tcp retransmission",
  );
  // A loss probe, and then timeouts until they have taken as long as 15 of the least length would.
  expect(again).toHaveLength(16);
  expect(outcome()).toBe("ETIMEDOUT at 928.9 s");
});

test("lost, doubled and disordered segments do not change what the program reads", () => {
  for (let seed = 1; seed <= 15; seed++) {
    const lab = routedLab(seed);
    lab.sim.trace = undefined;
    const sent = Uint8Array.from({ length: 40_000 }, (_, index) => (index * 7 + seed) & 255);
    const parts: number[] = [];
    let closed = false;
    listenTcp(lab.server, { address: IPV4_ANY, port: 80 }, (connection) => {
      connection.onData = (data) => parts.push(...data);
      connection.onClose = () => {
        closed = true;
        connection.close();
      };
    });
    dropIn(lab, () => lab.sim.random() > 0.15);
    const connection = connectTcp(lab.client, { address: SERVER, port: 80 });
    connection.onConnected = () => {
      connection.send(sent.subarray(0, 25_000));
      connection.send(sent.subarray(25_000));
      connection.close();
    };
    lab.sim.runUntilIdle();
    expect(closed).toBe(true);
    expect(Uint8Array.from(parts)).toEqual(sent);
    expect(lab.sim.packets.born).toBe(lab.sim.packets.delivered + lab.sim.packets.dropped);
    expect([...tcpTable(lab.client).connections(), ...tcpTable(lab.server).connections()]).toEqual(
      [],
    );
  }
});

test("what a route of the own host says, connect and send say at once", () => {
  const lab = routedLab();
  const tables = fib(lab.client);
  for (const [last, type] of [
    [1, "unreachable"],
    [2, "prohibit"],
    [3, "blackhole"],
  ] as const) {
    tables.add({ prefix: { address: ip(`10.9.0.${last}`), length: 32 }, type });
  }
  const tcp = (address: string): Errno | undefined =>
    connectTcp(lab.client, { address: ip(address), port: 1 }).error;
  const udp = (address: string): Errno | undefined =>
    new UdpSocket(lab.client).sendTo(text("x"), ip(address), 1);
  for (const ask of [tcp, udp]) {
    expect(["10.9.0.1", "10.9.0.2", "10.9.0.3"].map(ask)).toEqual([
      "EHOSTUNREACH",
      "EACCES",
      "EINVAL",
    ]);
  }
  tables.remove({ prefix: { address: ip("0.0.0.0"), length: 0 } });
  expect([
    tcp("10.8.0.1"),
    udp("10.8.0.1"),
    new UdpSocket(lab.client).connect(ip("10.8.0.1"), 1),
  ]).toEqual(["ENETUNREACH", "ENETUNREACH", "ENETUNREACH"]);
  expect([tcp("10.1.0.255"), udp("10.1.0.255"), tcp("224.0.0.1")]).toEqual([
    "ENETUNREACH",
    "EACCES",
    "ENETUNREACH",
  ]);
});

test("every ICMP unreachable ends a connect with its own errno, and none ends a connection", () => {
  const lab = routedLab();
  set(lab.router, "net.ipv4.icmp_ratemask", 0);
  const tables = fib(lab.router);
  const prefix = { address: SERVER, length: 32 };
  const under = (type: "unreachable" | "prohibit" | "throw"): string => {
    tables.add({ prefix, type });
    const { outcome } = connect(lab);
    run(lab.sim);
    tables.remove({ prefix });
    return outcome().split(" ")[0] ?? "";
  };
  expect([under("unreachable"), under("prohibit")]).toEqual(["EHOSTUNREACH", "EHOSTUNREACH"]);
  echoServer(lab);
  const { connection, outcome } = connect(lab);
  run(lab.sim);
  tables.add({ prefix, type: "unreachable" });
  connection.send(text("x"));
  run(lab.sim, 1);
  expect([outcome(), connection.softError]).toEqual(["connected", "EHOSTUNREACH"]);
});

test("a neighbour that does not answer ends a connect with EHOSTUNREACH after three seconds", () => {
  const lab = routedLab();
  const connection = connectTcp(lab.client, { address: ip("10.1.0.99"), port: 80 });
  let told = "";
  connection.onError = (errno) => (told = `${errno} at ${Math.round(lab.sim.queue.now / 1e6)} s`);
  lab.sim.runUntilIdle(later(lab.sim.queue.now, seconds(10)));
  expect(told).toBe("EHOSTUNREACH at 3 s");
});

test("a drop in OUTPUT is EPERM for a datagram and nothing for a connect", () => {
  const lab = routedLab();
  const verdict: Verdict = { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" };
  for (const hook of ["OUTPUT", "POSTROUTING"] as const) {
    const entry = { name: "test", hook, priority: 0, run: () => verdict };
    lab.client.hooks.register("ipv4", entry);
    expect(new UdpSocket(lab.client).sendTo(text("x"), SERVER, 53)).toBe("EPERM");
    expect(new PingSocket(lab.client).send(SERVER)).toBe("EPERM");
    const { connection, outcome } = connect(lab);
    expect([connection.error, outcome()]).toEqual([undefined, "waiting"]);
    connection.abort();
    lab.client.hooks.unregister("ipv4", entry);
  }
});

test("a connected datagram socket hears of a closed port once, an unconnected one never", () => {
  const lab = routedLab();
  const connected = new UdpSocket(lab.client);
  expect([connected.connect(SERVER, 53), connected.send(text("a"))]).toEqual([
    undefined,
    undefined,
  ]);
  const loose = new UdpSocket(lab.client);
  const heard: Errno[] = [];
  loose.onError = (errno) => heard.push(errno);
  loose.sendTo(text("b"), SERVER, 53);
  run(lab.sim);
  expect([connected.send(text("a")), connected.send(text("a"))]).toEqual([
    "ECONNREFUSED",
    undefined,
  ]);
  expect(heard).toEqual([]);
});

test("the socket that fits a datagram best gets it", () => {
  const lab = routedLab();
  const got: string[] = [];
  const server = (name: string, address: string, peer?: number): void => {
    const socket = new UdpSocket(lab.server);
    expect(socket.bind(ip(address), 53)).toBe(name === "refused" ? "EADDRINUSE" : undefined);
    if (peer !== undefined) socket.connect(ip("10.1.0.2"), peer);
    socket.onDatagram = () => got.push(name);
  };
  server("bound", "10.2.0.2");
  server("refused", "0.0.0.0");
  server("local", "127.0.0.1");
  const from = (port: number): void => {
    const socket = new UdpSocket(lab.client);
    socket.bind(IPV4_ANY, port);
    socket.sendTo(text("x"), SERVER, 53);
    run(lab.sim);
    socket.close();
  };
  from(7000);
  expect(got).toEqual(["bound"]);
  expect(new UdpSocket(lab.server).bind(ip("10.9.9.9"), 5)).toBe("EADDRNOTAVAIL");
  expect(new UdpSocket(lab.server, { uid: 1000 }).bind(IPV4_ANY, 53)).toBe("EACCES");
});

test("ports are chosen by seed: even ones for connections, any for datagrams, reserved ones never", () => {
  const ports = (seed: number): readonly number[] => {
    const lab = routedLab(seed);
    set(lab.client, "net.ipv4.ip_local_port_range", "40000 40007");
    set(lab.client, "net.ipv4.ip_local_reserved_ports", "40002");
    return Array.from({ length: 8 }, () => connect(lab).connection).map((connection) =>
      connection.error === undefined ? connection.localPort : 0,
    );
  };
  expect(ports(1)).toEqual(ports(1));
  const chosen = ports(1);
  expect(chosen.slice(0, 3).every((port) => port % 2 === 0)).toBe(true);
  expect([...chosen].sort((a, b) => a - b)).toEqual([
    0, 40_000, 40_001, 40_003, 40_004, 40_005, 40_006, 40_007,
  ]);
  const lab = routedLab();
  set(lab.client, "net.ipv4.ip_local_port_range", "40000 40000");
  expect([connect(lab).connection.error, connect(lab).connection.error]).toEqual([
    undefined,
    "EADDRNOTAVAIL",
  ]);
});

test("a reset inside the window is challenged, an exact one ends the connection, a SYN never does", () => {
  const lab = routedLab();
  echoServer(lab);
  const { connection, outcome } = connect(lab);
  run(lab.sim);
  const inject = (flag: number, offset: number): void => {
    lab.events.length = 0;
    const header = {
      kind: "tcp",
      sourcePort: 80,
      destinationPort: connection.localPort,
      sequence: (connection.in.next + offset) >>> 0,
      acknowledgment: connection.out.sent,
      flags: flag,
      window: 100,
      urgent: 0,
      options: new Uint8Array(0),
    } as const;
    arrive(
      lab.client.device("c0"),
      packet({ protocol: 6, source: SERVER, destination: ip("10.1.0.2") }, header),
    );
    run(lab.sim, 1);
  };
  inject(TCP_SYN, 0);
  expect([drops(lab.events), flags(lab.events, "s0")]).toEqual([
    ["client TCP_INVALID_SYN tcp_validate_incoming"],
    [". 0"],
  ]);
  inject(TCP_RST, 100);
  expect([drops(lab.events), flags(lab.events, "s0")]).toEqual([
    ["client TCP_RESET tcp_validate_incoming"],
    [". 0"],
  ]);
  inject(TCP_RST, -100);
  expect([drops(lab.events), flags(lab.events, "s0"), outcome()]).toEqual([
    ["client TCP_OLD_SEQUENCE tcp_validate_incoming"],
    [],
    "connected",
  ]);
  inject(TCP_RST, 0);
  expect(outcome()).toMatch(/^ECONNRESET/);
});

test("closing with unread data resets; data for a closed socket is answered with a reset", () => {
  const lab = routedLab();
  const accepted: TcpConnection[] = [];
  listenTcp(lab.server, { address: IPV4_ANY, port: 80 }, (connection) => accepted.push(connection));
  const { connection, outcome } = connect(lab);
  run(lab.sim);
  connection.send(text("nobody reads this"));
  run(lab.sim);
  accepted[0]?.close();
  run(lab.sim);
  expect(outcome()).toMatch(/^ECONNRESET/);
  expect(flags(lab.events, "c0").at(-1)).toBe("R. 0");
  const second = connect(lab);
  run(lab.sim);
  accepted[1]?.close();
  run(lab.sim);
  second.connection.send(text("late"));
  run(lab.sim);
  expect(flags(lab.events, "c0").at(-1)).toBe("R 0");
  expect(drops(lab.events)).toContain("server TCP_ABORT_ON_DATA tcp_rcv_state_process");
});

test("a datagram that is too big leaves in pieces without DF and arrives whole; a router cuts it again", () => {
  const lab = routedLab();
  lab.router.device("r1").mtu = 600;
  lab.router.notify("mtu", lab.router.device("r1"));
  const server = new UdpSocket(lab.server);
  server.bind(IPV4_ANY, 53);
  const got: Uint8Array[] = [];
  server.onDatagram = (datagram) => got.push(datagram.data);
  const data = Uint8Array.from({ length: 3000 }, (_, index) => index & 255);
  const client = new UdpSocket(lab.client);
  client.sendTo(data, SERVER, 53);
  run(lab.sim);
  expect(got).toEqual([data]);
  expect(
    lab.events.some(
      (event) =>
        event.kind === "device" &&
        event.frame.network?.kind === "ipv4" &&
        event.frame.network.dontFragment,
    ),
  ).toBe(false);
  lab.sim.runUntilIdle();
  expect(lab.sim.packets.born).toBe(lab.sim.packets.delivered + lab.sim.packets.dropped);
});

test("a smaller MTU on the way is learned: EMSGSIZE once for a datagram, smaller segments for a connection", () => {
  const lab = routedLab();
  lab.router.device("r1").mtu = 1000;
  lab.router.notify("mtu", lab.router.device("r1"));
  const server = new UdpSocket(lab.server);
  server.bind(IPV4_ANY, 53);
  const lengths: number[] = [];
  server.onDatagram = (datagram) => lengths.push(datagram.data.length);
  const client = new UdpSocket(lab.client);
  client.connect(SERVER, 53);
  const big = new Uint8Array(1200);
  const results = [1, 2, 3].map(() => {
    const result = client.send(big);
    run(lab.sim);
    return result;
  });
  expect(results).toEqual([undefined, "EMSGSIZE", undefined]);
  expect(lengths).toEqual([1200]);
  const other = routedLab();
  other.router.device("r1").mtu = 1000;
  other.router.notify("mtu", other.router.device("r1"));
  let read = 0;
  listenTcp(other.server, { address: IPV4_ANY, port: 80 }, (connection) => {
    connection.onData = (data) => (read += data.length);
  });
  const { connection } = connect(other);
  connection.onConnected = () => connection.send(new Uint8Array(5000));
  run(other.sim);
  expect(read).toBe(5000);
  expect(connection.out.mss).toBe(1000 - 40 - 12);
});

test("pieces of which one is missing are given up after 30 s, and the sender is told", () => {
  const lab = routedLab();
  const router = lab.router.device("r0");
  arrive(
    router,
    packet(
      { destination: ip("10.1.0.1"), moreFragments: true, id: 9 },
      undefined,
      new Uint8Array(16),
    ),
  );
  run(lab.sim, 31);
  expect(drops(lab.events)).toContain("router FRAG_REASM_TIMEOUT ip_expire");
  expect(received(lab.events, "c0")[0]).toContain("ICMP ip reassembly time exceeded");
});
