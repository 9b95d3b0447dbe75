import { withSctpPorts } from "../../../src/wire/sctp.js";
import { describe, expect, test } from "vitest";
import { UNTRACKED } from "../../../src/core/conntrack.js";
import { NF_IP_PRI_RAW } from "../../../src/core/hooks.js";
import { newSkb } from "../../../src/core/simulation.js";
import { conntrackTemplate } from "../../../src/netfilter/conntrack/connection.js";
import { invertTuple } from "../../../src/netfilter/conntrack/tuple.js";
import { seconds } from "../../../src/sim/time.js";
import { releaseConntrack, requireConntrack } from "../../../src/netfilter/conntrack/hooks.js";
import { type Frame, encodeTransport, withSource } from "../../../src/wire/frame.js";
import type { SkBuff } from "../../../src/core/skbuff.js";
import { type Rig, icmp, icmpError, infoOf, ip, packet, passes, rig, tcp, udp } from "../rig.js";

/** A UDP flow of its own, without packets. */
function fill({ table }: Rig, id: number): void {
  const tuple = {
    source: ip(`10.${(id >>> 16) & 255}.${(id >>> 8) & 255}.${id & 255}`),
    destination: ip("10.2.0.2"),
    protocol: 17,
    sourcePort: 1 + (id % 60_000),
    destinationPort: 53,
    icmpType: 0,
    icmpCode: 0,
  };
  const reply = invertTuple(tuple);
  const entry =
    reply === undefined ? undefined : table.create(tuple, reply, { id: 0, directions: 3 });
  if (entry === undefined) throw new Error("no entry");
  entry.timeout = seconds(30);
  table.insert(entry);
}

describe("UDP", () => {
  test("stays at 30 s for a quick question and answer", () => {
    const world = rig();
    expect(infoOf(world.forward(udp("10.1.0.2:5555", "10.2.0.2:53")))).toBe("NEW");
    expect(world.list()).toEqual([
      "udp      17 30 src=10.1.0.2 dst=10.2.0.2 sport=5555 dport=53 [UNREPLIED] src=10.2.0.2 dst=10.1.0.2 sport=53 dport=5555 mark=0 use=1",
    ]);
    expect(infoOf(world.forward(udp("10.2.0.2:53", "10.1.0.2:5555")))).toBe("ESTABLISHED_REPLY");
    world.wait(1.3);
    expect(infoOf(world.forward(udp("10.1.0.2:5555", "10.2.0.2:53")))).toBe("ESTABLISHED");
    expect(world.list()[0]).toMatch(/^udp {6}17 30 .*dport=5555 mark=0/);
  });

  test("is a stream of 120 s, assured, from the first packet later than 2 s on", () => {
    const world = rig();
    world.forward(udp("10.1.0.2:5555", "10.2.0.2:53"));
    world.forward(udp("10.2.0.2:53", "10.1.0.2:5555"));
    world.wait(2.1);
    world.forward(udp("10.1.0.2:5555", "10.2.0.2:53"));
    expect(world.list()[0]).toMatch(/^udp {6}17 120 .*\[ASSURED\]/);
  });

  test("one-way traffic never is a stream", () => {
    const world = rig();
    for (let time = 0; time < 5; time++) {
      world.forward(udp("10.1.0.2:5555", "10.2.0.2:53"));
      world.wait(1);
    }
    expect(world.list()[0]).toMatch(/^udp {6}17 29 .*\[UNREPLIED\]/);
  });

  test("expires exactly when its time is over, and the same ports are new again", () => {
    const world = rig();
    world.forward(udp("10.1.0.2:5555", "10.2.0.2:53"));
    world.wait(30);
    expect(infoOf(world.forward(udp("10.2.0.2:53", "10.1.0.2:5555")))).toBe("NEW");
  });

  test("with a wrong checksum is invalid, unless nf_conntrack_checksum is 0", () => {
    const world = rig();
    const frame = udp("10.1.0.2:5555", "10.2.0.2:53");
    const spoilt = {
      ...frame,
      transport: { kind: "udp" as const, sourcePort: 5555, destinationPort: 53, checksumError: 7 },
    };
    expect(infoOf(world.forward(spoilt))).toBe("INVALID");
    world.ns.sysctls.find("net.netfilter.nf_conntrack_checksum")?.set("0");
    expect(infoOf(world.forward(spoilt))).toBe("NEW");
  });
});

