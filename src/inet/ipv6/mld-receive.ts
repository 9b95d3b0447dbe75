import type { NetDevice } from "../../core/device.js";
import { deliver } from "../../core/drop.js";
import type { SkBuff } from "../../core/skbuff.js";
import { type Micros, milliseconds, seconds } from "../../sim/time.js";
import { get16, get8 } from "../../wire/bytes.js";
import type { Icmpv6Header } from "../../wire/icmpv6.js";
import { getIpv6, IPV6_ANY, type Ipv6, isIpv6LinkLocal, isIpv6Multicast } from "../../wire/ip.js";
import { IPPROTO_HOPOPTS } from "../../wire/ipv6-extension.js";
import type { Ipv6Header } from "../../wire/ipv6.js";
import {
  forcedMldVersion,
  type Memberships,
  membershipsOf,
  mldVersion,
  version1Ends,
} from "./mld-groups.js";
import { answerAll6, reportWithin6, stopChanges6, stopReport6 } from "./multicast.js";

/** Where a query of version 1 ends; one of version 2 goes on for four bytes at least. */
const VERSION_1_LENGTH = 16;
const VERSION_2_LENGTH = 20;
/** The longest wait of version 1 that version 2 does not write otherwise, in milliseconds. */
const MLDV1_MRD_MAX_COMPAT = 32_767;

/** A router asks who is in groups; what makes no sense is passed over. Mirrors net/ipv6/mcast.c:__mld_query_work(). */
export function mldQuery(skb: SkBuff, network: Ipv6Header, header: Icmpv6Header): void {
  const { payload } = skb.frame;
  const { dev } = skb;
  deliver(skb, "mld");
  const alert = network.extensions.some(({ type }) => type === IPPROTO_HOPOPTS);
  const comesFromLink = isIpv6LinkLocal(network.source) && network.hopLimit === 1 && alert;
  if (dev === undefined || !comesFromLink || payload.length < VERSION_1_LENGTH) return;
  const group = getIpv6(payload, 0);
  if (group === IPV6_ANY || isIpv6Multicast(group)) heard(dev, group, header.rest >>> 16, skb);
}

function heard(dev: NetDevice, group: Ipv6, code: number, skb: SkBuff): void {
  const { payload } = skb.frame;
  const own = membershipsOf(dev);
  const isVersion1 = payload.length === VERSION_1_LENGTH;
  let most: Micros;
  if (isVersion1 || mldVersion(dev) === 1) {
    if (forcedMldVersion(dev) === 2) return;
    most = milliseconds(isVersion1 ? code : Math.min(code, MLDV1_MRD_MAX_COMPAT));
    if (isVersion1) own.version1Until = version1Ends(dev, own);
    stopChanges6(own);
  } else if (payload.length < VERSION_2_LENGTH) {
    return;
  } else {
    most = milliseconds(floating(code, 0x8000, 12));
    noteQuerier(own, payload, most);
    if (group === IPV6_ANY) {
      // A general query that lists sources is none.
      if (get16(payload, 18) === 0) answerAll6(dev, most, skb);
      return;
    }
  }
  for (const membership of own.newestFirst())
    if (group === IPV6_ANY || group === membership.group) reportWithin6(dev, membership, most, skb);
}

/** What a router of version 2 says of its own ways. Mirrors mld_update_qrv(), mld_update_qi() and mld_update_qri(). */
function noteQuerier(own: Memberships, payload: Uint8Array, most: Micros): void {
  const robustness = get8(payload, 16) & 7;
  if (robustness > 0) own.robustness = Math.max(robustness, 2);
  own.queryInterval = seconds(floating(get8(payload, 17), 0x80, 4));
  own.responseInterval = most;
}

/** Large values are written with an exponent of three bits behind `mantissa` bits. RFC 3810 §5.1.3 and §5.1.9. */
function floating(code: number, limit: number, mantissa: number): number {
  if (code < limit) return code;
  const exponent = (code >> mantissa) & 7;
  return ((code & ((1 << mantissa) - 1)) | (1 << mantissa)) << (exponent + 3);
}

/** Who hears that another host is in a group need not say so as well. Mirrors __mld_report_work(). */
export function mldReport(skb: SkBuff, network: Ipv6Header): void {
  const { dev, packetType } = skb;
  const { payload } = skb.frame;
  const toGroup = packetType === "MULTICAST" || packetType === "BROADCAST";
  const fromLink = network.source === IPV6_ANY || isIpv6LinkLocal(network.source);
  deliver(skb, "mld");
  if (dev === undefined || !toGroup || !fromLink || payload.length < VERSION_1_LENGTH) return;
  const known = membershipsOf(dev).groups.get(getIpv6(payload, 0));
  if (known !== undefined) stopReport6(known);
}
