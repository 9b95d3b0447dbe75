import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { Replay, type ReplayRequest } from "../../src/lab/replay.js";
import { loadWorld } from "../../src/lab/world.js";
import { flowText, replayRow, type ReplayRow } from "../../src/view/replay-row.js";
import { rowText } from "../../src/view/replay-text.js";
import type { Capture, CapturedPacket } from "../../src/wire/capture.js";
import { packetBytes } from "../../src/wire/capture.js";
import { encodePcap } from "../../src/wire/pcap.js";
import { encodePcapng } from "../../src/wire/pcapng.js";
import { readCapture } from "../../src/wire/read-capture.js";
import { demoWorld } from "../cli/demo-world.js";
import { hex } from "../wire/support.js";

const shop = demoWorld("shop");
const ofPod = golden("web-0.pcap");
const ofNode = golden("worker-1.pcapng");
const atPod: Partial<ReplayRequest> = { at: ["shop/web-0:eth0"] };
const atNode: Partial<ReplayRequest> = {
  at: ["veth4a2e5ef7=worker-1:veth4a2e5ef7", "eth0=worker-1:eth0"],
};
/** Where the pod's cable comes in. */
const atCable: Partial<ReplayRequest> = { at: ["worker-1:veth4a2e5ef7"] };

function golden(name: string): Capture {
  return readCapture(name, readFileSync(`test/golden/captures/${name}`));
}

function replayed(
  capture: Capture,
  request: Partial<ReplayRequest>,
  world: ConstructorParameters<typeof Replay>[0] = shop,
): { readonly rows: readonly ReplayRow[]; readonly notes: readonly string[] } {
  const replay = new Replay(world, capture, { at: [], all: true, seed: 1, ...request });
  const rows = [...replay.packets()].map((packet) => replayRow(packet));
  return { rows, notes: replay.notes };
}

/** `4 10.244.1.5:54928 > 10.96.44.10:80 DELIVERED shop/api-1`. */
function lines(rows: readonly ReplayRow[]): readonly string[] {
  return rows.map((row) => `${row.packet.number} ${flowText(row.packet.frame)} ${rowText(row)}`);
}

/** A capture of some packets of another, each as `change` makes it. */
function made(
  from: Capture,
  numbers: readonly number[],
  change: (bytes: Uint8Array, packet: CapturedPacket) => Uint8Array = (bytes) => bytes,
): Capture {
  const packets = numbers.flatMap((number) => from.packets[number - 1] ?? []);
  return readCapture(
    "made.pcap",
    encodePcap(
      packets.map((packet, index) => ({
        time: index * 1000,
        bytes: change(Uint8Array.from(packetBytes(from, packet)), packet),
      })),
    ),
  );
}

const inPod = replayed(ofPod, atPod);
const onNode = replayed(ofNode, atNode);

