import { expect, test } from "vitest";
import { ICMP_ECHO, ICMP_PARAMETERPROB } from "../../src/wire/icmp.js";
import { IPPROTO_ICMP, IPPROTO_TCP } from "../../src/wire/ipv4.js";
import {
  arrive,
  drops,
  ip,
  packet,
  received,
  routedLab,
  type RoutedLab,
  run,
  set,
} from "./inet-fixtures.js";

// Answers and frames are compared with 6.18 in the labs ip-source-route*; reasons were read from its skb:kfree_skb.

const LSRR = 131;
const SSRR = 137;

/** A source route of these addresses, the first one next; `cut` takes bytes off its end. */
function route(kind: number, hops: readonly string[], cut = 0): Uint8Array {
  const addresses = hops.flatMap((hop) => hop.split(".").map(Number));
  const bytes = [kind, 3 + addresses.length - cut, 4, ...addresses].slice(
    0,
    3 + addresses.length - cut,
  );
  while (bytes.length % 4 !== 0) bytes.push(0);
  return Uint8Array.from(bytes);
}

function accepting(): RoutedLab {
  const lab = routedLab();
  for (const ns of [lab.router, lab.server]) set(ns, "net.ipv4.conf.all.accept_source_route", 1);
  return lab;
}

/** Puts an echo request at the router's first device. */
function ask(lab: RoutedLab, destination: string, options: Uint8Array): void {
  arrive(
    lab.router.device("r0"),
    packet(
      { destination: ip(destination), protocol: IPPROTO_ICMP, options },
      { kind: "icmp", type: ICMP_ECHO, code: 0, rest: 1 },
    ),
  );
  run(lab.sim);
}

/** The octets that parameter problems blamed, as the client got them. */
function problemsHeard({ events }: RoutedLab): readonly number[] {
  return events.flatMap((event) => {
    if (event.kind !== "device" || event.direction !== "rx" || event.dev !== "c0") return [];
    const { transport } = event.frame;
    return transport?.kind === "icmp" && transport.type === ICMP_PARAMETERPROB
      ? [transport.rest >>> 24]
      : [];
  });
}

test("a router that is named goes on to the next address of the list, and the answer comes back the same way", () => {
  const lab = accepting();
  ask(lab, "10.1.0.1", route(LSRR, ["10.2.0.2"]));
  expect(received(lab.events, "s0")).toEqual([
    expect.stringContaining("IP 10.1.0.2 > 10.2.0.2: ICMP echo request"),
  ]);
  // First to the router, then to the client.
  expect(received(lab.events, "r1")).toEqual([
    expect.stringContaining("IP 10.2.0.2 > 10.2.0.1: ICMP echo reply"),
  ]);
  expect(received(lab.events, "c0")).toEqual([
    expect.stringContaining("IP 10.2.0.2 > 10.1.0.2: ICMP echo reply"),
  ]);
  expect(lab.events.filter((event) => event.kind === "unknown")).toEqual([]);
});

test("the trace tells each change of the destination", () => {
  const lab = accepting();
  ask(lab, "10.1.0.1", route(LSRR, ["10.2.0.2"]));
  const rewrites = lab.events.flatMap((event) =>
    event.kind === "rewrite" && event.by === "source route" ? [event.ns] : [],
  );
  expect(rewrites).toEqual(["router", "router"]);
});

test("one that is not accepted by the device as well as by all is dropped without a word", () => {
  const lab = accepting();
  set(lab.router, "net.ipv4.conf.r0.accept_source_route", 0);
  ask(lab, "10.1.0.1", route(LSRR, ["10.2.0.2"]));
  expect(drops(lab.events)).toEqual(["router NOT_SPECIFIED ip_rcv_finish_core"]);
});

test.each([
  ["10.2.0.9", SSRR, ["10.2.0.2"], 0, "ip_rcv_finish_core", 16],
  ["10.1.0.1", LSRR, ["10.2.0.2"], 1, "ip_rcv_finish_core", 22],
  ["10.1.0.1", LSRR, ["10.9.9.9"], 0, "ip_rcv_finish_core", undefined],
  ["10.1.0.1", LSRR, ["224.0.0.1"], 0, "ip_rcv_finish_core", undefined],
] as const)(
  "to %s with type %i and %j, less %i bytes: dropped in %s, and the sender hears of octet %s",
  (destination, kind, hops, cut, where, told) => {
    const lab = accepting();
    ask(lab, destination, route(kind, hops, cut));
    expect(drops(lab.events)).toEqual([`router NOT_SPECIFIED ${where}`]);
    expect(problemsHeard(lab)).toEqual(told === undefined ? [] : [told]);
  },
);

test("TCP's answers would carry the options back, which is not modelled and said", () => {
  const lab = accepting();
  const syn = {
    kind: "tcp",
    sourcePort: 40_000,
    destinationPort: 80,
    sequence: 1,
    acknowledgment: 0,
    flags: 2,
    window: 1000,
    urgent: 0,
    options: new Uint8Array(0),
  } as const;
  const record = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0);
  const to = { destination: ip("10.1.0.1"), protocol: IPPROTO_TCP };
  arrive(lab.router.device("r0"), packet({ ...to, options: record }, syn));
  run(lab.sim);
  expect(lab.events.filter((event) => event.kind === "unknown")).toHaveLength(1);
});
