import { expect, test } from "vitest";
import type { TraceEvent } from "../../src/core/trace.js";
import { fib } from "../../src/inet/fib.js";
import { PingSocket } from "../../src/inet/ping.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { IPV4_ANY } from "../../src/wire/ip.js";
import { ICMP_ECHO } from "../../src/wire/icmp.js";
import type { UdpHeader } from "../../src/wire/udp.js";
import {
  arrive,
  cable,
  drops,
  give,
  host,
  ip,
  listen,
  packet,
  received,
  route,
  routedLab,
  type RoutedLab,
  run,
  set,
  simulation,
} from "./inet-fixtures.js";

// The order of the checks and every reason and ICMP message were observed on 6.18 (linux-datapath.md 3.1, 3.2, 3.5, 3.6).

/** As routedLab, with a server that takes what comes to port 53 and says nothing. */
function sinkLab(): RoutedLab {
  const lab = routedLab();
  new UdpSocket(lab.server).bind(IPV4_ANY, 53);
  return lab;
}

const UDP: UdpHeader = { kind: "udp", sourcePort: 1000, destinationPort: 53 };

/** What a packet that arrives at the router's r0 comes to: its drop, and what the client hears. */
function fate(
  lab: RoutedLab,
  fields: Parameters<typeof packet>[0],
  type: "HOST" | "BROADCAST" | "OTHERHOST" = "HOST",
): readonly string[] {
  lab.events.length = 0;
  arrive(lab.router.device("r0"), packet(fields, UDP, new Uint8Array(10)), type);
  run(lab.sim);
  return [
    ...drops(lab.events).filter((line) => line.startsWith("router")),
    ...received(lab.events, "c0"),
  ];
}

test("what cannot come from a neighbour is dropped without a word, in the kernel's order", () => {
  const lab = sinkLab();
  expect(fate(lab, {}, "OTHERHOST")).toEqual(["router OTHERHOST ip_rcv_core"]);
  expect(fate(lab, { checksumError: 5 })).toEqual(["router IP_CSUM ip_rcv_core"]);
  expect(fate(lab, { source: ip("224.0.0.9") })).toEqual([
    "router IP_INVALID_SOURCE ip_rcv_finish_core",
  ]);
  expect(fate(lab, { source: ip("255.255.255.255") })).toEqual([
    "router IP_INVALID_SOURCE ip_rcv_finish_core",
  ]);
  expect(fate(lab, { source: ip("0.0.0.0") })).toEqual([
    "router IP_INVALID_SOURCE ip_rcv_finish_core",
  ]);
  expect(fate(lab, { destination: ip("0.0.0.0") })).toEqual([
    "router IP_INVALID_DEST ip_rcv_finish_core",
  ]);
  expect(fate(lab, { destination: ip("127.0.0.1") })).toEqual([
    "router IP_LOCALNET ip_rcv_finish_core",
  ]);
  expect(fate(lab, { source: ip("127.0.0.1") })).toEqual(["router IP_LOCALNET ip_rcv_finish_core"]);
  expect(fate(lab, { source: ip("10.2.0.1") })).toEqual([
    "router IP_LOCAL_SOURCE ip_rcv_finish_core",
  ]);
  expect(fate(lab, { destination: ip("239.1.1.1") })).toEqual([
    "router NOT_SPECIFIED ip_rcv_finish_core",
  ]);
  expect(fate(lab, { source: ip("0.1.2.3"), destination: ip("10.2.0.2") })).toEqual([]);
});

test("a unicast packet in a broadcast frame is delivered here but never forwarded nor answered with an error", () => {
  const lab = routedLab();
  expect(fate(lab, {}, "BROADCAST")).toEqual(["router NOT_SPECIFIED ip_forward"]);
  expect(fate(lab, { destination: ip("10.1.0.1") }, "BROADCAST")).toEqual([
    "router NO_SOCKET __udp4_lib_rcv",
  ]);
  set(lab.router, "net.ipv4.conf.r0.drop_unicast_in_l2_multicast", 1);
  expect(fate(lab, { destination: ip("10.1.0.1") }, "BROADCAST")).toEqual([
    "router UNICAST_IN_L2_MULTICAST ip_rcv_finish_core",
  ]);
});

