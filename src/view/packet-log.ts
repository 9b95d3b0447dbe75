import type { LogPart } from "../core/trace.js";
import { isIcmp, type Frame, type IpHeader, decodeIpPacket } from "../wire/frame.js";
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
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, type Ipv4Header } from "../wire/ipv4.js";
import { ipLength } from "../wire/frame.js";
import { TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG } from "../wire/tcp.js";
import { dumpTcp, dumpTransport, flagWords, upperHex } from "./packet-log-transport.js";
import { dump6, monitorHeader6 } from "./packet-log6.js";

/** A packet at a hook, as the kernel's logs describe it. */
export interface LoggedPacket {
  readonly frame: Frame;
  readonly in: string | undefined;
  readonly out: string | undefined;
  /** The ports of a bridge that it passes. */
  readonly physicalIn?: string | undefined;
  readonly physicalOut?: string | undefined;
  readonly mark: number;
  readonly uid: number | undefined;
  readonly gid?: number | undefined;
}

type Parts = ReadonlySet<LogPart>;

/** All flags of `-j LOG` that add something: what TRACE shows. */
const TRACED: Parts = new Set<LogPart>(["tcp-sequence", "tcp-options", "ip-options", "uid"]);

/**
 * `IN=eth0 OUT= MAC=… SRC=… DST=… LEN=…`, each item with a blank behind it. Mirrors
 * net/netfilter/nf_log_syslog.c:nf_log_ip_packet() and dump_ipv4_packet().
 */
export function logLine(packet: LoggedPacket, parts: Parts = TRACED): string {
  const { frame, mark, uid } = packet;
  const ports = [
    packet.physicalIn === undefined ? "" : `PHYSIN=${packet.physicalIn} `,
    packet.physicalOut === undefined ? "" : `PHYSOUT=${packet.physicalOut} `,
  ].join("");
  const devices = `IN=${packet.in ?? ""} OUT=${packet.out ?? ""} ${ports}`;
  const mac = packet.in === undefined ? "" : linkText(frame, parts);
  const isShown = parts.has("uid") && uid !== undefined;
  const user = isShown ? `UID=${uid} GID=${packet.gid ?? uid} ` : "";
  const marked = mark === 0 ? "" : `MARK=0x${mark.toString(16)} `;
  return `${devices}${mac}${dump(frame, parts, true)}${user}${marked}`;
}

/** Mirrors dump_mac_header(). */
function linkText(frame: Frame, parts: Parts): string {
  if (!parts.has("macdecode")) return `MAC=${linkBytes(frame)} `;
  const { source, destination, etherType } = frame.link;
  return `MACSRC=${formatMac(source)} MACDST=${formatMac(destination)} MACPROTO=${etherType.toString(16).padStart(4, "0")} `;
}

/** The Ethernet header's bytes. */
function linkBytes({ link }: Frame): string {
  const type = link.etherType.toString(16).padStart(4, "0");
  return `${formatMac(link.destination)}:${formatMac(link.source)}:${type.slice(0, 2)}:${type.slice(2)}`;
}

function dump(frame: Frame, parts: Parts, outer: boolean): string {
  const { network } = frame;
  if (network?.kind === "ipv6") {
    const text = dump6(frame, (header) => dumpTcp(header, parts));
    // Without --log-ip-options a fragment header alone is told, and not as an option.
    return parts.has("ip-options") ? text : text.replaceAll(/OPT \( (FRAG:[^)]*)?[^)]*\) /g, "$1");
  }
  if (network?.kind !== "ipv4") return "TRUNCATED";
  const { tos } = network;
  return [
    `SRC=${formatIpv4(network.source)} DST=${formatIpv4(network.destination)} `,
    `LEN=${ipLength(frame)} TOS=${hexByte(tos & 0x1e)} PREC=${hexByte(tos & 0xe0)} `,
    `TTL=${network.ttl} ID=${network.id} `,
    fragmentFlags(network),
    parts.has("ip-options") && network.options.length > 0
      ? `OPT (${upperHex(network.options)}) `
      : "",
    dumpUpper(frame, network, parts, outer),
  ].join("");
}