describe("ICMP", () => {
  test("one entry serves every packet of an id, both ways", () => {
    const world = rig();
    expect(infoOf(world.forward(icmp("10.1.0.2", "10.2.0.2", 8, 77)))).toBe("NEW");
    expect(infoOf(world.forward(icmp("10.2.0.2", "10.1.0.2", 0, 77)))).toBe("ESTABLISHED_REPLY");
    expect(infoOf(world.forward(icmp("10.1.0.2", "10.2.0.2", 8, 77)))).toBe("ESTABLISHED");
    expect(world.list()).toEqual([
      "icmp     1 30 src=10.1.0.2 dst=10.2.0.2 type=8 code=0 id=77 src=10.2.0.2 dst=10.1.0.2 type=0 code=0 id=77 mark=0 use=1",
    ]);
  });

  test("an answer that nobody asked for, and types that nothing answers, are invalid", () => {
    for (const type of [0, 14, 16, 18, 10, 40]) {
      const world = rig();
      expect([type, infoOf(world.forward(icmp("10.1.0.2", "10.2.0.2", type, 7)))]).toEqual([
        type,
        "INVALID",
      ]);
      expect(world.list()).toEqual([]);
    }
  });

  test("an error about a flow is related to it, in its own direction, and refreshes nothing", () => {
    const world = rig();
    const request = udp("10.1.0.2:5555", "10.2.0.2:99");
    world.forward(request);
    world.wait(10);
    expect(infoOf(world.forward(icmpError("10.2.0.99", "10.1.0.2", 3, 3, request)))).toBe(
      "RELATED_REPLY",
    );
    world.forward(udp("10.2.0.2:99", "10.1.0.2:5555"));
    const answer = udp("10.2.0.2:99", "10.1.0.2:5555");
    expect(infoOf(world.forward(icmpError("10.1.0.2", "10.2.0.2", 3, 3, answer)))).toBe("RELATED");
    world.wait(29);
    expect(world.list()[0]).toMatch(/^udp {6}17 1 /);
  });

  test("an error quoting only eight bytes of TCP is enough", () => {
    const world = rig();
    const syn = tcp("10.1.0.2:5555", "10.2.0.2:80", "S");
    world.forward(syn);
    expect(infoOf(world.forward(icmpError("10.9.9.9", "10.1.0.2", 11, 0, syn, 28)))).toBe(
      "RELATED_REPLY",
    );
    expect(infoOf(world.forward(icmpError("10.9.9.9", "10.1.0.2", 11, 0, syn, 27)))).toBe(
      "INVALID",
    );
  });

  test("an error about nothing, or to another address than the quoted one, is invalid", () => {
    const world = rig();
    const request = udp("10.1.0.2:5555", "10.2.0.2:99");
    expect(infoOf(world.forward(icmpError("10.2.0.2", "10.1.0.2", 3, 3, request)))).toBe("INVALID");
    world.forward(request);
    expect(infoOf(world.forward(icmpError("10.2.0.2", "10.1.0.3", 3, 3, request)))).toBe("INVALID");
    expect(world.table.statistics.error).toBe(2);
  });
});