test("TTL is checked when forwarding and not when delivering; no route comes before it, the MTU after", () => {
  const lab = routedLab();
  set(lab.router, "net.ipv4.icmp_ratemask", 0);
  fib(lab.router).remove({ prefix: { address: ip("0.0.0.0"), length: 0 } });
  expect(fate(lab, { ttl: 1 })).toEqual([
    "router IP_INHDR ip_forward",
    "IP 10.1.0.1 > 10.1.0.2: ICMP time exceeded in-transit, length 46",
  ]);
  expect(fate(lab, { ttl: 1, destination: ip("10.9.9.9") })).toEqual([
    "router IP_INNOROUTES ip_error",
    "IP 10.1.0.1 > 10.1.0.2: ICMP net 10.9.9.9 unreachable, length 46",
  ]);
  expect(fate(lab, { ttl: 0, destination: ip("10.1.0.1") })[0]).toBe(
    "router NO_SOCKET __udp4_lib_rcv",
  );
  lab.router.device("r1").mtu = 32;
  lab.router.notify("mtu", lab.router.device("r1"));
  expect(fate(lab, { ttl: 1, dontFragment: true })[0]).toBe("router IP_INHDR ip_forward");
  expect(fate(lab, { dontFragment: true })).toEqual([
    "router PKT_TOO_BIG ip_forward",
    "IP 10.1.0.1 > 10.1.0.2: ICMP 10.2.0.2 unreachable - need to frag (mtu 32), length 46",
  ]);
});

test("each type of route answers a forwarded packet in its own way", () => {
  const lab = routedLab();
  set(lab.router, "net.ipv4.icmp_ratemask", 0);
  const tables = fib(lab.router);
  for (const [last, type] of [
    [1, "unreachable"],
    [2, "prohibit"],
    [3, "blackhole"],
    [4, "throw"],
  ] as const) {
    tables.add({ prefix: { address: ip(`10.9.0.${last}`), length: 32 }, type });
  }
  const to = (last: number): readonly string[] => fate(lab, { destination: ip(`10.9.0.${last}`) });
  expect(to(1)).toEqual([
    "router NOT_SPECIFIED ip_error",
    "IP 10.1.0.1 > 10.1.0.2: ICMP host 10.9.0.1 unreachable, length 46",
  ]);
  expect(to(2)).toEqual([
    "router NOT_SPECIFIED ip_error",
    "IP 10.1.0.1 > 10.1.0.2: ICMP host 10.9.0.2 unreachable - admin prohibited filter, length 46",
  ]);
  expect(to(3)).toEqual(["router NOT_SPECIFIED ip_error"]);
  expect(to(4)).toEqual([
    "router IP_INNOROUTES ip_error",
    "IP 10.1.0.1 > 10.1.0.2: ICMP net 10.9.0.4 unreachable, length 46",
  ]);
  set(lab.router, "net.ipv4.ip_forward", 0);
  expect(to(1)).toEqual(["router IP_INADDRERRORS ip_error"]);
  expect(fate(lab, {})).toEqual(["router IP_INADDRERRORS ip_error"]);
});

test("ip_forward is the flag of every device, and turns the acceptance of redirects around", () => {
  const lab = routedLab();
  const read = (name: string): string | undefined => lab.router.sysctls.find(name)?.get();
  expect(
    ["r0", "r1", "lo", "default", "all"].map((dev) => read(`net.ipv4.conf.${dev}.forwarding`)),
  ).toEqual(["1", "1", "1", "1", "1"]);
  expect(read("net.ipv4.conf.all.accept_redirects")).toBe("0");
  set(lab.router, "net.ipv4.conf.r0.forwarding", 0);
  expect(fate(lab, {})).toEqual(["router IP_INADDRERRORS ip_error"]);
  set(lab.router, "net.ipv4.conf.all.forwarding", 0);
  expect(read("net.ipv4.conf.all.accept_redirects")).toBe("1");
  expect(read("net.ipv4.ip_forward")).toBe("0");
});

test("the reverse path filter is strict with 1, loose with 2, and the larger of all and the device counts", () => {
  const lab = sinkLab();
  fib(lab.router).add({
    prefix: { address: ip("10.3.0.0"), length: 16 },
    nexthops: [{ gateway: ip("10.2.0.9") }],
  });
  const through = (source: string): readonly string[] => fate(lab, { source: ip(source) });
  set(lab.router, "net.ipv4.conf.all.rp_filter", 1);
  expect(through("10.3.0.1")).toEqual(["router IP_RPFILTER ip_rcv_finish_core"]);
  expect(through("10.99.0.1")).toEqual(["router IP_RPFILTER ip_rcv_finish_core"]);
  set(lab.router, "net.ipv4.conf.r0.rp_filter", 2);
  expect(through("10.3.0.1")).toEqual([]);
  expect(through("10.99.0.1")).toEqual(["router IP_RPFILTER ip_rcv_finish_core"]);
  set(lab.router, "net.ipv4.conf.all.rp_filter", 0);
  set(lab.router, "net.ipv4.conf.r0.rp_filter", 0);
  expect(through("10.99.0.1")).toEqual([]);
});

