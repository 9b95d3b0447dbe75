import { describe, expect, it } from "vitest";
import type { DigRecording } from "../../src/core/dig-recording.js";
import { type DigRequest, digRequest } from "../../src/lab/dig.js";
import { seconds } from "../../src/sim/time.js";
import { digVerdict } from "../../src/view/dig.js";
import { digQueries } from "../../src/view/dig-queries.js";
import { demoWorld } from "../cli/demo-world.js";

const world = demoWorld("dns");

function dig(name: string, change: Partial<DigRequest> = {}, among = world): DigRecording {
  return digRequest(among, {
    name,
    type: "A,AAAA",
    from: "default/client",
    search: "glibc",
    seed: 1,
    times: 1,
    every: seconds(1),
    ...change,
  });
}

/** Queries and packets of the first lookup. */
function cost(recording: DigRecording): readonly [number, number] {
  const [round] = recording.rounds;
  const queries = round === undefined ? [] : digQueries(recording, round);
  return [queries.length, queries.reduce((sum, { packets }) => sum + packets, 0)];
}

function outcomes(recording: DigRecording): readonly string[] {
  return recording.rounds.flatMap((round) =>
    digQueries(recording, round).map(({ name, type, rcode }) => `${name} ${type} ${rcode}`),
  );
}

describe("what a name costs from a pod with ndots 5", () => {
  it.each([
    ["backend", 2, 4],
    ["backend.prod", 4, 8],
    ["example.com", 10, 28],
    ["example.com.", 2, 8],
  ])("%s: %i queries, %i packets", (name, queries, packets) => {
    expect(cost(dig(name))).toEqual([queries, packets]);
  });
});

describe("the search list", () => {
  it("is left out by musl when the name has enough dots, and asked for one name alone with none", () => {
    const name = "backend.prod.svc.cluster.local";
    expect(outcomes(dig(name, { type: "A", search: "musl" }))).toHaveLength(5);
    expect(outcomes(dig("a.b.c.d.e.example.com", { type: "A", search: "musl" }))).toEqual([
      "a.b.c.d.e.example.com. A NXDOMAIN",
    ]);
    expect(outcomes(dig(name, { type: "A", search: "none" }))).toEqual([
      "backend.prod.svc.cluster.local. A NOERROR",
    ]);
  });

  it("is ended by a name without data in musl, and gone on with in glibc", () => {
    const musl = dig("backend", { type: "AAAA", search: "musl" });
    expect(outcomes(musl)).toEqual(["backend.default.svc.cluster.local. AAAA NOERROR"]);
    expect(digVerdict(musl)).toMatchObject({ outcome: "NO-NAME", exit: 1 });
    expect(outcomes(dig("backend", { type: "AAAA" })).length).toBeGreaterThan(1);
  });
});

describe("a port 53 that a rule blocks", () => {
  const rules =
    "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p udp -m udp --dport 53 -j DROP\nCOMMIT\n";
  const blocked = demoWorld("dns", { file: "worker-1.rules", text: rules });

  it.each([
    ["glibc", 20],
    ["musl", 5],
  ] as const)("costs a program of %s %i simulated seconds", (search, waited) => {
    const recording = dig("backend", { search }, blocked);
    expect(recording.rounds[0]).toMatchObject({ took: seconds(waited), error: "timeout" });
    expect(digVerdict(recording).exit).toBe(1);
  });

  it("is named with its line", () => {
    const recording = dig("backend", { type: "A" }, blocked);
    const [round] = recording.rounds;
    const [first] = round === undefined ? [] : digQueries(recording, round);
    expect(first?.dropped?.rule?.place).toMatchObject({ file: "worker-1.rules", line: 3 });
  });
});

describe("a reply that is too long for UDP", () => {
  it("is asked for again over TCP, by both resolvers", () => {
    for (const search of ["glibc", "musl"] as const) {
      const recording = dig("many.example.com.", { type: "A", search });
      expect(outcomes(recording)).toEqual([
        "many.example.com. A truncated",
        "many.example.com. A NOERROR",
      ]);
      expect(recording.rounds[0]?.records).toHaveLength(40);
    }
  });
});

describe("what the world does not say", () => {
  it("ends in UNKNOWN with exit code 3", () => {
    expect(digVerdict(dig("example.org."))).toMatchObject({ outcome: "UNKNOWN", exit: 3 });
  });

  it("is nothing that a zone file beside the objects says", () => {
    const text =
      "$TTL 60\nexample.org. SOA ns.example.org. a.example.org. 1 2 3 4 60\n NS ns.example.org.\n A 192.0.2.99\n";
    const more = demoWorld("dns", { file: "org.zone", text });
    expect(dig("example.org.", { type: "A" }, more).rounds[0]?.records[0]?.data).toBe("192.0.2.99");
    expect(digVerdict(dig("www.example.org.", { type: "A" }, more)).because).toContain("NXDOMAIN");
  });
});

describe("an answer that CoreDNS keeps", () => {
  it("costs no packets to the resolver outside, until it runs out", () => {
    const { rounds, ...rest } = dig("short.example.com.", {
      type: "A",
      times: 40,
      every: seconds(2),
    });
    const packets = rounds.map((round) => cost({ ...rest, rounds: [round] })[1]);
    expect(new Set(packets)).toEqual(new Set([2, 4]));
    expect(packets.filter((count) => count === 2).length).toBeGreaterThan(20);
  });
});