describe("a capture of the real kernel, replayed", () => {
  it("in the pod: every packet is accounted for, and refusals come back as they did", () => {
    const { rows } = inPod;
    expect(
      rows.filter(({ verdict }) => verdict === "UNKNOWN" || verdict === "CONTRADICTED"),
    ).toEqual([]);
    expect(lines(rows.filter(({ packet: { number } }) => number >= 37 && number <= 46))).toEqual([
      "37 10.244.1.5:45330 > 10.96.44.20:5432 DENIED shop/db-0 ingress",
      "38 10.96.44.20 > 10.244.1.5 icmp 3/3 AS-CAPTURED brought by packet 37",
      "39 10.244.1.5:35398 > 10.244.2.5:81 DENIED shop/api-1 ingress",
      "40 192.168.10.12 > 10.244.1.5 icmp 3/3 AS-CAPTURED brought by packet 39",
      "41 10.244.1.5 > 10.244.2.6 icmp 8/0 DELIVERED shop/db-0, as captured",
      "42 10.244.2.6 > 10.244.1.5 icmp 0/0 AS-CAPTURED brought by packet 41",
      "43 10.244.1.5 > 10.244.2.6 icmp 8/0 DELIVERED shop/db-0, as captured",
      "44 10.244.2.6 > 10.244.1.5 icmp 0/0 AS-CAPTURED brought by packet 43",
      "45 10.244.1.5 > 10.244.2.6 icmp 8/0 DROPPED TTL used up in worker-1",
      "46 10.244.1.1 > 10.244.1.5 icmp 11/0 AS-CAPTURED brought by packet 45",
    ]);
  });

  it("differs only where kube-proxy drew another endpoint: then the answer has come a shorter way", () => {
    const { rows } = inPod;
    const differing = rows.filter(({ verdict }) => verdict === "DIFFERS");
    expect(differing.length).toBeGreaterThan(0);
    for (const { differences } of differing)
      expect(differences.map(({ field }) => field)).toEqual(["eth.src", "ip.ttl"]);
    // api-1 is on the other node, where the real answers came from this one.
    const asked = rows.filter(({ packet: { number } }) => number === 4);
    expect(lines(asked)).toEqual([
      "4 10.244.1.5:54928 > 10.96.44.10:80 DELIVERED shop/api-1, as captured",
    ]);
  });

  it("draws as the kernel did for another: that whole connection is as captured, its long segments too", () => {
    const { rows } = inPod;
    const connection = rows.filter(({ packet }) => flowText(packet.frame).includes(":54944"));
    expect(connection.length).toBe(10);
    expect(connection.every(({ where }) => where.endsWith(", as captured"))).toBe(true);
  });

  it("on two devices of the node: what went out of one is what came in by the other", () => {
    const { rows } = onNode;
    expect(
      rows.filter(({ verdict }) => verdict === "UNKNOWN" || verdict === "CONTRADICTED"),
    ).toEqual([]);
    expect(
      lines(rows.filter(({ packet: { number } }) => [37, 38, 43, 44].includes(number))),
    ).toEqual([
      "37 10.244.1.5:45330 > 10.96.44.20:5432 DENIED shop/db-0 ingress",
      "43 10.244.1.5:45330 > 10.244.2.6:5432 AS-CAPTURED brought by packet 37",
      "44 192.168.10.12 > 10.244.1.5 icmp 3/3 AS-CAPTURED brought by packet 37",
      "38 10.96.44.20 > 10.244.1.5 icmp 3/3 AS-CAPTURED brought by packet 37",
    ]);
  });

  it("packet by packet keeps conntrack: a later packet of a connection goes where the first one went", () => {
    const { rows } = onNode;
    const sent = rows.filter(
      ({ packet }) =>
        packet.result.kind === "sent" &&
        flowText(packet.frame) === "10.244.1.5:54928 > 10.96.44.10:80",
    );
    expect(new Set(sent.map(({ where }) => where)).size).toBe(1);
    const [, second] = sent;
    const events =
      second?.packet.result.kind === "sent" ? second.packet.result.recording.events : [];
    expect(events.find((event) => event.kind === "conntrack")).toMatchObject({
      action: "found",
      entry: { state: "ESTABLISHED" },
    });
  });

  it("by flows: only the first packet of each, unless all are asked for", () => {
    const { rows } = replayed(ofNode, { ...atCable, all: false });
    const tcp = rows.filter(({ packet }) => packet.frame?.transport?.kind === "tcp");
    expect(
      tcp.every(
        ({ packet: { frame } }) => frame?.transport?.kind === "tcp" && frame.transport.flags === 2,
      ),
    ).toBe(true);
    expect(replayed(ofNode, atCable).rows.length).toBeGreaterThan(rows.length * 3);
  });

  it("gives the same twice", () => {
    expect(lines(replayed(ofNode, atNode).rows)).toEqual(lines(onNode.rows));
  });
});

