import type { Tuple } from "../../core/conntrack.js";
import { get8, get16 } from "../../wire/bytes.js";
import { type Frame, decodeIpPacket, isIcmp } from "../../wire/frame.js";
import { type IpAddress, foldAddress } from "../../wire/ip.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.js";
import { IPPROTO_GRE } from "../../wire/gre.js";
import { IPPROTO_SCTP, IPPROTO_UDPLITE, portsIn } from "../../wire/ports.js";
import { IPPROTO_ICMPV6, IPPROTO_NONE, type Ipv6Header } from "../../wire/ipv6.js";
import { upperHeaderOf } from "../ipv6-headers.js";

/** The two directions of a connection. Mirrors enum ip_conntrack_dir. */
export type Direction = 0 | 1;
export const ORIGINAL: Direction = 0;
export const REPLY: Direction = 1;

/** ICMP queries and their answers, both ways. Mirrors net/netfilter/nf_conntrack_proto_icmp.c:invmap. */
const ICMP_INVERSE: ReadonlyMap<number, number> = new Map([
  [8, 0],
  [0, 8],
  [13, 14],
  [14, 13],
  [15, 16],
  [16, 15],
  [17, 18],
  [18, 17],
]);
/** Echo and node information queries. Mirrors net/netfilter/nf_conntrack_proto_icmpv6.c:invmap. */
const ICMPV6_INVERSE: ReadonlyMap<number, number> = new Map([
  [128, 129],
  [129, 128],
  [139, 140],
  [140, 139],
]);

/** ICMP of either family: one id, a type and a code instead of ports. */
export function isIcmpProtocol(protocol: number): boolean {
  return protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6;
}

/**
 * What conntrack knows a packet by; undefined for packets without addresses, for fragments other than the first, and
 * where the transport header is cut short. Mirrors net/netfilter/nf_conntrack_core.c:nf_ct_get_tuple().
 */
export function tupleOf(frame: Frame): Tuple | undefined {
  const { network, transport } = frame;
  if (network?.kind === "ipv6" && transport === undefined) return tupleOfBytes6(frame, network);
  if (network === undefined || network.kind === "arp") return undefined;
  if (network.kind === "ipv4" && network.fragmentOffset !== 0) return undefined;
  const { source, destination, protocol } = network;
  if (transport === undefined) return tupleOfBytes(source, destination, protocol, frame.payload);
  if (isIcmp(transport)) {
    const id = transport.rest >>> 16;
    return {
      source,
      destination,
      protocol,
      sourcePort: id,
      destinationPort: 0,
      icmpType: transport.type,
      icmpCode: transport.code,
    };
  }
  const { sourcePort, destinationPort } = transport;
  return { source, destination, protocol, sourcePort, destinationPort, icmpType: 0, icmpCode: 0 };
}

/** The tuple of the packet that an ICMP error quotes. Mirrors nf_ct_get_tuplepr(). */
export function quotedTuple(quote: Uint8Array): Tuple | undefined {
  const packet = decodeIpPacket(quote);
  if (!packet.ok) return undefined;
  const { network, transport, payload } = packet.value;
  if (transport !== undefined || network?.kind !== "ipv4" || network.fragmentOffset !== 0)
    return tupleOf(packet.value);
  // A TCP header that was cut short is no header for the codec; its ports are there all the same.
  const { source, destination, protocol } = network;
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) return tupleOf(packet.value);
  if (payload.length < 8) return undefined;
  return withPorts(source, destination, protocol, get16(payload, 0), get16(payload, 2));
}