function fragmentFlags({ dontFragment, moreFragments, fragmentOffset }: Ipv4Header): string {
  const offset = fragmentOffset === 0 ? "" : `FRAG:${fragmentOffset / 8} `;
  return `${dontFragment ? "DF " : ""}${moreFragments ? "MF " : ""}${offset}`;
}

function dumpUpper(frame: Frame, network: Ipv4Header, parts: Parts, outer: boolean): string {
  const { transport, payload } = frame;
  const { protocol } = network;
  const isLaterFragment = network.fragmentOffset > 0;
  if (protocol !== IPPROTO_ICMP)
    return dumpTransport({ protocol, isLaterFragment, transport, payload }, parts);
  if (isLaterFragment) return "PROTO=ICMP ";
  return transport?.kind === "icmp"
    ? `PROTO=ICMP ${dumpIcmp(transport, payload, parts, outer)}`
    : `PROTO=ICMP INCOMPLETE [${payload.length} bytes] `;
}

/** Errors are followed by the packet they are about, in brackets; that of an error inside an error is left out. */
function dumpIcmp(
  { type, code, rest }: IcmpHeader,
  payload: Uint8Array,
  parts: Parts,
  outer: boolean,
): string {
  const head = `TYPE=${type} CODE=${code} `;
  switch (type) {
    case ICMP_ECHO:
    case ICMP_ECHOREPLY:
      return `${head}ID=${rest >>> 16} SEQ=${rest & 0xffff} `;
    case ICMP_PARAMETERPROB:
      return `${head}PARAMETER=${rest >>> 24} `;
    case ICMP_REDIRECT:
      return `${head}GATEWAY=${formatIpv4(ipv4(rest))} ${quoted(payload, parts, outer)}`;
    case ICMP_DEST_UNREACH: {
      const mtu = code === ICMP_FRAG_NEEDED ? `MTU=${rest & 0xffff} ` : "";
      return head + quoted(payload, parts, outer) + mtu;
    }
    case ICMP_SOURCE_QUENCH:
    case ICMP_TIME_EXCEEDED:
      return head + quoted(payload, parts, outer);
    default:
      return head;
  }
}

const ICMP_SOURCE_QUENCH = 4;

function quoted(payload: Uint8Array, parts: Parts, outer: boolean): string {
  if (!outer) return "";
  const inner = decodeIpPacket(payload);
  return `[${inner.ok ? dump(inner.value, parts, false) : "TRUNCATED"}] `;
}

/**
 * The items of a `PACKET:` line, each with a blank behind it. Mirrors iptables/xtables-monitor.c:trace_print_packet().
 */
export function monitorLine({ frame, in: from, out, mark }: LoggedPacket): string {
  const { network, link } = frame;
  if (network?.kind !== "ipv4" && network?.kind !== "ipv6") return "";
  const mac =
    from === undefined
      ? ""
      : `MACSRC=${looseMac(link.source)} MACDST=${looseMac(link.destination)} MACPROTO=${link.etherType.toString(16).padStart(4, "0")} `;
  return [
    from === undefined ? "" : `IN=${from} `,
    out === undefined ? "" : `OUT=${out} `,
    mac,
    network.kind === "ipv4" ? monitorHeader(frame, network) : monitorHeader6(frame, network),
    monitorPorts(frame, network),
    mark === 0 ? "" : `MARK=0x${mark.toString(16)} `,
  ].join("");
}

function monitorHeader(frame: Frame, network: Ipv4Header): string {
  return [
    `SRC=${formatIpv4(network.source)} DST=${formatIpv4(network.destination)} `,
    `LEN=${ipLength(frame)} TOS=0x${network.tos.toString(16)} TTL=${network.ttl} ID=${network.id} `,
    fragmentFlags(network),
    network.options.length > 0 ? `OPT (${upperHex(network.options)}) ` : "",
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

function monitorPorts({ transport }: Frame, { protocol }: IpHeader): string {
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
