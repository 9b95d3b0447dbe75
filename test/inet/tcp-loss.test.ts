import { expect, test } from "vitest";
import { connectTcp, listenTcp, type TcpConnection } from "../../src/inet/tcp-socket.js";
import { parseTcpOptions } from "../../src/inet/tcp-options.js";
import { IPV4_ANY } from "../../src/wire/ip.js";
import { TCP_SYN, type TcpHeader } from "../../src/wire/tcp.js";
import { drops, ip, routedLab, type RoutedLab, run, set } from "./inet-fixtures.js";

const MSS = 1448;

interface Talk {
  readonly lab: RoutedLab;
  readonly client: TcpConnection;
  readonly server: TcpConnection;
  readonly got: () => number;
  /** What the client's kernel sent since the last time, without ACKs alone: the segments' numbers, `r` before what went again. */
  readonly sent: () => readonly string[];
  /** The SACK blocks that the server told since the last time, in whole segments. */
  readonly told: () => readonly string[];
}

/** A connection whose client's data segments the router keeps unless `loses` says otherwise, counted from 0. */
function talk(loses: (count: number) => boolean, sack = true): Talk {
  const lab = routedLab();
  set(lab.client, "net.ipv4.tcp_sack", sack ? 1 : 0);
  const accepted: TcpConnection[] = [];
  let got = 0;
  listenTcp(lab.server, { address: IPV4_ANY, port: 80 }, (connection) => {
    accepted.push(connection);
    connection.onData = (data) => (got += data.length);
  });
  const client = connectTcp(lab.client, { address: ip("10.2.0.2"), port: 80 });
  run(lab.sim);
  const [server] = accepted;
  if (server === undefined) throw new Error("not accepted");
  let count = 0;
  lab.router.hooks.register("ipv4", {
    name: "test",
    hook: "FORWARD",
    priority: 0,
    run: (skb) =>
      skb.frame.payload.length > 0 && loses(count++)
        ? { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" }
        : { kind: "accept" },
  });
  lab.events.length = 0;
  const segmentsOf = (ns: string): readonly (readonly [string, TcpHeader, number])[] =>
    lab.events.flatMap((event) =>
      event.kind === "born" && event.ns === ns && event.frame.transport?.kind === "tcp"
        ? [[event.by, event.frame.transport, event.frame.payload.length] as const]
        : [],
    );
  const number = (sequence: number, of: TcpConnection): number =>
    ((sequence - of.initialSequence - 1) >>> 0) / MSS;
  return {
    lab,
    client,
    server,
    got: () => got,
    sent: () =>
      segmentsOf("client")
        .filter(([, , length]) => length > 0)
        .map(([by, header]) => `${by === "tcp data" ? "" : "r"}${number(header.sequence, client)}`),
    told: () =>
      segmentsOf("server").map(([, { options, flags }]) =>
        (flags & TCP_SYN) !== 0
          ? "SYN"
          : (parseTcpOptions(options).sack ?? [])
              .map(({ start, end }) => `${number(start, client)}-${number(end, client)}`)
              .join(" "),
      ),
  };
}

/** `count` full segments. */
const segments = (count: number): Uint8Array => new Uint8Array(count * MSS);

test("three segments behind a hole bring the lost one again at once, and none of what has come", () => {
  const { lab, client, got, sent, told } = talk((count) => count === 2);
  client.send(segments(8));
  run(lab.sim, 0.1);
  expect(got()).toBe(8 * MSS);
  expect(sent().filter((segment) => segment.startsWith("r"))).toEqual(["r2"]);
  expect(told().filter((blocks) => blocks !== "")).toEqual(["3-4", "3-5", "3-6", "3-7", "3-8"]);
  expect(client.out.phase).toBe("open");
});

test("holes are told latest first, three of them beside timestamps, and each is filled once", () => {
  const { lab, client, got, sent, told } = talk((count) => [1, 3, 5, 7].includes(count));
  client.send(segments(10));
  run(lab.sim, 0.3);
  expect(got()).toBe(10 * MSS);
  expect(
    sent()
      .filter((segment) => segment.startsWith("r"))
      .toSorted(),
  ).toEqual(["r1", "r3", "r5", "r7"]);
  expect(told()).toContain("8-9 6-7 4-5");
});

test("a copy of what has come is told as double, and the probe that sent it needed no recovery", () => {
  const { lab, client, told } = talk(() => false);
  lab.router.hooks.register("ipv4", {
    name: "answers",
    hook: "FORWARD",
    priority: 1,
    run: ({ frame }) =>
      frame.network?.kind === "ipv4" &&
      frame.network.source === ip("10.2.0.2") &&
      lab.sim.queue.now < 2e5
        ? { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" }
        : { kind: "accept" },
  });
  client.send(segments(1));
  run(lab.sim, 0.4);
  expect(told()).toEqual(["", "0-1"]);
  expect([client.out.flight, client.out.phase, client.out.lossProbe]).toEqual([
    [],
    "open",
    undefined,
  ]);
});

test("without SACK three repeated acknowledgments bring the first lost segment again", () => {
  const { lab, client, got, sent, told } = talk((count) => count === 2, false);
  client.send(segments(8));
  run(lab.sim, 0.1);
  expect(got()).toBe(8 * MSS);
  expect(sent().filter((segment) => segment.startsWith("r"))).toEqual(["r2"]);
  expect(told().every((blocks) => blocks === "")).toBe(true);
});

test("the last two of three segments come again by a loss probe after two round trips and two ticks, not by a timeout", () => {
  const { lab, client, got, sent } = talk((count) => count === 1 || count === 2);
  client.send(segments(3));
  run(lab.sim, 0.05);
  expect([got(), sent(), client.out.phase]).toEqual([3 * MSS, ["0", "1", "2", "r2", "r1"], "open"]);
});

test("a timeout sends what is not known to be there, one segment first and more with every answer", () => {
  let isCut = true;
  const { lab, client, got, sent } = talk(() => isCut);
  client.send(segments(6));
  run(lab.sim, 0.5);
  expect(sent()).toEqual(["0", "1", "2", "3", "4", "5", "r5", "r0"]);
  isCut = false;
  run(lab.sim, 2);
  expect(got()).toBe(6 * MSS);
  expect(sent().slice(8)).toEqual(["r0", "r1", "r2", "r3", "r4", "r5"]);
});

test("of a closed connection that waits for the peer's FIN only so much is left as to answer it with id 0", () => {
  const { lab, client, server } = talk(() => false);
  client.close();
  run(lab.sim, 1);
  expect([client.state, server.state]).toEqual(["FIN_WAIT2", "CLOSE_WAIT"]);
  lab.events.length = 0;
  server.close();
  run(lab.sim, 1);
  const ids = lab.events.flatMap((event) =>
    event.kind === "born" && event.frame.network?.kind === "ipv4"
      ? [`${event.ns} ${event.frame.network.id === 0 ? "0" : "counted"}`]
      : [],
  );
  expect([client.state, ids]).toEqual(["TIME_WAIT", ["server counted", "client 0"]]);
});

test("SACK blocks take their room from the data that goes with them", () => {
  const { lab, client, server } = talk((count) => count === 0);
  client.send(segments(2));
  expect(server.in.blocks).toHaveLength(1);
  lab.events.length = 0;
  server.send(segments(2));
  const lengths = lab.events.flatMap((event) =>
    event.kind === "born" && event.ns === "server"
      ? [
          [
            event.frame.payload.length,
            event.frame.transport?.kind === "tcp" ? event.frame.transport.options.length : 0,
          ],
        ]
      : [],
  );
  expect(lengths[0]).toEqual([MSS - 12, 24]);
  run(lab.sim, 1);
  expect(drops(lab.events).filter((reason) => !reason.includes("NETFILTER"))).toEqual([]);
});
