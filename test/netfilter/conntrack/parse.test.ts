import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ACCEPT } from "../../../src/core/hooks.js";
import { UserError } from "../../../src/base/errors.js";
import { loadConnections, parseConntrackList } from "../../../src/netfilter/conntrack/parse.js";
import { registerNatLookup } from "../../../src/netfilter/nat/hooks.js";
import { infoOf, ip, rig, tcp } from "../rig.js";

/** Lines of conntrack-tools 1.4.7 on Linux 6.18. */
const LISTED = [
  "gre      47 29 src=10.1.0.2 dst=10.2.0.2 srckey=0x0 dstkey=0x7 packets=1 bytes=28 [UNREPLIED] src=10.2.0.2 dst=10.2.0.1 srckey=0x7 dstkey=0x0 packets=0 bytes=0 mark=0 use=1",
  "icmp     1 29 src=10.1.0.2 dst=10.2.0.2 type=8 code=0 id=19494 packets=1 bytes=84 src=10.2.0.2 dst=10.2.0.1 type=0 code=0 id=19494 packets=1 bytes=84 mark=0 use=1",
  "tcp      6 119 TIME_WAIT src=10.1.0.2 dst=10.2.0.2 sport=6667 dport=80 packets=5 bytes=271 src=10.2.0.2 dst=10.2.0.1 sport=80 dport=6667 packets=5 bytes=270 [ASSURED] mark=0 use=1",
  "udp      17 29 src=10.1.0.2 dst=10.2.0.2 sport=5555 dport=503 packets=1 bytes=29 [UNREPLIED] src=10.2.0.2 dst=10.2.0.1 sport=503 dport=5555 packets=0 bytes=0 mark=17 use=1",
  "udp      17 29 src=10.1.0.2 dst=10.2.0.2 sport=5555 dport=502 packets=1 bytes=29 [UNREPLIED] src=10.2.0.2 dst=10.2.0.1 sport=502 dport=5555 zone-reply=7 packets=0 bytes=0 mark=0 use=1",
  "udp      17 29 src=10.1.0.2 dst=10.2.0.2 sport=5555 dport=500 packets=1 bytes=29 [UNREPLIED] src=10.2.0.2 dst=10.2.0.1 sport=500 dport=5555 packets=0 bytes=0 mark=0 zone=5 use=1",
  "unknown  50 599 src=10.1.0.2 dst=10.2.0.2 packets=1 bytes=28 [UNREPLIED] src=10.2.0.2 dst=10.2.0.1 packets=0 bytes=0 mark=0 use=1",
  "udp      17 29 src=10.1.0.2 dst=10.2.0.2 sport=5555 dport=501 zone-orig=6 packets=1 bytes=29 [UNREPLIED] src=10.2.0.2 dst=10.2.0.1 sport=501 dport=5555 packets=0 bytes=0 mark=0 use=1",
  "tcp      6 431999 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=50466 dport=21 packets=5 bytes=271 src=10.0.2.2 dst=10.0.2.1 sport=21 dport=50466 packets=5 bytes=270 [ASSURED] mark=0 helper=ftp use=1",
];

describe("a list of connections", () => {
  test("is printed again as the real tool printed it", () => {
    const world = rig();
    loadConnections(
      world.table,
      parseConntrackList(
        `${LISTED.join("\n")}\nconntrack v1.4.7 (conntrack-tools): 8 flow entries have been shown.\n`,
        "node.txt",
      ),
    );
    expect(world.list()).toEqual(LISTED);
  });

  test("of every line that the kernel was recorded with comes back the same", () => {
    const recorded: {
      readonly runs: readonly {
        readonly steps: readonly { readonly lines: readonly string[] }[];
      }[];
    } = JSON.parse(
      readFileSync(new URL("../../golden/conntrack-tcp.json", import.meta.url), "utf8"),
    );
    const lines = new Set(recorded.runs.flatMap((run) => run.steps.flatMap((step) => step.lines)));
    expect(lines.size).toBeGreaterThan(100);
    for (const line of lines) {
      const world = rig();
      loadConnections(world.table, parseConntrackList(line, "node.txt"));
      expect(world.list()).toEqual([`${line} use=1`]);
    }
  });

  test("translates the packets of its connections, without asking any rule", () => {
    const world = rig();
    let asked = 0;
    registerNatLookup(world.ns, "ipv4", "PREROUTING", () => {
      asked++;
      return ACCEPT;
    });
    loadConnections(world.table, parseConntrackList(LISTED[2] ?? "", "node.txt"));
    const answer = world.forward(tcp("10.2.0.2:80", "10.2.0.1:6667", "A", { seq: 1, ack: 1 }));
    expect(infoOf(answer)).toBe("ESTABLISHED_REPLY");
    expect(answer?.frame.network).toMatchObject({ destination: ip("10.1.0.2") });
    expect(asked).toBe(0);
  });

  test.each([
    ["udp      17 x src=1.2.3.4", "not a line of conntrack -L: no timeout"],
    ["hello", "not a line of conntrack -L: no protocol number"],
    [
      "tcp      6 9 ESTABLISHD src=1.2.3.4 dst=1.2.3.5 sport=1 dport=2",
      "unknown TCP state `ESTABLISHD'",
    ],
    ["udp      17 9 src=1.2.3.4 dst=1.2.3 sport=1 dport=2", "no address after dst="],
    ["udp      17 9 src=1.2.3.4 dst=2001:db8::1 sport=1 dport=2", "addresses of two families"],
    ["udp      17 9 src=1.2.3.4 dst=1.2.3.5 sport=1 dport=70000", "no number after dport="],
    ["icmp     1 9 src=1.2.3.4 dst=1.2.3.5", "no number after id="],
  ])("with the line %s is refused with its place", (line, message) => {
    const read = (): unknown => parseConntrackList(`\n${line}`, "node.txt");
    expect(read).toThrow(message);
    expect(read).toThrow(
      expect.objectContaining({
        details: expect.objectContaining({ place: { file: "node.txt", line: 2, column: 1 } }),
      }),
    );
  });

  test("of any text is read or refused, nothing else", () => {
    const piece = fc.constantFrom(
      "tcp",
      "6",
      "17",
      "udp",
      "src=1.2.3.4",
      "dst=1.2.3.4",
      "sport=1",
      "dport=2",
      "[ASSURED]",
      "=",
      "ESTABLISHED",
      "zone=99999",
      "\n",
      "mark=-1",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((words) => words.join(" ")),
        ),
        (text) => {
          try {
            loadConnections(rig().table, parseConntrackList(text, "fuzz"));
          } catch (error) {
            expect(error).toBeInstanceOf(UserError);
          }
        },
      ),
    );
  });
});