describe("other protocols", () => {
  test("have one entry for each pair of addresses, 600 s", () => {
    const world = rig();
    world.forward(packet("10.1.0.2", "10.2.0.2", 50, undefined, new Uint8Array(8)));
    expect(
      infoOf(world.forward(packet("10.2.0.2", "10.1.0.2", 50, undefined, new Uint8Array(8)))),
    ).toBe("ESTABLISHED_REPLY");
    expect(world.list()).toEqual([
      "unknown  50 600 src=10.1.0.2 dst=10.2.0.2 src=10.2.0.2 dst=10.1.0.2 mark=0 use=1",
    ]);
  });

  test("SCTP starts with an INIT, and the answer's tag is the one it asked for", () => {
    const world = rig();
    const [client, server] = ["10.1.0.2:5000", "10.2.0.2:80"];
    world.forward(sctp(client, server, 0, initChunk(1, 0x11121314)));
    expect(world.list()).toEqual([
      "sctp     132 10 CLOSED src=10.1.0.2 dst=10.2.0.2 sport=5000 dport=80 [UNREPLIED] src=10.2.0.2 dst=10.1.0.2 sport=80 dport=5000 mark=0 use=1",
    ]);
    const wrong = sctp(server, client, 0x11121315, initChunk(2, 0x21222324));
    expect(infoOf(world.forward(wrong))).toBe("INVALID");
    const right = sctp(server, client, 0x11121314, initChunk(2, 0x21222324));
    expect(infoOf(world.forward(right))).toBe("ESTABLISHED_REPLY");
    expect(world.list()).toEqual([
      "sctp     132 3 COOKIE_WAIT src=10.1.0.2 dst=10.2.0.2 sport=5000 dport=80 src=10.2.0.2 dst=10.1.0.2 sport=80 dport=5000 mark=0 use=1",
    ]);
  });

  test("an SCTP packet with a wrong checksum, or chunks that may not stand together, is invalid", () => {
    const world = rig();
    const good = sctp("10.1.0.2:5000", "10.2.0.2:80", 0, initChunk(1, 0x11121314));
    const spoilt = {
      ...good,
      payload: good.payload.map((byte, at) => (at === 8 ? byte ^ 1 : byte)),
    };
    expect(infoOf(world.forward(spoilt))).toBe("INVALID");
    const both = new Uint8Array([...initChunk(1, 0x11121314), ...initChunk(1, 0x11121314)]);
    expect(infoOf(world.forward(sctp("10.1.0.2:5000", "10.2.0.2:80", 0, both)))).toBe("INVALID");
    expect(world.list()).toEqual([]);
  });

  test("GRE has its PPTP call id as key", () => {
    const world = rig();
    world.forward(
      packet(
        "10.1.0.2",
        "10.2.0.2",
        47,
        undefined,
        new Uint8Array([0x20, 1, 0x88, 0x0b, 0, 0, 0, 7]),
      ),
    );
    expect(world.list()).toEqual([
      "gre      47 30 src=10.1.0.2 dst=10.2.0.2 srckey=0x0 dstkey=0x7 [UNREPLIED] src=10.2.0.2 dst=10.1.0.2 srckey=0x7 dstkey=0x0 mark=0 use=1",
    ]);
  });
});

