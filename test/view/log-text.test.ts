import { expect, it } from "vitest";
import type { LogEvent, LogPart } from "../../src/core/trace.js";
import type { Micros } from "../../src/sim/time.js";
import { logText } from "../../src/view/log-text.js";
import type { Frame } from "../../src/wire/frame.js";
import { parseIpv4, parseIpv6, parseMac } from "../../src/wire/ip.js";
import { TCP_SYN } from "../../src/wire/tcp.js";

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("not an address");
  return value;
}

const link = {
  source: known(parseMac("02:00:00:00:00:0a")),
  destination: known(parseMac("02:00:00:00:00:01")),
  etherType: 0x0800,
};

/** The packet whose line the kernel wrote for spec/iptables.md 4.5. */
const syn: Frame = {
  link,
  network: {
    kind: "ipv4",
    tos: 0,
    id: 59_805,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: 64,
    protocol: 6,
    source: known(parseIpv4("10.1.0.2")),
    destination: known(parseIpv4("10.1.0.1")),
    options: new Uint8Array(0),
  },
  transport: {
    kind: "tcp",
    sourcePort: 42_398,
    destinationPort: 999,
    sequence: 3_515_883_971,
    acknowledgment: 0,
    flags: TCP_SYN,
    window: 64_240,
    urgent: 0,
    options: Uint8Array.from([2, 4, 5, 0xb4, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  },
  payload: new Uint8Array(0),
};

function logged(frame: Frame, parts: readonly LogPart[], rest: Partial<LogEvent> = {}): string {
  return logText({
    kind: "log",
    time: 0 as Micros,
    ns: "node",
    packet: 1,
    dev: "ra",
    frame,
    mark: 0,
    by: "LOG",
    level: 4,
    group: undefined,
    prefix: "",
    parts,
    hook: "INPUT",
    in: "ra",
    out: undefined,
    physicalIn: undefined,
    physicalOut: undefined,
    uid: undefined,
    gid: undefined,
    ...rest,
  });
}

it("a line of -j LOG is the kernel's, its options' parts only when asked for", () => {
  const head =
    "IN=ra OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:0a:08:00 SRC=10.1.0.2 DST=10.1.0.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=59805 DF PROTO=TCP SPT=42398 DPT=999 ";
  expect(logged(syn, [])).toBe(`${head}WINDOW=64240 RES=0x00 SYN URGP=0 `);
  expect(logged(syn, ["tcp-sequence", "tcp-options"])).toBe(
    `${head}SEQ=3515883971 ACK=0 WINDOW=64240 RES=0x00 SYN URGP=0 OPT (020405B401010100000000000000000000000000) `,
  );
});

it("the prefix stands right before it; mark, user and bridge ports where they are", () => {
  const line = logged(syn, ["uid", "macdecode"], {
    prefix: "in: ",
    mark: 5,
    uid: 1000,
    gid: 100,
    physicalIn: "veth0",
  });
  expect(line).toMatch(
    /^in: IN=ra OUT= PHYSIN=veth0 MACSRC=02:00:00:00:00:0a MACDST=02:00:00:00:00:01 MACPROTO=0800 SRC=/,
  );
  expect(line).toMatch(/URGP=0 UID=1000 GID=100 MARK=0x5 $/);
});

it("a packet that leaves has no MAC address yet", () => {
  expect(logged(syn, [], { in: undefined, out: "ra", hook: "OUTPUT" })).toMatch(
    /^IN= OUT=ra SRC=10\.1\.0\.2 /,
  );
});

it("an ICMP error is followed by the packet it is about", () => {
  const error: Frame = {
    ...syn,
    network: { ...syn.network, protocol: 1 } as Frame["network"],
    transport: { kind: "icmp", type: 3, code: 4, rest: 1_400 },
    payload: Uint8Array.from([
      0x45, 0, 0, 31, 0, 1, 0, 0, 63, 17, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2, 0, 53, 0x9c, 0x40, 0, 11,
      0, 0, 1, 2, 3,
    ]),
  };
  expect(logged(error, [])).toMatch(
    /PROTO=ICMP TYPE=3 CODE=4 \[SRC=10\.1\.0\.1 DST=10\.1\.0\.2 LEN=31 TOS=0x00 PREC=0x00 TTL=63 ID=1 PROTO=UDP SPT=53 DPT=40000 LEN=11 \] MTU=1400 $/,
  );
});

it("IPv6 addresses are written in full", () => {
  const packet: Frame = {
    link: { ...link, etherType: 0x86dd },
    network: {
      kind: "ipv6",
      trafficClass: 0,
      flowLabel: 267_541,
      hopLimit: 64,
      protocol: 17,
      source: known(parseIpv6("fd00::1")),
      destination: known(parseIpv6("fd00::2")),
      extensions: [],
    },
    transport: { kind: "udp", sourcePort: 39_028, destinationPort: 999 },
    payload: Uint8Array.from([1, 2, 3]),
  };
  expect(logged(packet, [])).toMatch(
    /SRC=fd00:0000:0000:0000:0000:0000:0000:0001 DST=fd00:0000:0000:0000:0000:0000:0000:0002 LEN=51 TC=0 HOPLIMIT=64 FLOWLBL=267541 PROTO=UDP SPT=39028 DPT=999 LEN=11 $/,
  );
});

it("of IPv6 extension headers the fragment header is told, all of them with --log-ip-options", () => {
  const packet: Frame = {
    link: { ...link, etherType: 0x86dd },
    network: {
      kind: "ipv6",
      trafficClass: 0,
      flowLabel: 0,
      hopLimit: 64,
      protocol: 17,
      source: known(parseIpv6("fd00::1")),
      destination: known(parseIpv6("fd00::2")),
      extensions: [
        { kind: "fragment", type: 44, fragmentOffset: 0, moreFragments: true, id: 0x1234 },
      ],
    },
    transport: undefined,
    payload: Uint8Array.from([0, 53, 0, 54, 0, 16, 0, 0]),
  };
  const end = "PROTO=UDP SPT=53 DPT=54 LEN=16 ";
  expect(logged(packet, [])).toContain(`FLOWLBL=0 FRAG:0 INCOMPLETE ID:00001234 ${end}`);
  expect(logged(packet, ["ip-options"])).toContain(
    `FLOWLBL=0 OPT ( FRAG:0 INCOMPLETE ID:00001234 ) ${end}`,
  );
});

it("NFLOG names its group, AUDIT what the kernel's record says", () => {
  expect(logged(syn, [], { by: "NFLOG", group: 5, prefix: "seen" })).toBe("seen to group 5");
  expect(logged(syn, [], { by: "AUDIT", prefix: "drop" })).toBe(
    "mark=0 saddr=10.1.0.2 daddr=10.1.0.1 proto=6",
  );
});
