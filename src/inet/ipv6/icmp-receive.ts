import { deliver, drop } from "../../core/drop.js";
import type { Errno } from "../../core/errno.js";
import type { SkBuff } from "../../core/skbuff.js";
import { decodeIpPacket } from "../../wire/frame.js";
import {
  ICMPV6_ADDR_UNREACH,
  ICMPV6_ADM_PROHIBITED,
  ICMPV6_DEST_UNREACH,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_MGM_QUERY,
  ICMPV6_MGM_REDUCTION,
  ICMPV6_MGM_REPORT,
  ICMPV6_MLD2_REPORT,
  ICMPV6_NOROUTE,
  ICMPV6_NOT_NEIGHBOUR,
  ICMPV6_PARAMPROB,
  ICMPV6_PKT_TOOBIG,
  ICMPV6_POLICY_FAIL,
  ICMPV6_PORT_UNREACH,
  ICMPV6_REJECT_ROUTE,
  ICMPV6_TIME_EXCEED,
  type Icmpv6Header,
  isIcmpv6Error,
} from "../../wire/icmpv6.js";
import { isIpv6Multicast } from "../../wire/ip.js";
import { IPPROTO_ICMPV6, type Ipv6Header } from "../../wire/ipv6.js";
import { isNeighbourDiscovery } from "../../wire/ndisc.js";
import { pingSockets6 } from "../ping-sockets.js";
import { type IcmpErrorNotice, ip6Protocols, type RedirectNotice } from "../protocols.js";
import { deviceOf, sendIcmp6 } from "./icmp.js";
import { mldQuery, mldReport } from "./mld-receive.js";
import { ndiscRcv } from "./ndisc.js";
import { pathExceptions6 } from "./path-exceptions.js";
import { isRoute6, routeOutput6 } from "./route.js";
import { ipv6Sysctls } from "./sysctls.js";

/** Receives a message for this host. Mirrors net/ipv6/icmp.c:icmpv6_rcv(). */
export function icmp6Rcv(skb: SkBuff): void {
  const { transport, network } = skb.frame;
  if (network?.kind !== "ipv6" || transport?.kind !== "icmpv6")
    return drop(skb, "PKT_TOO_SMALL", "icmpv6_rcv");
  if (transport.checksumError !== undefined) return drop(skb, "ICMP_CSUM", "icmpv6_rcv");
  const { type } = transport;
  if (isNeighbourDiscovery(type)) return ndiscRcv(skb, network, transport);
  switch (type) {
    case ICMPV6_ECHO_REQUEST:
      return echo(skb, network, transport);
    case ICMPV6_ECHO_REPLY: {
      const taker = pingSockets6(skb.ns).get(transport.rest >>> 16);
      if (taker?.receive(skb) === true) return;
      return drop(skb, "NO_SOCKET", "ping_rcv");
    }
    case ICMPV6_PKT_TOOBIG:
    case ICMPV6_DEST_UNREACH:
    case ICMPV6_TIME_EXCEED:
    case ICMPV6_PARAMPROB:
      return notify(skb, transport);
    case ICMPV6_MGM_QUERY:
      return mldQuery(skb, network, transport);
    case ICMPV6_MGM_REPORT:
      return mldReport(skb, network);
    case ICMPV6_MGM_REDUCTION:
    case ICMPV6_MLD2_REPORT:
      // For routers alone. Observed on 6.18.
      return drop(skb, "NOT_SPECIFIED", "icmpv6_rcv");
    default:
      // An error nobody knows goes to whom it is about, other messages nowhere. RFC 4443 §2.4 (a) and (b).
      if (isIcmpv6Error(type)) return notify(skb, transport);
      return drop(skb, "UNHANDLED_PROTO", "icmpv6_rcv");
  }
}

