import type { ConntrackRef } from "../../core/conntrack.js";
import { drop } from "../../core/drop.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import { newSkb } from "../../core/simulation.js";
import type { SkBuff } from "../../core/skbuff.js";
import { ipLocalOut, ipPacket } from "../../inet/ip-local-out.js";
import { ipRouteMeHarder } from "../../inet/ip-output.js";
import { route6Actions } from "../../inet/ipv6/actions.js";
import { devConfs6 } from "../../inet/ipv6/devconf.js";
import { ip6Packet } from "../../inet/ipv6/packet.js";
import { isRoute6, routeOutput6 } from "../../inet/ipv6/route.js";
import { attachRoute } from "../../inet/route-entry.js";
import { ipv4Sysctls } from "../../inet/sysctls.js";
import { encodeTcpOptions, type TcpOptions } from "../../inet/tcp-options.js";
import { NO_BYTES } from "../../wire/frame.js";
import type { Ipv4 } from "../../wire/ip.js";
import { IPPROTO_TCP } from "../../wire/ipv4.js";
import type { Ipv6Header } from "../../wire/ipv6.js";
import type { TcpHeader } from "../../wire/tcp.js";

/** A segment that the proxy says. `back`: to who sent the one it is about, in the name of whom that was for; else the same way. */
export interface ProxySegment {
  readonly way: "on" | "back";
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  /** As it stands in the header. */
  readonly window: number;
  readonly options: TcpOptions;
  /** The connection it goes along as; conntrack looks for one when there is none. */
  readonly ct: ConntrackRef | undefined;
}

/** Sends a segment that the one in `cause` makes necessary. Mirrors nf_synproxy_core.c:synproxy_send_tcp(). */
export function sendSegment(ns: NetworkNamespace, cause: SkBuff, segment: ProxySegment): void {
  const { network, transport: about } = cause.frame;
  if (about?.kind !== "tcp" || network === undefined || network.kind === "arp") return;
  const back = segment.way === "back";
  const transport: TcpHeader = {
    kind: "tcp",
    sourcePort: back ? about.destinationPort : about.sourcePort,
    destinationPort: back ? about.sourcePort : about.destinationPort,
    sequence: segment.sequence >>> 0,
    acknowledgment: segment.acknowledgment >>> 0,
    flags: segment.flags,
    window: segment.window & 0xffff,
    urgent: 0,
    options: encodeTcpOptions(segment.options),
  };
  if (network.kind === "ipv6") return send6(ns, cause, network, transport, segment);
  const [source, destination] = back
    ? [network.destination, network.source]
    : [network.source, network.destination];
  send4(ns, cause, { source, destination }, transport, segment);
}

function send4(
  ns: NetworkNamespace,
  cause: SkBuff,
  ends: { readonly source: Ipv4; readonly destination: Ipv4 },
  transport: TcpHeader,
  { ct }: ProxySegment,
): void {
  const ttl = ipv4Sysctls(ns).get("net.ipv4.ip_default_ttl");
  const fields = { ...ends, protocol: IPPROTO_TCP, tos: 0, ttl, id: 0, dontFragment: true };
  const skb = newSkb(ns, ipPacket(fields, transport, NO_BYTES), "SYNPROXY", cause);
  skb.route = cause.route;
  if (ipRouteMeHarder(skb) !== undefined) return drop(skb, "NOT_SPECIFIED", "synproxy_send_tcp");
  skb.ct = ct;
  ipLocalOut(skb);
}

/** Mirrors synproxy_send_tcp_ipv6(). */
function send6(
  ns: NetworkNamespace,
  cause: SkBuff,
  network: Ipv6Header,
  transport: TcpHeader,
  { way, ct }: ProxySegment,
): void {
  const [source, destination] =
    way === "back" ? [network.destination, network.source] : [network.source, network.destination];
  const { sourcePort, destinationPort } = transport;
  const fields = {
    source,
    destination,
    protocol: IPPROTO_TCP,
    trafficClass: 0,
    flowLabel: 0,
    hopLimit: devConfs6(ns).all.hop_limit,
  };
  const skb = newSkb(ns, ip6Packet(fields, transport, NO_BYTES), "SYNPROXY", cause);
  const route = routeOutput6(ns, {
    destination,
    source,
    mark: 0,
    tos: 0,
    protocol: IPPROTO_TCP,
    sourcePort,
    destinationPort,
  });
  if (!isRoute6(route)) return drop(skb, "NOT_SPECIFIED", "synproxy_send_tcp_ipv6");
  attachRoute(skb, route, "output");
  skb.ct = ct;
  route6Actions(ns).localOut(skb);
}
