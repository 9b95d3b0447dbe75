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
import { ipLength } from "../wire/frame.js";
import { IPV4_ANY } from "../wire/ip.js";
import { IPPROTO_UDP } from "../wire/ipv4.js";
import { ipIds } from "./ip-id.js";
import { ipLocalOut, ipPacket } from "./ip-local-out.js";
import { pathExceptions } from "./path-exceptions.js";
import { attachRoute } from "./route-entry.js";
import { isRoute, routeOutput } from "./route-output.js";
import { ipv4Sysctls } from "./sysctls.js";
import { UdpSocket } from "./udp-socket.js";

/** Offers UDP to the devices that carry frames in it. */
export function offerUdpTunnels(ns: NetworkNamespace): void {
  const offered = udpTunnels(ns);
  offered.open = (port, receive) => open(ns, port, receive);
  offered.route = (flow) => route(ns, flow);
  offered.limitInner = limitInner;
  offered.transmit = transmit;
}

/** Mirrors net/ipv4/udp_tunnel_core.c:udp_sock_create4() and setup_udp_tunnel_sock(). */
function open(
  ns: NetworkNamespace,
  port: number,
  receive: (skb: SkBuff) => void,
): TunnelPort | Errno {
  const socket = new UdpSocket(ns);
  const refused = socket.bind(IPV4_ANY, port);
  if (refused !== undefined) return refused;
  socket.encapsulation = receive;
  return socket;
}

/** Mirrors net/ipv4/udp_tunnel_core.c:udp_tunnel_dst_lookup(). */
function route(ns: NetworkNamespace, flow: TunnelFlow): Route | { readonly error: Errno } {
  const found = routeOutput(ns, {
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
  const source = flow.source ?? (typeof way.source === "number" ? way.source : IPV4_ANY);
  const fields = {
    source,
    destination: flow.destination,
    protocol: IPPROTO_UDP,
    tos: flow.tos,
    ttl: headers.ttl ?? ipv4Sysctls(ns).get("net.ipv4.ip_default_ttl"),
    id: ipIds(ns).next(source, flow.destination, IPPROTO_UDP),
    dontFragment: headers.dontFragment,
  };
  const udp = {
    kind: "udp",
    sourcePort: flow.sourcePort,
    destinationPort: flow.destinationPort,
    ...(headers.checksum ? {} : { noChecksum: true }),
  } as const;
  const before = skb.frame;
  skb.frame = ipPacket(fields, udp, payload);
  skb.fragmentMaxSize = 0;
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
  attachRoute(skb, way, "output");
  return ipLocalOut(skb);
}

/** Mirrors net/ipv4/ip_tunnel_core.c:skb_tunnel_check_pmtu() for those who want no reply. */
function limitInner(skb: SkBuff, mtu: number): void {
  const { network } = skb.frame;
  if (network?.kind !== "ipv4" || skb.route === undefined || ipLength(skb.frame) <= mtu) return;
  pathExceptions(skb.route.dev.ns).learnMtu(network.destination, mtu, skb.route.mtu);
}
