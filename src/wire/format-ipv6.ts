import { get16, get32, get8 } from "./bytes.js";
import { type Frame, decodeIpPacket } from "./frame.js";
import {
  ICMPV6_DEST_UNREACH,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_HLEN,
  ICMPV6_MGM_QUERY,
  ICMPV6_MGM_REDUCTION,
  ICMPV6_MGM_REPORT,
  ICMPV6_MLD2_REPORT,
  ICMPV6_PARAMPROB,
  ICMPV6_PKT_TOOBIG,
  ICMPV6_PORT_UNREACH,
  ICMPV6_TIME_EXCEED,
  type Icmpv6Header,
  NDISC_NEIGHBOUR_ADVERTISEMENT,
  NDISC_NEIGHBOUR_SOLICITATION,
  NDISC_REDIRECT,
  NDISC_ROUTER_ADVERTISEMENT,
  NDISC_ROUTER_SOLICITATION,
} from "./icmpv6.js";
import { formatIpv6, getIpv6 } from "./ip.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "./ipv4.js";
import {
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
  type Ipv6Extension,
  extensionLength,
} from "./ipv6-extension.js";
import { IPPROTO_NONE, type Ipv6Header, formatIpv6Header } from "./ipv6.js";
import type { TcpHeader } from "./tcp.js";
import type { UdpHeader } from "./udp.js";

/** How a segment or datagram is printed: the same over both families. */
export type SegmentFormat = (transport: TcpHeader | UdpHeader, payload: Uint8Array) => string;

/** What `tcpdump -n -S -t` prints after `IP6 `. */
export function formatIpv6Packet(
  frame: Frame,
  network: Ipv6Header,
  formatSegment: SegmentFormat,
): string {
  const { transport, payload } = frame;
  const ends = formatIpv6Header(network);
  const words = network.extensions.map((extension, index) =>
    formatExtension(network, index, extension, payload.length),
  );
  const invalid = words.findIndex((word) => word.endsWith(INVALID));
  const before = words.slice(0, invalid < 0 ? words.length : invalid + 1).join("");
  if (before.endsWith(INVALID)) return `${ends}: ${before}`;
  if (isLaterFragment(network)) return `${ends}: ${before.trimEnd()}`;
  if (transport === undefined) return `${ends}: ${before}${formatOpaque(network, payload.length)}`;
  if (transport.kind === "icmp") return `${ends}: ${before}icmp`;
  if (transport.kind === "icmpv6")
    return `${ends}: ${before}ICMP6, ${formatIcmpv6(transport, payload)}`;
  const ports = `${formatIpv6(network.source)}.${transport.sourcePort} > ${formatIpv6(network.destination)}.${transport.destinationPort}`;
  return before === ""
    ? `${ports}: ${formatSegment(transport, payload)}`
    : `${ends}: ${before}${transport.sourcePort} > ${transport.destinationPort}: ${formatSegment(transport, payload)}`;
}

function isLaterFragment(network: Ipv6Header): boolean {
  return network.extensions.some(
    (extension) => extension.kind === "fragment" && extension.fragmentOffset !== 0,
  );
}

function formatExtension(
  network: Ipv6Header,
  index: number,
  extension: Ipv6Extension,
  payloadLength: number,
): string {
  if (extension.kind === "options") return OPTIONS_WORDS[extension.type](extension.body);
  const after = network.extensions
    .slice(index + 1)
    .reduce((sum, next) => sum + extensionLength(next), payloadLength);
  return `frag (${extension.fragmentOffset}|${after}) `;
}

const OPTIONS_WORDS = {
  [IPPROTO_HOPOPTS]: () => "HBH ",
  [IPPROTO_DSTOPTS]: () => "DSTOPT ",
  [IPPROTO_ROUTING]: (body: Uint8Array) => formatRouting(body),
  [IPPROTO_AH]: (body: Uint8Array) => `AH(spi=0x${hex8(get32(body, 2))}): `,
} as const;

/** The addresses of types 0, 2 and 4 (segment routing) are told; of other types nothing is, nor of what follows them. */
function formatRouting(body: Uint8Array): string {
  const length = (2 + body.length) / 8 - 1;
  const [type, left] = [get8(body, 0), get8(body, 1)];
  const known = ROUTING_WORDS[type]?.(body);
  const start = `RT6 (len=${length}, type=${type}${type === 0 ? " [Deprecated]" : ""}, segleft=${left}`;
  if (known === undefined) return `${start} (unknown type)${INVALID}`;
  if (length % 2 === 1) return `${start}${known} (invalid length ${length})${INVALID}`;
  const hops = Array.from(
    { length: length / 2 },
    (_, index) => `, [${index}]${formatIpv6(getIpv6(body, 6 + 16 * index))}`,
  );
  return `${start}${known}${hops.join("")}) `;
}

const INVALID = " (invalid)";

const ROUTING_WORDS: Readonly<Partial<Record<number, (body: Uint8Array) => string>>> = {
  0: reservedWords,
  2: reservedWords,
  4: segmentWords,
};

