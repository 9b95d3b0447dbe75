import { devQueueXmit, netifReceiveSkb, packetTypeFor } from "../core/device.js";
import { nfHook } from "../core/hooks.js";
import { internet } from "../core/internet.js";
import { newSkb } from "../core/simulation.js";
import { ETH_P_IP, ETH_P_IPV6 } from "../wire/ethernet.js";
import type { Frame } from "../wire/frame.js";
import { ICMPV6_MGM_QUERY } from "../wire/icmpv6.js";
import { encodeIgmp, IPPROTO_IGMP, IPV4_ROUTER_ALERT } from "../wire/igmp.js";
import {
  type IpAddress,
  type Ipv4,
  IPV4_ANY,
  type Ipv6,
  IPV6_ALL_NODES,
  IPV6_ANY,
  isIpv6LinkLocal,
  multicastMac,
  multicastMac6,
  parseIpv4,
  putIpv6,
} from "../wire/ip.js";
import { IPPROTO_ICMPV6 } from "../wire/ipv6.js";
import { MLD_ROUTER_ALERT } from "../wire/mld.js";
import type { BridgePort } from "./bridge-port.js";
import type { BridgeMulticast, GroupFamily } from "./multicast.js";

const ALL_HOSTS = (parseIpv4("224.0.0.1") ?? IPV4_ANY) satisfies Ipv4;

/** Asks the bridge's own host for all groups; gives the address that asks. Mirrors __br_multicast_send_query() without a port. */
export function queryHost(multicast: BridgeMulticast, family: GroupFamily): IpAddress | undefined {
  const { bridge } = multicast;
  const frame = queryFrame(multicast, family, undefined);
  if (frame === undefined) return undefined;
  const skb = newSkb(bridge.ns, frame, "multicast query");
  skb.packetType = packetTypeFor(frame.link.destination, bridge);
  bridge.ns.sim.softirq.netifRx(() => netifReceiveSkb(skb, bridge));
  return sourceOf(multicast, family);
}

/** Asks who is behind a port: for all groups, or for one. Mirrors __br_multicast_send_query(). */
export function queryPort(
  multicast: BridgeMulticast,
  family: GroupFamily,
  { dev }: BridgePort,
  group?: IpAddress,
): void {
  const frame = queryFrame(multicast, family, group);
  if (frame === undefined) return;
  const skb = newSkb(dev.ns, frame, "multicast query");
  skb.dev = dev;
  const state = { hook: "OUTPUT", family: "bridge", ns: dev.ns, in: undefined, out: dev } as const;
  nfHook(skb, state, (last) => devQueueXmit(last, dev));
}

/** Undefined without an address to ask from. Mirrors br_ip4_multicast_alloc_query() and br_ip6_multicast_alloc_query(). */
function queryFrame(
  multicast: BridgeMulticast,
  family: GroupFamily,
  group: IpAddress | undefined,
): Frame | undefined {
  const source = sourceOf(multicast, family);
  if (typeof source === "number") return igmpQuery(multicast, source, group);
  return source === undefined ? undefined : mldQuery(multicast, source, group);
}

function igmpQuery(
  { bridge, times }: BridgeMulticast,
  source: Ipv4,
  group: IpAddress | undefined,
): Frame {
  const asked = typeof group === "number" ? group : IPV4_ANY;
  const delay = group === undefined ? times.queryResponseInterval : times.lastMemberInterval;
  const payload = encodeIgmp({
    kind: "query",
    group: asked,
    responseCode: Math.min(255, Math.floor(delay / 100_000)),
    version3: undefined,
  });
  return {
    link: { source: bridge.mac, destination: multicastMac(ALL_HOSTS), etherType: ETH_P_IP },
    network: {
      kind: "ipv4",
      tos: 0xc0,
      id: 0,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 1,
      protocol: IPPROTO_IGMP,
      source,
      destination: ALL_HOSTS,
      options: IPV4_ROUTER_ALERT,
    },
    transport: undefined,
    payload,
  };
}

function mldQuery(
  { bridge, times }: BridgeMulticast,
  source: Ipv6,
  group: IpAddress | undefined,
): Frame {
  const asked = typeof group === "bigint" ? group : IPV6_ANY;
  const delay = group === undefined ? times.queryResponseInterval : times.lastMemberInterval;
  const payload = new Uint8Array(16);
  putIpv6(payload, 0, asked);
  const rest = (Math.min(0xffff, Math.floor(delay / 1_000)) << 16) >>> 0;
  return {
    link: { source: bridge.mac, destination: multicastMac6(IPV6_ALL_NODES), etherType: ETH_P_IPV6 },
    network: {
      kind: "ipv6",
      trafficClass: 0,
      flowLabel: 0,
      hopLimit: 1,
      protocol: IPPROTO_ICMPV6,
      source,
      destination: IPV6_ALL_NODES,
      extensions: [MLD_ROUTER_ALERT],
    },
    transport: { kind: "icmpv6", type: ICMPV6_MGM_QUERY, code: 0, rest },
    payload,
  };
}

function sourceOf(
  { bridge, useAddress }: BridgeMulticast,
  family: GroupFamily,
): IpAddress | undefined {
  const held = internet(bridge.ns).addressesOf(bridge);
  if (family === "ipv6")
    return held.find((address) => typeof address === "bigint" && isIpv6LinkLocal(address));
  const own = useAddress ? held.find((address) => typeof address === "number") : undefined;
  return own ?? IPV4_ANY;
}
