import { expect, test } from "vitest";
import { connectTcp, listenTcp, type TcpConnection } from "../../src/inet/tcp-socket.js";
import { IPV4_ANY } from "../../src/wire/ip.js";
import { ip, routedLab, type RoutedLab, run, set } from "./inet-fixtures.js";

const HELLO = new TextEncoder().encode("hello");

interface Pair {
  readonly lab: RoutedLab;
  readonly client: TcpConnection;
  readonly errors: string[];
  readonly accepted: TcpConnection[];
  /** How many whole seconds after the start the client asked. */
  readonly asked: () => readonly number[];
}

/** A client with SO_KEEPALIVE and 2, 1 and 3 in its knobs, connected. */
function pair(keepAlive = true): Pair {
  const lab = routedLab();
  set(lab.client, "net.ipv4.tcp_keepalive_time", 2);
  set(lab.client, "net.ipv4.tcp_keepalive_intvl", 1);
  set(lab.client, "net.ipv4.tcp_keepalive_probes", 3);
  const accepted: TcpConnection[] = [];
  listenTcp(lab.server, { address: IPV4_ANY, port: 80 }, (connection) => {
    accepted.push(connection);
    connection.onData = () => undefined;
  });
  const client = connectTcp(lab.client, { address: ip("10.2.0.2"), port: 80, keepAlive });
  const errors: string[] = [];
  client.onError = (errno) => errors.push(errno);
  run(lab.sim, 0.01);
  const asked = (): readonly number[] =>
    lab.events.flatMap((event) =>
      event.kind === "born" && event.ns === "client" && event.by === "tcp keepalive"
        ? [Math.round(event.time / 1e6)]
        : [],
    );
  return { lab, client, errors, accepted, asked };
}

/** From now on the router takes nothing on. */
function cut(lab: RoutedLab): void {
  lab.router.hooks.register("ipv4", {
    name: "test",
    hook: "FORWARD",
    priority: 0,
    run: () => ({ kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" }),
  });
}

test("a peer that answers is asked again after the same while, and words put the question off", () => {
  const { lab, client, asked } = pair();
  run(lab.sim, 5);
  expect(asked()).toEqual([2, 4]);
  client.send(HELLO);
  run(lab.sim, 5);
  expect(asked()).toEqual([2, 4, 7, 9]);
});

test("a peer that is gone is asked as often as may be, and then the program is told ETIMEDOUT", () => {
  const { lab, errors, asked, accepted } = pair();
  cut(lab);
  run(lab.sim, 20);
  expect([asked(), errors]).toEqual([[2, 3, 4], ["ETIMEDOUT"]]);
  const resets = lab.events.filter((event) => event.kind === "born" && event.by === "tcp reset");
  expect(resets.map((event) => Math.round(event.time / 1e6))).toEqual([5]);
  expect(accepted[0]?.state).toBe("ESTABLISHED");
});

test("nobody asks without SO_KEEPALIVE, nor while words wait for an answer", () => {
  const plain = pair(false);
  run(plain.lab.sim, 20);
  expect(plain.asked()).toEqual([]);
  const waiting = pair();
  cut(waiting.lab);
  waiting.client.send(HELLO);
  run(waiting.lab.sim, 20);
  expect([waiting.asked(), waiting.errors]).toEqual([[], []]);
});

test("a connection that its program has closed is not asked for, once it waits for a FIN alone", () => {
  const { lab, client, asked } = pair();
  client.close();
  run(lab.sim, 20);
  expect([asked(), client.state]).toEqual([[], "FIN_WAIT2"]);
});
