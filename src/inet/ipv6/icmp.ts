import type { NetDevice } from "../../core/device.js";
import { attachRelated } from "../../core/conntrack.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import { newSkb } from "../../core/simulation.js";
import type { SkBuff } from "../../core/skbuff.js";
import { milliseconds } from "../../sim/time.js";
import { encodeIpPacket, type Frame } from "../../wire/frame.js";
import {
  ICMPV6_HLEN,
  ICMPV6_PARAMPROB,
  ICMPV6_PKT_TOOBIG,
  ICMPV6_UNK_OPTION,
  type Icmpv6Header,
  isIcmpv6Error,
} from "../../wire/icmpv6.js";
import { IPV6_ANY, type Ipv6, isIpv6LinkLocal, isIpv6Multicast } from "../../wire/ip.js";
import {
  fragmentExtension,
  IPPROTO_ICMPV6,
  IPV6_HLEN,
  IPV6_MIN_MTU,
  type Ipv6Header,
} from "../../wire/ipv6.js";
import { allowGlobally, spendGlobally } from "../icmp-limit.js";
import { inetPeers } from "../inet-peer.js";
import { attachRoute } from "../route-entry.js";
import { kernelSocket } from "../socket-owner.js";
import { route6Actions } from "./actions.js";
import { anycastOf, isOwnAddress6 } from "./addresses.js";
import { devConf6 } from "./devconf.js";
import { ip6Packet } from "./packet.js";
import { isRoute6, prefersSource6, type Route6, routeOutput6 } from "./route.js";
import { selectSource6 } from "./source-selection.js";
import { ipv6Sysctls } from "./sysctls.js";

/**
 * Tells the sender of `skb` what went wrong with it; `rest` is the second word (an MTU, a pointer). Sends nothing where the
 * kernel sends nothing. The packet itself is left to the caller to drop. Mirrors net/ipv6/icmp.c:icmp6_send().
 */
export function icmp6Send(skb: SkBuff, type: number, code: number, rest = 0): void {
  const { network } = skb.frame;
  const { ns, dev } = skb;
  if (network?.kind !== "ipv6" || dev === undefined) return;
  const toGroup = isIpv6Multicast(network.destination) || skb.packetType !== "HOST";
  if (toGroup && !answersGroups(type, code)) return;
  const { source: sender } = network;
  if (sender === IPV6_ANY || isIpv6Multicast(sender) || isIneligible(skb.frame, network)) return;
  const limited = ipv6Sysctls(ns).isLimited(type);
  if (limited && !dev.isLoopback && !allowGlobally(ns)) return;
  const mark = ipv6Sysctls(ns).get("net.ipv6.fwmark_reflect") === 0 ? 0 : skb.mark;
  const route = routeOutput6(ns, {
    destination: sender,
    source: toGroup ? undefined : errorSource(skb, network),
    mark,
    tos: 0,
    oif: isIpv6LinkLocal(sender) ? deviceOf(skb) : undefined,
    protocol: IPPROTO_ICMPV6,
  });
  if (!isRoute6(route) || (limited && !allowPeer(ns, sender, route))) return;
  const header: Icmpv6Header = { kind: "icmpv6", type, code, rest };
  const payload = encodeIpPacket(skb.frame, IPV6_MIN_MTU - IPV6_HLEN - ICMPV6_HLEN);
  sendIcmp6(
    ns,
    route,
    { header, payload, by: "icmpv6 error", destination: sender, trafficClass: 0, mark },
    skb,
    true,
  );
}

/** Packet too big and an unknown option are told even when everybody was asked. RFC 4443 §2.4 (e.3). */
function answersGroups(type: number, code: number): boolean {
  return type === ICMPV6_PKT_TOOBIG || (type === ICMPV6_PARAMPROB && code === ICMPV6_UNK_OPTION);
}