describe("what is not certain", () => {
  it("is a packet of an interface that is no device of the world", () => {
    const { rows } = replayed(made(ofPod, [4]), {});
    expect(lines(rows)).toEqual([
      "1 10.244.1.5:54928 > 10.96.44.10:80 UNKNOWN interface 0 of the capture is no device of the world: --at 0=NODE:DEVICE says which",
    ]);
  });

  it("is a connection that began before the capture", () => {
    const { rows } = replayed(made(ofPod, [9, 10]), atCable);
    expect(rows.map(({ verdict }) => verdict)).toEqual(["UNKNOWN", "UNKNOWN"]);
    expect(rows[0]?.where).toBe(
      "packet 1 is of a connection that began before the capture: what conntrack knew of it was not recorded",
    );
  });

  it("is what went out when nothing of it came in, and all that follows", () => {
    // What the server's side of worker-1 sees: requests that were translated already.
    const { rows } = replayed(made(ofPod, [48, 49]), { at: ["worker-1:veth4a2e5ef7"] });
    expect(rows[0]?.where).toBe(
      "it went out of veth4a2e5ef7 of worker-1, and what came in for it was not captured",
    );
    expect(rows[1]?.where).toContain("is of a connection that began elsewhere");
  });

  it("is a packet whose headers were cut off; one without its data is replayed", () => {
    const cut = (length: number): Capture => {
      const whole = made(ofPod, [10]);
      const [packet] = whole.packets;
      if (packet === undefined) throw new Error("no packet");
      return { ...whole, packets: [{ ...packet, length }] };
    };
    expect(replayed(cut(40), atCable).rows[0]?.where).toBe(
      "its headers were cut off: 40 of 54 bytes were captured",
    );
    const { rows, notes } = replayed(cut(66), atCable);
    expect(rows[0]?.where).toContain("began before the capture");
    expect(notes).toContain(
      "1 packet of which only the beginning was captured: the rest is taken to be zeros",
    );
  });

  it("is a link type that nobody reads, and a damaged header", () => {
    const one = made(ofPod, [4]);
    expect(
      replayed({ ...one, interfaces: [{ name: undefined, linkType: 105 }] }, atCable).rows[0]
        ?.where,
    ).toBe("link type 105 is not read");
    const bad = made(ofPod, [4], (bytes) => {
      bytes[14] = 0x55;
      return bytes;
    });
    expect(replayed(bad, atCable).rows[0]?.where).toBe("IPv4 header of version 5");
  });
});

describe("packets from elsewhere", () => {
  it("get the MAC addresses of this world where theirs mean nothing in it, and it is said", () => {
    const foreign = made(ofPod, [4], (bytes) => {
      bytes.set(hex("020000000001020000000002"), 0);
      return bytes;
    });
    const { rows, notes } = replayed(foreign, atCable);
    expect(rows[0]?.verdict).toBe("DELIVERED");
    expect(notes).toContain(
      "MAC addresses of 1 packet are not those of this world and were replaced by its own",
    );
  });

  it.each([
    ["without link headers", 101, ""],
    ["of all devices (SLL)", 113, "0000 0001 0006 020000000001 0000 0800"],
    ["of all devices (SLL2)", 276, "0800 0000 00000007 0001 00 06 0200000000010000"],
    ["of a BSD loopback", 0, "02000000"],
  ])("%s are read", (_, linkType, header) => {
    const syn = made(ofPod, [4], (bytes) =>
      Uint8Array.of(...hex(header === "" ? "" : header), ...bytes.subarray(14)),
    );
    const cooked: Capture = { ...syn, interfaces: [{ name: undefined, linkType }] };
    expect(replayed(cooked, atCable).rows[0]?.verdict).toBe("DELIVERED");
  });

  it("come in where their device index says", () => {
    const sll2 = made(ofPod, [4], (bytes) =>
      Uint8Array.of(
        ...hex("0800 0000 00000007 0001 00 06 0200000000010000"),
        ...bytes.subarray(14),
      ),
    );
    const cooked: Capture = { ...sll2, interfaces: [{ name: "any", linkType: 276 }] };
    expect(replayed(cooked, { at: ["if7=worker-1:veth4a2e5ef7"] }).rows[0]?.verdict).toBe(
      "DELIVERED",
    );
    expect(replayed(cooked, { at: ["if8=worker-1:eth0"] }).rows[0]?.where).toBe(
      "interface if7 of the capture is no device of the world: --at if7=NODE:DEVICE says which",
    );
  });

  it("with checksums that a network card was to fill in are right; others are as wrong as they are", () => {
    // curl's own SYN left the pod without its checksum.
    const { rows } = replayed(made(ofPod, [4]), atCable);
    expect(rows[0]?.verdict).toBe("DELIVERED");
    const wrong = made(ofPod, [4], (bytes) => {
      bytes[50] = 0x12;
      bytes[51] = 0x34;
      return bytes;
    });
    const [{ packet, verdict }] = replayed(wrong, atCable).rows as [ReplayRow];
    const events = packet.result.kind === "sent" ? packet.result.recording.events : [];
    expect(events.find(({ kind }) => kind === "conntrack")).toMatchObject({ action: "invalid" });
    expect(verdict).toBe("DENIED");
  });

  it("of hopwise's own captures need no --at: their interfaces are called NODE/DEVICE", () => {
    const [packet] = made(ofPod, [4]).packets;
    const bytes = packet === undefined ? hex("") : packetBytes(made(ofPod, [4]), packet);
    const own = encodePcapng({
      interfaces: ["worker-1/veth4a2e5ef7"],
      packets: [{ interface: 0, time: 0, bytes }],
    });
    expect(replayed(readCapture("own", own), {}).rows[0]?.verdict).toBe("DELIVERED");
  });

  it("that the world would not have let through are a contradiction", () => {
    // The answer to a connection that a policy refuses.
    const synAck = made(ofPod, [37, 10], (bytes, { number }) => {
      if (number === 37) return bytes;
      const swapped = Uint8Array.from(
        packetBytes(ofPod, ofPod.packets[7] ?? ofPod.packets[0] ?? never()),
      );
      swapped.set(hex("0a602c14"), 26);
      swapped.set(hex("1538b112"), 34);
      return swapped;
    });
    expect(lines(replayed(synAck, atCable).rows)[1]).toBe(
      "2 10.96.44.20:5432 > 10.244.1.5:45330 CONTRADICTED it answers packet 1, which did not arrive here",
    );
  });
});

