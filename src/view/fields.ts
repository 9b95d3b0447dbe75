import { unreachable } from "../base/errors.js";
import { formatIp, formatIpv4, formatIpv6, formatMac } from "../wire/ip.js";
import type { Frame, TransportHeader } from "../wire/frame.js";
import { IPPROTO_SCTP, portsOfFrame } from "../wire/ports.js";

/** One header field by its name in Wireshark's filters, with its value as text. */
export interface Field {
  readonly name: string;
  readonly value: string;
}

export interface Change {
  readonly field: string;
  readonly from: string;
  readonly to: string;
}

/** The header fields of a frame, outermost first. Checksums follow from the rest and are left out. */
export function fieldsOf(frame: Frame): readonly Field[] {
  return [
    { name: "eth.dst", value: formatMac(frame.link.destination) },
    { name: "eth.src", value: formatMac(frame.link.source) },
    ...networkFields(frame),
    ...(frame.transport === undefined ? sctpFields(frame) : transportFields(frame.transport)),
  ];
}

/** What differs between two frames of one packet, in the order of the headers. */
export function changesBetween(before: Frame, after: Frame): readonly Change[] {
  if (before === after) return [];
  const was = new Map(fieldsOf(before).map(({ name, value }) => [name, value]));
  return fieldsOf(after)
    .filter(({ name, value }) => was.has(name) && was.get(name) !== value)
    .map(({ name, value }) => ({ field: name, from: was.get(name) ?? "", to: value }));
}

/** `10.244.1.5:40000`, or the bare address where there are no ports. */
export function sourceOf(frame: Frame): string {
  return endpoint(frame, "source");
}

/** `10.96.44.10:80`, or the bare address where there are no ports. */
export function destinationOf(frame: Frame): string {
  return endpoint(frame, "destination");
}

function endpoint(frame: Frame, side: "source" | "destination"): string {
  const { network } = frame;
  if (network === undefined || network.kind === "arp") return "";
  const address = formatIp(network[side]);
  const ports = portsOfFrame(frame);
  if (ports === undefined) return address;
  const host = network.kind === "ipv6" ? `[${address}]` : address;
  return `${host}:${ports[side]}`;
}

function networkFields(frame: Frame): readonly Field[] {
  const { network } = frame;
  switch (network?.kind) {
    case undefined:
      return [];
    case "arp":
      return [
        { name: "arp.opcode", value: String(network.operation) },
        { name: "arp.src.hw_mac", value: formatMac(network.senderMac) },
        { name: "arp.src.proto_ipv4", value: formatIpv4(network.senderIp) },
        { name: "arp.dst.hw_mac", value: formatMac(network.targetMac) },
        { name: "arp.dst.proto_ipv4", value: formatIpv4(network.targetIp) },
      ];
    case "ipv4":
      return [
        { name: "ip.tos", value: hex(network.tos, 2) },
        { name: "ip.id", value: hex(network.id, 4) },
        { name: "ip.ttl", value: String(network.ttl) },
        { name: "ip.proto", value: String(network.protocol) },
        { name: "ip.src", value: formatIpv4(network.source) },
        { name: "ip.dst", value: formatIpv4(network.destination) },
      ];
    case "ipv6":
      return [
        { name: "ipv6.tclass", value: hex(network.trafficClass, 2) },
        { name: "ipv6.flow", value: hex(network.flowLabel, 5) },
        { name: "ipv6.hlim", value: String(network.hopLimit) },
        { name: "ipv6.nxt", value: String(network.extensions[0]?.type ?? network.protocol) },
        { name: "ipv6.src", value: formatIpv6(network.source) },
        { name: "ipv6.dst", value: formatIpv6(network.destination) },
      ];
    default:
      return unreachable(network);
  }
}

/** The ports of SCTP, which a frame keeps as bytes. */
function sctpFields(frame: Frame): readonly Field[] {
  const { network } = frame;
  if (network === undefined || network.kind === "arp" || network.protocol !== IPPROTO_SCTP)
    return [];
  const ports = portsOfFrame(frame);
  if (ports === undefined) return [];
  return [
    { name: "sctp.srcport", value: String(ports.source) },
    { name: "sctp.dstport", value: String(ports.destination) },
  ];
}

function transportFields(transport: TransportHeader): readonly Field[] {
  switch (transport.kind) {
    case "icmp":
      return [
        { name: "icmp.type", value: String(transport.type) },
        { name: "icmp.code", value: String(transport.code) },
        { name: "icmp.rest", value: hex(transport.rest, 8) },
      ];
    case "icmpv6":
      return [
        { name: "icmpv6.type", value: String(transport.type) },
        { name: "icmpv6.code", value: String(transport.code) },
        { name: "icmpv6.rest", value: hex(transport.rest, 8) },
      ];
    case "udp":
      return [
        { name: "udp.srcport", value: String(transport.sourcePort) },
        { name: "udp.dstport", value: String(transport.destinationPort) },
      ];
    case "tcp":
      return [
        { name: "tcp.srcport", value: String(transport.sourcePort) },
        { name: "tcp.dstport", value: String(transport.destinationPort) },
        { name: "tcp.seq", value: String(transport.sequence) },
        { name: "tcp.ack", value: String(transport.acknowledgment) },
        { name: "tcp.flags", value: hex(transport.flags, 3) },
        { name: "tcp.window", value: String(transport.window) },
      ];
    default:
      return unreachable(transport);
  }
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}
