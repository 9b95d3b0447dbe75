import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeDns } from "../../src/wire/dns.js";
import type { DnsMessage, DnsRecord } from "../../src/wire/dns-message.js";
import { formatFrame } from "../../src/wire/format-frame.js";
import {
  type Frame,
  decodeFrame,
  encodeFrame,
  encodeIpPacket,
  withDestination,
} from "../../src/wire/frame.js";
import type { Ipv4 } from "../../src/wire/ip.js";
import { encodePcap } from "../../src/wire/pcap.js";
import { encodePcapng } from "../../src/wire/pcapng.js";
import { anyFrame } from "./frames.js";
import { hex, valueOf } from "./support.js";

const syn = valueOf(
  decodeFrame(
    hex(`020000000102020000000101080045000034c0de400040066591
      0a0900010a0900029c4000500000000100000000800200ff86b70000020405b40101040201030307`),
  ),
);

/** Whether a program can be run here; judges that are missing skip their tests by name. */
function have(program: string): boolean {
  return spawnSync(program, ["--version"]).error === undefined;
}

/** Runs `program -r FILE ARGS` over a capture. */
function run(program: string, args: readonly string[], capture: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "hopwise-"));
  const file = join(folder, "capture");
  writeFileSync(file, capture);
  const { status, stdout, stderr } = spawnSync(program, ["-r", file, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  rmSync(folder, { recursive: true });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`);
  return stdout;
}

/** What tcpdump prints of the frames, one line each. */
function tcpdump(frames: readonly Frame[]): string[] {
  const file = encodePcap(frames.map((frame, at) => ({ time: at, bytes: encodeFrame(frame) })));
  return run("tcpdump", ["-n", "-S", "-t"], file).trimEnd().split("\n");
}

describe("a pcap file", () => {
  it("is byte for byte what the format says", () => {
    const file = encodePcap([{ time: 0x11 * 1_000_000 + 0x2122, bytes: hex("a1a2a3") }]);
    expect(file).toEqual(
      hex(`d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000
           11000000 22210000 03000000 03000000 a1a2a3`),
    );
  });
});

describe("a pcapng file", () => {
  it("is byte for byte what the format says", () => {
    const file = encodePcapng({
      interfaces: ["n1/eth0"],
      packets: [{ interface: 0, time: 0x11_2122_2324, bytes: hex("a1a2a3"), comment: "step 1" }],
    });
    expect(file).toEqual(
      hex(`0a0d0d0a 2c000000 4d3c2b1a 0100 0000 ffffffffffffffff 0400 0700 686f7077697365 00 00000000 2c000000
           01000000 24000000 0100 0000 00000400 0200 0700 6e312f65746830 00 00000000 24000000
           06000000 34000000 00000000 11000000 24232221 03000000 03000000 a1a2a300 0100 0600 737465702031 0000 00000000 34000000`),
    );
  });

  it.skipIf(!have("tshark"))(
    "opens in tshark with interface, time, comment and addresses of each packet",
    () => {
      const other = withDestination(syn, 0x0af4_0205 as Ipv4);
      const file = encodePcapng({
        interfaces: ["worker-1/cni0", "worker-2/eth0"],
        packets: [
          { interface: 0, time: 1_000_250, bytes: encodeFrame(syn), comment: "step 1 born" },
          {
            interface: 1,
            time: 2_000_000,
            bytes: encodeFrame(other),
            comment: "step 2 nat: 10.9.0.2 => 10.244.2.5, für π",
          },
          { interface: 1, time: 2_000_001, bytes: encodeFrame(other) },
        ],
      });
      const fields = ["frame.interface_name", "frame.time_epoch", "frame.comment", "ip.dst"];
      const args = ["-n", "-T", "fields", ...fields.flatMap((name) => ["-e", name])];
      expect(run("tshark", args, file).trimEnd().split("\n")).toEqual([
        "worker-1/cni0\t1.000250000\tstep 1 born\t10.9.0.2",
        "worker-2/eth0\t2.000000000\tstep 2 nat: 10.9.0.2 => 10.244.2.5, für π\t10.244.2.5",
        "worker-2/eth0\t2.000001000\t\t10.244.2.5",
      ]);
    },
  );

  it.skipIf(!have("tshark"))(
    "shows tshark checksums that are right, or wrong where the frame says so",
    () => {
      const checks = [
        "-o",
        "ip.check_checksum:TRUE",
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "udp.check_checksum:TRUE",
      ];
      const fields = [
        "ip.checksum.status",
        "tcp.checksum.status",
        "udp.checksum.status",
        "icmp.checksum.status",
      ];
      const wrong = (error: number | undefined): string => (error === undefined ? "1" : "0");
      const frames = fc.sample(anyFrame.filter(isJudged), { numRuns: 200, seed: 7 });
      const packets = frames.map((frame, at) => ({
        interface: 0,
        time: at,
        bytes: encodeFrame(frame),
      }));
      const args = ["-n", ...checks, "-T", "fields", ...fields.flatMap((name) => ["-e", name])];
      const lines = run("tshark", args, encodePcapng({ interfaces: ["any"], packets }))
        .replace(/\n$/, "")
        .split("\n");
      const expected = frames.map(({ network, transport }) => [
        network?.kind === "ipv4" ? wrong(network.checksumError) : "",
        ...(["tcp", "udp", "icmp"] as const).map((kind) => {
          if (transport?.kind !== kind) return "";
          return transport.kind === "udp" && transport.noChecksum === true
            ? "3"
            : wrong(transport.checksumError);
        }),
      ]);
      expect(lines.map((line) => line.split("\t"))).toEqual(expected);
    },
  );
});

/** Frames of which tshark judges every checksum: no fragments and no echo quotes, plain payloads. */
function isJudged({ network, transport }: Frame): boolean {
  return (
    network?.kind === "ipv4" &&
    network.options.length === 0 &&
    transport !== undefined &&
    transport.kind !== "icmp"
  );
}

describe("the line of a frame", () => {
  it("is tcpdump's, for a segment, a datagram and an echo", () => {
    expect(formatFrame(syn)).toBe(
      "IP 10.9.0.1.40000 > 10.9.0.2.80: Flags [S], seq 1, win 255, options [mss 1460,nop,nop,sackOK,nop,wscale 7], length 0",
    );
  });

  it.skipIf(!have("tcpdump"))("equals tcpdump's for every kind of frame we make", () => {
    const frames = ownFrames();
    expect(frames.map(formatFrame)).toEqual(tcpdump(frames));
  });

  it.skipIf(!have("tcpdump"))("equals tcpdump's for DNS queries and replies", () => {
    const frames = dnsMessages().map((message): Frame => dnsFrame(message));
    expect(frames.map(formatFrame)).toEqual(tcpdump(frames));
  });
});

function dnsMessages(): DnsMessage[] {
  const query: DnsMessage = {
    id: 0x1234,
    opcode: 0,
    qr: false,
    aa: false,
    tc: false,
    rd: true,
    ra: false,
    ad: false,
    cd: false,
    rcode: "NOERROR",
    questions: [{ name: "api.shop.svc.cluster.local.", type: "A", class: "IN" }],
    answers: [],
    authorities: [],
    additionals: [],
    edns: undefined,
  };
  const name = "api.shop.svc.cluster.local.";
  const record = (type: string, data: string): DnsRecord => ({
    name,
    type,
    class: "IN",
    ttl: 30,
    data,
  });
  const soa = record("SOA", "ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 30");
  const edns = { udpSize: 1232, version: 0, do: false, options: [] };
  const reply: DnsMessage = { ...query, qr: true, aa: true };
  return [
    query,
    { ...query, rd: false, edns },
    { ...query, questions: [{ name, type: "AAAA", class: "IN" }] },
    { ...query, questions: [{ name: ".", type: "NS", class: "IN" }] },
    { ...query, questions: [{ name: "_http._tcp.api.shop.", type: "SRV", class: "IN" }] },
    { ...query, questions: [{ name: "version.bind.", type: "TXT", class: "CH" }] },
    { ...reply, answers: [record("A", "10.96.44.10")] },
    {
      ...reply,
      ra: true,
      ad: true,
      answers: [record("A", "10.96.44.10"), record("A", "10.96.44.11")],
    },
    { ...reply, ra: true, tc: true, edns },
    { ...reply, rcode: "NXDOMAIN", authorities: [soa] },
    ...["FORMERR", "SERVFAIL", "NOTIMP", "REFUSED"].map((rcode): DnsMessage => ({
      ...reply,
      aa: false,
      rcode,
    })),
    { ...reply, answers: [record("CNAME", "www.example.org."), record("AAAA", "2001:db8::1")] },
    { ...reply, answers: [record("SRV", "0 100 8080 a.api.shop.")] },
    { ...reply, answers: [record("MX", "10 mail.example.org.")] },
    { ...reply, answers: [record("PTR", "api.shop.")] },
    { ...reply, answers: [record("NS", "ns.shop.")] },
    { ...reply, answers: [record("TXT", '"1.1.0" "two words"')] },
    { ...reply, answers: [soa] },
  ];
}

function dnsFrame(message: DnsMessage): Frame {
  if (syn.network?.kind !== "ipv4") throw new Error("not IPv4");
  const [sourcePort, destinationPort] = message.qr ? [53, 40000] : [40000, 53];
  return {
    ...syn,
    network: { ...syn.network, protocol: 17 },
    transport: { kind: "udp", sourcePort, destinationPort },
    payload: encodeDns(message),
  };
}

/** Each kind of frame that the emulator sends, once. */
function ownFrames(): Frame[] {
  const { link, network } = syn;
  if (network?.kind !== "ipv4" || syn.transport?.kind !== "tcp")
    throw new Error("not a TCP segment");
  const data = hex("a1a2a3a4");
  // Port 80 would make tcpdump look for HTTP.
  const tcp = { ...syn.transport, destinationPort: 8081 };
  const udp: Frame = {
    ...syn,
    network: { ...network, protocol: 17 },
    transport: { kind: "udp", sourcePort: 40000, destinationPort: 7777 },
    payload: data,
  };
  const icmp = (type: number, code: number, rest: number, payload: Uint8Array): Frame => ({
    ...syn,
    network: { ...network, protocol: 1 },
    transport: { kind: "icmp", type, code, rest },
    payload,
  });
  const arp = (operation: number, targetMac: number, targetIp: number): Frame => ({
    link: { ...link, etherType: 0x0806 },
    network: {
      kind: "arp",
      operation,
      senderMac: link.source,
      senderIp: 0x0a09_0001 as Ipv4,
      targetMac: targetMac as typeof link.source,
      targetIp: targetIp as Ipv4,
    },
    transport: undefined,
    payload: new Uint8Array(0),
  });
  const codes = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13];
  return [
    syn,
    {
      ...syn,
      transport: {
        ...tcp,
        flags: 0x18,
        acknowledgment: 7,
        options: hex("0101080a0000000100000002"),
      },
      payload: data,
    },
    { ...syn, transport: { ...tcp, flags: 0x11, acknowledgment: 7, options: hex("") } },
    { ...syn, transport: { ...tcp, flags: 0x14, acknowledgment: 7, options: hex("") } },
    { ...syn, transport: { ...tcp, flags: 0xc2, options: hex("") } },
    { ...syn, transport: { ...tcp, flags: 0, options: hex("") } },
    {
      ...syn,
      transport: { ...tcp, sequence: 0xffff_ffff, flags: 0x38, urgent: 3, options: hex("") },
      payload: data,
    },
    udp,
    {
      ...udp,
      transport: undefined,
      payload: data,
      network: { ...network, protocol: 17, fragmentOffset: 1480 },
    },
    { ...udp, transport: undefined, payload: data, network: { ...network, protocol: 254 } },
    icmp(8, 0, 0x0007_0001, data),
    icmp(0, 0, 0x0007_0001, data),
    ...codes.map((code) => icmp(3, code, 0, encodeIpPacket(udp))),
    icmp(3, 3, 0, encodeIpPacket(syn)),
    icmp(3, 4, 1450, encodeIpPacket(syn)),
    icmp(11, 0, 0, encodeIpPacket(udp)),
    icmp(11, 1, 0, encodeIpPacket(udp)),
    icmp(5, 0, 0x0a09_0063, encodeIpPacket(udp)),
    icmp(5, 1, 0x0a09_0063, encodeIpPacket(udp)),
    arp(1, 0, 0x0a09_0032),
    arp(1, 0x0200_0000_0102, 0x0a09_0032),
    arp(1, 0, 0x0a09_0001),
    arp(2, 0x0200_0000_0102, 0x0a09_0032),
  ];
}
