import type { NetDevice } from "../core/device.js";
import { deliver, drop } from "../core/drop.js";
import type { Errno } from "../core/errno.js";
import type { SkBuff } from "../core/skbuff.js";
import { decodeIpPacket } from "../wire/frame.js";
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_FRAG_NEEDED,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  type IcmpHeader,
} from "../wire/icmp.js";
import { type Ipv4, ipv4, isIpv4Multicast, prefixContains } from "../wire/ip.js";
import { IPPROTO_ICMP, type Ipv4Header } from "../wire/ipv4.js";
import { addressesOf } from "./addresses.js";
import { acceptsRedirects, confOr } from "./devconf.js";
import { sendIcmp } from "./icmp.js";
import { pathExceptions } from "./path-exceptions.js";
import { pingSockets } from "./ping-sockets.js";
import { type IcmpErrorNotice, ipProtocols } from "./protocols.js";
import { isRoute, routeOutput } from "./route-output.js";
import { inetAddrType } from "./source-address.js";
import { reversedRoute } from "./source-route.js";
import { ipv4Sysctls } from "./sysctls.js";

const ICMP_TIMESTAMP = 13;
const ICMP_EXC_FRAGTIME = 1;
const ICMP_TIMESTAMPREPLY = 14;
const ICMP_ADDRESS = 17;
const ICMP_ADDRESSREPLY = 18;
const NR_ICMP_TYPES = 18;
/** Types that the kernel knows but does nothing with. Mirrors icmp_discard(). */
const DISCARDED: ReadonlySet<number> = new Set([4, ICMP_TIMESTAMPREPLY, 15, 16, 17, 18]);

/** Receives a message for this host. Mirrors net/ipv4/icmp.c:icmp_rcv(). */
export function icmpRcv(skb: SkBuff): void {
  const { transport, network } = skb.frame;
  if (network?.kind !== "ipv4" || transport?.kind !== "icmp")
    return drop(skb, "PKT_TOO_SMALL", "icmp_rcv");
  if (transport.checksumError !== undefined) return drop(skb, "ICMP_CSUM", "icmp_rcv");
  if (transport.type > NR_ICMP_TYPES) return drop(skb, "UNHANDLED_PROTO", "icmp_rcv");
  const toGroup = skb.route?.type === "broadcast" || skb.route?.type === "multicast";
  if (toGroup && !answersGroups(skb, transport)) return drop(skb, "INVALID_PROTO", "icmp_rcv");
  switch (transport.type) {
    case ICMP_ECHO:
      return echo(skb, network, transport);
    case ICMP_TIMESTAMP:
      return timestamp(skb, network, transport);
    case ICMP_DEST_UNREACH:
    case ICMP_TIME_EXCEEDED:
    case ICMP_PARAMETERPROB:
      return unreach(skb, transport);
    case ICMP_REDIRECT:
      return redirect(skb, network, transport);
    case ICMP_ECHOREPLY: {
      const taker = pingSockets(skb.ns).get(transport.rest >>> 16);
      if (taker?.receive(skb) === true) return;
      return drop(skb, "NO_SOCKET", "ping_rcv");
    }
    default:
      if (DISCARDED.has(transport.type)) return deliver(skb, "icmp");
      return drop(skb, "UNHANDLED_PROTO", "icmp_rcv");
  }
}

/** RFC 1122 §3.2.2.6: a host need not answer an echo that was sent to all. */
function answersGroups(skb: SkBuff, { type }: IcmpHeader): boolean {
  if (type === ICMP_ECHO || type === ICMP_TIMESTAMP)
    return ipv4Sysctls(skb.ns).get("net.ipv4.icmp_echo_ignore_broadcasts") === 0;
  return type === ICMP_ADDRESS || type === ICMP_ADDRESSREPLY;
}

function echo(skb: SkBuff, network: Ipv4Header, request: IcmpHeader): void {
  deliver(skb, "icmp echo");
  if (ipv4Sysctls(skb.ns).get("net.ipv4.icmp_echo_ignore_all") !== 0) return;
  reply(
    skb,
    network,
    { kind: "icmp", type: ICMP_ECHOREPLY, code: request.code, rest: request.rest },
    skb.frame.payload,
  );
}

/** Answers with the time of the simulated day in milliseconds, twice. Mirrors icmp_timestamp(). */
function timestamp(skb: SkBuff, network: Ipv4Header, request: IcmpHeader): void {
  const { payload } = skb.frame;
  if (payload.length < 4) return drop(skb, "PKT_TOO_SMALL", "icmp_rcv");
  deliver(skb, "icmp timestamp");
  const answer = new Uint8Array(12);
  answer.set(payload.subarray(0, 4));
  const view = new DataView(answer.buffer);
  const now = Math.floor(skb.ns.sim.queue.now / 1000) % 86_400_000;
  view.setUint32(4, now);
  view.setUint32(8, now);
  reply(
    skb,
    network,
    { kind: "icmp", type: ICMP_TIMESTAMPREPLY, code: 0, rest: request.rest },
    answer,
  );
}