/** From the address that was asked, or the one nearest to the asker when all were. Mirrors icmpv6_echo_reply(). */
function echo(skb: SkBuff, network: Ipv6Header, request: Icmpv6Header): void {
  const { ns } = skb;
  const sysctls = ipv6Sysctls(ns);
  const toGroup = isIpv6Multicast(network.destination);
  deliver(skb, "icmpv6 echo");
  if (sysctls.get("net.ipv6.icmp.echo_ignore_all") !== 0) return;
  if (toGroup && sysctls.get("net.ipv6.icmp.echo_ignore_multicast") !== 0) return;
  const { route } = skb;
  const anycast = route !== undefined && "anycast" in route && route.anycast === true;
  if (anycast && sysctls.get("net.ipv6.icmp.echo_ignore_anycast") !== 0) return;
  const mark = sysctls.get("net.ipv6.fwmark_reflect") === 0 ? 0 : skb.mark;
  const back = routeOutput6(ns, {
    destination: network.source,
    source: toGroup || anycast ? undefined : network.destination,
    mark,
    tos: network.trafficClass,
    oif: deviceOf(skb),
    protocol: IPPROTO_ICMPV6,
  });
  if (!isRoute6(back)) return;
  const reflects = (sysctls.get("net.ipv6.flowlabel_reflect") & REFLECT_ECHO) !== 0;
  sendIcmp6(
    ns,
    back,
    {
      header: { kind: "icmpv6", type: ICMPV6_ECHO_REPLY, code: 0, rest: request.rest },
      payload: skb.frame.payload,
      by: "icmpv6 reply",
      destination: network.source,
      trafficClass: network.trafficClass,
      flowLabel: reflects ? network.flowLabel : 0,
      mark,
    },
    skb,
    false,
  );
}

/** FLOWLABEL_REFLECT_ICMPV6_ECHO_REPLIES. */
const REFLECT_ECHO = 4;

/** What each code of ICMPV6_DEST_UNREACH means to a program, and whether it is fatal. Mirrors tab_unreach[]. */
const UNREACH_ERRORS: ReadonlyMap<number, readonly [Errno, boolean]> = new Map([
  [ICMPV6_NOROUTE, ["ENETUNREACH", false]],
  [ICMPV6_ADM_PROHIBITED, ["EACCES", true]],
  [ICMPV6_NOT_NEIGHBOUR, ["EHOSTUNREACH", false]],
  [ICMPV6_ADDR_UNREACH, ["EHOSTUNREACH", false]],
  [ICMPV6_PORT_UNREACH, ["ECONNREFUSED", true]],
  [ICMPV6_POLICY_FAIL, ["EACCES", true]],
  [ICMPV6_REJECT_ROUTE, ["EACCES", true]],
]);

/** Mirrors icmpv6_err_convert(). */
function errorOf({ type, code }: Icmpv6Header): readonly [Errno, boolean] {
  switch (type) {
    case ICMPV6_DEST_UNREACH:
      return UNREACH_ERRORS.get(code) ?? ["EPROTO", true];
    case ICMPV6_PKT_TOOBIG:
      return ["EMSGSIZE", false];
    case ICMPV6_TIME_EXCEED:
      return ["EHOSTUNREACH", false];
    default:
      return ["EPROTO", type === ICMPV6_PARAMPROB];
  }
}

/** An error about a packet of ours: the protocol it quotes is told. Mirrors icmpv6_notify(). */
function notify(skb: SkBuff, header: Icmpv6Header): void {
  const quoted = decodeIpPacket(skb.frame.payload);
  const inner = quoted.ok ? quoted.value.network : undefined;
  if (!quoted.ok || inner?.kind !== "ipv6") return drop(skb, "PKT_TOO_SMALL", "icmpv6_rcv");
  deliver(skb, "icmpv6");
  const [errno, fatal] = errorOf(header);
  const { type, code, rest } = header;
  ip6Protocols(skb.ns)
    .get(inner.protocol)
    ?.error?.({
      type,
      code,
      rest,
      quoted: quoted.value,
      skb,
      errno,
      fatal,
      tooBig: type === ICMPV6_PKT_TOOBIG,
    });
}

/** A router on the way could not pass a packet of that size on. Mirrors net/ipv6/route.c:ip6_update_pmtu(). */
export function learnPathMtu6({ quoted, rest, skb }: IcmpErrorNotice): void {
  const { network } = quoted;
  if (network?.kind !== "ipv6") return;
  const route = routeOutput6(skb.ns, { destination: network.destination, mark: 0, tos: 0 });
  if (isRoute6(route)) pathExceptions6(skb.ns).learnMtu(network.destination, rest, route.mtu);
}

/** Errors about echo requests go to the program that sent them. Mirrors icmpv6_err() and ping_err(). */
export function icmp6Err(notice: IcmpErrorNotice): void {
  if (notice.tooBig) learnPathMtu6(notice);
  const { transport } = notice.quoted;
  if (transport?.kind === "icmpv6" && transport.type === ICMPV6_ECHO_REQUEST)
    pingSockets6(notice.skb.ns)
      .get(transport.rest >>> 16)
      ?.error(notice);
}

/** Mirrors NDISC_REDIRECT of net/ipv6/icmp.c:icmpv6_err(). */
export function icmp6Redirect({ takeOfRouterInUse }: RedirectNotice): void {
  takeOfRouterInUse();
}
