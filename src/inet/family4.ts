import { assert } from "../base/errors.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { type IpAddress, IPV4_ANY, IPV4_LOOPBACK, type Ipv4, isIpv4Multicast } from "../wire/ip.js";
import { ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_PORT_UNREACH } from "../wire/icmp.js";
import { IPPROTO_ICMP, IPV4_HLEN } from "../wire/ipv4.js";
import type { InetFamily, SocketFlow } from "./family.js";
import { icmpSend } from "./icmp.js";
import { learnPathMtu } from "./icmp-receive.js";
import { joinGroup4, leaveGroup4 } from "./igmp.js";
import { ipDontFragment, ipLocalOut, ipPacket } from "./ip-local-out.js";
import { confirmNeighbour, neighbours } from "./neighbour.js";
import { pingSockets } from "./ping-sockets.js";
import { type OutputFlow, routeConnect, routeOutput } from "./route-output.js";
import { inetAddrType } from "./source-address.js";
import { ipv4Sysctls } from "./sysctls.js";

/** IPv4 as sockets see it. Mirrors net/ipv4/af_inet.c and ipv4_specific. */
export const inet4: InetFamily = {
  name: "ipv4",
  any: IPV4_ANY,
  loopback: IPV4_LOOPBACK,
  headerLength: IPV4_HLEN,
  route: (ns, flow) => routeOutput(ns, flowOf(flow)),
  connect: (ns, flow) => routeConnect(ns, flowOf(flow)),
  keepsFirstRoute: false,
  packet: (route, fields, transport, payload, ns) =>
    ipPacket(
      {
        source: own(fields.source),
        destination: own(fields.destination),
        protocol: fields.protocol,
        tos: fields.tos,
        ttl: fields.ttl ?? startingTtl(own(fields.destination), ns),
        id: fields.id(),
        dontFragment:
          fields.dontFragment === "always" ||
          (fields.dontFragment === "path" && (route === undefined || ipDontFragment(ns, route))),
      },
      transport,
      payload,
    ),
  localOut: ipLocalOut,
  bindRefusal: (ns, address) =>
    address !== IPV4_ANY &&
    ipv4Sysctls(ns).get("net.ipv4.ip_nonlocal_bind") === 0 &&
    inetAddrType(ns, own(address)) === "UNICAST"
      ? "EADDRNOTAVAIL"
      : undefined,
  isGroup: (address) => isIpv4Multicast(own(address)),
  joinGroup: (dev, group) => joinGroup4(dev, own(group)),
  leaveGroup: (dev, group) => leaveGroup4(dev, own(group)),
  portUnreachable: (skb) => icmpSend(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH),
  learnPathMtu,
  echoProtocol: IPPROTO_ICMP,
  echoRequest: (rest) => ({ kind: "icmp", type: ICMP_ECHO, code: 0, rest }),
  echoListeners: pingSockets,
  confirm: (dev, address) => confirmNeighbour(dev, own(address)),
  isWaiting(skb) {
    const { route, frame } = skb;
    if (route === undefined || frame.network?.kind !== "ipv4") return false;
    const nexthop = typeof route.gateway === "number" ? route.gateway : frame.network.destination;
    return neighbours(skb.ns).lookup(route.dev, nexthop)?.holds(skb) === true;
  },
  leastMss: (ns) => ipv4Sysctls(ns).get("net.ipv4.route.min_adv_mss"),
  reflectsMark: (ns) => ipv4Sysctls(ns).get("net.ipv4.fwmark_reflect") !== 0,
};

/** A packet to a group goes one hop unless a program says otherwise. Mirrors ip_select_ttl(). */
function startingTtl(destination: Ipv4, ns: NetworkNamespace): number {
  return isIpv4Multicast(destination) ? 1 : ipv4Sysctls(ns).get("net.ipv4.ip_default_ttl");
}

function flowOf(flow: SocketFlow): OutputFlow {
  const { destination, source } = flow;
  return {
    ...flow,
    destination: own(destination),
    source: source === undefined ? undefined : own(source),
  };
}

function own(address: IpAddress): Ipv4 {
  assert(typeof address === "number", "an IPv6 address on an IPv4 socket");
  return address;
}
