import { describe, expect, test } from "vitest";
import { ACCEPT, type HookState, type Verdict } from "../../../src/core/hooks.js";
import type { SkBuff } from "../../../src/core/skbuff.js";
import { type NatHook, registerNatLookup } from "../../../src/netfilter/nat/hooks.js";
import type { NatRange } from "../../../src/netfilter/nat/range.js";
import { netmap, setupDnat, setupSnat } from "../../../src/netfilter/nat/targets.js";
import { type Frame, decodeIpPacket, isIcmp } from "../../../src/wire/frame.js";
import { formatFrame } from "../../../src/wire/format-frame.js";
import { parseIpv4Prefix } from "../../../src/wire/ip.js";
import { type Rig, icmp, icmpError, infoOf, ip, packet, rig, tcp, udp } from "../rig.js";

/** `10.2.0.2`, `10.2.0.2-10.2.0.9`, `10.2.0.2:80`, `10.2.0.2:80-89`, `:80`. */
function range(text: string, more: NatRange = {}): NatRange {
  const [hosts = "", ports] = text.split(":");
  const [low = "", high = low] = hosts.split("-");
  const [first, last = first] = (ports ?? "").split("-");
  return {
    addresses: hosts === "" ? undefined : { low: ip(low), high: ip(high) },
    ports: ports === undefined ? undefined : { low: Number(first), high: Number(last) },
    ...more,
  };
}

function dnat(world: Rig, matches: (skb: SkBuff) => boolean, to: NatRange): void {
  at(world, "PREROUTING", (skb, state) => (matches(skb) ? setupDnat(skb, state, to) : ACCEPT));
}

function snat(world: Rig, to: NatRange): void {
  at(world, "POSTROUTING", (skb, state) => setupSnat(skb, state, to));
}

function at(world: Rig, hook: NatHook, lookup: (skb: SkBuff, state: HookState) => Verdict): void {
  registerNatLookup(world.ns, "ipv4", hook, lookup);
}

function toPort(port: number): (skb: SkBuff) => boolean {
  return (skb) =>
    skb.frame.transport !== undefined &&
    !isIcmp(skb.frame.transport) &&
    skb.frame.transport.destinationPort === port;
}

/** `10.1.0.2:5555 > 10.2.0.2:53`. */
function ends(frame: Frame | undefined): string {
  if (frame?.network?.kind !== "ipv4") return "nothing";
  const text = formatFrame(frame);
  const found = /(\d+\.\d+\.\d+\.\d+)(?:\.(\d+))? > (\d+\.\d+\.\d+\.\d+)(?:\.(\d+))?/.exec(text);
  if (found === null) return text;
  const [, source, sourcePort, destination, destinationPort] = found;
  return `${source}${sourcePort === undefined ? "" : `:${sourcePort}`} > ${destination}${destinationPort === undefined ? "" : `:${destinationPort}`}`;
}

function through(world: Rig, frame: Frame): string {
  return ends(world.forward(frame)?.frame);
}