/** From the address that was asked, or the one nearest to the asker when all were asked. Mirrors icmp_reply(). */
function reply(skb: SkBuff, network: Ipv4Header, header: IcmpHeader, payload: Uint8Array): void {
  const { ns } = skb;
  const mark = ipv4Sysctls(ns).get("net.ipv4.fwmark_reflect") === 0 ? 0 : skb.mark;
  const source = skb.route?.type === "local" ? network.destination : undefined;
  const destination = reversedRoute(skb)?.first ?? network.source;
  const flow = {
    destination,
    source,
    mark,
    tos: network.tos,
    protocol: IPPROTO_ICMP,
  };
  const route = routeOutput(ns, flow);
  if (isRoute(route))
    sendIcmp(
      ns,
      route,
      destination,
      { header, payload, by: "icmp reply", tos: network.tos, mark },
      skb,
      undefined,
    );
}

/** What each code of ICMP_DEST_UNREACH means to a program, and whether it is fatal. Mirrors icmp_err_convert[]. */
const UNREACH_ERRORS: readonly (readonly [Errno, boolean])[] = [
  ["ENETUNREACH", false],
  ["EHOSTUNREACH", false],
  ["ENOPROTOOPT", true],
  ["ECONNREFUSED", true],
  ["EMSGSIZE", false],
  ["EOPNOTSUPP", false],
  ["ENETUNREACH", true],
  ["EHOSTDOWN", true],
  ["ENONET", true],
  ["ENETUNREACH", true],
  ["EHOSTUNREACH", true],
  ["ENETUNREACH", false],
  ["EHOSTUNREACH", false],
  ["EHOSTUNREACH", true],
  ["EHOSTUNREACH", true],
  ["EHOSTUNREACH", true],
];

function errorOf({ type, code }: IcmpHeader): readonly [Errno, boolean] | undefined {
  if (type === ICMP_DEST_UNREACH) return UNREACH_ERRORS[code];
  return type === ICMP_TIME_EXCEEDED ? ["EHOSTUNREACH", false] : ["EPROTO", true];
}

/** An error about a packet of ours: the protocol it quotes is told. Mirrors icmp_unreach(). */
function unreach(skb: SkBuff, header: IcmpHeader): void {
  const quoted = decodeIpPacket(skb.frame.payload);
  const inner = quoted.ok ? quoted.value.network : undefined;
  const meaning = errorOf(header);
  if (!quoted.ok || inner?.kind !== "ipv4" || meaning === undefined)
    return drop(skb, "PKT_TOO_SMALL", "icmp_rcv");
  deliver(skb, "icmp");
  const [errno, fatal] = meaning;
  const { type, code, rest } = header;
  // That pieces did not come together is nobody's error.
  if (type === ICMP_TIME_EXCEEDED && code === ICMP_EXC_FRAGTIME) return;
  ipProtocols(skb.ns)
    .get(inner.protocol)
    ?.error?.({
      type,
      code,
      rest,
      quoted: quoted.value,
      skb,
      errno,
      fatal,
      tooBig: type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED,
    });
}

/** Mirrors icmp_redirect() and net/ipv4/route.c:__ip_do_redirect(). Differs: the new gateway need not be resolved yet. */
function redirect(skb: SkBuff, network: Ipv4Header, header: IcmpHeader): void {
  const quoted = decodeIpPacket(skb.frame.payload);
  const inner = quoted.ok ? quoted.value.network : undefined;
  if (inner?.kind !== "ipv4") return drop(skb, "PKT_TOO_SMALL", "icmp_rcv");
  deliver(skb, "icmp");
  const { inDev: dev, ns } = skb;
  const gateway = ipv4(header.rest);
  const route = routeOutput(ns, {
    destination: inner.destination,
    mark: 0,
    tos: inner.tos,
    source: inner.source,
    anySource: true,
  });
  if (
    dev === undefined ||
    !isRoute(route) ||
    route.gateway !== network.source ||
    gateway === network.source
  )
    return;
  if (!acceptsRedirects(dev) || isIpv4Multicast(gateway)) return;
  const acceptable = confOr(dev, "shared_media")
    ? inetAddrType(ns, gateway) === "UNICAST"
    : sharesSubnet(dev, gateway, network.source);
  if (acceptable) pathExceptions(ns).learnGateway(inner.destination, gateway);
}

/** Mirrors inet_addr_onlink(). */
function sharesSubnet(dev: NetDevice, a: Ipv4, b: Ipv4): boolean {
  return addressesOf(dev).some((address) => {
    const subnet = { address: address.peer, length: address.length };
    return prefixContains(subnet, a) && prefixContains(subnet, b);
  });
}

/**
 * A router on the way could not pass a packet of that size on. Called by the protocols for packets that were theirs.
 * Mirrors net/ipv4/route.c:ipv4_update_pmtu().
 */
export function learnPathMtu(notice: IcmpErrorNotice): void {
  const { quoted, skb } = notice;
  const { network } = quoted;
  const mtu = notice.rest & 0xffff;
  if (
    network?.kind !== "ipv4" ||
    mtu === 0 ||
    ipv4Sysctls(skb.ns).get("net.ipv4.ip_no_pmtu_disc") !== 0
  )
    return;
  const route = routeOutput(skb.ns, {
    destination: network.destination,
    mark: 0,
    tos: network.tos,
  });
  if (isRoute(route)) pathExceptions(skb.ns).learnMtu(network.destination, mtu, route.mtu);
}

/** Errors about echo requests go to the program that sent them. Mirrors icmp_err() and ping_err(). */
export function icmpErr(notice: IcmpErrorNotice): void {
  if (notice.tooBig) learnPathMtu(notice);
  const { transport } = notice.quoted;
  if (transport?.kind === "icmp" && transport.type === ICMP_ECHO)
    pingSockets(notice.skb.ns)
      .get(transport.rest >>> 16)
      ?.error(notice);
}
