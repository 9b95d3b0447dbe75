import { get16 } from "./bytes.js";
import { formatArp, ARP_LENGTH } from "./arp.js";
import { decodeBpdu, formatBpdu } from "./bpdu.js";
import { decodeDns } from "./dns.js";
import { formatEthernet } from "./ethernet.js";
import { formatDns } from "./format-dns.js";
import { formatIpv6Packet } from "./format-ipv6.js";
import { formatSctp } from "./format-sctp.js";
import { type Frame, type IpHeader, decodeFrame, decodeIpPacket, isIcmp } from "./frame.js";
import { formatGre, GRE_PROTOCOLS, IPPROTO_GRE } from "./gre.js";
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_HLEN,
  ICMP_PORT_UNREACH,
  ICMP_PROT_UNREACH,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  type IcmpHeader,
  formatIcmp,
} from "./icmp.js";
import { decodeIgmp, formatIgmp, IPPROTO_IGMP } from "./igmp.js";
import { formatIpv4, formatIpv6, ipv4 } from "./ip.js";
import { type Ipv4Header, formatIpv4Header, isFragment } from "./ipv4.js";
import { formatIpv6Header, type Ipv6Header } from "./ipv6.js";
import { IPPROTO_SCTP, portsIn } from "./ports.js";
import { SCTP_HLEN } from "./sctp.js";
import { type TcpHeader, formatTcp } from "./tcp.js";
import { type UdpHeader, formatUdp } from "./udp.js";
import { decodeVxlan, formatVxlan, isVxlanPort } from "./vxlan.js";

const DNS_PORT = 53;

/** One line as `tcpdump -n -S -t` prints it: absolute sequence numbers, because one frame knows no connection. */
export function formatFrame(frame: Frame): string {
  const { network } = frame;
  if (network === undefined)
    return (
      formatBpduOf(frame) ?? `${formatEthernet(frame.link)}, length ${14 + frame.payload.length}`
    );
  if (network.kind === "arp") return `ARP, ${formatArp(network)}, length ${ARP_LENGTH}`;
  return network.kind === "ipv4"
    ? `IP ${formatPacket(frame, network)}`
    : `IP6 ${formatPacket6(frame, network)}`;
}

/** A frame with a length instead of a type that is of spanning tree. */
function formatBpduOf({ link, payload }: Frame): string | undefined {
  if (link.etherType !== payload.length) return undefined;
  const read = decodeBpdu(payload);
  return read.ok ? formatBpdu(read.value) : undefined;
}

function formatPacket(frame: Frame, network: Ipv4Header): string {
  const { transport, payload } = frame;
  if (transport === undefined) {
    if (network.fragmentOffset === 0 && network.protocol === IPPROTO_SCTP)
      return formatSctpPacket(payload, formatIpv4(network.source), formatIpv4(network.destination));
    const known = formatIgmpOf(frame, network) ?? formatGreOf(frame, network);
    return `${formatIpv4Header(network)}: ${known ?? formatOpaque(network, payload.length)}`;
  }
  if (isIcmp(transport)) {
    const message = transport.kind === "icmp" ? formatIcmpMessage(frame, transport) : "icmpv6";
    return `${formatIpv4Header(network)}: ${message}`;
  }
  const source = formatIpv4(network.source);
  const destination = formatIpv4(network.destination);
  const ends = `${source}.${transport.sourcePort} > ${destination}.${transport.destinationPort}`;
  return `${ends}: ${formatSegment(transport, payload)}`;
}

/** The protocols that a frame keeps as bytes are printed as over IPv4, where they stand right behind the header. */
function formatPacket6(frame: Frame, network: Ipv6Header): string {
  const { transport, payload } = frame;
  if (transport === undefined && network.extensions.length === 0) {
    if (network.protocol === IPPROTO_SCTP)
      return formatSctpPacket(payload, formatIpv6(network.source), formatIpv6(network.destination));
    const gre = formatGreOf(frame, network);
    if (gre !== undefined) return `${formatIpv6Header(network)}: ${gre}`;
  }
  return formatIpv6Packet(frame, network, formatSegment);
}

function formatSctpPacket(payload: Uint8Array, source: string, destination: string): string {
  const missing = SCTP_HLEN - payload.length;
  if (missing > 0) return `truncated-sctp - ${missing} bytes missing!`;
  const ports = portsIn(IPPROTO_SCTP, payload);
  const ends = `${source}.${ports?.source} > ${destination}.${ports?.destination}`;
  return `${ends}: ${formatSctp(payload)}`;
}

/** A tunnel's packet and the one in it; a later fragment has no header. */
function formatGreOf({ payload }: Frame, network: IpHeader): string | undefined {
  if (network.protocol !== IPPROTO_GRE) return undefined;
  if (network.kind === "ipv4" && network.fragmentOffset !== 0) return undefined;
  return formatGre(payload, formatCarried);
}

function formatCarried(protocol: number, payload: Uint8Array): string {
  switch (protocol) {
    case GRE_PROTOCOLS.ipv4:
    case GRE_PROTOCOLS.ipv6: {
      const packet = decodeIpPacket(payload);
      if (packet.ok) return formatFrame(packet.value);
      return protocol === GRE_PROTOCOLS.ipv4 ? "[|ip]" : "[|ip6]";
    }
    case GRE_PROTOCOLS.ethernet: {
      const inner = decodeFrame(payload);
      return inner.ok ? formatFrame(inner.value) : "[|ether]";
    }
    case GRE_PROTOCOLS.ppp:
      return formatPpp(payload);
    default:
      return `gre-proto-0x${protocol.toString(16)}`;
  }
}

