import { describe, expect, test } from "vitest";
import { type Rig, type Segment, infoOf, rig, tcp } from "../rig.js";

const CLIENT = "10.1.0.2:6667";
const SERVER = "10.2.0.2:80";

/** Sends a segment from the client and says how conntrack took it. */
function client(world: Rig, flags: string, segment: Segment = {}): string {
  return infoOf(world.forward(tcp(CLIENT, SERVER, flags, segment)));
}

function server(world: Rig, flags: string, segment: Segment = {}): string {
  return infoOf(world.forward(tcp(SERVER, CLIENT, flags, segment)));
}

/** `ESTABLISHED 432000 [ASSURED]` of the only entry. */
function entry(world: Rig): string {
  const lines = world.list();
  if (lines.length !== 1) return `${lines.length} entries`;
  const [line = ""] = lines;
  const [, , seconds, state] = line.split(/ +/);
  return `${state} ${seconds}${line.includes("[UNREPLIED]") ? " [UNREPLIED]" : ""}${line.includes("[ASSURED]") ? " [ASSURED]" : ""}`;
}

/** Client's first sequence number 1000, the server's 5000. */
function handshake(world: Rig): void {
  client(world, "S", { seq: 1000 });
  server(world, "SA", { seq: 5000, ack: 1001 });
  client(world, "A", { seq: 1001, ack: 5001 });
}

