import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { parseBpf } from "../../src/view/filter-bpf.js";
import { encodeFrame } from "../../src/wire/frame.js";
import { encodePcap } from "../../src/wire/pcap.js";
import { anyFrame } from "../wire/frames.js";
import { hex } from "../wire/support.js";

const ethernet = "0a0000000001 0a0000000002";
const tcp = "9c40 0050 00000001 00000000 5002 faf0 0000 0000";
/** 192.0.2.1:40000 > 198.51.100.2:80, a SYN. */
const ip4 = `0800 45000028 00014000 4006 0000 c0000201 c6336402 ${tcp}`;

/** Frames of many kinds, each worth a name in a failure. */
const frames: Readonly<Record<string, Uint8Array>> = {
  syn: hex(`${ethernet} ${ip4}`),
  tagged: hex(`${ethernet} 8100 0064 ${ip4}`),
  twice: hex(`${ethernet} 88a8 0007 8100 0064 ${ip4}`),
  options: hex(`${ethernet} 0800 4600002c 00014000 4006 0000 c0000201 c6336402 01010100 ${tcp}`),
  udp: hex(
    `${ethernet} 0800 45000020 00010000 4011 0000 0a000001 0a000002 00350400 000c0000 01020304`,
  ),
  fragment: hex(
    `${ethernet} 0800 45000020 00010005 4011 0000 0a000001 0a000002 00350400 000c0000 01020304`,
  ),
  ping: hex(`${ethernet} 0800 4500001c 00010000 4001 0000 0a000001 0a000002 0800f7ff 00000000`),
  multicast: hex(
    `01005e000001 0a0000000002 0800 4500001c 00010000 0102 0000 0a000001 e0000001 1100eeff 00000000`,
  ),
  broadcast: hex(
    `ffffffffffff 0a0000000002 0800 4500001c 00010000 4011 0000 0a000001 ffffffff 00440043 00080000`,
  ),
  arp: hex(
    `ffffffffffff 0a0000000002 0806 0001 0800 06 04 0001 0a0000000002 c0000201 000000000000 c6336402`,
  ),
  rarp: hex(
    `ffffffffffff 0a0000000002 8035 0001 0800 06 04 0003 0a0000000002 00000000 0a0000000002 00000000`,
  ),
  six: hex(
    `${ethernet} 86dd 60000000 0014 06 40 20010db8000000000000000000000001 20010db8000000000000000000000002 ${tcp}`,
  ),
  sixFragment: hex(
    `${ethernet} 86dd 60000000 001c 2c 40 20010db8000000000000000000000001 20010db8000000000000000000000002 06000001 00000001 ${tcp}`,
  ),
  icmp6: hex(
    `${ethernet} 86dd 60000000 0008 3a ff fe800000000000000000000000000001 ff020000000000000000000000000001 87000000 00000000`,
  ),
  sctp: hex(
    `${ethernet} 0800 45000020 00010000 4084 0000 0a000001 0a000002 00500400 00000000 00000000`,
  ),
  short: hex(`${ethernet} 0800 4500`),
  tiny: hex("0a00000000"),
};

