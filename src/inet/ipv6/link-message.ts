import type { NetDevice } from "../../core/device.js";
import { newSkb } from "../../core/simulation.js";
import type { SkBuff } from "../../core/skbuff.js";
import type { Icmpv6Header } from "../../wire/icmpv6.js";
import { formatIpv6, type Ipv6, isIpv6Multicast } from "../../wire/ip.js";
import type { Ipv6Extension } from "../../wire/ipv6-extension.js";
import { IPPROTO_ICMPV6, NO_EXTENSIONS } from "../../wire/ipv6.js";
import { attachRoute, RouteEntry } from "../route-entry.js";
import { kernelSocket } from "../socket-owner.js";
import { route6Actions } from "./actions.js";
import { devConf6 } from "./devconf.js";
import { ip6Packet } from "./packet.js";

/** A message of neighbour discovery or MLD: it stays on its link, so nobody but a redirect looks for a route. */
export interface LinkMessage {
  readonly dev: NetDevice;
  /** The way that was looked for; left out, the message goes out of `dev`. */
  readonly route?: RouteEntry<Ipv6> | undefined;
  readonly source: Ipv6;
  readonly destination: Ipv6;
  readonly hopLimit: number;
  readonly extensions?: readonly Ipv6Extension[] | undefined;
  readonly header: Icmpv6Header;
  readonly payload: Uint8Array;
  /** As the trace's `born` names it. */
  readonly by: string;
  /** The packet that made it necessary. */
  readonly cause: SkBuff | undefined;
}

/** Sends a message by its device, through OUTPUT and POSTROUTING. Mirrors net/ipv6/ndisc.c:ndisc_send_skb(). */
export function sendLinkMessage(message: LinkMessage): void {
  const { dev, source, destination, hopLimit, extensions = NO_EXTENSIONS } = message;
  const frame = ip6Packet(
    {
      source,
      destination,
      protocol: IPPROTO_ICMPV6,
      trafficClass: devConf6(dev).ndisc_tclass,
      flowLabel: 0,
      hopLimit,
    },
    message.header,
    message.payload,
    extensions,
  );
  const skb = newSkb(dev.ns, frame, message.by, message.cause);
  skb.socket = kernelSocket;
  skb.notLoopedBack = true;
  skb.priority = CONTROL_PRIORITY;
  attachRoute(skb, message.route ?? routeBy(message), "output");
  route6Actions(dev.ns).localOut(skb);
}

/** Mirrors net/ipv6/route.c:icmp6_dst_alloc(). */
function routeBy({ dev, source, destination }: LinkMessage): RouteEntry<Ipv6> {
  const actions = route6Actions(dev.ns);
  const type = isIpv6Multicast(destination) ? "multicast" : "unicast";
  return new RouteEntry<Ipv6>({
    ns: dev.ns,
    type,
    dev,
    source,
    decidedBy: `${type} ${formatIpv6(destination)} dev ${dev.name}`,
    input: actions.localDeliver,
    output: actions.output,
  });
}

/** TC_PRIO_CONTROL. */
const CONTROL_PRIORITY = 7;