describe("a TCP connection", () => {
  // The events of the same connection on Linux 6.18 (conntrack -E): SYN_SENT 120, SYN_RECV 60, ESTABLISHED 432000 [ASSURED],
  // FIN_WAIT 120, LAST_ACK 30, TIME_WAIT 120.
  test("walks through the states and timeouts of the kernel, closed by the server", () => {
    const world = rig();
    expect(client(world, "S", { seq: 1000 })).toBe("NEW");
    expect(entry(world)).toBe("SYN_SENT 120 [UNREPLIED]");
    expect(server(world, "SA", { seq: 5000, ack: 1001 })).toBe("ESTABLISHED_REPLY");
    expect(entry(world)).toBe("SYN_RECV 60");
    expect(client(world, "A", { seq: 1001, ack: 5001 })).toBe("ESTABLISHED");
    expect(entry(world)).toBe("ESTABLISHED 432000 [ASSURED]");
    client(world, "PA", { seq: 1001, ack: 5001, length: 3 });
    expect(entry(world)).toBe("ESTABLISHED 300 [ASSURED]");
    server(world, "A", { seq: 5001, ack: 1004 });
    expect(entry(world)).toBe("ESTABLISHED 432000 [ASSURED]");
    server(world, "FA", { seq: 5001, ack: 1004 });
    expect(entry(world)).toBe("FIN_WAIT 120 [ASSURED]");
    client(world, "A", { seq: 1004, ack: 5002 });
    expect(entry(world)).toBe("CLOSE_WAIT 60 [ASSURED]");
    client(world, "FA", { seq: 1004, ack: 5002 });
    expect(entry(world)).toBe("LAST_ACK 30 [ASSURED]");
    server(world, "A", { seq: 5002, ack: 1005 });
    expect(entry(world)).toBe("TIME_WAIT 120 [ASSURED]");
  });

  test("skips CLOSE_WAIT when FIN and ACK travel together", () => {
    const world = rig();
    handshake(world);
    server(world, "FA", { seq: 5001, ack: 1001 });
    client(world, "FA", { seq: 1001, ack: 5002 });
    expect(entry(world)).toBe("LAST_ACK 30 [ASSURED]");
  });

  test("that is refused leaves no entry, and the reset still belongs to it", () => {
    const world = rig();
    client(world, "S", { seq: 1000 });
    expect(server(world, "RA", { seq: 0, ack: 1001 })).toBe("ESTABLISHED_REPLY");
    expect(world.list()).toEqual([]);
  });

  test("forgets an unanswered SYN after 120 s, and a repeated SYN does not keep it alive", () => {
    const world = rig();
    client(world, "S", { seq: 1000 });
    world.wait(100);
    expect(client(world, "S", { seq: 1000 })).toBe("NEW");
    expect(entry(world)).toBe("SYN_SENT 20 [UNREPLIED]");
    world.wait(20);
    expect(world.list()).toEqual([]);
  });

  test("is closed for 10 s by a reset with the exact sequence number", () => {
    const world = rig();
    handshake(world);
    expect(server(world, "R", { seq: 5001 })).toBe("ESTABLISHED_REPLY");
    expect(entry(world)).toBe("CLOSE 10 [ASSURED]");
  });

  test("stays ESTABLISHED for 10 s after a reset that is 9 off, then the exact one closes it", () => {
    const world = rig();
    handshake(world);
    server(world, "R", { seq: 5010 });
    expect(entry(world)).toBe("ESTABLISHED 10 [ASSURED]");
    server(world, "R", { seq: 5001 });
    expect(entry(world)).toBe("CLOSE 10 [ASSURED]");
  });

  test("does not believe a reset from before what the other side acknowledged", () => {
    const world = rig();
    handshake(world);
    expect(server(world, "R", { seq: 4000 })).toBe("INVALID");
    expect(entry(world)).toBe("ESTABLISHED 432000 [ASSURED]");
  });

  test("starts anew when a SYN reuses the ports of a closed one", () => {
    const world = rig();
    handshake(world);
    server(world, "FA", { seq: 5001, ack: 1001 });
    client(world, "FA", { seq: 1001, ack: 5002 });
    server(world, "A", { seq: 5002, ack: 1002 });
    expect(client(world, "S", { seq: 90_000 })).toBe("NEW");
    expect(entry(world)).toBe("SYN_SENT 120 [UNREPLIED]");
  });

  test("lets a SYN pass on an entry that the peer's reset closed, without reviving it", () => {
    const world = rig();
    handshake(world);
    server(world, "R", { seq: 5001 });
    world.wait(3);
    expect(client(world, "S", { seq: 90_000 })).toBe("ESTABLISHED");
    expect(entry(world)).toBe("CLOSE 7 [ASSURED]");
  });

  test("falls in step again with a SYN that was let through once the server answers it", () => {
    const world = rig();
    handshake(world);
    expect(client(world, "S", { seq: 70_000 })).toBe("ESTABLISHED");
    expect(entry(world)).toBe("ESTABLISHED 432000 [ASSURED]");
    server(world, "SA", { seq: 9000, ack: 70_001 });
    expect(entry(world)).toBe("SYN_RECV 60 [ASSURED]");
  });

  test("opened from both ends at once reaches ESTABLISHED", () => {
    const world = rig();
    client(world, "S", { seq: 1000 });
    server(world, "S", { seq: 5000 });
    expect(entry(world)).toBe("SYN_SENT2 120");
    client(world, "SA", { seq: 1000, ack: 5001 });
    server(world, "SA", { seq: 5000, ack: 1001 });
    expect(entry(world)).toBe("SYN_RECV 60");
    server(world, "A", { seq: 5001, ack: 1001 });
    expect(entry(world)).toBe("ESTABLISHED 432000 [ASSURED]");
  });

  test("shows 300 s after its window is closed, and after three retransmissions", () => {
    const closed = rig();
    handshake(closed);
    server(closed, "A", { seq: 5001, ack: 1001, window: 0 });
    expect(entry(closed)).toBe("ESTABLISHED 300 [ASSURED]");
    const repeated = rig();
    handshake(repeated);
    for (let time = 0; time < 4; time++) client(repeated, "A", { seq: 1001, ack: 5001 });
    expect(entry(repeated)).toBe("ESTABLISHED 300 [ASSURED]");
  });
});