test("one custom rule turns the check for own addresses into the full one", () => {
  const lab = sinkLab();
  expect(fate(lab, { source: ip("10.1.0.255") })).toEqual([]);
  fib(lab.router).addRule({ action: "nop", priority: 100 });
  expect(fate(lab, { source: ip("10.1.0.255") })).toEqual([
    "router IP_INVALID_SOURCE ip_rcv_finish_core",
  ]);
});

function errorsTo(events: readonly TraceEvent[], dev: string): readonly number[] {
  return events.flatMap((event) => {
    if (event.kind !== "device" || event.direction !== "rx" || event.dev !== dev) return [];
    return event.frame.transport?.kind === "icmp" && event.frame.transport.type === 11
      ? [Math.round(event.time / 1e6)]
      : [];
  });
}

test("six errors in a burst and then one a second; routing errors pay twice out of the same bucket", () => {
  const lab = routedLab();
  run(lab.sim, 10);
  const burst = (count: number, fields: Parameters<typeof packet>[0]): number => {
    let heard = 0;
    for (let sent = 0; sent < count; sent++)
      heard += fate(lab, fields).filter((line) => line.includes("ICMP")).length;
    return heard;
  };
  expect(burst(20, { ttl: 1 })).toBe(6);
  run(lab.sim, 60);
  lab.events.length = 0;
  for (let sent = 0; sent < 20; sent++) arrive(lab.router.device("r0"), packet({ ttl: 1 }, UDP));
  run(lab.sim);
  expect(errorsTo(lab.events, "c0")).toHaveLength(6);
  run(lab.sim, 60);
  lab.events.length = 0;
  for (let sent = 0; sent < 20; sent++)
    arrive(lab.router.device("r0"), packet({ destination: ip("10.9.9.9") }, UDP));
  run(lab.sim);
  expect(received(lab.events, "c0")).toHaveLength(2);
  run(lab.sim, 60);
  // Once a second the refill is burnt by the attempt itself; every 2.2 s all are answered.
  const every = (seconds: number): number => {
    let heard = 0;
    for (let sent = 0; sent < 8; sent++) {
      heard += fate(lab, { destination: ip("10.9.9.9") }).filter((line) =>
        line.includes("ICMP"),
      ).length;
      run(lab.sim, seconds - 0.05);
    }
    return heard;
  };
  expect(every(2.2)).toBe(8);
});

test("about fifty errors leave a namespace at once, whomever they are for", () => {
  const lab = routedLab();
  run(lab.sim, 10);
  lab.events.length = 0;
  for (let sent = 0; sent < 300; sent++) {
    const fields = { source: ip(`10.5.${sent >> 8}.${sent & 255}`), ttl: 1 };
    arrive(lab.router.device("r0"), packet(fields, UDP));
  }
  const made = lab.events.filter(
    (event) => event.kind === "born" && event.by === "icmp error",
  ).length;
  // They go back by the default route, which the router does not have: give it one.
  expect(made).toBe(0);
  route(lab.router, "default", "10.1.0.2");
  for (let sent = 0; sent < 300; sent++)
    arrive(
      lab.router.device("r0"),
      packet({ source: ip(`10.6.${sent >> 8}.${sent & 255}`), ttl: 1 }, UDP),
    );
  const after = lab.events.filter(
    (event) => event.kind === "born" && event.by === "icmp error",
  ).length;
  expect(after).toBeGreaterThanOrEqual(40);
  expect(after).toBeLessThanOrEqual(60);
});

test("no error is sent about an ICMP error, a later fragment or a packet to a broadcast address", () => {
  const lab = routedLab();
  const silent = (frame: ReturnType<typeof packet>): readonly string[] => {
    lab.events.length = 0;
    arrive(lab.router.device("r0"), frame);
    run(lab.sim);
    return received(lab.events, "c0");
  };
  expect(
    silent(packet({ ttl: 1, protocol: 1 }, { kind: "icmp", type: 3, code: 1, rest: 0 })),
  ).toEqual([]);
  expect(silent(packet({ ttl: 1, fragmentOffset: 8 }, undefined, new Uint8Array(8)))).toEqual([]);
  expect(silent(packet({ destination: ip("10.1.0.255") }, UDP))).toEqual([]);
  expect(
    silent(packet({ ttl: 1, protocol: 1 }, { kind: "icmp", type: ICMP_ECHO, code: 0, rest: 1 })),
  ).toHaveLength(1);
});

