import type { Tuple } from "../../core/conntrack.js";
import {
  encodeIpPacket,
  type Frame,
  type IpHeader,
  withDestination,
  withSource,
} from "../../wire/frame.js";
import type { IcmpHeader } from "../../wire/icmp.js";
import { type Icmpv6Header, ICMPV6_ECHO_REPLY, ICMPV6_ECHO_REQUEST } from "../../wire/icmpv6.js";
import type { IpAddress } from "../../wire/ip.js";
import { type QuoteChange, rewriteQuote } from "../../wire/quote.js";
import { withSctpPorts } from "../../wire/sctp.js";
import { IPPROTO_SCTP, IPPROTO_UDPLITE } from "../../wire/ports.js";
import { isIcmpProtocol } from "../conntrack/tuple.js";
import type { NatKind } from "./range.js";

/** ICMP messages that have an id: queries and their answers. */
const ICMP_WITH_ID: ReadonlySet<number> = new Set([0, 8, 13, 14, 15, 16, 17, 18]);

/**
 * The frame with one half as `target` says: source address and port, or destination address and port; the id of an ICMP
 * query either way. Checksums stay as right or wrong as they were. Undefined when the port of a protocol would have to
 * change that frames keep as bytes. Mirrors net/netfilter/nf_nat_proto.c:nf_nat_manip_pkt().
 */
export function translate(
  frame: Frame,
  target: Tuple,
  kind: NatKind,
  current: Tuple,
): Frame | undefined {
  const { network, transport } = frame;
  if (network === undefined || network.kind === "arp") return frame;
  const address = kind === "SRC" ? target.source : target.destination;
  const header = withAddress(network, address, kind);
  if (transport === undefined && network.protocol === IPPROTO_SCTP) {
    const ports =
      kind === "SRC" ? { source: target.sourcePort } : { destination: target.destinationPort };
    const payload = withSctpPorts(frame.payload, ports);
    return { ...frame, network: header, payload };
  }
  if (transport === undefined && network.protocol === IPPROTO_UDPLITE) {
    // Frames keep it as bytes, like a packet that is quoted.
    const packet = rewriteQuote(encodeIpPacket(frame), quoteChange(target, kind));
    const payload = packet.subarray(packet.length - frame.payload.length);
    return { ...frame, network: header, payload };
  }
  if (transport === undefined) {
    const samePorts =
      current.sourcePort === target.sourcePort &&
      current.destinationPort === target.destinationPort;
    return samePorts ? { ...frame, network: header } : undefined;
  }
  if (transport.kind === "icmp")
    return { ...frame, network: header, transport: withIcmpId(transport, target.sourcePort) };
  if (transport.kind === "icmpv6")
    return { ...frame, network: header, transport: withIcmpv6Id(transport, target.sourcePort) };
  if (kind === "SRC")
    return {
      ...frame,
      network: header,
      transport: { ...transport, sourcePort: target.sourcePort },
    };
  return {
    ...frame,
    network: header,
    transport: { ...transport, destinationPort: target.destinationPort },
  };
}

/** An address of the other family changes nothing. */
function withAddress(network: IpHeader, address: IpAddress, kind: NatKind): IpHeader {
  if (network.kind === "ipv4") {
    if (typeof address !== "number") return network;
    return kind === "SRC" ? { ...network, source: address } : { ...network, destination: address };
  }
  if (typeof address !== "bigint") return network;
  return kind === "SRC" ? { ...network, source: address } : { ...network, destination: address };
}

/** Mirrors icmpv6_manip_pkt(): node information queries keep theirs. */
function withIcmpv6Id(header: Icmpv6Header, id: number): Icmpv6Header {
  if (header.type !== ICMPV6_ECHO_REQUEST && header.type !== ICMPV6_ECHO_REPLY) return header;
  return { ...header, rest: id * 0x1_0000 + (header.rest & 0xffff) };
}

function withIcmpId(header: IcmpHeader, id: number): IcmpHeader {
  if (!ICMP_WITH_ID.has(header.type)) return header;
  return { ...header, rest: id * 0x1_0000 + (header.rest & 0xffff) };
}

/** The frame of an ICMP error whose quoted packet has one half as `seen` says. Mirrors nf_nat_icmp_reply_translation(). */
export function translateQuote(frame: Frame, seen: Tuple, kind: NatKind): Frame {
  return { ...frame, payload: rewriteQuote(frame.payload, quoteChange(seen, kind)) };
}

function quoteChange(seen: Tuple, kind: NatKind): QuoteChange {
  const { source, destination, sourcePort, destinationPort } = seen;
  if (kind === "SRC") return { source, sourcePort };
  return isIcmpProtocol(seen.protocol)
    ? { destination, sourcePort }
    : { destination, destinationPort };
}

/** The frame with only its outer address changed, as an ICMP error needs it. */
export function translateOuter(frame: Frame, address: IpAddress, kind: NatKind): Frame {
  return kind === "SRC" ? withSource(frame, address) : withDestination(frame, address);
}
