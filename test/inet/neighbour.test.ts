import { describe, expect, test } from "vitest";
import { newSkb } from "../../src/core/simulation.js";
import { confirmNeighbour, neighbours, neighOutput } from "../../src/inet/neighbour.js";
import { routeOutput, isRoute } from "../../src/inet/route.js";
import { ETH_P_IP } from "../../src/wire/ethernet.js";
import type { Frame } from "../../src/wire/frame.js";
import { MAC_ZERO } from "../../src/wire/ip.js";
import { run } from "../tools/tool-fixtures.js";
import {
  address,
  arpSent,
  neigh,
  type PairLab,
  pairLab,
  stateOf,
  wait,
} from "./neighbour-fixtures.js";

function datagram(destination: string, length: number, source: string): Frame {
  return {
    link: { source: MAC_ZERO, destination: MAC_ZERO, etherType: ETH_P_IP },
    network: {
      kind: "ipv4",
      tos: 0,
      id: 1,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 64,
      protocol: 17,
      source: address(source),
      destination: address(destination),
      options: new Uint8Array(0),
    },
    transport: { kind: "udp", sourcePort: 1000, destinationPort: 9 },
    payload: new Uint8Array(length),
  };
}

function send(lab: PairLab, destination: string, length = 10, source = "10.0.0.1"): void {
  const skb = newSkb(lab.one, datagram(destination, length, source), "test");
  const route = routeOutput(lab.one, {
    destination: address(destination),
    source: address("10.0.0.1"),
    mark: 0,
    tos: 0,
  });
  skb.route = isRoute(route) ? route : undefined;
  neighOutput(skb, lab.one.device("e0"), address(destination));
}

/** What `one` asked; answers to the other's questions left out. */
function questions(lab: PairLab): readonly string[] {
  return arpSent(lab.events, "one").filter((text) => text.includes("who-has"));
}

function transitions(lab: PairLab, ns: string): readonly string[] {
  return lab.events.flatMap((event) =>
    event.kind === "neighbour" && event.ns === ns && event.from !== event.to
      ? [`${event.address} ${event.from} ${event.to}`]
      : [],
  );
}

/** UDP datagrams that left `one`, by the length of their data. */
function sent(lab: PairLab): readonly number[] {
  return lab.events.flatMap((event) =>
    event.kind === "device" &&
    event.direction === "tx" &&
    event.ns === "one" &&
    event.frame.transport?.kind === "udp"
      ? [event.frame.payload.length]
      : [],
  );
}

