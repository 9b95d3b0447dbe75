import { assert } from "../base/errors.js";
import { ICMPV6_DEST_UNREACH, ICMPV6_ECHO_REQUEST, ICMPV6_PORT_UNREACH } from "../wire/icmpv6.js";
import {
  type IpAddress,
  IPV6_ANY,
  IPV6_LOOPBACK,
  type Ipv6,
  isIpv6LinkLocal,
  isIpv6Multicast,
} from "../wire/ip.js";
import { IPPROTO_ICMPV6, IPV6_HLEN } from "../wire/ipv6.js";
import type { InetFamily, SocketFlow } from "./family.js";
import { devConfs6 } from "./ipv6/devconf.js";
import { isOwnAddress6 } from "./ipv6/addresses.js";
import { hopLimitOf, icmp6Send } from "./ipv6/icmp.js";
import { learnPathMtu6 } from "./ipv6/icmp-receive.js";
import { joinGroup, leaveGroup } from "./ipv6/multicast.js";
import { multipath6Hash } from "./ipv6/multipath.js";
import { ip6LocalOut } from "./ipv6/output.js";
import { ip6Packet } from "./ipv6/packet.js";
import { type Output6Flow, type Route6, routeOutput6 } from "./ipv6/route.js";
import { ipv6Sysctls } from "./ipv6/sysctls.js";
import { neighbours6 } from "./neighbour.js";
import { pingSockets6 } from "./ping-sockets.js";

/** IPv6 as sockets see it; all are IPV6_V6ONLY. Mirrors net/ipv6/af_inet6.c and ipv6_specific. */
export const inet6: InetFamily = {
  name: "ipv6",
  any: IPV6_ANY,
  loopback: IPV6_LOOPBACK,
  headerLength: IPV6_HLEN,
  route: (ns, flow) => routeOutput6(ns, flowOf(flow)),
  connect(ns, flow) {
    // Mirrors ip6_datagram_connect(): a link-local peer is somewhere only together with a device.
    if (isIpv6LinkLocal(own(flow.destination)) && flow.oif === undefined)
      return { error: "EINVAL", text: "a link-local address needs a device" };
    return routeOutput6(ns, flowOf(flow));
  },
  keepsFirstRoute: true,
  packet(route, fields, transport, payload, ns) {
    const [source, destination] = [own(fields.source), own(fields.destination)];
    const ports = "sourcePort" in transport ? transport : { sourcePort: 0, destinationPort: 0 };
    const { sourcePort, destinationPort } = ports;
    const flow = {
      source,
      destination,
      flowLabel: 0,
      protocol: fields.protocol,
      sourcePort,
      destinationPort,
    };
    return ip6Packet(
      {
        source,
        destination,
        protocol: fields.protocol,
        trafficClass: fields.tos,
        // Differs: the kernel's label is a hash under a key of its own.
        flowLabel:
          ipv6Sysctls(ns).get("net.ipv6.auto_flowlabels") % 2 === 0
            ? 0
            : multipath6Hash(ns, flow) & 0xf_ffff,
        hopLimit: fields.ttl ?? startingHopLimit(route, destination, ns),
      },
      transport,
      payload,
    );
  },
  localOut: ip6LocalOut,
  bindRefusal: (ns, address, dev) =>
    address === IPV6_ANY ||
    isIpv6Multicast(own(address)) ||
    ipv6Sysctls(ns).get("net.ipv6.ip_nonlocal_bind") !== 0 ||
    isOwnAddress6(ns, own(address), dev)
      ? undefined
      : "EADDRNOTAVAIL",
  isGroup: (address) => isIpv6Multicast(own(address)),
  joinGroup: (dev, group) => joinGroup(dev, own(group)),
  leaveGroup: (dev, group) => leaveGroup(dev, own(group)),
  portUnreachable: (skb) => icmp6Send(skb, ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH),
  learnPathMtu: learnPathMtu6,
  echoProtocol: IPPROTO_ICMPV6,
  echoRequest: (rest) => ({ kind: "icmpv6", type: ICMPV6_ECHO_REQUEST, code: 0, rest }),
  echoListeners: pingSockets6,
  confirm: (dev, address) => neighbours6(dev.ns).lookup(dev, own(address))?.confirm(),
  isWaiting(skb) {
    const { route, frame } = skb;
    if (route === undefined || frame.network?.kind !== "ipv6") return false;
    const nexthop = typeof route.gateway === "bigint" ? route.gateway : frame.network.destination;
    return neighbours6(skb.ns).lookup(route.dev, nexthop)?.holds(skb) === true;
  },
  leastMss: (ns) => ipv6Sysctls(ns).get("net.ipv6.route.min_adv_mss"),
  reflectsMark: (ns) => ipv6Sysctls(ns).get("net.ipv6.fwmark_reflect") !== 0,
};

/** A packet to a group goes one hop unless a program says otherwise. Mirrors ip6_sk_dst_hoplimit(). */
function startingHopLimit(
  route: Parameters<InetFamily["packet"]>[0],
  destination: Ipv6,
  ns: Parameters<InetFamily["packet"]>[4],
): number {
  if (isIpv6Multicast(destination)) return 1;
  return route === undefined ? devConfs6(ns).all.hop_limit : hopLimitOf(route as Route6);
}

function flowOf(flow: SocketFlow): Output6Flow {
  const { destination, source } = flow;
  return {
    ...flow,
    destination: own(destination),
    source: source === undefined ? undefined : own(source),
    bound: flow.oif !== undefined,
  };
}

function own(address: IpAddress): Ipv6 {
  assert(typeof address === "bigint", "an IPv4 address on an IPv6 socket");
  return address;
}