describe("DNAT", () => {
  test("rewrites the destination of requests and the source of answers, at PREROUTING and POSTROUTING", () => {
    const world = rig();
    dnat(world, toPort(80), range("10.2.0.2:8080"));
    expect(through(world, tcp("10.1.0.2:5555", "10.1.0.1:80", "S", { seq: 1 }))).toBe(
      "10.1.0.2:5555 > 10.2.0.2:8080",
    );
    expect(through(world, tcp("10.2.0.2:8080", "10.1.0.2:5555", "SA", { seq: 1, ack: 2 }))).toBe(
      "10.1.0.1:80 > 10.1.0.2:5555",
    );
    expect(world.list()).toEqual([
      "tcp      6 60 SYN_RECV src=10.1.0.2 dst=10.1.0.1 sport=5555 dport=80 src=10.2.0.2 dst=10.1.0.2 sport=8080 dport=5555 mark=0 use=1",
    ]);
    const rewrites = world.events.flatMap((event) =>
      event.kind === "rewrite" ? [`${event.by} ${event.hook} ${ends(event.after)}`] : [],
    );
    expect(rewrites).toEqual([
      "nat PREROUTING 10.1.0.2:5555 > 10.2.0.2:8080",
      "nat POSTROUTING 10.1.0.1:80 > 10.1.0.2:5555",
    ]);
    const bindings = world.events.flatMap((event) =>
      event.kind === "conntrack" && event.action === "nat" ? [event.why] : [],
    );
    expect(bindings).toEqual(["DNAT 10.1.0.1:80 -> 10.2.0.2:8080"]);
  });

  test("asks the chains once for each connection, and not about answers", () => {
    const world = rig();
    let asked = 0;
    at(world, "PREROUTING", () => {
      asked++;
      return ACCEPT;
    });
    world.forward(udp("10.1.0.2:5555", "10.2.0.2:53"));
    world.forward(udp("10.1.0.2:5555", "10.2.0.2:53"));
    world.forward(udp("10.2.0.2:53", "10.1.0.2:5555"));
    world.forward(udp("10.1.0.2:5556", "10.2.0.2:53"));
    expect(asked).toBe(2);
  });

  test("goes by the first chain that decides; of equals the one registered last", () => {
    const world = rig();
    dnat(world, () => true, range("10.2.0.2"));
    dnat(world, () => true, range("10.2.0.3"));
    expect(through(world, udp("10.1.0.2:5555", "10.1.0.1:53"))).toBe("10.1.0.2:5555 > 10.2.0.3:53");
  });

  test("to a range of ports takes the first for everybody, as the kernel does since 6.8", () => {
    const world = rig();
    dnat(world, () => true, range("10.2.0.2:8000-8009"));
    expect(through(world, udp("10.1.0.2:5555", "10.1.0.1:53"))).toBe(
      "10.1.0.2:5555 > 10.2.0.2:8000",
    );
    expect(through(world, udp("10.1.0.3:5555", "10.1.0.1:53"))).toBe(
      "10.1.0.3:5555 > 10.2.0.2:8000",
    );
    expect(through(world, udp("10.1.0.3:5555", "10.1.0.1:8007"))).toBe(
      "10.1.0.3:5555 > 10.2.0.2:8007",
    );
  });

  test("with a base port keeps the distance from it", () => {
    const world = rig();
    dnat(world, () => true, range("10.2.0.2:8000-8009", { basePort: 500 }));
    expect(through(world, udp("10.1.0.2:5555", "10.1.0.1:503"))).toBe(
      "10.1.0.2:5555 > 10.2.0.2:8003",
    );
    expect(through(world, udp("10.1.0.2:5555", "10.1.0.1:515"))).toBe(
      "10.1.0.2:5555 > 10.2.0.2:8005",
    );
  });

  test("never sees packets without a connection", () => {
    const world = rig();
    dnat(world, () => true, range("10.2.0.2"));
    expect(through(world, icmp("10.1.0.2", "10.1.0.1", 0, 9))).toBe("10.1.0.2 > 10.1.0.1");
  });
});