// Times and states were compared with Linux 6.18, whose timers are up to 20 ms late.
describe("a neighbour", () => {
  test("is asked for by the first packet, which waits and goes out with the answer", () => {
    const lab = pairLab();
    send(lab, "10.0.0.2");
    expect(sent(lab)).toEqual([]);
    expect(neigh(lab, "one")).toBe("10.0.0.2 dev e0 INCOMPLETE \n");
    wait(lab, 0.1);
    expect(sent(lab)).toEqual([10]);
    expect(neigh(lab, "one")).toBe("10.0.0.2 dev e0 lladdr 02:00:00:00:00:02 REACHABLE \n");
    expect(arpSent(lab.events, "one")).toEqual([
      "0 e0 who-has 10.0.0.2 tell 10.0.0.1 to ff:ff:ff:ff:ff:ff",
    ]);
    expect(arpSent(lab.events, "two")).toEqual([
      "0 e0 10.0.0.2 is-at 02:00:00:00:00:02 to 02:00:00:00:00:01",
    ]);
  });

  test("is stale for whoever was asked", () => {
    const lab = pairLab();
    send(lab, "10.0.0.2");
    lab.sim.step();
    expect(neigh(lab, "two")).toBe("10.0.0.1 dev e0 lladdr 02:00:00:00:00:01 STALE \n");
  });

  test("gets its waiting packets in order", () => {
    const lab = pairLab();
    for (const length of [1, 2, 3, 4]) send(lab, "10.0.0.2", length);
    wait(lab, 0.1);
    expect(sent(lab)).toEqual([1, 2, 3, 4]);
  });

  test("that does not answer is asked three times a second apart, and fails after the third", () => {
    const lab = pairLab();
    send(lab, "10.0.0.50");
    wait(lab, 2.9);
    expect(stateOf(lab.one, "10.0.0.50")).toBe("INCOMPLETE");
    wait(lab, 0.2);
    expect(neigh(lab, "one")).toBe("10.0.0.50 dev e0 FAILED \n");
    const question = "e0 who-has 10.0.0.50 tell 10.0.0.1 to ff:ff:ff:ff:ff:ff";
    expect(arpSent(lab.events, "one")).toEqual([`0 ${question}`, `1 ${question}`, `2 ${question}`]);
    const death = lab.events.find(
      (event) => event.kind === "dropped" && event.reason === "NEIGH_FAILED",
    );
    expect(death).toMatchObject({ where: "neigh_invalidate", time: 3_000_000 });
  });

  test("that is asked again by the error about a packet loses what waits behind, and that error", () => {
    const lab = pairLab();
    send(lab, "10.0.0.50", 1);
    send(lab, "10.0.0.50", 2, "10.0.0.50");
    send(lab, "10.0.0.50", 3);
    wait(lab, 3.1);
    expect(stateOf(lab.one, "10.0.0.50")).toBe("INCOMPLETE");
    const deaths = lab.events.flatMap((event) =>
      event.kind === "dropped" && event.ns === "one" && event.where === "neigh_invalidate"
        ? [event.reason]
        : [],
    );
    expect(deaths).toEqual(["NEIGH_FAILED", "NEIGH_FAILED", "QUEUE_PURGE", "QUEUE_PURGE"]);
    const told = lab.events.filter(
      (event) => event.kind === "device" && event.dev === "lo" && event.direction === "rx",
    );
    expect(told).toHaveLength(1);
  });

  test("that failed makes an ICMP host unreachable for each packet, over lo to a local sender", () => {
    const lab = pairLab();
    send(lab, "10.0.0.50");
    wait(lab, 4);
    const errors = lab.events.filter(
      (event) => event.kind === "device" && event.dev === "lo" && event.direction === "rx",
    );
    expect(
      errors.map((event) => (event.kind === "device" ? event.frame.transport : undefined)),
    ).toMatchObject([{ kind: "icmp", type: 3, code: 1 }]);
  });

  test("that failed is asked again by the next packet", () => {
    const lab = pairLab();
    send(lab, "10.0.0.50");
    wait(lab, 10);
    send(lab, "10.0.0.50");
    expect(stateOf(lab.one, "10.0.0.50")).toBe("INCOMPLETE");
    wait(lab, 4);
    expect(arpSent(lab.events, "one")).toHaveLength(6);
  });

  test("that failed stays for as long as its place is not needed", () => {
    const lab = pairLab();
    send(lab, "10.0.0.50");
    wait(lab, 3_600);
    expect(stateOf(lab.one, "10.0.0.50")).toBe("FAILED");
  });

  test("grows stale 15 to 45 s after its confirmation, without keeping the queue awake", () => {
    const lab = pairLab();
    send(lab, "10.0.0.2");
    wait(lab, 14.9);
    expect(stateOf(lab.one, "10.0.0.2")).toBe("REACHABLE");
    expect(lab.sim.queue.nextAt).toBeUndefined();
    wait(lab, 31);
    expect(stateOf(lab.one, "10.0.0.2")).toBe("STALE");
  });

  test("that is stale is used at once, asked directly after 5 s, and reachable when it answers", () => {
    const lab = pairLab();
    send(lab, "10.0.0.2");
    wait(lab, 50);
    lab.events.length = 0;
    const start = lab.sim.queue.now / 1e6;
    send(lab, "10.0.0.2", 77);
    expect(sent(lab)).toEqual([77]);
    expect(stateOf(lab.one, "10.0.0.2")).toBe("DELAY");
    wait(lab, 6);
    expect(questions(lab)).toEqual([
      `${start + 5} e0 who-has 10.0.0.2 tell 10.0.0.1 to 02:00:00:00:00:02`,
    ]);
    expect(stateOf(lab.one, "10.0.0.2")).toBe("REACHABLE");
  });

  test("that is stale and gone fails after three direct questions, 8 s after its use", () => {
    const lab = pairLab();
    send(lab, "10.0.0.2");
    wait(lab, 50);
    run(lab.sim, "two", "ip addr del 10.0.0.2/24 dev e0");
    lab.events.length = 0;
    const start = lab.sim.queue.now / 1e6;
    send(lab, "10.0.0.2");
    wait(lab, 7.9);
    expect(stateOf(lab.one, "10.0.0.2")).toBe("PROBE");
    wait(lab, 0.2);
    expect(stateOf(lab.one, "10.0.0.2")).toBe("FAILED");
    const question = "e0 who-has 10.0.0.2 tell 10.0.0.1 to 02:00:00:00:00:02";
    expect(arpSent(lab.events, "one")).toEqual(
      [5, 6, 7].map((second) => `${start + second} ${question}`),
    );
  });

  test("is not asked when TCP heard from it during the delay", () => {
    const lab = pairLab();
    send(lab, "10.0.0.2");
    wait(lab, 50);
    lab.events.length = 0;
    send(lab, "10.0.0.2");
    wait(lab, 2);
    confirmNeighbour(lab.one.device("e0"), address("10.0.0.2"));
    wait(lab, 4);
    expect(stateOf(lab.one, "10.0.0.2")).toBe("REACHABLE");
    expect(questions(lab)).toEqual([]);
  });

  test("keeps 212992 bytes of waiting packets and loses the oldest beyond", () => {
    const lab = pairLab();
    for (let count = 0; count < 278; count++) send(lab, "10.0.0.50");
    const lost = lab.events.flatMap((event) =>
      event.kind === "dropped" ? [[event.reason, event.packet]] : [],
    );
    expect(lost).toEqual([["NEIGH_QUEUEFULL", 1]]);
  });

  test("that an administrator made permanent is neither asked for nor changed", () => {
    const lab = pairLab();
    run(lab.sim, "one", "ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:02 dev e0");
    send(lab, "10.0.0.9");
    wait(lab, 100);
    expect(arpSent(lab.events, "one")).toEqual([]);
    expect(neigh(lab, "one")).toBe("10.0.0.9 dev e0 lladdr 02:00:00:00:00:02 PERMANENT \n");
  });

  test("is not needed for groups and broadcasts", () => {
    const lab = pairLab();
    send(lab, "224.0.0.5");
    send(lab, "10.0.0.255");
    const macs = lab.events.flatMap((event) =>
      event.kind === "device" && event.direction === "tx" && event.ns === "one"
        ? [event.frame.link.destination.toString(16)]
        : [],
    );
    expect(macs).toEqual(["1005e000005", "ffffffffffff"]);
    expect(neigh(lab, "one")).toBe("");
  });

  test("goes with its device's state: down takes all, lost carrier all but permanent ones", () => {
    const lab = pairLab();
    run(lab.sim, "one", "ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:02 dev e0");
    send(lab, "10.0.0.2");
    wait(lab, 1);
    run(lab.sim, "two", "ip link set e0 down");
    expect(neigh(lab, "one")).toBe("10.0.0.9 dev e0 lladdr 02:00:00:00:00:02 PERMANENT \n");
    run(lab.sim, "one", "ip link set e0 down");
    expect(neigh(lab, "one")).toBe("");
  });

  test("takes packets that wait for it along when its device goes down", () => {
    const lab = pairLab();
    send(lab, "10.0.0.50");
    run(lab.sim, "one", "ip link set e0 down");
    wait(lab, 10);
    const reasons = lab.events.flatMap((event) => (event.kind === "dropped" ? [event.reason] : []));
    expect(reasons).toContain("QUEUE_PURGE");
    const { born, delivered, dropped } = lab.sim.packets;
    expect(delivered + dropped).toBe(born);
  });

  test("is refused when the table is full of neighbours that are being asked for", () => {
    const lab = pairLab();
    const table = neighbours(lab.one);
    run(lab.sim, "one", "ip addr add 10.4.0.1/16 dev e0");
    for (let count = 0; count < 1024; count++) send(lab, `10.4.${1 + (count >> 8)}.${count & 255}`);
    expect(table.list()).toHaveLength(1024);
    send(lab, "10.4.200.1");
    const reasons = lab.events.flatMap((event) =>
      event.kind === "dropped" ? [`${event.reason} ${event.where}`] : [],
    );
    expect(reasons).toEqual(["NEIGH_CREATEFAIL ip_finish_output2"]);
  });

  test("tells each change of its state with the packet that brought it", () => {
    const lab = pairLab();
    send(lab, "10.0.0.2");
    wait(lab, 0.1);
    expect(transitions(lab, "one")).toEqual([
      "10.0.0.2 NONE INCOMPLETE",
      "10.0.0.2 INCOMPLETE REACHABLE",
    ]);
    expect(transitions(lab, "two")).toEqual(["10.0.0.1 NONE STALE", "10.0.0.1 STALE DELAY"]);
  });
});

test("the queue runs dry within half a minute after traffic has ended", () => {
  const lab = pairLab();
  send(lab, "10.0.0.2");
  send(lab, "10.0.0.50");
  lab.sim.runUntilIdle();
  expect(lab.sim.queue.now).toBeLessThan(30_000_000);
  const { born, delivered, dropped } = lab.sim.packets;
  expect(delivered + dropped).toBe(born);
});
