import { expect, test } from "vitest";
import { connectTcp, listenTcp, type TcpListener } from "../../src/inet/tcp-socket.js";
import { tcpTable } from "../../src/inet/tcp-table.js";
import { IPV4_ANY } from "../../src/wire/ip.js";
import { TCP_ACK, TCP_PSH, TCP_RST, TCP_SYN } from "../../src/wire/tcp.js";
import { arrive, drops, ip, packet, routedLab, type RoutedLab, run, set } from "./inet-fixtures.js";

const SERVER = ip("10.2.0.2");

interface Said {
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgment?: number | undefined;
  readonly sourcePort?: number | undefined;
  readonly text?: string | undefined;
}

/** A segment of a client that keeps no socket comes to the server. */
function say(
  lab: RoutedLab,
  { flags, sequence, acknowledgment = 0, sourcePort = 5000, text = "" }: Said,
): void {
  const header = {
    kind: "tcp",
    sourcePort,
    destinationPort: 80,
    sequence,
    acknowledgment,
    flags,
    window: 1000,
    urgent: 0,
    options: new Uint8Array(0),
  } as const;
  const frame = packet({ protocol: 6 }, header, new TextEncoder().encode(text));
  arrive(lab.server.device("s0"), frame);
}

interface Served {
  readonly lab: RoutedLab;
  readonly listener: TcpListener;
  readonly got: string[];
  /** The cookie that a SYN of sequence number 99 gets. */
  readonly cookie: () => number;
}

function serve(backlog?: number): Served {
  const lab = routedLab();
  const got: string[] = [];
  const listener = listenTcp(lab.server, { address: IPV4_ANY, port: 80, backlog }, (connection) => {
    connection.onData = (data) => got.push(new TextDecoder().decode(data));
  });
  if (typeof listener === "string") throw new Error(listener);
  const cookie = (): number => {
    lab.events.length = 0;
    say(lab, { flags: TCP_SYN, sequence: 99 });
    const answer = lab.events.find(
      (event) => event.kind === "born" && event.by === "tcp syn cookie",
    );
    const header = answer?.kind === "born" ? answer.frame.transport : undefined;
    if (header?.kind !== "tcp") throw new Error("no cookie");
    return header.sequence;
  };
  return { lab, listener, got, cookie };
}

test("a cookie that comes back with data makes the connection, and the data is read", () => {
  const { lab, got, cookie } = serve();
  set(lab.server, "net.ipv4.tcp_syncookies", 2);
  const sequence = cookie();
  expect(tcpTable(lab.server).connections()).toEqual([]);
  run(lab.sim, 10);
  const answers = lab.events.filter((event) => event.kind === "born" && event.ns === "server");
  expect(
    answers.filter((event) => event.kind === "born" && event.by.startsWith("tcp")),
  ).toHaveLength(1);
  say(lab, {
    flags: TCP_ACK | TCP_PSH,
    sequence: 100,
    acknowledgment: sequence + 1,
    text: "hello",
  });
  expect([
    got,
    tcpTable(lab.server)
      .connections()
      .map(({ state }) => state),
  ]).toEqual([["hello"], ["ESTABLISHED"]]);
});

test("a cookie of another flow, a changed one and one of long ago are answered with a reset", () => {
  const { lab, cookie } = serve();
  set(lab.server, "net.ipv4.tcp_syncookies", 2);
  const sequence = cookie();
  const refused = (said: Partial<Said>): readonly string[] => {
    lab.events.length = 0;
    say(lab, { flags: TCP_ACK, sequence: 100, acknowledgment: sequence + 1, ...said });
    return drops(lab.events);
  };
  expect(refused({ sourcePort: 5001 })).toEqual(["server TCP_FLAGS tcp_v4_do_rcv"]);
  expect(refused({ acknowledgment: sequence + 1000 })).toEqual(["server TCP_FLAGS tcp_v4_do_rcv"]);
  expect(refused({ flags: TCP_ACK | TCP_RST })).toEqual(["server TCP_RESET tcp_v4_do_rcv"]);
  run(lab.sim, 121);
  expect(refused({})).toEqual(["server TCP_FLAGS tcp_v4_do_rcv"]);
  expect(tcpTable(lab.server).connections()).toEqual([]);
});

test("an ACK with a good cookie is dropped when as many connections wait as may", () => {
  const { lab, listener, cookie } = serve(0);
  set(lab.server, "net.ipv4.tcp_syncookies", 2);
  const sequence = cookie();
  const peer = connectTcp(lab.client, { address: SERVER, port: 80 });
  run(lab.sim);
  listener.waiting.add(peer);
  lab.events.length = 0;
  say(lab, { flags: TCP_ACK, sequence: 100, acknowledgment: sequence + 1 });
  expect(drops(lab.events)).toEqual(["server NO_SOCKET cookie_v4_check"]);
});

test("a full SYN queue asks again less often, and is empty when its listener is closed", () => {
  const { lab, listener } = serve(20);
  lab.router.hooks.register("ipv4", {
    name: "test",
    hook: "FORWARD",
    priority: 0,
    run: () => ({ kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" }),
  });
  for (let port = 1; port <= 12; port++) {
    say(lab, { flags: TCP_SYN, sequence: 99, sourcePort: port });
    run(lab.sim, 0.001);
  }
  expect(listener.requests.size).toBe(12);
  run(lab.sim, 70);
  const answers = (port: number): number =>
    lab.events.filter(
      (event) =>
        event.kind === "born" &&
        event.frame.transport?.kind === "tcp" &&
        event.frame.transport.destinationPort === port,
    ).length;
  // Those of a crowd are repeated twice, those that are left when it is gone five times.
  expect([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map(answers)).toEqual([
    3, 3, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6,
  ]);
  say(lab, { flags: TCP_SYN, sequence: 99, sourcePort: 20 });
  expect(listener.requests.size).toBe(1);
  listener.close();
  expect(tcpTable(lab.server).connections()).toEqual([]);
});