describe("the table", () => {
  test("has no entry for a packet that a filter dropped", () => {
    const world = rig();
    const drop = { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" } as const;
    world.ns.hooks.register("ipv4", {
      name: "filter",
      hook: "FORWARD",
      priority: 0,
      run: () => drop,
    });
    expect(infoOf(world.forward(udp("10.1.0.2:5555", "10.2.0.2:53")))).toBe("dropped");
    expect(world.list()).toEqual([]);
  });

  test("stays as it is when the last rule that needed it goes, and lives again with the next", () => {
    const world = rig();
    world.forward(udp("10.1.0.2:5555", "10.2.0.2:53"));
    releaseConntrack(world.ns);
    expect(infoOf(world.forward(udp("10.1.0.2:5556", "10.2.0.2:53")))).toBe("INVALID");
    expect(world.list()).toHaveLength(1);
    requireConntrack(world.ns);
    expect(infoOf(world.forward(udp("10.2.0.2:53", "10.1.0.2:5555")))).toBe("ESTABLISHED_REPLY");
  });

  test("full of unassured entries drops those of the next eight of the kernel's buckets early", () => {
    const world = rig();
    const size = 30_000;
    for (let id = 0; id < size; id++) fill(world, id);
    world.ns.sysctls.find("net.netfilter.nf_conntrack_max")?.set(String(size));
    // 60,000 tuples in 262,144 buckets: eight buckets have 1.8 on average, and none with a chance of 16 %.
    const lived = Array.from({ length: 300 }, (_, port) =>
      infoOf(world.forward(udp(`10.1.0.2:${port + 1}`, "10.2.0.2:53"))),
    ).filter((info) => info === "NEW").length;
    expect(lived).toBeGreaterThan(220);
    expect(world.table.statistics.early_drop).toBeGreaterThanOrEqual(lived);
    expect(world.table.statistics.drop).toBe(300 - lived);
  });

  test("that is small beside its buckets finds nothing to drop early, and drops the packet", () => {
    const world = rig();
    world.ns.sysctls.find("net.netfilter.nf_conntrack_max")?.set("40");
    const infos = Array.from({ length: 60 }, (_, port) =>
      infoOf(world.forward(udp(`10.1.0.2:${port + 1}`, "10.2.0.2:53"))),
    );
    expect(infos.filter((info) => info === "NEW")).toHaveLength(40);
    expect(world.table.statistics).toMatchObject({ early_drop: 0, drop: 20 });
  });

  test("full of assured entries drops the packet", () => {
    const full = rig();
    for (let port = 1; port <= 8; port++) {
      full.forward(tcp(`10.1.0.2:${port}`, "10.2.0.2:80", "S", { seq: 1 }));
      full.forward(tcp("10.2.0.2:80", `10.1.0.2:${port}`, "SA", { seq: 1, ack: 2 }));
      full.forward(tcp(`10.1.0.2:${port}`, "10.2.0.2:80", "A", { seq: 2, ack: 2 }));
    }
    full.ns.sysctls.find("net.netfilter.nf_conntrack_max")?.set("8");
    expect(infoOf(full.forward(udp("10.1.0.2:9", "10.2.0.2:53")))).toBe("dropped");
    expect(full.list()).toHaveLength(8);
  });

  test("gives each zone its own entries", () => {
    const world = rig();
    const template = conntrackTemplate({ id: 5, directions: 3 });
    let zoned = true;
    world.ns.hooks.register("ipv4", {
      name: "raw",
      hook: "PREROUTING",
      priority: NF_IP_PRI_RAW,
      run(skb) {
        if (zoned) skb.ct = template;
        return { kind: "accept" };
      },
    });
    world.forward(udp("10.1.0.2:5555", "10.2.0.2:500"));
    zoned = false;
    expect(infoOf(world.forward(udp("10.2.0.2:500", "10.1.0.2:5555")))).toBe("NEW");
    expect(world.list().map((line) => line.match(/zone=\d+/)?.[0])).toEqual(["zone=5", undefined]);
  });

  test("leaves untracked packets alone", () => {
    const world = rig();
    world.ns.hooks.register("ipv4", {
      name: "raw",
      hook: "PREROUTING",
      priority: NF_IP_PRI_RAW,
      run(skb) {
        skb.ct = UNTRACKED;
        return { kind: "accept" };
      },
    });
    expect(infoOf(world.forward(udp("10.1.0.2:5555", "10.2.0.2:53")))).toBe("UNTRACKED");
    expect(world.list()).toEqual([]);
  });

  test("counts packets and bytes from the IP header on, for entries made after nf_conntrack_acct was set", () => {
    const world = rig();
    world.forward(udp("10.1.0.2:1", "10.2.0.2:53"));
    world.ns.sysctls.find("net.netfilter.nf_conntrack_acct")?.set("1");
    world.forward(udp("10.1.0.2:1", "10.2.0.2:53"));
    world.forward(udp("10.1.0.2:2", "10.2.0.2:53", new Uint8Array(2)));
    expect(world.list().map((line) => line.match(/packets=\d+ bytes=\d+/g))).toEqual([
      null,
      ["packets=1 bytes=30", "packets=0 bytes=0"],
    ]);
  });

  test("two packets of one UDP flow that are new at once share the first one's entry; TCP's second is dropped", () => {
    const world = rig();
    const late = newSkb(world.ns, udp("10.1.0.2:5555", "10.2.0.2:53"), "test");
    const first = world.forward(udp("10.1.0.2:5555", "10.2.0.2:53"), { until: "PREROUTING" });
    expect(infoOf(first)).toBe("NEW");
    expect(infoOf(world.forward(late.frame))).toBe("NEW");
    expect(confirmLate(world, first)).toBe(true);
    expect(first?.ct?.entry?.id).toBe([...world.table.entries()][0]?.id);
    expect(world.table.statistics).toMatchObject({ clash_resolve: 1, insert_failed: 0 });
    const tcpWorld = rig();
    const second = tcpWorld.forward(tcp("10.1.0.2:5555", "10.2.0.2:80", "S"), {
      until: "PREROUTING",
    });
    tcpWorld.forward(tcp("10.1.0.2:5555", "10.2.0.2:80", "S"));
    expect(confirmLate(tcpWorld, second)).toBe(false);
    expect(tcpWorld.table.statistics).toMatchObject({ insert_failed: 1, drop: 1 });
  });

  test("sees the pieces of a packet as one, and again as pieces when nothing is tracked", () => {
    const world = rig();
    const whole = udp("10.1.0.2:5555", "10.2.0.2:53", new Uint8Array(40).fill(7));
    const bytes = encodeTransport(whole);
    const piece = (from: number, to: number): Frame => {
      const frame = packet("10.1.0.2", "10.2.0.2", 17, undefined, bytes.slice(from, to));
      if (frame.network?.kind !== "ipv4") throw new Error("not IPv4");
      const network = {
        ...frame.network,
        dontFragment: false,
        fragmentOffset: from,
        moreFragments: to < bytes.length,
      };
      return { ...frame, network };
    };
    expect(infoOf(world.forward(piece(24, 48)))).toBe("dropped");
    const skb = world.forward(piece(0, 24));
    expect(infoOf(skb)).toBe("NEW");
    expect(skb?.frame.transport).toMatchObject({
      kind: "udp",
      sourcePort: 5555,
      destinationPort: 53,
    });
    expect(skb?.frame.payload).toEqual(whole.payload);
    releaseConntrack(world.ns);
    expect(infoOf(world.forward(piece(24, 48)))).toBe("INVALID");
  });

  test("tells what happened to a connection once, in order", () => {
    const world = rig();
    world.forward(tcp("10.1.0.2:5555", "10.2.0.2:80", "S", { seq: 1 }));
    world.forward(tcp("10.2.0.2:80", "10.1.0.2:5555", "RA", { seq: 0, ack: 2 }));
    world.forward(withSource(udp("10.1.0.2:1", "10.2.0.2:2"), ip("10.1.0.9")));
    const told = world.events.flatMap((event) =>
      event.kind === "conntrack" && event.action !== "told"
        ? [`${event.action}: ${event.why}`]
        : [],
    );
    expect(told).toEqual([
      "new: no entry has this tuple",
      "confirmed: for 120 s",
      "found: ESTABLISHED, reply direction",
      "destroyed: reset before any answer",
      "new: no entry has this tuple",
      "confirmed: for 30 s",
    ]);
  });
});

function confirmLate(world: Rig, skb: SkBuff | undefined): boolean {
  return (
    skb !== undefined &&
    passes(skb, {
      hook: "POSTROUTING",
      family: "ipv4",
      ns: world.ns,
      in: undefined,
      out: undefined,
    })
  );
}

/** An SCTP packet with a right checksum. */
function sctp(from: string, to: string, tag: number, chunks: Uint8Array): Frame {
  const [source = "", sourcePort = ""] = from.split(":");
  const [destination = "", destinationPort = ""] = to.split(":");
  const bytes = new Uint8Array(12 + chunks.length);
  new DataView(bytes.buffer).setUint32(4, tag);
  bytes.set(chunks, 12);
  const ports = { source: Number(sourcePort), destination: Number(destinationPort) };
  return packet(source, destination, 132, undefined, withSctpPorts(bytes, ports));
}

/** INIT (1) or INIT ACK (2). */
function initChunk(type: number, initiateTag: number): Uint8Array {
  const chunk = new Uint8Array(20);
  chunk[0] = type;
  chunk[3] = 20;
  new DataView(chunk.buffer).setUint32(4, initiateTag);
  return chunk;
}