describe("picking up in the middle", () => {
  test("an ACK starts an ESTABLISHED entry of at most 300 s, assured on the second one after an answer", () => {
    const world = rig();
    expect(client(world, "A", { seq: 1, ack: 1 })).toBe("NEW");
    expect(entry(world)).toBe("ESTABLISHED 300 [UNREPLIED]");
    server(world, "A", { seq: 1, ack: 1 });
    client(world, "A", { seq: 1, ack: 1 });
    expect(entry(world)).toBe("ESTABLISHED 432000 [ASSURED]");
  });

  test("is off when tcp_loose is 0", () => {
    const world = rig();
    world.ns.sysctls.find("net.netfilter.nf_conntrack_tcp_loose")?.set("0");
    expect(client(world, "A", { seq: 1, ack: 1 })).toBe("INVALID");
  });

  test.each(["SA", "FA", "R", "RA"])("%s without an entry is invalid and makes none", (flags) => {
    const world = rig();
    expect(client(world, flags, { seq: 1, ack: 1 })).toBe("INVALID");
    expect(world.list()).toEqual([]);
  });

  test.each(["", "SF", "F", "SR", "U", "SFRPAU"])("the flags '%s' are invalid", (flags) => {
    expect(client(rig(), flags)).toBe("INVALID");
  });
});

describe("the window", () => {
  test("takes data beyond it and ACKs of data nobody sent for invalid", () => {
    const world = rig();
    client(world, "S", { seq: 1000, window: 1000 });
    server(world, "SA", { seq: 5000, ack: 1001, window: 1000 });
    client(world, "A", { seq: 1001, ack: 5001, window: 1000 });
    expect(client(world, "A", { seq: 50_000, ack: 5001, length: 10 })).toBe("INVALID");
    expect(client(world, "A", { seq: 1001, ack: 9999 })).toBe("INVALID");
    const why = world.events.flatMap((event) =>
      event.kind === "conntrack" && event.action === "invalid" ? [event.why] : [],
    );
    expect(why).toEqual([
      "SEQ is over upper bound 2002 (over the window of the receiver)",
      "ACK is over upper bound 5002 (ACKed data not seen yet)",
    ]);
  });

  test("lets old data pass without counting it for anything", () => {
    const world = rig();
    handshake(world);
    expect(client(world, "A", { seq: 4_294_900_000, ack: 5001, length: 10 })).toBe("ESTABLISHED");
    expect(entry(world)).toBe("ESTABLISHED 432000 [ASSURED]");
  });

  test("is not enforced when tcp_be_liberal is 1", () => {
    const world = rig();
    world.ns.sysctls.find("net.netfilter.nf_conntrack_tcp_be_liberal")?.set("1");
    handshake(world);
    expect(client(world, "A", { seq: 900_000, ack: 5001, length: 10 })).toBe("ESTABLISHED");
  });

  test("is scaled only when both ends offered it", () => {
    const scale = (shift: number): Uint8Array => new Uint8Array([3, 3, shift, 1]);
    const scaled = rig();
    client(scaled, "S", { seq: 1000, options: scale(7) });
    server(scaled, "SA", { seq: 5000, ack: 1001, window: 1000, options: scale(7) });
    client(scaled, "A", { seq: 1001, ack: 5001 });
    server(scaled, "A", { seq: 5001, ack: 1001, window: 1000 });
    expect(client(scaled, "A", { seq: 100_000, ack: 5001, length: 10 })).toBe("ESTABLISHED");
    const unscaled = rig();
    client(unscaled, "S", { seq: 1000, options: scale(7) });
    server(unscaled, "SA", { seq: 5000, ack: 1001, window: 1000 });
    client(unscaled, "A", { seq: 1001, ack: 5001 });
    server(unscaled, "A", { seq: 5001, ack: 1001, window: 1000 });
    expect(client(unscaled, "A", { seq: 100_000, ack: 5001, length: 10 })).toBe("INVALID");
  });

  test("counts across the wrap of sequence numbers", () => {
    const world = rig();
    client(world, "S", { seq: 0xffff_fff0 });
    server(world, "SA", { seq: 5000, ack: 0xffff_fff1 });
    client(world, "A", { seq: 0xffff_fff1, ack: 5001 });
    expect(client(world, "PA", { seq: 0xffff_fff1, ack: 5001, length: 100 })).toBe("ESTABLISHED");
    expect(server(world, "A", { seq: 5001, ack: 0x55 })).toBe("ESTABLISHED_REPLY");
    expect(entry(world)).toBe("ESTABLISHED 432000 [ASSURED]");
  });
});