describe("SNAT", () => {
  test("keeps the port for each destination it is free for", () => {
    const world = rig();
    snat(world, range("10.2.0.1"));
    expect(through(world, udp("10.1.0.2:5555", "10.2.0.2:53"))).toBe("10.2.0.1:5555 > 10.2.0.2:53");
    expect(through(world, udp("10.1.0.3:5555", "10.2.0.3:53"))).toBe("10.2.0.1:5555 > 10.2.0.3:53");
    expect(through(world, udp("10.2.0.2:53", "10.2.0.1:5555"))).toBe("10.2.0.2:53 > 10.1.0.2:5555");
  });

  // Seen on 6.18: 300 became 480, 511 423, 512 714, 700 692, 1023 961, 5555 62579.
  test.each([
    [300, 1, 511],
    [511, 1, 511],
    [512, 600, 1023],
    [700, 600, 1023],
    [1023, 600, 1023],
    [1024, 1024, 65_535],
    [5555, 1024, 65_535],
  ])("a clash on port %i gives another one from %i to %i", (port, low, high) => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = rig(seed);
      snat(world, range("10.2.0.1"));
      world.forward(udp(`10.1.0.2:${port}`, "10.2.0.2:53"));
      const chosen = Number(
        /10\.2\.0\.1:(\d+) >/.exec(through(world, udp(`10.1.0.3:${port}`, "10.2.0.2:53")))?.[1],
      );
      expect(chosen).not.toBe(port);
      expect(chosen).toBeGreaterThanOrEqual(low);
      expect(chosen).toBeLessThanOrEqual(high);
    }
  });

  test("gives a source the mapping it already has, even where its own port is free", () => {
    const world = rig();
    snat(world, range("10.2.0.1"));
    world.forward(udp("10.1.0.3:5555", "10.2.0.2:53"));
    const second = through(world, udp("10.1.0.2:5555", "10.2.0.2:53"));
    const mapped = /^10\.2\.0\.1:(\d+)/.exec(second)?.[1];
    expect(mapped).not.toBe("5555");
    expect(through(world, udp("10.1.0.2:5555", "10.2.0.9:53"))).toBe(
      `10.2.0.1:${mapped} > 10.2.0.9:53`,
    );
  });

  test("changes the id of a ping whose id is taken, both ways", () => {
    const world = rig();
    snat(world, range("10.2.0.1"));
    world.forward(icmp("10.1.0.2", "10.2.0.2", 8, 77));
    const request = world.forward(icmp("10.1.0.3", "10.2.0.2", 8, 77))?.frame;
    const id = request?.transport?.kind === "icmp" ? request.transport.rest >>> 16 : 77;
    expect(id).not.toBe(77);
    const answer = world.forward(icmp("10.2.0.2", "10.2.0.1", 0, id))?.frame;
    expect(ends(answer)).toBe("10.2.0.2 > 10.1.0.3");
    expect(answer?.transport).toMatchObject({ kind: "icmp", type: 0, rest: 77 * 0x1_0000 + 1 });
  });

  test("with one port for two clients drops the second where it would be confirmed", () => {
    const world = rig();
    snat(world, range("10.2.0.1:7100"));
    expect(through(world, udp("10.1.0.2:5555", "10.2.0.2:53"))).toBe("10.2.0.1:7100 > 10.2.0.2:53");
    expect(infoOf(world.forward(udp("10.1.0.3:5555", "10.2.0.2:53")))).toBe("dropped");
    expect(world.table.statistics).toMatchObject({ insert_failed: 1, drop: 1 });
    expect(through(world, udp("10.1.0.3:5555", "10.2.0.3:53"))).toBe("10.2.0.1:7100 > 10.2.0.3:53");
  });

  test("--random and --random-fully leave a free port alone only by chance", () => {
    for (const more of [{ random: true }, { randomFully: true }]) {
      const world = rig(3);
      snat(world, range("10.2.0.1", more));
      expect(through(world, udp("10.1.0.2:5555", "10.2.0.2:53"))).not.toBe(
        "10.2.0.1:5555 > 10.2.0.2:53",
      );
    }
  });

  test("a protocol without ports gets the address alone", () => {
    const world = rig();
    snat(world, range("10.2.0.1"));
    expect(
      world.forward(packet("10.1.0.2", "10.2.0.2", 50, undefined, new Uint8Array(8)))?.frame
        .network,
    ).toMatchObject({
      source: ip("10.2.0.1"),
    });
    expect(
      infoOf(world.forward(packet("10.1.0.3", "10.2.0.2", 50, undefined, new Uint8Array(8)))),
    ).toBe("dropped");
  });

  test("throws out a finished TCP connection when ports run short", () => {
    const world = rig();
    snat(world, range("10.2.0.1:7100-7101"));
    for (const client of ["10.1.0.2:1", "10.1.0.3:2"]) {
      world.forward(tcp(client, "10.2.0.2:80", "S", { seq: 1000 }));
    }
    expect(infoOf(world.forward(tcp("10.1.0.4:3", "10.2.0.2:80", "S", { seq: 1000 })))).toBe(
      "dropped",
    );
    for (const entry of world.table.entries()) if (entry.tcp !== undefined) entry.tcp.state = 7;
    expect(infoOf(world.forward(tcp("10.1.0.4:3", "10.2.0.2:80", "S", { seq: 900 })))).toBe(
      "dropped",
    );
    expect(infoOf(world.forward(tcp("10.1.0.4:3", "10.2.0.2:80", "S", { seq: 90_000 })))).toBe(
      "NEW",
    );
    expect(world.list()).toHaveLength(2);
  });
});