/** Of PPP only IP is read. RFC 1662 §2, RFC 1332 §2. */
function formatPpp(payload: Uint8Array): string {
  const rest = payload[0] === 0xff && payload[1] === 3 ? payload.subarray(2) : payload;
  if (rest.length < 2) return "[|ppp]";
  const protocol = get16(rest, 0);
  if (protocol === PPP_IP) return formatCarried(GRE_PROTOCOLS.ipv4, rest.subarray(2));
  return `unknown PPP protocol (0x${protocol.toString(16).padStart(4, "0")})`;
}

const PPP_IP = 0x0021;

function formatSegment(transport: TcpHeader | UdpHeader, payload: Uint8Array): string {
  return transport.kind === "tcp"
    ? formatTcp(transport, payload.length)
    : formatDatagram(transport, payload);
}

function formatDatagram(udp: UdpHeader, payload: Uint8Array): string {
  if (isVxlanPort(payload, udp.destinationPort)) return formatTunnelled(payload);
  const isDns = udp.sourcePort === DNS_PORT || udp.destinationPort === DNS_PORT;
  const message = isDns ? decodeDns(payload) : undefined;
  if (message?.ok !== true) return formatUdp(payload.length);
  return `${formatDns(message.value)} (${payload.length})`;
}

/** A tunnel's header and the frame in it; tcpdump puts that one on a line of its own. */
function formatTunnelled(payload: Uint8Array): string {
  const vxlan = decodeVxlan(payload);
  if (!vxlan.ok) return formatUdp(payload.length);
  const inner = decodeFrame(vxlan.value.payload);
  const told = inner.ok ? formatFrame(inner.value) : `length ${vxlan.value.payload.length}`;
  return `${formatVxlan(vxlan.value.header)}: ${told}`;
}

/** An IGMP message in one piece. */
function formatIgmpOf({ payload }: Frame, network: Ipv4Header): string | undefined {
  if (network.protocol !== IPPROTO_IGMP || isFragment(network)) return undefined;
  const message = decodeIgmp(payload);
  return message.ok ? formatIgmp(message.value) : undefined;
}

/** A protocol we do not read; tcpdump writes a space of its own before those it does not know. */
function formatOpaque(network: Ipv4Header, length: number): string {
  if (network.fragmentOffset !== 0) return `ip-proto-${network.protocol}`;
  return ` ip-proto-${network.protocol} ${length}`;
}

function formatIcmpMessage(frame: Frame, icmp: IcmpHeader): string {
  const length = ICMP_HLEN + frame.payload.length;
  return `${formatIcmpError(frame, icmp) ?? formatIcmp(icmp)}, length ${length}`;
}

/** The errors that quote a packet, told by that packet; undefined for other messages and unreadable quotes. */
function formatIcmpError(frame: Frame, icmp: IcmpHeader): string | undefined {
  const quote = decodeIpPacket(frame.payload);
  if (!quote.ok || quote.value.network?.kind !== "ipv4") return undefined;
  const destination = formatIpv4(quote.value.network.destination);
  switch (icmp.type) {
    case ICMP_DEST_UNREACH:
      return `ICMP ${formatUnreachable(icmp, quote.value, destination)}`;
    case ICMP_TIME_EXCEEDED:
      return icmp.code === 0 ? "ICMP time exceeded in-transit" : "ICMP ip reassembly time exceeded";
    case ICMP_REDIRECT:
      return `ICMP redirect ${destination} to ${icmp.code === 0 ? "net" : "host"} ${formatIpv4(ipv4(icmp.rest))}`;
    default:
      return undefined;
  }
}

function formatUnreachable(icmp: IcmpHeader, quote: Frame, destination: string): string {
  const protocol = quote.network?.kind === "ipv4" ? quote.network.protocol : 0;
  const { transport } = quote;
  if (icmp.code === ICMP_PROT_UNREACH) return `${destination} protocol ${protocol} unreachable`;
  if (icmp.code === ICMP_FRAG_NEEDED)
    return `${destination} unreachable - need to frag (mtu ${icmp.rest & 0xffff})`;
  if (icmp.code === ICMP_PORT_UNREACH && (transport?.kind === "tcp" || transport?.kind === "udp")) {
    return `${destination} ${transport.kind} port ${transport.destinationPort} unreachable`;
  }
  const [what, why] = UNREACHABLE_TEXTS.get(icmp.code) ?? [undefined, ""];
  return what === undefined
    ? `${destination} unreachable - #${icmp.code}`
    : `${what}${destination} unreachable${why}`;
}

/** By the code of ICMP_DEST_UNREACH: the words before the address and after "unreachable". */
const UNREACHABLE_TEXTS: ReadonlyMap<number, readonly [string, string]> = new Map([
  [0, ["net ", ""]],
  [1, ["host ", ""]],
  [5, ["", " - source route failed"]],
  [6, ["net ", " - unknown"]],
  [7, ["host ", " - unknown"]],
  [8, ["", " - source host isolated"]],
  [9, ["net ", " - admin prohibited"]],
  [10, ["host ", " - admin prohibited"]],
  [11, ["net ", " - tos prohibited"]],
  [12, ["host ", " - tos prohibited"]],
  [13, ["host ", " - admin prohibited filter"]],
  [14, ["host ", " - host precedence violation"]],
  [15, ["host ", " - precedence cutoff"]],
]);
