import { get16 } from "../../wire/bytes.js";
import { internetChecksum, pseudoHeaderSum, pseudoHeaderSum6 } from "../../wire/checksum.js";
import type { IpHeader } from "../../wire/frame.js";
import { IPPROTO_UDP } from "../../wire/ipv4.js";
import type { Tracked } from "./protocol.js";

const HEADER = 8;

/**
 * Why a UDP-Lite packet is no part of any connection; undefined for one that may be. Its checksum covers as many bytes as the
 * header says, 0 for all, and is looked at on the way in alone: with the number of UDP before it, so that what a UDP-Lite
 * socket sends never verifies. Mirrors net/netfilter/nf_conntrack_proto_udp.c:udplite_error().
 */
export function udpliteError({ skb, table, hook }: Tracked): string | undefined {
  const { network, payload } = skb.frame;
  if (network === undefined || network.kind === "arp" || payload.length < HEADER)
    return "short packet";
  const told = get16(payload, 4);
  const coverage = told === 0 ? payload.length : told;
  if (coverage < HEADER || coverage > payload.length) return "invalid checksum coverage";
  if (get16(payload, 6) === 0) return "checksum missing";
  const isChecked = hook === "PREROUTING" && table.settings.flags.checksum === 1;
  const sum = pseudoSum(network, payload.length);
  if (isChecked && internetChecksum(payload.subarray(0, coverage), sum) !== 0)
    return "bad checksum";
  return undefined;
}

function pseudoSum(network: IpHeader, length: number): number {
  return network.kind === "ipv4"
    ? pseudoHeaderSum(network.source, network.destination, IPPROTO_UDP, length)
    : pseudoHeaderSum6(network.source, network.destination, IPPROTO_UDP, length);
}
