import type { NetDevice } from "../core/device.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { newSkb } from "../core/simulation.js";
import { type ConntrackRef, relatedTo } from "../core/conntrack.js";
import type { SkBuff } from "../core/skbuff.js";
import { encodeIpPacket, type Frame } from "../wire/frame.js";
import {
  ICMP_DEST_UNREACH,
  ICMP_HLEN,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  type IcmpHeader,
} from "../wire/icmp.js";
import { type Ipv4, parseIpv4 } from "../wire/ip.js";
import { IPPROTO_ICMP, type Ipv4Header, IPV4_HLEN } from "../wire/ipv4.js";
import { allowGlobally, allowPeer, isLimited } from "./icmp-limit.js";
import { ipIds } from "./ip-id.js";
import { echoOptions } from "./ip-options.js";
import { ipLocalOut, ipPacket } from "./ip-local-out.js";
import { attachRoute, type RouteEntry } from "./route-entry.js";
import { kernelSocket } from "./socket-owner.js";
import { isRoute, routeOutput } from "./route-output.js";
import { RT_SCOPE_LINK } from "./fib-types.js";
import { selectSource } from "./source-address.js";
import { reversedRoute } from "./source-route.js";
import { ipv4Sysctls } from "./sysctls.js";

const ICMP_SOURCE_QUENCH = 4;
const NR_ICMP_TYPES = 18;
/** The largest error, header and all. RFC 1812 §4.3.2.3. */
const MAX_ERROR = 576;
const IPTOS_TOS_MASK = 0x1e;
const IPTOS_PREC_INTERNETCONTROL = 0xc0;
/** Sends errors for hosts without an address. RFC 7600. */
const INADDR_DUMMY = parseIpv4("192.0.0.8") as Ipv4;

const ERROR_TYPES: ReadonlySet<number> = new Set([
  ICMP_DEST_UNREACH,
  ICMP_SOURCE_QUENCH,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  ICMP_PARAMETERPROB,
]);

/** Whether messages of this type are about another packet. Mirrors icmp_pointers[].error. */
export function isIcmpError(type: number): boolean {
  return ERROR_TYPES.has(type);
}

/**
 * Tells the sender of `skb` what went wrong with it; `rest` is the second word (an MTU, a gateway). Sends nothing where the
 * kernel sends nothing. The packet itself is left to the caller to drop. Mirrors net/ipv4/icmp.c:__icmp_send().
 */
export function icmpSend(skb: SkBuff, type: number, code: number, rest = 0): void {
  const { network } = skb.frame;
  const { route, ns } = skb;
  if (network?.kind !== "ipv4" || route === undefined || !deserves(skb, network, type)) return;
  const limited = isLimited(ns, type, code);
  if (limited && skb.inDev?.isLoopback !== true && !allowGlobally(ns)) return;
  const mark = ipv4Sysctls(ns).get("net.ipv4.fwmark_reflect") === 0 ? 0 : skb.mark;
  const tos = isIcmpError(type)
    ? (network.tos & IPTOS_TOS_MASK) | IPTOS_PREC_INTERNETCONTROL
    : network.tos;
  const local = route.type === "local" ? network.destination : inboundAddress(skb, network);
  const destination = reversedRoute(skb)?.first ?? network.source;
  const back = routeOutput(ns, {
    destination,
    source: local,
    mark,
    tos,
    protocol: IPPROTO_ICMP,
  });
  if (!isRoute(back)) return;
  if (limited && !allowPeer(ns, destination, back.dev)) return;
  const answered = echoOptions(skb, back.source ?? INADDR_DUMMY).length;
  const room = Math.min(back.mtu, MAX_ERROR) - IPV4_HLEN - answered - ICMP_HLEN;
  if (room <= IPV4_HLEN) return;
  const header: IcmpHeader = { kind: "icmp", type, code, rest };
  const message = { header, payload: encodeIpPacket(skb.frame, room), by: "icmp error", tos, mark };
  sendIcmp(ns, back, destination, message, skb, relatedTo(skb.ct));
}

/** The conditions under which a packet is answered at all. */
function deserves(skb: SkBuff, network: Ipv4Header, type: number): boolean {
  const { packetType, route, frame } = skb;
  if (packetType !== "HOST" || route?.type === "broadcast" || route?.type === "multicast")
    return false;
  if (network.fragmentOffset !== 0) return false;
  return !isIcmpError(type) || network.protocol !== IPPROTO_ICMP || !isAboutError(frame);
}

function isAboutError({ transport, payload }: Frame): boolean {
  const type = transport?.kind === "icmp" ? transport.type : payload[0];
  return type === undefined || type > NR_ICMP_TYPES || isIcmpError(type);
}

/** With the knob, an address of the device that the packet came in by: one that a bridge keeps for itself came in by no route. */
function inboundAddress(skb: SkBuff, network: Ipv4Header): Ipv4 | undefined {
  const dev: NetDevice | undefined = skb.route?.isPlaceholder === true ? undefined : skb.inDev;
  if (dev === undefined || ipv4Sysctls(skb.ns).get("net.ipv4.icmp_errors_use_inbound_ifaddr") === 0)
    return undefined;
  return selectSource(dev, network.source, RT_SCOPE_LINK);
}

/** What an ICMP message says. */
export interface IcmpMessage {
  readonly header: IcmpHeader;
  readonly payload: Uint8Array;
  /** As the trace's `born` names it. */
  readonly by: string;
  readonly tos: number;
  readonly mark: number;
}

/** Sends a message of the kernel's own socket along a route: TTL as ever, DF not set. Mirrors icmp_push_reply(). */
export function sendIcmp(
  ns: NetworkNamespace,
  route: RouteEntry,
  destination: Ipv4,
  message: IcmpMessage,
  cause: SkBuff,
  ct: ConntrackRef | undefined,
): void {
  if (icmpLock(ns).held) return;
  const source = route.source ?? INADDR_DUMMY;
  const frame = ipPacket(
    {
      source,
      destination,
      protocol: IPPROTO_ICMP,
      tos: message.tos,
      ttl: ipv4Sysctls(ns).get("net.ipv4.ip_default_ttl"),
      id: ipIds(ns).next(source, destination, IPPROTO_ICMP),
      dontFragment: false,
    },
    message.header,
    message.payload,
  );
  const options = echoOptions(cause, source);
  const skb = newSkb(
    ns,
    options.length === 0 || frame.network?.kind !== "ipv4"
      ? frame
      : { ...frame, network: { ...frame.network, options } },
    message.by,
    cause,
  );
  skb.mark = message.mark;
  skb.socket = kernelSocket;
  skb.ct = ct;
  attachRoute(skb, route, "output");
  const lock = icmpLock(ns);
  lock.held = true;
  ipLocalOut(skb);
  lock.held = false;
}

/** The socket that sends is locked meanwhile: what a hook makes of its packet is not told by another. Mirrors icmp_xmit_lock(). */
const icmpLock: (ns: NetworkNamespace) => { held: boolean } = perNamespace(() => ({ held: false }));