function reservedWords(body: Uint8Array): string {
  const reserved = get32(body, 2);
  return reserved === 0 ? "" : `, rsv=0x${reserved.toString(16)}`;
}

function segmentWords(body: Uint8Array): string {
  const flags = get8(body, 3);
  const shown = flags === 0 ? "" : `, flags=0x${flags.toString(16)}`;
  return `, last-entry=${get8(body, 2)}${shown}, tag=${get16(body, 4).toString(16)}`;
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, "0");
}

function formatOpaque(network: Ipv6Header, length: number): string {
  if (network.protocol === IPPROTO_NONE) return "no next header";
  return ` ip-proto-${network.protocol} ${length}`;
}

function formatIcmpv6(header: Icmpv6Header, payload: Uint8Array): string {
  const words = formatMessage(header, payload);
  const isOpaque = header.type === ICMPV6_DEST_UNREACH && header.code > ICMPV6_PORT_UNREACH;
  return isOpaque ? words : `${words}, length ${ICMPV6_HLEN + payload.length}`;
}

function formatMessage(header: Icmpv6Header, payload: Uint8Array): string {
  const echo = `id ${header.rest >>> 16}, seq ${header.rest & 0xffff}`;
  const address = payload.length >= 16 ? formatIpv6(getIpv6(payload, 0)) : "";
  switch (header.type) {
    case ICMPV6_ECHO_REQUEST:
      return `echo request, ${echo}`;
    case ICMPV6_ECHO_REPLY:
      return `echo reply, ${echo}`;
    case ICMPV6_PKT_TOOBIG:
      return `packet too big, mtu ${header.rest}`;
    case ICMPV6_PARAMPROB:
      return formatParameterProblem(header);
    case ICMPV6_DEST_UNREACH:
    case ICMPV6_TIME_EXCEED:
      return formatQuoting(header, payload);
    case ICMPV6_MGM_QUERY:
      return `multicast listener query max resp delay: ${header.rest >>> 16} addr: ${address}`;
    case ICMPV6_MGM_REPORT:
      return `multicast listener reportmax resp delay: ${header.rest >>> 16} addr: ${address}`;
    case ICMPV6_MGM_REDUCTION:
      return `multicast listener done max resp delay: ${header.rest >>> 16} addr: ${address}`;
    case ICMPV6_MLD2_REPORT:
      return `multicast listener report v2, ${header.rest & 0xffff} group record(s)`;
    case NDISC_ROUTER_SOLICITATION:
      return "router solicitation";
    case NDISC_ROUTER_ADVERTISEMENT:
      return "router advertisement";
    case NDISC_NEIGHBOUR_SOLICITATION:
      return `neighbor solicitation, who has ${address}`;
    case NDISC_NEIGHBOUR_ADVERTISEMENT:
      return `neighbor advertisement, tgt is ${address}`;
    case NDISC_REDIRECT:
      return `redirect, ${formatIpv6(getIpv6(payload, 16))} to ${address}`;
    default:
      return `unknown icmp6 type (${header.type})`;
  }
}

function formatParameterProblem(header: Icmpv6Header): string {
  const what = ["erroneous", "next header", "option"][header.code];
  return what === undefined
    ? `parameter problem, code-#${header.code}`
    : `parameter problem, ${what} - octet ${header.rest}`;
}

/** The errors that are told by the packet they quote. */
function formatQuoting(header: Icmpv6Header, payload: Uint8Array): string {
  const quote = decodeIpPacket(payload);
  const inner = quote.ok && quote.value.network?.kind === "ipv6" ? quote.value.network : undefined;
  const destination = inner === undefined ? "" : formatIpv6(inner.destination);
  if (header.type === ICMPV6_TIME_EXCEED)
    return header.code === 0
      ? `time exceeded in-transit for ${destination}`
      : "time exceeded in-transit (reassembly)";
  const words = "destination unreachable, ";
  if (header.code === ICMPV6_PORT_UNREACH && quote.ok && inner !== undefined)
    return `${words}unreachable port, ${destination} ${formatPort(inner, quote.value)}`;
  if (header.code === 2 && inner !== undefined)
    return `${words}beyond scope ${destination}, source address ${formatIpv6(inner.source)}`;
  const what = ["unreachable route ", " unreachable prohibited ", "", "unreachable address "][
    header.code
  ];
  return what === undefined
    ? `${words}unknown unreach code (${header.code})`
    : `${words}${what}${destination}`;
}

function formatPort(inner: Ipv6Header, { transport, payload }: Frame): string {
  const port =
    transport?.kind === "udp" || transport?.kind === "tcp"
      ? transport.destinationPort
      : get16(payload, 2);
  if (inner.protocol === IPPROTO_TCP) return `tcp port ${port}`;
  if (inner.protocol === IPPROTO_UDP) return `udp port ${port}`;
  return `protocol ${inner.protocol} port ${port} unreachable`;
}