test("an error quotes at most 548 bytes, with TOS 0xc0 and without DF", () => {
  const lab = routedLab();
  lab.events.length = 0;
  arrive(
    lab.router.device("r0"),
    packet({ ttl: 1, tos: 0x10, dontFragment: true }, UDP, new Uint8Array(1000)),
  );
  run(lab.sim);
  const error = lab.events.find((event) => event.kind === "born" && event.by === "icmp error");
  if (error?.kind !== "born" || error.frame.network?.kind !== "ipv4")
    throw new Error("no error was sent");
  expect(error.frame.payload).toHaveLength(548);
  expect(error.frame.network).toMatchObject({
    tos: 0xd0,
    dontFragment: false,
    ttl: 64,
    source: ip("10.1.0.1"),
  });
  expect(error.frame.payload[8]).toBe(1);
});

test("an error about a packet for this host comes from the address it was sent to", () => {
  const lab = routedLab();
  expect(fate(lab, { destination: ip("10.2.0.1") })).toEqual([
    "router NO_SOCKET __udp4_lib_rcv",
    "IP 10.2.0.1 > 10.1.0.2: ICMP 10.2.0.1 udp port 53 unreachable, length 46",
  ]);
  expect(fate(lab, { destination: ip("10.2.0.1"), protocol: 50 })[0]).toBe(
    "router IP_NOPROTO ip_protocol_deliver_rcu",
  );
});

test("a packet that leaves by the device it came by brings its sender a redirect and is forwarded", () => {
  const sim = simulation();
  const [client, router] = [host(sim, "client"), host(sim, "router")];
  cable(sim, [client, "c0", "10.1.0.2/24"], [router, "r0", "10.1.0.1/24"]);
  set(router, "net.ipv4.ip_forward", 1);
  route(router, "10.7.0.0/16", "10.1.0.3");
  const events = listen(sim);
  arrive(router.device("r0"), packet({ destination: ip("10.7.0.1") }, UDP));
  run(sim);
  expect(received(events, "c0")).toEqual([
    "IP 10.1.0.1 > 10.1.0.2: ICMP redirect 10.7.0.1 to host 10.1.0.3, length 36",
  ]);
  expect(events.some((event) => event.kind === "route" && event.via === "10.1.0.3")).toBe(true);
});

test("echo to a broadcast address is ignored unless that is switched off; echo can be ignored altogether", () => {
  const lab = routedLab();
  const echo = (destination: string): readonly string[] => {
    lab.events.length = 0;
    arrive(
      lab.router.device("r0"),
      packet(
        { destination: ip(destination), protocol: 1 },
        { kind: "icmp", type: ICMP_ECHO, code: 0, rest: 0x70001 },
      ),
    );
    run(lab.sim);
    return [...drops(lab.events), ...received(lab.events, "c0")];
  };
  const unasked = "client NO_SOCKET ping_rcv";
  expect(echo("10.1.0.255")).toEqual(["router INVALID_PROTO icmp_rcv"]);
  set(lab.router, "net.ipv4.icmp_echo_ignore_broadcasts", 0);
  expect(echo("10.1.0.255")).toEqual([
    unasked,
    "IP 10.1.0.1 > 10.1.0.2: ICMP echo reply, id 7, seq 1, length 8",
  ]);
  expect(echo("10.2.0.1")).toEqual([
    unasked,
    "IP 10.2.0.1 > 10.1.0.2: ICMP echo reply, id 7, seq 1, length 8",
  ]);
  set(lab.router, "net.ipv4.icmp_echo_ignore_all", 1);
  expect(echo("10.2.0.1")).toEqual([]);
});

test("127.0.0.0/8 answers through lo, from 127.0.0.1 unless another is named", () => {
  const sim = simulation();
  const ns = host(sim, "h");
  const events = listen(sim);
  const socket = new PingSocket(ns);
  const replies: string[] = [];
  socket.onReply = (reply) => replies.push(`${reply.source} ttl ${reply.ttl}`);
  expect(socket.send(ip("127.9.9.9"))).toBeUndefined();
  run(sim);
  expect(received(events, "lo").map((line) => line.split(":")[0])).toEqual([
    "IP 127.0.0.1 > 127.9.9.9",
    "IP 127.9.9.9 > 127.0.0.1",
  ]);
  expect(replies).toEqual([`${ip("127.9.9.9")} ttl 64`]);
  expect(events.filter((event) => event.kind === "route" && event.direction === "input")).toEqual(
    [],
  );
});

test("while lo is down a host cannot reach its own addresses", () => {
  const lab = routedLab();
  lab.client.device("lo").setUp(false);
  give(lab.client.device("c0"), "10.1.0.77/24");
  const socket = new PingSocket(lab.client);
  let replies = 0;
  socket.onReply = () => replies++;
  socket.send(ip("10.1.0.77"));
  run(lab.sim);
  expect(replies).toBe(0);
});
