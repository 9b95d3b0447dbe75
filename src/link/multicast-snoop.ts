import type { SkBuff } from "../core/skbuff.js";
import { microseconds, type Micros } from "../sim/time.js";
import type { Frame } from "../wire/frame.js";
import { getIpv6, IPV6_ALL_NODES, isIpv6Multicast } from "../wire/ip.js";
import {
  decodeIgmp,
  IGMPV3_CHANGE_TO_INCLUDE,
  IGMPV3_MODE_IS_INCLUDE,
  IPPROTO_IGMP,
} from "../wire/igmp.js";
import {
  ICMPV6_MGM_QUERY,
  ICMPV6_MGM_REDUCTION,
  ICMPV6_MGM_REPORT,
  ICMPV6_MLD2_REPORT,
} from "../wire/icmpv6.js";
import { decodeMldRecords } from "../wire/mld.js";
import type { BridgeMulticast } from "./multicast.js";
import {
  type Heard,
  isLocalGroup,
  joinGroup,
  leaveGroup,
  shortenGroup,
  type Snooped,
} from "./multicast-membership.js";

const PLAIN: Snooped = { control: false, routersOnly: false };
const FOR_MEMBERS: Snooped = { control: false, routersOnly: true };
const CONTROL: Snooped = { control: true, routersOnly: false };
const REPORT: Snooped = { control: true, routersOnly: true };
const ALL_HOSTS = 0xe000_0001;

/** Looks at a frame to a group and learns from it; undefined for a damaged message or an empty packet, which is dropped. Mirrors br_multicast_rcv(). */
export function snoop(
  { frame }: SkBuff,
  multicast: BridgeMulticast,
  heard: Heard,
): Snooped | undefined {
  const { network } = frame;
  if (network?.kind === "ipv4")
    return network.protocol === IPPROTO_IGMP
      ? snoopIgmp(frame, multicast, heard)
      : isLocalGroup(network.destination)
        ? PLAIN
        : FOR_MEMBERS;
  if (network?.kind !== "ipv6") return PLAIN;
  if (isEmpty(frame)) return undefined;
  const isMld = network.extensions[0]?.kind === "options" && frame.transport?.kind === "icmpv6";
  const control = isMld ? snoopMld(frame, multicast, heard) : "other";
  if (control !== "other") return control;
  return network.destination === IPV6_ALL_NODES ? PLAIN : FOR_MEMBERS;
}

/** A packet that is its IPv6 header and nothing more. Mirrors net/ipv6/mcast_snoop.c:ipv6_mc_check_ip6hdr(). */
function isEmpty({ network, transport, payload }: Frame): boolean {
  return (
    network?.kind === "ipv6" &&
    network.extensions.length === 0 &&
    transport === undefined &&
    payload.length === 0
  );
}

/** Mirrors br_multicast_ipv4_rcv() with ip_mc_check_igmp(). */
function snoopIgmp(
  { network, payload }: Frame,
  multicast: BridgeMulticast,
  heard: Heard,
): Snooped | undefined {
  if (network?.kind !== "ipv4") return PLAIN;
  const { source, destination } = network;
  const read = decodeIgmp(payload);
  if (!read.ok) {
    if (!read.reason.startsWith("IGMP message of type")) return undefined;
    return isLocalGroup(destination) ? PLAIN : FOR_MEMBERS;
  }
  const message = read.value;
  if (message.checksumError !== undefined) return undefined;
  switch (message.kind) {
    case "report":
      joinGroup(multicast, message.group, heard);
      return REPORT;
    case "report3":
      for (const { type, group, sources } of message.records)
        if (
          sources.length === 0 &&
          (type === IGMPV3_CHANGE_TO_INCLUDE || type === IGMPV3_MODE_IS_INCLUDE)
        )
          leaveGroup(multicast, group, heard);
        else if (type >= 1 && type <= 6) joinGroup(multicast, group, heard);
      return CONTROL;
    case "leave":
      leaveGroup(multicast, message.group, heard);
      return CONTROL;
    default: {
      const { group, responseCode, version3 } = message;
      if (group === 0 && destination !== ALL_HOSTS) return undefined;
      const delay = version3 === undefined ? responseCode : exponential(responseCode, 4);
      if (version3 !== undefined && version3.sources.length > 0) return CONTROL;
      if (group === 0 || (version3 === undefined && responseCode === 0))
        multicast.heardQuerier("ipv4", heard.port, source, tenths(delay === 0 ? 100 : delay));
      else shortenGroup(multicast, group, heard, tenths(delay));
      return CONTROL;
    }
  }
}

/** Mirrors br_multicast_ipv6_rcv() with ipv6_mc_check_mld(). */
function snoopMld(
  { network, transport, payload }: Frame,
  multicast: BridgeMulticast,
  heard: Heard,
): Snooped | undefined | "other" {
  if (network?.kind !== "ipv6" || transport?.kind !== "icmpv6") return "other";
  const { type, rest } = transport;
  if (type === ICMPV6_MLD2_REPORT) {
    const records = decodeMldRecords(rest & 0xffff, payload);
    if (!records.ok) return undefined;
    for (const record of records.value)
      if (record.sources.length === 0 && (record.type === 3 || record.type === 1))
        leaveGroup(multicast, record.group, heard);
      else if (record.type >= 1 && record.type <= 6) joinGroup(multicast, record.group, heard);
    return CONTROL;
  }
  if (type !== ICMPV6_MGM_QUERY && type !== ICMPV6_MGM_REPORT && type !== ICMPV6_MGM_REDUCTION)
    return "other";
  if (payload.length < 16 || transport.checksumError !== undefined) return undefined;
  const group = getIpv6(payload, 0);
  if (type === ICMPV6_MGM_REPORT) {
    joinGroup(multicast, group, heard);
    return REPORT;
  }
  if (type === ICMPV6_MGM_REDUCTION) leaveGroup(multicast, group, heard);
  else {
    const code = rest >>> 16;
    const isVersion2 = payload.length > 16;
    const delay = microseconds((isVersion2 ? exponential(code, 12) : code) * 1_000);
    if (isIpv6Multicast(group)) shortenGroup(multicast, group, heard, delay);
    else multicast.heardQuerier("ipv6", heard.port, network.source, delay);
  }
  return CONTROL;
}

/** A code of version 3: from half its range on a number with an exponent of three bits. RFC 3376 §4.1.1. */
function exponential(code: number, mantissa: 4 | 12): number {
  if (code < 1 << (mantissa + 3)) return code;
  const exponent = (code >> mantissa) & 7;
  return ((code & ((1 << mantissa) - 1)) | (1 << mantissa)) << (exponent + 3);
}

function tenths(count: number): Micros {
  return microseconds(count * 100_000);
}