const filters: readonly string[] = [
  "tcp",
  "udp",
  "icmp",
  "icmp6",
  "ip",
  "ip6",
  "arp",
  "rarp",
  "sctp",
  "igmp",
  "not ip",
  "not tcp",
  "host 192.0.2.1",
  "src host 192.0.2.1",
  "dst 198.51.100.2",
  "ip host 192.0.2.1",
  "arp host 192.0.2.1",
  "arp src host 192.0.2.1",
  "src or dst host 10.0.0.2",
  "src and dst host 10.0.0.2",
  "host 2001:db8::1",
  "dst host 2001:db8::1",
  "ip6 host 2001:db8::2",
  "net 192.0.2.0/24",
  "net 10",
  "src net 10.0.0",
  "dst net 198.51.100.0 mask 255.255.255.0",
  "net 2001:db8::/32",
  "not net 10.0.0.0/8",
  "port 80",
  "tcp port 80",
  "udp port 53",
  "src port 53",
  "tcp dst port 80",
  "dst port http",
  "port domain or port http",
  "portrange 50-100",
  "udp portrange 1-60",
  "tcp dst port 80 or 53",
  "port 80 and not host 10.0.0.1",
  "port 53 or port 80 and ip6",
  "(port 53 or port 80) and ip6",
  "not (tcp or udp)",
  "! tcp && ! udp",
  "ip proto 6",
  "ip proto \\tcp",
  "ip6 proto 6",
  "ether proto 0x0806",
  "ether proto \\arp",
  "proto 17",
  "ip6 proto 58",
  "ether host 0a:00:00:00:00:02",
  "ether src 0a:00:00:00:00:02",
  "ether dst 0a:00:00:00:00:02",
  "ether broadcast",
  "broadcast",
  "multicast",
  "ether multicast",
  "ip multicast",
  "less 60",
  "greater 60",
  "len > 50",
  "len <= 54",
  "len - 14 = 40",
  "tcp[13] & 2 != 0",
  "tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn",
  "tcp[tcpflags] == tcp-syn",
  "ip[0] & 0xf > 5",
  "ip[8] < 64",
  "ip[6:2] & 0x1fff != 0",
  "icmp[icmptype] = icmp-echo",
  "udp[0:2] = 53",
  "ip[2:2] > 30",
  "ether[0] & 1 != 0",
  "arp[6:2] = 1",
  "ip6[6] = 6",
  "tcp[100] = 0",
  "not tcp[100] = 0",
  "udp or tcp[100] = 0",
  "ip[16:4] = 0xc6336402",
  "ip[9] = 3 * 2",
  "ip[9] = 12 / 2",
  "ip[9] = 1 << 2 | 2",
  "tcp[0:2] - 1 = 39999",
  "(ip[9] + 1) = 7",
  "ip[0] >> 4 = 4",
  "10 < len",
  "vlan",
  "vlan 100",
  "vlan 7",
  "vlan and tcp",
  "vlan 100 and port 80",
  "not vlan",
  "vlan and vlan 100 and tcp port 80",
  "tcp and vlan",
  "vlan or tcp",
];

const held = (filter: string, bytes: Uint8Array): boolean => parseBpf(filter)(bytes);
/** What tcpdump lets through, by filter. `HOPWISE_RECORD=1` asks it again. */
const GOLDEN = "test/golden/packet-filters.json";
if (process.env["HOPWISE_RECORD"] === "1") record();
const golden = JSON.parse(readFileSync(GOLDEN, "utf8")) as {
  readonly holds: Readonly<Record<string, readonly string[]>>;
};

function record(): void {
  const folder = mkdtempSync(join(tmpdir(), "hopwise-"));
  const file = join(folder, "frames.pcap");
  const names = Object.keys(frames);
  const packets = Object.values(frames).map((bytes, at) => ({ time: at * 1_000_000, bytes }));
  writeFileSync(file, encodePcap(packets));
  const version = spawnSync("tcpdump", ["--version"], { encoding: "utf8" });
  const made = `${version.stdout}${version.stderr}`.trim();
  const holds = filters.map((filter) => {
    const args = ["-r", file, "-n", "-tt", filter];
    const { status, stdout, stderr } = spawnSync("tcpdump", args, { encoding: "utf8" });
    if (status !== 0 && !stderr.includes("rejects all packets"))
      throw new Error(`${filter}: ${stderr}`);
    const times = [...stdout.matchAll(/^(\d+)\.000000 /gm)];
    return [filter, times.map(([, time]) => names[Number(time)])] as const;
  });
  rmSync(folder, { recursive: true });
  const command = "tcpdump -r FRAMES -n -tt FILTER";
  const document = { made: made.split("\n"), command, holds: Object.fromEntries(holds) };
  writeFileSync(GOLDEN, `${JSON.stringify(document, undefined, 1)}\n`);
}