/** From the address that was asked when it is ours; else what the way back says, or what the packet's own device would use. */
function errorSource(skb: SkBuff, network: Ipv6Header): Ipv6 | undefined {
  const { ns, inDev } = skb;
  const { destination } = network;
  const dev = deviceOf(skb);
  const anycast = dev !== undefined && anycastOf(dev).includes(destination);
  if (anycast || isOwnAddress6(ns, destination, ownedBy(skb, network))) return destination;
  if (inDev === undefined || prefersSource6(ns, network.source)) return undefined;
  return selectSource6(ns, inDev, network.source);
}

/** A link-local address counts on its own device only. */
function ownedBy(skb: SkBuff, { destination }: Ipv6Header): NetDevice | undefined {
  return isIpv6LinkLocal(destination) ? deviceOf(skb) : undefined;
}

/** The device a packet came by; over lo the one that its address belongs to. Mirrors icmp6_dev(). */
export function deviceOf({ dev, route }: SkBuff): NetDevice | undefined {
  const owner = route !== undefined && "owner" in route ? (route as Route6).owner : undefined;
  return dev?.isLoopback === true ? (owner ?? dev) : dev;
}

/**
 * An error about an error would go on for ever. A piece without the ICMPv6 header is answered, and so is a redirect.
 * Mirrors is_ineligible().
 */
function isIneligible({ transport, payload }: Frame, network: Ipv6Header): boolean {
  if (network.protocol !== IPPROTO_ICMPV6) return false;
  const fragment = fragmentExtension(network);
  if (fragment !== undefined && fragment.fragmentOffset !== 0) return false;
  const type = transport?.kind === "icmpv6" ? transport.type : payload[0];
  if (type === undefined) return fragment?.moreFragments !== true;
  return isIcmpv6Error(type);
}

/** A bucket of six for each remote address, fuller for those behind short prefixes. Mirrors icmpv6_xrlim_allow(). */
function allowPeer(ns: NetworkNamespace, address: Ipv6, route: Route6): boolean {
  if (route.dev.isLoopback) return true;
  const full = ipv6Sysctls(ns).get("net.ipv6.icmp.ratelimit");
  const cost = route.prefixLength < 128 ? full >>> ((128 - route.prefixLength) >>> 5) : full;
  if (!inetPeers(ns).allowError(address, milliseconds(cost))) return false;
  spendGlobally(ns);
  return true;
}

/** What an ICMPv6 message says, and to whom. */
export interface Icmp6Message {
  readonly header: Icmpv6Header;
  readonly payload: Uint8Array;
  readonly destination: Ipv6;
  /** As the trace's `born` names it. */
  readonly by: string;
  readonly trafficClass: number;
  readonly flowLabel?: number | undefined;
  readonly mark: number;
}

/** Sends a message of the kernel's own socket along a route; `related` to the packet that caused it. */
export function sendIcmp6(
  ns: NetworkNamespace,
  route: Route6,
  message: Icmp6Message,
  cause: SkBuff,
  related: boolean,
): void {
  const lock = icmpLock(ns);
  if (lock.held) return;
  const frame = ip6Packet(
    {
      source: route.source ?? IPV6_ANY,
      destination: message.destination,
      protocol: IPPROTO_ICMPV6,
      trafficClass: message.trafficClass,
      flowLabel: message.flowLabel ?? 0,
      hopLimit: hopLimitOf(route),
    },
    message.header,
    message.payload,
  );
  const skb = newSkb(ns, frame, message.by, cause);
  skb.mark = message.mark;
  skb.socket = kernelSocket;
  skb.ignoreDf = true;
  if (related) attachRelated(skb, cause);
  attachRoute(skb, route, "output");
  lock.held = true;
  route6Actions(ns).localOut(skb);
  lock.held = false;
}

/** The socket that sends is locked meanwhile: what a hook makes of its packet is not told by another. Mirrors icmpv6_xmit_lock(). */
const icmpLock: (ns: NetworkNamespace) => { held: boolean } = perNamespace(() => ({ held: false }));

/** What packets start with along a route. Mirrors ip6_dst_hoplimit(). */
export function hopLimitOf(route: Route6): number {
  return route.hopLimit ?? devConf6(route.dev).hop_limit;
}
