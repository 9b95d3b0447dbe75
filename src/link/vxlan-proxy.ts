import { netifReceiveSkb } from "../core/device.js";
import { deliver } from "../core/drop.js";
import { internet } from "../core/internet.js";
import { newSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { type ArpHeader, ARPOP_REPLY, ARPOP_REQUEST } from "../wire/arp.js";
import { ETH_P_ARP, ETH_P_IPV6 } from "../wire/ethernet.js";
import type { Frame } from "../wire/frame.js";
import { NDISC_NEIGHBOUR_ADVERTISEMENT, NDISC_NEIGHBOUR_SOLICITATION } from "../wire/icmpv6.js";
import {
  IPV4_ANY,
  IPV6_ANY,
  IPV6_LOOPBACK,
  type IpAddress,
  isIpv4Loopback,
  isIpv4Multicast,
  isIpv6Multicast,
  isMulticastMac,
  type Mac,
} from "../wire/ip.js";
import { IPPROTO_ICMPV6, type Ipv6Header } from "../wire/ipv6.js";
import {
  decodeNdisc,
  encodeNdisc,
  linkLayerOf,
  linkLayerOption,
  NA_OVERRIDE,
  NA_ROUTER,
  NA_SOLICITED,
  ND_OPT_SOURCE_LL_ADDR,
  ND_OPT_TARGET_LL_ADDR,
} from "../wire/ndisc.js";
import type { Vxlan } from "./vxlan.js";

/** What a device with `proxy` does not carry: everything of ARP, and neighbour solicitations. */
export function isNeighbourQuestion({ link, network, transport }: Frame): boolean {
  if (link.etherType === ETH_P_ARP) return true;
  return (
    network?.kind === "ipv6" &&
    network.extensions.length === 0 &&
    transport?.kind === "icmpv6" &&
    transport.type === NDISC_NEIGHBOUR_SOLICITATION &&
    transport.code === 0
  );
}

/**
 * The question ends here; it is answered when the neighbour is known by hand or was heard of lately, and is not behind
 * this host itself. Mirrors drivers/net/vxlan/vxlan_core.c:arp_reduce() and neigh_reduce().
 */
export function answerForNeighbour(skb: SkBuff, dev: Vxlan): void {
  const { frame } = skb;
  const { network } = frame;
  const answer =
    network?.kind === "arp"
      ? arpAnswer(frame, network, dev)
      : network?.kind === "ipv6"
        ? neighbourAnswer(frame, network, dev)
        : undefined;
  if (answer !== undefined) {
    const reply = newSkb(dev.ns, answer, "vxlan proxy", skb);
    reply.dev = dev;
    reply.packetType = "HOST";
    dev.ns.sim.softirq.netifRx(() => netifReceiveSkb(reply, dev));
  }
  deliver(skb, "vxlan proxy");
}

function arpAnswer(frame: Frame, arp: ArpHeader, dev: Vxlan): Frame | undefined {
  const { operation, senderMac, senderIp, targetIp } = arp;
  if (dev.noArp || operation !== ARPOP_REQUEST) return undefined;
  if (isIpv4Loopback(targetIp) || isIpv4Multicast(targetIp)) return undefined;
  const mac = knownMac(dev, targetIp);
  if (mac === undefined) return undefined;
  return {
    ...frame,
    link: { source: mac, destination: senderMac, etherType: ETH_P_ARP },
    network: {
      ...arp,
      operation: ARPOP_REPLY,
      senderMac: mac,
      senderIp: targetIp,
      targetMac: senderMac,
      targetIp: senderIp,
    },
  };
}

/** Mirrors vxlan_na_create(). */
function neighbourAnswer(frame: Frame, header: Ipv6Header, dev: Vxlan): Frame | undefined {
  if (frame.transport?.kind !== "icmpv6" || header.destination === IPV6_LOOPBACK) return undefined;
  const asked = decodeNdisc(frame.transport, frame.payload);
  const target = asked.ok ? asked.value.target : undefined;
  if (!asked.ok || target === undefined || isIpv6Multicast(target)) return undefined;
  const mac = knownMac(dev, target);
  if (mac === undefined) return undefined;
  const router = dev.fdb.get(mac)?.isRouter === true ? NA_ROUTER : 0;
  return {
    link: {
      source: mac,
      destination: linkLayerOf(asked.value, ND_OPT_SOURCE_LL_ADDR) ?? frame.link.source,
      etherType: ETH_P_IPV6,
    },
    network: {
      ...header,
      trafficClass: 0,
      flowLabel: 0,
      hopLimit: 255,
      protocol: IPPROTO_ICMPV6,
      source: target,
      destination: header.source,
    },
    transport: {
      kind: "icmpv6",
      type: NDISC_NEIGHBOUR_ADVERTISEMENT,
      code: 0,
      rest: router + NA_SOLICITED + NA_OVERRIDE,
    },
    payload: encodeNdisc(target, [linkLayerOption(ND_OPT_TARGET_LL_ADDR, mac)]),
  };
}

function knownMac(dev: Vxlan, address: IpAddress): Mac | undefined {
  const neighbour = internet(dev.ns).neighbourOf(dev, address);
  if (neighbour?.isConnected !== true) return undefined;
  const [remote] = dev.fdb.get(neighbour.mac)?.remotes ?? [];
  return remote?.address === IPV4_ANY || remote?.address === IPV6_ANY ? undefined : neighbour.mac;
}

/**
 * What goes to a router's MAC address, while the host behind it is known, goes to that one as if the router had sent it.
 * Mirrors route_shortcircuit().
 */
export function shortcut(skb: SkBuff, dev: Vxlan): void {
  const { link, network } = skb.frame;
  if (network?.kind !== "ipv4" && network?.kind !== "ipv6") return;
  if (isMulticastMac(link.destination) || dev.fdb.get(link.destination)?.isRouter !== true) return;
  const neighbour = internet(dev.ns).neighbourOf(dev, network.destination);
  if (neighbour === undefined || neighbour.mac === link.destination) return;
  skb.frame = {
    ...skb.frame,
    link: { ...link, source: link.destination, destination: neighbour.mac },
  };
}
