import { get16, get32, get8 } from "../wire/bytes.js";
import { encodeIpPacket, type Frame, ipLength } from "../wire/frame.js";
import {
  ICMPV6_DEST_UNREACH,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_HLEN,
  ICMPV6_PARAMPROB,
  ICMPV6_PKT_TOOBIG,
  ICMPV6_TIME_EXCEED,
} from "../wire/icmpv6.js";
import { formatIpv6 } from "../wire/ip.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.js";
import {
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
} from "../wire/ipv6-extension.js";
import { IPPROTO_ICMPV6, IPV6_HLEN, type Ipv6Header } from "../wire/ipv6.js";
import { decodeTcp, TCP_HLEN, type TcpHeader } from "../wire/tcp.js";
import { IPPROTO_UDPLITE } from "../wire/ports.js";

const IPPROTO_ESP = 50;

/** How a TCP header is told, which is as in IPv4. */
type TcpWords = (header: TcpHeader) => string;

/**
 * `SRC=… DST=… LEN=…` of an IPv6 packet, addresses in full, with all flags of `-j LOG` on. Mirrors
 * net/netfilter/nf_log_syslog.c:dump_ipv6_packet().
 */
export function dump6(frame: Frame, tcp: TcpWords): string {
  return dumpPacket(encodeIpPacket(frame), tcp, true);
}

function dumpPacket(packet: Uint8Array, tcp: TcpWords, outer: boolean): string {
  if (packet.length < IPV6_HLEN) return "TRUNCATED";
  const first = get32(packet, 0);
  const head = [
    `SRC=${fullAddress(packet, 8)} DST=${fullAddress(packet, 24)} `,
    `LEN=${get16(packet, 4) + IPV6_HLEN} TC=${(first >>> 20) & 0xff} `,
    `HOPLIMIT=${get8(packet, 7)} FLOWLBL=${first & 0xf_ffff} `,
  ].join("");
  return head + dumpHeaders(get8(packet, 6), packet.subarray(IPV6_HLEN), tcp, outer);
}

/** Extension headers in `OPT ( … )` each, then the transport. */
function dumpHeaders(first: number, bytes: Uint8Array, tcp: TcpWords, outer: boolean): string {
  let text = "";
  let type = first;
  let rest = bytes;
  let isLater = false;
  while (EXTENSIONS.includes(type)) {
    if (rest.length < 2) return `${text}TRUNCATED`;
    text += "OPT ( ";
    const told = dumpExtension(type, rest, isLater);
    text += told.text;
    if (told.length === undefined) return text;
    text += ") ";
    isLater ||= type === IPPROTO_FRAGMENT && (get16(rest, 2) & 0xfff8) !== 0;
    type = get8(rest, 0);
    rest = rest.subarray(told.length);
  }
  return text + dumpTransport6(type, rest, { isLater, tcp, outer });
}

const EXTENSIONS: readonly number[] = [
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
  IPPROTO_FRAGMENT,
  IPPROTO_ESP,
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
];

/** What one header says; without a length nothing can be told behind it. */
function dumpExtension(
  type: number,
  bytes: Uint8Array,
  isLater: boolean,
): { readonly text: string; readonly length: number | undefined } {
  if (type === IPPROTO_FRAGMENT) {
    if (bytes.length < 8) return { text: "FRAG:TRUNCATED ", length: undefined };
    const place = get16(bytes, 2);
    const more = (place & 1) === 0 ? "" : "INCOMPLETE ";
    const id = get32(bytes, 4).toString(16).padStart(8, "0");
    return { text: `FRAG:${place & 0xfff8} ${more}ID:${id} `, length: 8 };
  }
  if (type !== IPPROTO_AH && type !== IPPROTO_ESP)
    return isLater
      ? { text: ")", length: undefined }
      : { text: "", length: (get8(bytes, 1) + 1) * 8 };
  const [name, needed, at] = type === IPPROTO_AH ? ["AH", 12, 4] : ["ESP", 8, 0];
  if (isLater) return { text: `${name} )`, length: undefined };
  if (bytes.length < needed)
    return { text: `${name} INCOMPLETE [${bytes.length} bytes] )`, length: undefined };
  const spi = `${name} SPI=0x${get32(bytes, at).toString(16)} `;
  return type === IPPROTO_AH
    ? { text: spi, length: (get8(bytes, 1) + 2) * 4 }
    : { text: `${spi})`, length: undefined };
}

