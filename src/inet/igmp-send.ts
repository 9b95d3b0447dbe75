import type { NetDevice } from "../core/device.js";
import { newSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import {
  encodeIgmp,
  type IgmpMessage,
  type IgmpRecord,
  IPPROTO_IGMP,
  IPV4_ROUTER_ALERT,
} from "../wire/igmp.js";
import { IPV4_ANY, type Ipv4 } from "../wire/ip.js";
import { addressesOf } from "./addresses.js";
import { IGMP_ALL_ROUTER, igmpVersion, IGMPV3_ALL_MCR, isReported4 } from "./igmp-groups.js";
import { ipLocalOut, ipPacket } from "./ip-local-out.js";
import { attachRoute } from "./route-entry.js";
import { isRoute, routeOutput } from "./route-output.js";

const IPTOS_PREC_INTERNETCONTROL = 0xc0;
/** IP header with its option, and the header of a report. */
const HEADERS = 24 + 8;

/** Says what the records say, in as many reports as the link needs. Mirrors net/ipv4/igmp.c:add_grec() and igmpv3_sendpack(). */
export function sendRecords(dev: NetDevice, records: readonly IgmpRecord[], cause?: SkBuff): void {
  const most = Math.max(Math.floor((dev.mtu - HEADERS) / 8), 1);
  for (let at = 0; at < records.length; at += most)
    send(
      dev,
      IGMPV3_ALL_MCR,
      { kind: "report3", records: records.slice(at, at + most) },
      "igmp report",
      cause,
    );
}

/** A report of version 1 or 2, to the group itself. Mirrors igmp_send_report(). */
export function sendOldReport(dev: NetDevice, group: Ipv4, cause?: SkBuff): void {
  const version = igmpVersion(dev) === 1 ? 1 : 2;
  if (isReported4(dev.ns, group))
    send(dev, group, { kind: "report", version, group }, "igmp report", cause);
}

/** Version 2 says goodbye to the routers. */
export function sendLeave(dev: NetDevice, group: Ipv4): void {
  if (isReported4(dev.ns, group))
    send(dev, IGMP_ALL_ROUTER, { kind: "leave", group }, "igmp leave", undefined);
}

function send(
  dev: NetDevice,
  destination: Ipv4,
  message: IgmpMessage,
  by: string,
  cause: SkBuff | undefined,
): void {
  const { ns } = dev;
  const route = routeOutput(ns, { destination, mark: 0, tos: 0, oif: dev, protocol: IPPROTO_IGMP });
  if (!isRoute(route)) return;
  const packet = ipPacket(
    {
      source:
        message.kind === "report3" ? ownSource(dev, route.source) : (route.source ?? IPV4_ANY),
      destination,
      protocol: IPPROTO_IGMP,
      tos: IPTOS_PREC_INTERNETCONTROL,
      ttl: 1,
      id: 0,
      dontFragment: true,
    },
    undefined,
    encodeIgmp(message),
  );
  const { network } = packet;
  if (network?.kind !== "ipv4") return;
  const skb = newSkb(
    ns,
    { ...packet, network: { ...network, options: IPV4_ROUTER_ALERT } },
    by,
    cause,
  );
  attachRoute(skb, route, "output");
  ipLocalOut(skb);
}

/** A report comes from an address of its device, or from 0.0.0.0. Mirrors igmpv3_get_srcaddr(). */
function ownSource(dev: NetDevice, source: Ipv4 | undefined): Ipv4 {
  return addressesOf(dev).some(({ local }) => local === source) ? (source ?? IPV4_ANY) : IPV4_ANY;
}
