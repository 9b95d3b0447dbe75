import { isIcmp, type Frame, decodeIpPacket } from "../wire/frame.js";
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_FRAG_NEEDED,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  type IcmpHeader,
} from "../wire/icmp.js";
import { formatIpv4, formatMac, ipv4, type Mac } from "../wire/ip.js";
import { IPPROTO_TCP, IPPROTO_UDP, type Ipv4Header } from "../wire/ipv4.js";
import { ipLength } from "../wire/frame.js";
import {
  TCP_ACK,
  TCP_CWR,
  TCP_ECE,
  TCP_FIN,
  TCP_PSH,
  TCP_RST,
  TCP_SYN,
  TCP_URG,
  type TcpHeader,
} from "../wire/tcp.js";

/** A packet at a hook, as the kernel's logs describe it. */
export interface LoggedPacket {
  readonly frame: Frame;
  readonly in: string | undefined;
  readonly out: string | undefined;
  readonly mark: number;
  readonly uid: number | undefined;
}

/**
 * `IN=eth0 OUT= MAC=… SRC=… DST=… LEN=…`, each item with a blank behind it, with all flags of `-j LOG` on. Mirrors
 * net/netfilter/nf_log_syslog.c:nf_log_ip_packet() and dump_ipv4_packet().
 */
export function logLine(packet: LoggedPacket): string {
  const { frame, mark, uid } = packet;
  const devices = `IN=${packet.in ?? ""} OUT=${packet.out ?? ""} `;
  const mac = packet.in === undefined ? "" : `MAC=${linkBytes(frame)} `;
  const user = uid === undefined ? "" : `UID=${uid} GID=${uid} `;
  const marked = mark === 0 ? "" : `MARK=0x${mark.toString(16)} `;
  return `${devices}${mac}${dump(frame, true)}${user}${marked}`;
}

/** The Ethernet header's bytes. */
function linkBytes({ link }: Frame): string {
  const type = link.etherType.toString(16).padStart(4, "0");
  return `${formatMac(link.destination)}:${formatMac(link.source)}:${type.slice(0, 2)}:${type.slice(2)}`;
}

function dump(frame: Frame, outer: boolean): string {
  const { network } = frame;
  if (network?.kind !== "ipv4") return "TRUNCATED";
  const { tos } = network;
  return [
    `SRC=${formatIpv4(network.source)} DST=${formatIpv4(network.destination)} `,
    `LEN=${ipLength(frame)} TOS=${hexByte(tos & 0x1e)} PREC=${hexByte(tos & 0xe0)} `,
    `TTL=${network.ttl} ID=${network.id} `,
    fragmentFlags(network),
    network.options.length > 0 ? `OPT (${upperHex(network.options)}) ` : "",
    dumpTransport(frame, network, outer),
  ].join("");
}

function fragmentFlags({ dontFragment, moreFragments, fragmentOffset }: Ipv4Header): string {
  const offset = fragmentOffset === 0 ? "" : `FRAG:${fragmentOffset / 8} `;
  return `${dontFragment ? "DF " : ""}${moreFragments ? "MF " : ""}${offset}`;
}

const NAMES: Readonly<Record<number, string>> = {
  1: "ICMP",
  6: "TCP",
  17: "UDP",
  136: "UDPLITE",
  50: "ESP",
  51: "AH",
};

function dumpTransport(frame: Frame, network: Ipv4Header, outer: boolean): string {
  const { transport, payload } = frame;
  const name = `PROTO=${NAMES[network.protocol] ?? network.protocol} `;
  if (network.fragmentOffset > 0 || NAMES[network.protocol] === undefined) return name;
  switch (transport?.kind) {
    case "tcp":
      return name + dumpTcp(transport);
    case "udp":
      return `${name}SPT=${transport.sourcePort} DPT=${transport.destinationPort} LEN=${payload.length + 8} `;
    case "icmp":
      return name + dumpIcmp(transport, payload, outer);
    default:
      return `${name}INCOMPLETE [${payload.length} bytes] `;
  }
}

const TCP_FLAGS: readonly (readonly [number, string])[] = [
  [TCP_CWR, "CWR"],
  [TCP_ECE, "ECE"],
  [TCP_URG, "URG"],
  [TCP_ACK, "ACK"],
  [TCP_PSH, "PSH"],
  [TCP_RST, "RST"],
  [TCP_SYN, "SYN"],
  [TCP_FIN, "FIN"],
];

