import { expect, test } from "vitest";
import type { Errno } from "../../src/core/errno.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import type { SocketOwner } from "../../src/inet/socket-owner.js";
import { connectTcp, listenTcp } from "../../src/inet/tcp-socket.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { ip, routedLab, run } from "./inet-fixtures.js";

const SERVER = ip("10.2.0.2");

/** What bind() says to a second socket of port 80, and of port 53. */
function second(
  first: readonly [string, SocketOwner],
  other: readonly [string, SocketOwner],
): readonly (Errno | undefined)[] {
  const { server } = routedLab();
  const bind = ([address, owner]: readonly [string, SocketOwner]): readonly (
    | Errno
    | undefined
  )[] => {
    const listening = listenTcp(
      server,
      { address: ip(address), port: 8080, owner },
      () => undefined,
    );
    return [
      typeof listening === "string" ? listening : undefined,
      new UdpSocket(server, owner).bind(ip(address), 5300),
    ];
  };
  expect(bind(first)).toEqual([undefined, undefined]);
  return bind(other);
}

test("a port is shared by those who ask for it, of one user, or on different devices", () => {
  const shared = { reusePort: true } as const;
  const refused = ["EADDRINUSE", "EADDRINUSE"];
  const bound = [undefined, undefined];
  expect(second(["0.0.0.0", shared], ["0.0.0.0", shared])).toEqual(bound);
  expect(second(["0.0.0.0", shared], ["10.2.0.2", shared])).toEqual(bound);
  expect(second(["0.0.0.0", shared], ["0.0.0.0", {}])).toEqual(refused);
  expect(second(["0.0.0.0", {}], ["0.0.0.0", shared])).toEqual(refused);
  expect(second(["0.0.0.0", shared], ["10.2.0.2", {}])).toEqual(refused);
  expect(second(["0.0.0.0", shared], ["0.0.0.0", { ...shared, uid: 7 }])).toEqual(refused);
  expect(second(["10.2.0.2", {}], ["127.0.0.1", {}])).toEqual(bound);
  expect(second(["0.0.0.0", { boundDevice: "s0" }], ["0.0.0.0", { boundDevice: "lo" }])).toEqual(
    bound,
  );
  expect(second(["0.0.0.0", { boundDevice: "s0" }], ["0.0.0.0", {}])).toEqual(refused);
});

/** Four programs that share TCP and UDP port 80, and how often each was called. */
function group(server: NetworkNamespace): { readonly tcp: number[]; readonly udp: number[] } {
  const counts = { tcp: [0, 0, 0, 0], udp: [0, 0, 0, 0] };
  const owner = { reusePort: true };
  for (let index = 0; index < 4; index++) {
    listenTcp(server, { address: ip("0.0.0.0"), port: 80, owner }, () => {
      counts.tcp[index] = (counts.tcp[index] ?? 0) + 1;
    });
    const socket = new UdpSocket(server, owner);
    socket.bind(ip("0.0.0.0"), 80);
    socket.onDatagram = () => {
      counts.udp[index] = (counts.udp[index] ?? 0) + 1;
    };
  }
  return counts;
}

test("flows spread over a group, each comes to one socket of it, and to the same one every time", () => {
  const { sim, client, server } = routedLab();
  const counts = group(server);
  for (let port = 1; port <= 64; port++) {
    const socket = new UdpSocket(client);
    socket.bind(ip("0.0.0.0"), 10_000 + port);
    socket.sendTo(new Uint8Array(1), SERVER, 80);
    connectTcp(client, { address: SERVER, port: 80 });
  }
  run(sim, 1);
  for (const count of [...counts.tcp, ...counts.udp]) expect(count).toBeGreaterThan(4);
  const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
  expect([sum(counts.tcp), sum(counts.udp)]).toEqual([64, 64]);
  const before = [...counts.udp];
  const socket = new UdpSocket(client);
  for (let time = 0; time < 10; time++) socket.sendTo(new Uint8Array(1), SERVER, 80);
  run(sim, 1);
  const more = counts.udp.map((count, index) => count - (before[index] ?? 0));
  expect(more.toSorted((a, b) => b - a)).toEqual([10, 0, 0, 0]);
});

test("a socket bound to the address comes before a group of any address, a connected one before both", () => {
  const { sim, client, server } = routedLab();
  const counts = group(server);
  const got: string[] = [];
  const bound = new UdpSocket(server, { reusePort: true });
  bound.bind(SERVER, 80);
  bound.onDatagram = () => got.push("bound");
  const connected = new UdpSocket(server, { reusePort: true });
  connected.bind(SERVER, 80);
  connected.connect(ip("10.1.0.2"), 7000);
  connected.onDatagram = () => got.push("connected");
  for (const port of [7000, 7001]) {
    const socket = new UdpSocket(client);
    socket.bind(ip("0.0.0.0"), port);
    socket.sendTo(new Uint8Array(1), SERVER, 80);
    run(sim);
  }
  expect([got, counts.udp]).toEqual([
    ["connected", "bound"],
    [0, 0, 0, 0],
  ]);
});
