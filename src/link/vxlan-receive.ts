import { netifReceiveSkb, packetTypeFor } from "../core/device.js";
import { drop } from "../core/drop.js";
import type { SkBuff } from "../core/skbuff.js";
import { told } from "../core/trace.js";
import { decodeFrame, type Frame, frameLength, type IpHeader } from "../wire/frame.js";
import { formatIp, formatMac, isMulticastMac, MAC_ZERO } from "../wire/ip.js";
import { decodeVxlan, VXLAN_HF_VNI } from "../wire/vxlan.js";
import { scrub } from "./veth.js";
import type { Vxlan } from "./vxlan.js";

const WHERE = "vxlan_rcv";

/** A datagram for the VXLAN port: its frame comes out of the device of its network. Mirrors drivers/net/vxlan/vxlan_core.c:vxlan_rcv(). */
export function vxlanReceive(skb: SkBuff, find: (vni: number) => Vxlan | undefined): void {
  const outer = skb.frame;
  const read = decodeVxlan(outer.payload);
  const { network } = outer;
  if ((network?.kind !== "ipv4" && network?.kind !== "ipv6") || !read.ok)
    return drop(skb, "PKT_TOO_SMALL", WHERE);
  const { header, payload } = read.value;
  if ((header.flags & VXLAN_HF_VNI) === 0) return drop(skb, "VXLAN_INVALID_HDR", WHERE);
  const dev = find(header.vni);
  if (dev === undefined) return drop(skb, "VXLAN_VNI_NOT_FOUND", WHERE);
  if (header.flags !== VXLAN_HF_VNI || header.reserved !== 0)
    return drop(skb, "VXLAN_INVALID_HDR", WHERE);
  const inner = decodeFrame(payload);
  // Differs: a frame whose IP header is damaged ends here and not in ip_rcv_core.
  if (!inner.ok) return drop(skb, "IP_INHDR", WHERE);
  enter(skb, dev, network, inner.value);
}

function enter(skb: SkBuff, dev: Vxlan, outer: IpHeader, inner: Frame): void {
  const { source } = inner.link;
  if (source === dev.mac) return drop(skb, "LOCAL_MAC", WHERE);
  if (!learn(skb, dev, outer, inner)) return;
  const frame = withCongestion(inner, tosOf(outer));
  if (frame === undefined) return drop(skb, "IP_TUNNEL_ECN", WHERE);
  const before = skb.frame;
  const entersBy = skb.dev?.name;
  scrub(skb, dev.underlay !== dev.ns);
  skb.ignoreDf = false;
  skb.fragmentMaxSize = 0;
  skb.fragmentsHadDf = false;
  skb.frame = frame;
  skb.packetType = packetTypeFor(frame.link.destination, dev);
  dev.counters.rxBytes += frameLength(frame);
  dev.ns.sim.trace?.(
    told(skb, {
      kind: "rewrite",
      by: `${dev.name} decapsulates`,
      hook: undefined,
      in: entersBy,
      out: undefined,
      before,
      after: frame,
    }),
  );
  dev.ns.sim.softirq.netifRx(() => netifReceiveSkb(skb, dev));
}

/** Remembers behind which host the sender is, if the device learns. False when the packet was dropped. Mirrors vxlan_snoop(). */
function learn(skb: SkBuff, dev: Vxlan, outer: IpHeader, { link }: Frame): boolean {
  if (!dev.settings.learning) return true;
  if (link.source === MAC_ZERO || isMulticastMac(link.source)) {
    drop(skb, "MAC_INVALID_SOURCE", WHERE);
    return false;
  }
  const { port, vni } = dev.settings;
  const learned = dev.fdb.learn(link.source, { address: outer.source, port, vni, dev: undefined });
  if (learned === "refused") {
    drop(skb, "VXLAN_ENTRY_EXISTS", WHERE);
    return false;
  }
  if (learned === "known" || learned === "full") return true;
  dev.ns.sim.trace?.(
    told(skb, {
      kind: "bridge",
      bridge: dev.name,
      port: undefined,
      action: "learn",
      to: [],
      why: `${formatMac(link.source)} is behind ${formatIp(outer.source)}`,
    }),
  );
  return true;
}

const ECN_MASK = 3;
const ECN_CE = 3;

function tosOf(network: IpHeader): number {
  return network.kind === "ipv4" ? network.tos : network.trafficClass;
}

/**
 * Congestion that the outer packet met is told to the inner one; undefined when that one cannot carry it.
 * Mirrors include/net/inet_ecn.h:INET_ECN_decapsulate().
 */
function withCongestion(frame: Frame, outerTos: number): Frame | undefined {
  const { network } = frame;
  if (network === undefined || network.kind === "arp" || (outerTos & ECN_MASK) !== ECN_CE)
    return frame;
  const tos = tosOf(network);
  if ((tos & ECN_MASK) === 0) return undefined;
  const marked =
    network.kind === "ipv4"
      ? { ...network, tos: tos | ECN_CE }
      : { ...network, trafficClass: tos | ECN_CE };
  return { ...frame, network: marked };
}