function dumpTcp(header: TcpHeader): string {
  const options = header.options.length > 0 ? `OPT (${upperHex(header.options)}) ` : "";
  return [
    `SPT=${header.sourcePort} DPT=${header.destinationPort} `,
    `SEQ=${header.sequence} ACK=${header.acknowledgment} WINDOW=${header.window} RES=0x00 `,
    flagWords(header.flags, TCP_FLAGS),
    `URGP=${header.urgent} `,
    options,
  ].join("");
}

function flagWords(flags: number, names: readonly (readonly [number, string])[]): string {
  return names.map(([bit, name]) => ((flags & bit) === 0 ? "" : `${name} `)).join("");
}

/** Errors are followed by the packet they are about, in brackets; that of an error inside an error is left out. */
function dumpIcmp({ type, code, rest }: IcmpHeader, payload: Uint8Array, outer: boolean): string {
  const head = `TYPE=${type} CODE=${code} `;
  switch (type) {
    case ICMP_ECHO:
    case ICMP_ECHOREPLY:
      return `${head}ID=${rest >>> 16} SEQ=${rest & 0xffff} `;
    case ICMP_PARAMETERPROB:
      return `${head}PARAMETER=${rest >>> 24} `;
    case ICMP_REDIRECT:
      return `${head}GATEWAY=${formatIpv4(ipv4(rest))} ${quoted(payload, outer)}`;
    case ICMP_DEST_UNREACH: {
      const mtu = code === ICMP_FRAG_NEEDED ? `MTU=${rest & 0xffff} ` : "";
      return head + quoted(payload, outer) + mtu;
    }
    case ICMP_SOURCE_QUENCH:
    case ICMP_TIME_EXCEEDED:
      return head + quoted(payload, outer);
    default:
      return head;
  }
}

const ICMP_SOURCE_QUENCH = 4;

function quoted(payload: Uint8Array, outer: boolean): string {
  if (!outer) return "";
  const inner = decodeIpPacket(payload);
  return `[${inner.ok ? dump(inner.value, false) : "TRUNCATED"}] `;
}

/**
 * The items of a `PACKET:` line, each with a blank behind it. Mirrors iptables/xtables-monitor.c:trace_print_packet().
 */
export function monitorLine({ frame, in: from, out, mark }: LoggedPacket): string {
  const { network, link } = frame;
  if (network?.kind !== "ipv4") return "";
  const mac =
    from === undefined
      ? ""
      : `MACSRC=${looseMac(link.source)} MACDST=${looseMac(link.destination)} MACPROTO=${link.etherType.toString(16).padStart(4, "0")} `;
  return [
    from === undefined ? "" : `IN=${from} `,
    out === undefined ? "" : `OUT=${out} `,
    mac,
    `SRC=${formatIpv4(network.source)} DST=${formatIpv4(network.destination)} `,
    `LEN=${ipLength(frame)} TOS=0x${network.tos.toString(16)} TTL=${network.ttl} ID=${network.id} `,
    fragmentFlags(network),
    network.options.length > 0 ? `OPT (${upperHex(network.options)}) ` : "",
    monitorPorts(frame, network),
    mark === 0 ? "" : `MARK=0x${mark.toString(16)} `,
  ].join("");
}

const MONITOR_FLAGS: readonly (readonly [number, string])[] = [
  [TCP_SYN, "SYN"],
  [TCP_ACK, "ACK"],
  [TCP_FIN, "FIN"],
  [TCP_RST, "RST"],
  [TCP_PSH, "PSH"],
  [TCP_URG, "URG"],
];

function monitorPorts({ transport }: Frame, { protocol }: Ipv4Header): string {
  if (transport === undefined || isIcmp(transport)) return "";
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) return "";
  const ports = `SPORT=${transport.sourcePort} DPORT=${transport.destinationPort} `;
  return transport.kind === "tcp" ? ports + flagWords(transport.flags, MONITOR_FLAGS) : ports;
}

/** Without leading zeros, as `%x` prints each byte. */
function looseMac(mac: Mac): string {
  return formatMac(mac)
    .split(":")
    .map((byte) => Number.parseInt(byte, 16).toString(16))
    .join(":");
}

function hexByte(value: number): string {
  return `0x${value.toString(16).toUpperCase().padStart(2, "0")}`;
}

function upperHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join("");
}