describe("a packet filter", () => {
  it("tests hosts, ports, protocols and bytes", () => {
    const { syn = hex(""), udp = hex(""), arp = hex("") } = frames;
    expect(held("tcp port 80", syn)).toBe(true);
    expect(held("tcp port 80", udp)).toBe(false);
    expect(held("src host 192.0.2.1 and tcp[tcpflags] & tcp-syn != 0", syn)).toBe(true);
    expect(held("arp or udp port domain", arp)).toBe(true);
    expect(held("", syn)).toBe(true);
  });

  it("fails as a whole when it asks for a byte that is not there, as the kernel's does", () => {
    const { syn = hex("") } = frames;
    expect(held("tcp[100] = 0", syn)).toBe(false);
    expect(held("not tcp[100] = 0", syn)).toBe(false);
    expect(held("ip or tcp[100] = 0", syn)).toBe(true);
  });

  it.each(filters)("%s holds for the frames that tcpdump takes", (filter) => {
    const test = parseBpf(filter);
    const taken = Object.entries(frames).flatMap(([name, bytes]) => (test(bytes) ? [name] : []));
    expect(taken).toEqual(golden.holds[filter]);
  });

  it("says what is wrong, at its column and with the nearest word", () => {
    const mistake = (text: string): string => {
      try {
        parseBpf(text);
      } catch (error) {
        if (error instanceof UserError)
          return `${error.details.place?.column}: ${error.message}${error.details.help === undefined ? "" : `; ${error.details.help}`}`;
        throw error;
      }
      return "none";
    };
    expect(mistake("tpc port 80")).toBe(
      '1: "tpc" is no word of a packet filter; did you mean tcp?',
    );
    expect(mistake("port htpp")).toBe("6: unknown port 'htpp'; did you mean http?");
    expect(mistake("tcp port 70000")).toBe("10: illegal port number 70000 > 65535");
    expect(mistake("host web-0")).toBe(
      "6: unknown host 'web-0'; names are not looked up: write an address",
    );
    expect(mistake("net 10.0.0.1/8")).toBe('5: non-network bits set in "10.0.0.1/8"');
    expect(mistake("tcp and")).toBe("8: a test is missing here");
    expect(mistake("(tcp")).toBe('5: ")" is missing');
    expect(mistake("tcp tcp")).toBe("5: a host, network or port is missing here");
    expect(mistake("icmp port 5")).toBe("11: illegal qualifier of 'port': icmp");
    expect(mistake("tcp[0:3] = 1")).toBe("7: data size must be 1, 2, or 4");
    expect(mistake("tcp[0")).toBe('6: "]" is missing');
    expect(mistake("vlan 4096")).toBe("6: VLAN tag 4096 greater than maximum 4095");
    expect(mistake("constructor 1")).toContain("is no word of a packet filter");
    expect(mistake("(".repeat(200) + "tcp")).toContain("nested at most 100 deep");
    expect(mistake("not ".repeat(200) + "tcp")).toContain("nested at most 100 deep");
    expect(mistake(`len > ${"(".repeat(200)}`)).toContain("nested at most 50 deep");
  });

  it("reads or refuses any text, and any bytes can be asked", () => {
    const words = fc.constantFrom(
      ...[
        "tcp",
        "port",
        "80",
        "host",
        "10.0.0.1",
        "and",
        "or",
        "not",
        "(",
        ")",
        "[",
        "]",
        ":",
        "2",
        "vlan",
        "net",
        "10/8",
        "src",
        "dst",
        "ip6",
        "len",
        ">",
        "=",
        "&",
        "-",
        "0xf",
        "ether",
        "proto",
        "mask",
        "::1",
      ],
    );
    const anything = fc.oneof(
      fc.string(),
      fc.array(words, { maxLength: 12 }).map((parts) => parts.join(" ")),
    );
    fc.assert(
      fc.property(anything, anyFrame, fc.nat(80), (text, frame, length) => {
        try {
          const test = parseBpf(text);
          test(encodeFrame(frame));
          test(encodeFrame(frame).subarray(0, length));
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
      { numRuns: Number(process.env["HOPWISE_FUZZ"] ?? 500) },
    );
  });
});
