import { type Frame, type TransportHeader, encodeFrame, ipHeaderLength } from "../wire/frame.js";
import { fieldsOf } from "./fields.js";

/** A header field and where its bytes stand in the frame. */
export interface FieldBytes {
  readonly name: string;
  readonly value: string;
  /** Offset of its first byte from the start of the frame. */
  readonly start: number;
  readonly length: number;
}

/** One field of a packet before and after a step; `before` is undefined for a field that was not there. */
export interface HeaderRow {
  readonly name: string;
  readonly before: string | undefined;
  readonly after: string;
  readonly changed: boolean;
  readonly start: number;
  readonly length: number;
}

type Slot = readonly [name: string, start: number, length: number];

const ETHERNET: readonly Slot[] = [
  ["eth.dst", 0, 6],
  ["eth.src", 6, 6],
  ["eth.type", 12, 2],
];
const ARP: readonly Slot[] = [
  ["arp.opcode", 6, 2],
  ["arp.src.hw_mac", 8, 6],
  ["arp.src.proto_ipv4", 14, 4],
  ["arp.dst.hw_mac", 18, 6],
  ["arp.dst.proto_ipv4", 24, 4],
];
const IPV4: readonly Slot[] = [
  ["ip.tos", 1, 1],
  ["ip.len", 2, 2],
  ["ip.id", 4, 2],
  ["ip.frag", 6, 2],
  ["ip.ttl", 8, 1],
  ["ip.proto", 9, 1],
  ["ip.checksum", 10, 2],
  ["ip.src", 12, 4],
  ["ip.dst", 16, 4],
];
const IPV6: readonly Slot[] = [
  ["ipv6.plen", 4, 2],
  ["ipv6.nxt", 6, 1],
  ["ipv6.hlim", 7, 1],
  ["ipv6.src", 8, 16],
  ["ipv6.dst", 24, 16],
];
const TRANSPORT: Readonly<Record<TransportHeader["kind"], readonly Slot[]>> = {
  tcp: [
    ["tcp.srcport", 0, 2],
    ["tcp.dstport", 2, 2],
    ["tcp.seq", 4, 4],
    ["tcp.ack", 8, 4],
    ["tcp.flags", 12, 2],
    ["tcp.window", 14, 2],
    ["tcp.checksum", 16, 2],
  ],
  udp: [
    ["udp.srcport", 0, 2],
    ["udp.dstport", 2, 2],
    ["udp.length", 4, 2],
    ["udp.checksum", 6, 2],
  ],
  icmp: [
    ["icmp.type", 0, 1],
    ["icmp.code", 1, 1],
    ["icmp.checksum", 2, 2],
    ["icmp.rest", 4, 4],
  ],
  icmpv6: [
    ["icmpv6.type", 0, 1],
    ["icmpv6.code", 1, 1],
    ["icmpv6.checksum", 2, 2],
    ["icmpv6.rest", 4, 4],
  ],
};

/** Names that may stand in a filter: every field that some frame has. */
export const PACKET_FIELDS: readonly string[] = [
  ETHERNET,
  ARP,
  IPV4,
  IPV6,
  ...Object.values(TRANSPORT),
]
  .flat()
  .map(([name]) => name);

/** Every header field of a frame, lengths and checksums too, in the order of its bytes. */
export function fieldBytesOf(
  frame: Frame,
  bytes: Uint8Array = encodeFrame(frame),
): readonly FieldBytes[] {
  const known = new Map(fieldsOf(frame).map(({ name, value }) => [name, value]));
  return slotsOf(frame).map(([name, start, length]) => ({
    name,
    value: known.get(name) ?? hexNumber(bytes.subarray(start, start + length), name),
    start,
    length,
  }));
}

/** The fields of a packet as a step found and left it. */
export function headerRows(before: Frame, after: Frame): readonly HeaderRow[] {
  const was = new Map(fieldBytesOf(before).map(({ name, value }) => [name, value]));
  return fieldBytesOf(after).map(({ name, value, start, length }) => {
    const old = was.get(name);
    return {
      name,
      before: old,
      after: value,
      changed: old !== undefined && old !== value,
      start,
      length,
    };
  });
}

function slotsOf({ network, transport }: Frame): readonly Slot[] {
  if (network === undefined) return ETHERNET;
  if (network.kind === "arp") return [...ETHERNET, ...moved(ARP, 14)];
  const upper = 14 + ipHeaderLength(network);
  return [
    ...ETHERNET,
    ...moved(network.kind === "ipv4" ? IPV4 : IPV6, 14),
    ...(transport === undefined ? [] : moved(TRANSPORT[transport.kind], upper)),
  ];
}

function moved(slots: readonly Slot[], by: number): readonly Slot[] {
  return slots.map(([name, start, length]) => [name, start + by, length]);
}

function hexNumber(bytes: Uint8Array, name: string): string {
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return /length|len$|plen$/.test(name)
    ? String(value)
    : `0x${value.toString(16).padStart(bytes.length * 2, "0")}`;
}
