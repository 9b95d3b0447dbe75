import type { Errno, SendResult } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { Route } from "../core/route.js";
import type { SkBuff } from "../core/skbuff.js";
import { told } from "../core/trace.js";
import {
  type TunnelFlow,
  type TunnelHeaders,
  type TunnelPort,
  udpTunnels,
} from "../core/udp-tunnel.js";
import { type Frame, ipLength, type TransportHeader } from "../wire/frame.js";
import { IPV4_ANY, IPV6_ANY } from "../wire/ip.js";
import { IPPROTO_UDP } from "../wire/ipv4.js";
import { ipIds } from "./ip-id.js";
import { familyOf } from "./families.js";
import { ipPacket } from "./ip-local-out.js";
import { hopLimitOf } from "./ipv6/icmp.js";
import { ip6Packet } from "./ipv6/packet.js";
import { pathExceptions6 } from "./ipv6/path-exceptions.js";
import { pathExceptions } from "./path-exceptions.js";
import { attachRoute } from "./route-entry.js";
import type { Route6 } from "./ipv6/route.js";
import { isRoute } from "./route-output.js";
import { ipv4Sysctls } from "./sysctls.js";
import { UdpSocket } from "./udp-socket.js";

/** Offers UDP to the devices that carry frames in it. */
export function offerUdpTunnels(ns: NetworkNamespace): void {
  const offered = udpTunnels(ns);
  offered.open = (family, port, receive) => open(ns, family, port, receive);
  offered.route = (flow) => route(ns, flow);
  offered.limitInner = limitInner;
  offered.transmit = transmit;
}

/** Mirrors net/ipv4/udp_tunnel_core.c:udp_sock_create4(), net/ipv6/ip6_udp_tunnel.c:udp_sock_create6() and setup_udp_tunnel_sock(). */
function open(
  ns: NetworkNamespace,
  family: "ipv4" | "ipv6",
  port: number,
  receive: (skb: SkBuff) => void,
): TunnelPort | Errno {
  const { any } = familyOf(family === "ipv4" ? IPV4_ANY : IPV6_ANY);
  const socket = new UdpSocket(ns, {}, familyOf(any));
  const refused = socket.bind(any, port);
  if (refused !== undefined) return refused;
  socket.encapsulation = receive;
  return socket;
}

/** Mirrors net/ipv4/udp_tunnel_core.c:udp_tunnel_dst_lookup() and net/ipv6/ip6_udp_tunnel.c:udp_tunnel6_dst_lookup(). */
function route(ns: NetworkNamespace, flow: TunnelFlow): Route | { readonly error: Errno } {
  const found = familyOf(flow.destination).route(ns, {
    destination: flow.destination,
    source: flow.source,
    mark: 0,
    oif: flow.oif,
    tos: flow.tos,
    protocol: IPPROTO_UDP,
    sourcePort: flow.sourcePort,
    destinationPort: flow.destinationPort,
  });
  return isRoute(found) ? found : { error: found.error };
}

/** The packet leaves as one of this host's own: OUTPUT, POSTROUTING, fragments. Mirrors net/ipv4/ip_tunnel_core.c:iptunnel_xmit(). */
function transmit(
  skb: SkBuff,
  way: Route,
  flow: TunnelFlow,
  headers: TunnelHeaders,
  payload: Uint8Array,
): SendResult {
  const { ns } = skb;
  const udp = {
    kind: "udp",
    sourcePort: flow.sourcePort,
    destinationPort: flow.destinationPort,
    ...(headers.checksum ? {} : { noChecksum: true }),
  } as const;
  const before = skb.frame;
  skb.frame = outerFrame(ns, way, flow, headers, udp, payload);
  skb.fragmentMaxSize = 0;
  skb.fragmentsHadDf = false;
  skb.ignoreDf = false;
  ns.sim.trace?.(
    told(skb, {
      kind: "rewrite",
      by: `${skb.dev?.name ?? "tunnel"} encapsulates`,
      hook: undefined,
      in: undefined,
      out: skb.dev?.name,
      before,
      after: skb.frame,
    }),
  );
  skb.notLoopedBack = true;
  attachRoute(skb, way, "output");
  return familyOf(flow.destination).localOut(skb);
}

function outerFrame(
  ns: NetworkNamespace,
  way: Route,
  flow: TunnelFlow,
  headers: TunnelHeaders,
  udp: TransportHeader,
  payload: Uint8Array,
): Frame {
  const { destination, tos } = flow;
  const source = flow.source ?? way.source;
  if (typeof destination === "bigint") {
    const fields = {
      source: typeof source === "bigint" ? source : IPV6_ANY,
      destination,
      protocol: IPPROTO_UDP,
      trafficClass: tos,
      flowLabel: 0,
      hopLimit: headers.ttl ?? hopLimitOf(way as Route6),
    };
    return ip6Packet(fields, udp, payload);
  }
  const from = typeof source === "number" ? source : IPV4_ANY;
  const fields = {
    source: from,
    destination,
    protocol: IPPROTO_UDP,
    tos,
    ttl: headers.ttl ?? ipv4Sysctls(ns).get("net.ipv4.ip_default_ttl"),
    id: ipIds(ns).next(from, destination, IPPROTO_UDP),
    dontFragment: headers.dontFragment,
  };
  return ipPacket(fields, udp, payload);
}

/** Mirrors net/ipv4/ip_tunnel_core.c:skb_tunnel_check_pmtu() for those who want no reply. */
function limitInner(skb: SkBuff, mtu: number): void {
  const { network } = skb.frame;
  const { route: way } = skb;
  if (way === undefined || ipLength(skb.frame) <= mtu) return;
  const { ns } = way.dev;
  if (network?.kind === "ipv4") pathExceptions(ns).learnMtu(network.destination, mtu, way.mtu);
  if (network?.kind === "ipv6") pathExceptions6(ns).learnMtu(network.destination, mtu, way.mtu);
}