/** A packet whose transport is no header of ours, or that is a first fragment. Mirrors ipv6_get_l4proto(). */
function tupleOfBytes6(frame: Frame, network: Ipv6Header): Tuple | undefined {
  const { source, destination } = network;
  const upper = upperHeaderOf(frame, network, false);
  if (upper === undefined || upper.fragmentOffset !== 0) return undefined;
  const { protocol, payload } = upper;
  switch (protocol) {
    case IPPROTO_NONE:
      return undefined;
    case IPPROTO_TCP:
    case IPPROTO_UDP:
      return payload.length < 4
        ? undefined
        : withPorts(source, destination, protocol, get16(payload, 0), get16(payload, 2));
    case IPPROTO_ICMPV6:
      return payload.length < 8
        ? undefined
        : {
            ...withPorts(source, destination, protocol, get16(payload, 4), 0),
            icmpType: get8(payload, 0),
            icmpCode: get8(payload, 1),
          };
    default:
      return tupleOfBytes(source, destination, protocol, payload);
  }
}

function tupleOfBytes(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  bytes: Uint8Array,
): Tuple | undefined {
  switch (protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return undefined;
    case IPPROTO_SCTP:
    case IPPROTO_UDPLITE: {
      const ports = bytes.length < 8 ? undefined : portsIn(protocol, bytes);
      if (ports === undefined) return undefined;
      return withPorts(source, destination, protocol, ports.source, ports.destination);
    }
    case IPPROTO_GRE: {
      // Only PPTP's version 1 has a call id, whatever its flags say; version 0 is tracked by addresses alone. RFC 2637 §4.1.
      if (bytes.length < 8) return undefined;
      const isPptp = (get8(bytes, 1) & 7) === 1;
      return withPorts(source, destination, protocol, 0, isPptp ? get16(bytes, 6) : 0);
    }
    default:
      return withPorts(source, destination, protocol, 0, 0);
  }
}

function withPorts(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  sourcePort: number,
  destinationPort: number,
): Tuple {
  return { source, destination, protocol, sourcePort, destinationPort, icmpType: 0, icmpCode: 0 };
}

/** How an answer to `tuple` looks; undefined for ICMP types that nothing answers. Mirrors nf_ct_invert_tuple(). */
export function invertTuple(tuple: Tuple): Tuple | undefined {
  const { protocol } = tuple;
  if (protocol !== IPPROTO_ICMP && protocol !== IPPROTO_ICMPV6) {
    return {
      source: tuple.destination,
      destination: tuple.source,
      protocol,
      sourcePort: tuple.destinationPort,
      destinationPort: tuple.sourcePort,
      icmpType: 0,
      icmpCode: 0,
    };
  }
  const inverse = protocol === IPPROTO_ICMP ? ICMP_INVERSE : ICMPV6_INVERSE;
  const icmpType = inverse.get(tuple.icmpType);
  if (icmpType === undefined) return undefined;
  return {
    source: tuple.destination,
    destination: tuple.source,
    protocol,
    sourcePort: tuple.sourcePort,
    destinationPort: 0,
    icmpType,
    icmpCode: tuple.icmpCode,
  };
}

/** Mirrors include/net/netfilter/nf_conntrack_tuple.h:nf_ct_tuple_equal(). */
export function sameTuple(a: Tuple, b: Tuple): boolean {
  return (
    a.source === b.source &&
    a.destination === b.destination &&
    a.sourcePort === b.sourcePort &&
    a.destinationPort === b.destinationPort &&
    a.protocol === b.protocol &&
    a.icmpType === b.icmpType &&
    a.icmpCode === b.icmpCode
  );
}

/** A hash of a tuple in a zone: a signed 32-bit number, which is no object of its own. */
export function hashTuple(tuple: Tuple, zone: number): number {
  let hash = Math.imul(foldAddress(tuple.source) ^ zone, 0x9e37_79b1);
  hash = Math.imul(hash ^ (hash >>> 15) ^ foldAddress(tuple.destination), 0x85eb_ca77);
  hash = Math.imul(
    hash ^ (hash >>> 13) ^ (tuple.sourcePort * 0x1_0000 + tuple.destinationPort),
    0xc2b2_ae3d,
  );
  hash = Math.imul(
    hash ^ (hash >>> 16) ^ (tuple.protocol * 0x1_0000 + tuple.icmpType * 0x100 + tuple.icmpCode),
    0x27d4_eb2f,
  );
  return hash ^ (hash >>> 15);
}