describe("a null binding", () => {
  test("changes a source port although no rule asks for it, when the answers would clash", () => {
    const world = rig();
    dnat(world, toPort(5353), range("10.2.0.2:53"));
    world.forward(udp("10.1.0.2:5050", "10.1.0.1:5353"));
    const direct = through(world, udp("10.1.0.2:5050", "10.2.0.2:53"));
    expect(direct).toMatch(/^10\.1\.0\.2:\d+ > 10\.2\.0\.2:53$/);
    expect(direct).not.toBe("10.1.0.2:5050 > 10.2.0.2:53");
  });

  test("changes nothing else", () => {
    const world = rig();
    at(world, "POSTROUTING", () => ACCEPT);
    expect(through(world, udp("10.1.0.2:5050", "10.2.0.2:53"))).toBe("10.1.0.2:5050 > 10.2.0.2:53");
    expect(world.events.filter((event) => event.kind === "rewrite")).toEqual([]);
  });
});

describe("NETMAP", () => {
  test("maps the network and keeps the host", () => {
    const world = rig();
    const to = parseIpv4Prefix("10.30.0.0/24");
    if (to === undefined) throw new Error("prefix");
    at(world, "PREROUTING", (skb, state) => netmap(skb, state, to));
    expect(through(world, udp("10.1.0.2:5555", "10.99.0.2:53"))).toBe(
      "10.1.0.2:5555 > 10.30.0.2:53",
    );
    expect(through(world, udp("10.30.0.2:53", "10.1.0.2:5555"))).toBe(
      "10.99.0.2:53 > 10.1.0.2:5555",
    );
  });
});

describe("an ICMP error about a translated flow", () => {
  function service(): Rig {
    const world = rig();
    dnat(world, toPort(9000), range("10.2.0.2:77"));
    snat(world, range("10.2.0.1"));
    world.forward(udp("10.1.0.2:4000", "10.1.0.1:9000"));
    return world;
  }

  // As seen on 6.18: outer 10.1.0.1 > 10.1.0.2, inner 10.1.0.2:4000 > 10.1.0.1:9000.
  test("comes from the virtual address and quotes what the client sent", () => {
    const error = service().forward(
      icmpError("10.2.0.2", "10.2.0.1", 3, 3, udp("10.2.0.1:4000", "10.2.0.2:77")),
    );
    expect(infoOf(error)).toBe("RELATED_REPLY");
    expect(ends(error?.frame)).toBe("10.1.0.1 > 10.1.0.2");
    const quoted = error === undefined ? undefined : decodeIpPacket(error.frame.payload);
    expect(quoted?.ok === true ? ends(quoted.value) : "").toBe("10.1.0.2:4000 > 10.1.0.1:9000");
  });

  test("comes from the virtual address even when a router on the way sent it", () => {
    const error = service().forward(
      icmpError("10.2.0.99", "10.2.0.1", 11, 0, udp("10.2.0.1:4000", "10.2.0.2:77")),
    );
    expect(ends(error?.frame)).toBe("10.1.0.1 > 10.1.0.2");
  });

  test("keeps a router's address when only the source was translated", () => {
    const world = rig();
    snat(world, range("10.2.0.1"));
    world.forward(udp("10.1.0.2:4000", "10.2.0.2:77"));
    const error = world.forward(
      icmpError("10.2.0.99", "10.2.0.1", 11, 0, udp("10.2.0.1:4000", "10.2.0.2:77")),
    );
    expect(ends(error?.frame)).toBe("10.2.0.99 > 10.1.0.2");
  });

  test("with a wrong checksum is not let through by NAT", () => {
    const world = service();
    world.ns.sysctls.find("net.netfilter.nf_conntrack_checksum")?.set("0");
    const error = icmpError("10.2.0.2", "10.2.0.1", 3, 3, udp("10.2.0.1:4000", "10.2.0.2:77"));
    const spoilt = {
      ...error,
      transport: { kind: "icmp" as const, type: 3, code: 3, rest: 0, checksumError: 5 },
    };
    expect(infoOf(world.forward(spoilt))).toBe("dropped");
  });

  test("that is a redirect is dropped", () => {
    expect(
      infoOf(
        service().forward(
          icmpError("10.2.0.99", "10.2.0.1", 5, 1, udp("10.2.0.1:4000", "10.2.0.2:77")),
        ),
      ),
    ).toBe("dropped");
  });
});
