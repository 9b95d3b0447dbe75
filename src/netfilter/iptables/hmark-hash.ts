import { jhash2, reciprocalScale } from "../../base/jhash.js";
import type { ConntrackEntry } from "../../core/conntrack.js";
import type { SkBuff } from "../../core/skbuff.js";
import { decodeIpPacket, encodeFrame, type Frame, ipHeaderLength } from "../../wire/frame.js";
import { ETH_HLEN } from "../../wire/ethernet.js";
import type { IpAddress } from "../../wire/ip.js";
import { andAddress, maskOf } from "./addresses.js";

/** What a mark is made of. Mirrors struct xt_hmark_info. */
export interface HmarkFields {
  /** Lengths of the prefixes that count; 0 for none. */
  readonly sourceLength: number;
  readonly destinationLength: number;
  /** Both ports as one number, source first; an SPI takes their place. */
  readonly portMask: number;
  readonly portSet: number;
  readonly protocolMask: number;
  readonly seed: number;
  readonly modulus: number;
  readonly offset: number;
  /** By the connection's ends and not by the packet's. */
  readonly byConnection: boolean;
}

interface HmarkTuple {
  readonly source: number;
  readonly destination: number;
  readonly ports: number;
  readonly protocol: number;
}

/** The mark of a packet; undefined for one without a connection where that is asked for. Mirrors net/netfilter/xt_HMARK.c:hmark_hash(). */
export function hmarkOf(fields: HmarkFields, skb: SkBuff): number | undefined {
  const tuple = tupleOf(fields, skb);
  if (tuple === undefined) return undefined;
  const { source, destination, ports, protocol } = tuple;
  const ends = [Math.min(source, destination), Math.max(source, destination)];
  // jhash_3words() adds the length as jhash2() does.
  const hash = (jhash2([...ends, ports], fields.seed) ^ (protocol & fields.protocolMask)) >>> 0;
  return (reciprocalScale(hash, fields.modulus) + fields.offset) >>> 0;
}

function tupleOf(fields: HmarkFields, skb: SkBuff): HmarkTuple | undefined {
  if (!fields.byConnection) return tupleOfPacket(fields, skb.frame);
  const entry = skb.ct?.entry;
  return entry === undefined ? undefined : tupleOfConnection(fields, entry);
}

const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;

/** Mirrors hmark_ct_set_htuple(). */
function tupleOfConnection(fields: HmarkFields, { original, reply }: ConntrackEntry): HmarkTuple {
  const ports = ((original.sourcePort << 16) | reply.sourcePort) >>> 0;
  return {
    source: masked(original.source, fields.sourceLength),
    destination: masked(reply.source, fields.destinationLength),
    ports: original.protocol === IPPROTO_ICMP ? 0 : swapped(ports, fields),
    protocol: original.protocol,
  };
}

/** Mirrors hmark_pkt_set_htuple_ipv4() and hmark_pkt_set_htuple_ipv6(). */
function tupleOfPacket(fields: HmarkFields, outer: Frame): HmarkTuple | undefined {
  const frame = aboutWhich(outer);
  const { network } = frame ?? {};
  if (frame === undefined || network === undefined || network.kind === "arp") return undefined;
  const { source, destination, protocol } = network;
  return {
    source: masked(source, fields.sourceLength),
    destination: masked(destination, fields.destinationLength),
    ports: portsOf(frame, fields),
    protocol,
  };
}

/** The packet itself, or the one that an ICMP error is about. */
function aboutWhich(frame: Frame): Frame | undefined {
  const { transport } = frame;
  const isError =
    transport?.kind === "icmp"
      ? QUOTING.includes(transport.type)
      : transport?.kind === "icmpv6" && transport.type < 128;
  if (!isError) return frame;
  const inner = decodeIpPacket(frame.payload);
  return inner.ok ? inner.value : undefined;
}

/** Destination unreachable, source quench, redirect, time exceeded, parameter problem. */
const QUOTING: readonly number[] = [3, 4, 5, 11, 12];

/** The first bytes behind the IP header, where protocols have their ports or an SPI. Mirrors proto_ports_offset(). */
function portsOf(frame: Frame, fields: HmarkFields): number {
  const { network, transport } = frame;
  if (network === undefined || network.kind === "arp") return 0;
  if (network.protocol === IPPROTO_ICMP || network.protocol === IPPROTO_ICMPV6) return 0;
  const isPiece =
    network.kind === "ipv4"
      ? network.moreFragments || network.fragmentOffset > 0
      : network.extensions.some(({ type }) => type === IPPROTO_FRAGMENT);
  const at = PORTS_AT.get(network.protocol);
  if (isPiece || at === undefined) return 0;
  if (transport?.kind === "tcp" || transport?.kind === "udp")
    return swapped(((transport.sourcePort << 16) | transport.destinationPort) >>> 0, fields);
  const bytes = encodeFrame(frame).subarray(ETH_HLEN + ipHeaderLength(network) + at);
  if (bytes.length < 4) return 0;
  const word = bytes.subarray(0, 4).reduce((value, byte) => value * 256 + byte, 0);
  return swapped(word, fields);
}

const IPPROTO_FRAGMENT = 44;
/** TCP, UDP, DCCP, ESP, SCTP and UDP-Lite begin with them; AH has four bytes before. */
const PORTS_AT: ReadonlyMap<number, number> = new Map([
  [6, 0],
  [17, 0],
  [33, 0],
  [50, 0],
  [132, 0],
  [136, 0],
  [51, 4],
]);

/** Under mask and set, the larger half first: both directions have one mark. Mirrors hmark_swap_ports(). */
function swapped(ports: number, { portMask, portSet }: HmarkFields): number {
  const both = (ports & portMask) | portSet;
  const source = (both >>> 16) & 0xffff;
  const destination = both & 0xffff;
  return ((Math.max(source, destination) << 16) | Math.min(source, destination)) >>> 0;
}

/** An address under its prefix; the words of an IPv6 address are joined. Mirrors hmark_addr_mask(). */
function masked(address: IpAddress, length: number): number {
  const kept = andAddress(address, maskOf(length, typeof address === "number" ? "ipv4" : "ipv6"));
  if (typeof kept === "number") return kept;
  const words = [96n, 64n, 32n, 0n].map((shift) => Number((kept >> shift) & 0xffff_ffffn));
  return words.reduce((joined, word) => joined ^ word, 0) >>> 0;
}
