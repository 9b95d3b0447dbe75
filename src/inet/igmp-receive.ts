import type { NetDevice } from "../core/device.js";
import { deliver, drop } from "../core/drop.js";
import type { SkBuff } from "../core/skbuff.js";
import { later, type Micros, milliseconds, seconds } from "../sim/time.js";
import { decodeIgmp, igmpCodeValue, type IgmpMessage } from "../wire/igmp.js";
import { IPV4_ANY } from "../wire/ip.js";
import { holdsAddress } from "./addresses.js";
import { answerAll, reportWithin, stopChanges, stopReport } from "./igmp.js";
import {
  type DeviceGroups,
  deviceGroups,
  igmpVersion,
  isReported4,
  QUERY_INTERVAL,
  QUERY_RESPONSE_INTERVAL,
} from "./igmp-groups.js";
import { ipv4Sysctls } from "./sysctls.js";

type Query = Extract<IgmpMessage, { kind: "query" }>;

/** A message about groups. Mirrors net/ipv4/igmp.c:igmp_rcv(). */
export function igmpRcv(skb: SkBuff): void {
  const { dev } = skb;
  const { network } = skb.frame;
  const source = network?.kind === "ipv4" ? network.source : IPV4_ANY;
  const message = decodeIgmp(skb.frame.payload);
  if (dev === undefined || !message.ok || message.value.checksumError !== undefined)
    return drop(skb, "NOT_SPECIFIED", "igmp_rcv");
  switch (message.value.kind) {
    case "query":
      // Between 8 and 12 bytes there is no query of any version.
      if (skb.frame.payload.length > 8 && message.value.version3 === undefined)
        return drop(skb, "NOT_SPECIFIED", "igmp_rcv");
      if (!heardQuery(dev, message.value, skb)) return drop(skb, "NOT_SPECIFIED", "igmp_rcv");
      return deliver(skb, "igmp query");
    case "report": {
      const own = deviceGroups(dev);
      const known = own.find(message.value.group);
      const toGroup = skb.packetType === "MULTICAST" || skb.packetType === "BROADCAST";
      // Its own report comes back to a host that is in the group.
      if (holdsAddress(dev.ns, source)) return drop(skb, "NOT_SPECIFIED", "igmp_rcv");
      if (!toGroup) return drop(skb, "NOT_SPECIFIED", "igmp_rcv");
      // Who hears that another host is in the group need not say so as well.
      if (known !== undefined && isReported4(dev.ns, known.group)) stopReport(known);
      return deliver(skb, "igmp report");
    }
    case "leave":
    case "report3":
      return drop(skb, "NOT_SPECIFIED", "igmp_rcv");
  }
}

/** A router asks. False for a query that makes no sense. Mirrors igmp_heard_query(). */
function heardQuery(dev: NetDevice, query: Query, skb: SkBuff): boolean {
  const own = deviceGroups(dev);
  const { now } = dev.ns.sim.queue;
  const { version3 } = query;
  let { group } = query;
  let most: Micros;
  if (version3 === undefined) {
    const until = later(now, (own.robustness * own.queryInterval + own.responseInterval) as Micros);
    if (query.responseCode === 0) {
      most = QUERY_RESPONSE_INTERVAL;
      own.version1Until = until;
      group = IPV4_ANY;
    } else {
      most = tenths(query.responseCode);
      own.version2Until = until;
    }
    stopChanges(own);
  } else if (igmpVersion(dev) === 1) {
    most = QUERY_RESPONSE_INTERVAL;
    group = IPV4_ANY;
  } else {
    most = tenths(igmpCodeValue(query.responseCode));
    if (igmpVersion(dev) === 3) {
      noteQuerier(dev, own, version3.robustness, version3.intervalCode);
      own.longestDelay = most;
      if (group === IPV4_ANY) {
        if (version3.sources.length > 0) return false;
        answerAll(dev, own, skb);
        return true;
      }
    }
  }
  for (const membership of own.groups) {
    if (group !== IPV4_ANY && group !== membership.group) continue;
    if (isReported4(dev.ns, membership.group)) reportWithin(dev, membership, most, skb);
  }
  return true;
}

/** What a router of version 3 says of its own ways. RFC 3376 §4.1.6. */
function noteQuerier(
  dev: NetDevice,
  own: DeviceGroups,
  robustness: number,
  intervalCode: number,
): void {
  own.robustness = robustness || ipv4Sysctls(dev.ns).get("net.ipv4.igmp_qrv");
  own.queryInterval = seconds(igmpCodeValue(intervalCode)) || QUERY_INTERVAL;
  if (own.responseInterval >= own.queryInterval)
    own.responseInterval = (own.queryInterval - seconds(1)) as Micros;
}

function tenths(value: number): Micros {
  return milliseconds(Math.max(100 * value, 4));
}