interface Around {
  /** Of a packet in pieces, not the first: there is no transport header. */
  readonly isLater: boolean;
  readonly tcp: TcpWords;
  readonly outer: boolean;
}

function dumpTransport6(protocol: number, bytes: Uint8Array, around: Around): string {
  switch (protocol) {
    case IPPROTO_TCP: {
      if (around.isLater) return "PROTO=TCP ";
      const header = bytes.length < TCP_HLEN ? undefined : decodeTcp(bytes, undefined);
      return header?.ok === true
        ? `PROTO=TCP ${around.tcp(header.value.header)}`
        : `PROTO=TCP ${incomplete(bytes)}`;
    }
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE: {
      const name = protocol === IPPROTO_UDP ? "PROTO=UDP " : "PROTO=UDPLITE ";
      if (around.isLater) return name;
      if (bytes.length < 8) return name + incomplete(bytes);
      return `${name}SPT=${get16(bytes, 0)} DPT=${get16(bytes, 2)} LEN=${get16(bytes, 4)} `;
    }
    case IPPROTO_ICMPV6:
      if (around.isLater) return "PROTO=ICMPv6 ";
      return `PROTO=ICMPv6 ${bytes.length < ICMPV6_HLEN ? incomplete(bytes) : dumpIcmp6(bytes, around)}`;
    default:
      return `PROTO=${protocol} `;
  }
}

function incomplete(bytes: Uint8Array): string {
  return `INCOMPLETE [${bytes.length} bytes] `;
}

/** Errors are followed by the packet they are about, in brackets; that of an error inside an error is left out. */
function dumpIcmp6(bytes: Uint8Array, { tcp, outer }: Around): string {
  const type = get8(bytes, 0);
  const head = `TYPE=${type} CODE=${get8(bytes, 1)} `;
  const quoted = (): string =>
    outer ? `[${dumpPacket(bytes.subarray(ICMPV6_HLEN), tcp, false)}] ` : "";
  switch (type) {
    case ICMPV6_ECHO_REQUEST:
    case ICMPV6_ECHO_REPLY:
      return `${head}ID=${get16(bytes, 4)} SEQ=${get16(bytes, 6)} `;
    case ICMPV6_PARAMPROB:
      return `${head}POINTER=${get32(bytes, 4).toString(16).padStart(8, "0")} ${quoted()}`;
    case ICMPV6_DEST_UNREACH:
    case ICMPV6_TIME_EXCEED:
      return head + quoted();
    case ICMPV6_PKT_TOOBIG:
      return `${head}${quoted()}MTU=${get32(bytes, 4)} `;
    default:
      return head;
  }
}

/** Eight groups of four digits. */
function fullAddress(bytes: Uint8Array, at: number): string {
  return Array.from({ length: 8 }, (_, group) =>
    get16(bytes, at + group * 2)
      .toString(16)
      .padStart(4, "0"),
  ).join(":");
}

const IPV4_HLEN = 20;

/**
 * The part of a `PACKET:` line that tells the IPv6 header. The tool adds IPv4's header to the length, not IPv6's. Mirrors
 * iptables/xtables-monitor.c:trace_print_packet().
 */
export function monitorHeader6(frame: Frame, network: Ipv6Header): string {
  const { trafficClass, hopLimit, flowLabel } = network;
  return [
    `SRC=${formatIpv6(network.source)} DST=${formatIpv6(network.destination)} `,
    `LEN=${ipLength(frame) - (IPV6_HLEN - IPV4_HLEN)} TC=${trafficClass} HOPLIMIT=${hopLimit} FLOWLBL=${flowLabel} `,
  ].join("");
}