function never(): never {
  throw new Error("the capture is empty");
}

describe("in a lab and in dumps", () => {
  it("the same goes for a world without Kubernetes", () => {
    const path = "topologies/labs/two-nodes-routed.yaml";
    const lab = loadWorld([{ file: path, text: readFileSync(path, "utf8") }], path);
    const ping = made(ofPod, [41], (bytes) => {
      bytes.set(hex("c0000202c6336402"), 26);
      bytes.set(hex("0000"), 24);
      return bytes;
    });
    const { rows } = replayed(ping, { at: ["router:eth0"] }, lab);
    expect(rows[0]?.verdict).toBe("DROPPED");
  });
});

describe("a place that is not there", () => {
  const mistake = (at: string): string => {
    try {
      replayed(made(ofPod, [4]), { at: [at] });
    } catch (error) {
      if (error instanceof UserError) return `${error.message}; ${error.details.help ?? ""}`;
    }
    return "none";
  };

  it("is an error with the nearest name", () => {
    expect(mistake("worker-1")).toContain('"worker-1" is no place to replay at; say NODE:DEVICE');
    expect(mistake("worker-9:eth0")).toBe(
      'no node or pod "worker-9" to replay at; did you mean worker-1?',
    );
    expect(mistake("worker-1:eth1")).toBe('no device "eth1" in worker-1; did you mean eth0?');
    expect(mistake("eth7=worker-1:eth0")).toBe('made.pcap has no interface "eth7"; it has 0');
  });
});

describe("whatever is in the packets", () => {
  it("comes to an end: each is answered for, and nothing is thrown", () => {
    const base = made(ofPod, [4, 9, 10, 37, 41, 3]);
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.nat(5),
            fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 4 }),
            fc.nat(120),
          ),
          {
            maxLength: 6,
          },
        ),
        (choices) => {
          const packets = choices.map(([index, changes, length], time) => {
            const packet = base.packets[index] ?? never();
            const bytes = Uint8Array.from(packetBytes(base, packet));
            for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
            return { time: time * 1000, bytes: bytes.subarray(0, Math.max(1, length)) };
          });
          const { rows } = replayed(readCapture("fuzz", encodePcap(packets)), atCable);
          expect(rows.length).toBeLessThanOrEqual(packets.length);
        },
      ),
      { numRuns: Number(process.env["HOPWISE_FUZZ"] ?? 8) },
    );
  });
});
