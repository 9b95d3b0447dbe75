import type { NetDevice } from "../core/device.js";
import { netifReceiveSkb } from "../core/device.js";
import { drop, type DropReason } from "../core/drop.js";
import { cloneSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { type TunnelFlow, type TunnelHeaders, udpTunnels } from "../core/udp-tunnel.js";
import { encodeFrame, type Frame } from "../wire/frame.js";
import { foldAddress } from "../wire/ip.js";
import { encodeVxlan, VXLAN_HF_VNI, VXLAN_HLEN } from "../wire/vxlan.js";
import { scrub } from "./veth.js";
import type { Vxlan } from "./vxlan.js";
import { answerForNeighbour, isNeighbourQuestion, shortcut } from "./vxlan-proxy.js";
import { isGroup, type VxlanRemote } from "./vxlan-fdb.js";

/** Bytes that the outer headers and the inner Ethernet header add: IP, UDP, VXLAN, Ethernet. */
export function vxlanHeadroom(family: "ipv4" | "ipv6"): 50 | 70 {
  return family === "ipv4" ? 50 : 70;
}

/** Sends a frame to every host that its destination may be behind. Mirrors drivers/net/vxlan/vxlan_core.c:vxlan_xmit(). */
export function vxlanTransmit(skb: SkBuff, dev: Vxlan): void {
  if (dev.settings.proxy && isNeighbourQuestion(skb.frame)) return answerForNeighbour(skb, dev);
  if (dev.settings.rsc) shortcut(skb, dev);
  const [first, ...others] = dev.fdb.remotesFor(skb.frame.link.destination);
  if (first === undefined) {
    dev.counters.txDropped++;
    return drop(skb, "NO_TX_TARGET", "vxlan_xmit");
  }
  for (const remote of others) transmitTo(cloneSkb(skb, "vxlan copy"), dev, remote);
  transmitTo(skb, dev, first);
}

/** Mirrors drivers/net/vxlan/vxlan_core.c:vxlan_xmit_one(). */
function transmitTo(skb: SkBuff, dev: Vxlan, remote: VxlanRemote): void {
  const { settings, underlay } = dev;
  const tunnels = udpTunnels(underlay);
  const { frame } = skb;
  const flow: TunnelFlow = {
    source: settings.local,
    destination: remote.address,
    sourcePort: sourcePort(frame, dev),
    destinationPort: remote.port,
    tos: outerTos(frame, dev),
    oif: remote.dev,
  };
  const route = tunnels.route(flow);
  if (!("output" in route)) return fail(skb, dev, "IP_OUTNOROUTES");
  if (route.type === "local") return bypass(skb, dev, remote);
  if (route.dev === dev) return fail(skb, dev, "RECURSION_LIMIT");
  tunnels.limitInner(skb, route.mtu - vxlanHeadroom(settings.family));
  const payload = encapsulated(frame, remote.vni);
  const { socket } = skb;
  scrub(skb, underlay !== dev.ns);
  skb.packetType = "HOST";
  // The outer packet still belongs to the socket whose data it carries.
  skb.socket = socket;
  skb.ns = underlay;
  tunnels.transmit(skb, route, flow, headersFor(frame, dev, isGroup(remote.address)), payload);
}

function fail(skb: SkBuff, dev: NetDevice, reason: DropReason): void {
  dev.counters.txDropped++;
  drop(skb, reason, "vxlan_xmit_one");
}

/** The other end is this host: the frame is received without a detour. Mirrors vxlan_encap_bypass(). */
function bypass(skb: SkBuff, dev: Vxlan, remote: VxlanRemote): void {
  const target = dev.findLocal(remote.vni, remote.port);
  if (target === undefined) return fail(skb, dev, "VXLAN_VNI_NOT_FOUND");
  scrub(skb, target.ns !== dev.ns);
  skb.packetType = "HOST";
  if (target.settings.learning && dev.settings.local !== undefined)
    target.fdb.learn(skb.frame.link.source, { ...remote, address: dev.settings.local });
  dev.ns.sim.softirq.netifRx(() => netifReceiveSkb(skb, target));
}

function encapsulated(frame: Frame, vni: number): Uint8Array {
  const inner = encodeFrame(frame);
  const bytes = new Uint8Array(VXLAN_HLEN + inner.length);
  encodeVxlan({ flags: VXLAN_HF_VNI, vni, reserved: 0 }, bytes);
  bytes.set(inner, VXLAN_HLEN);
  return bytes;
}

/** What goes to a group stays on the link, unless a TTL is told. */
function headersFor(frame: Frame, { settings }: Vxlan, toGroup: boolean): TunnelHeaders {
  const { network } = frame;
  const inner = network?.kind === "ipv4" ? network : undefined;
  const inherited = network?.kind === "ipv6" ? network.hopLimit : (inner?.ttl ?? 0);
  const ttl = settings.ttl === "inherit" ? inherited : settings.ttl || (toGroup ? 1 : 0);
  return {
    ttl: ttl === 0 ? undefined : ttl,
    dontFragment:
      settings.df === "set" || (settings.df === "inherit" && inner?.dontFragment === true),
    checksum: settings.checksum,
  };
}

const ECN_MASK = 3;
const ECN_ECT_0 = 2;
const ECN_CE = 3;

/** The sender's willingness to hear of congestion shows outside, congestion that was met does not. Mirrors include/net/inet_ecn.h:INET_ECN_encapsulate(). */
function outerTos(frame: Frame, { settings }: Vxlan): number {
  const { network } = frame;
  const inner =
    network?.kind === "ipv4" ? network.tos : network?.kind === "ipv6" ? network.trafficClass : 0;
  const outer = settings.tos === "inherit" ? inner : settings.tos;
  const ecn = (inner & ECN_MASK) === ECN_CE ? ECN_ECT_0 : inner & ECN_MASK;
  return (outer & ~ECN_MASK) | ecn;
}

/** The namespace's ephemeral ports, from which the source port is taken. */
const DEFAULT_PORTS: readonly [number, number] = [32_768, 60_999];

/**
 * One port for one flow and its replies, so that an underlay can spread flows. Differs: not the kernel's siphash, and the
 * hash of a local socket is that of its addresses. Mirrors include/net/udp.h:udp_flow_src_port().
 */
function sourcePort({ link, network, transport }: Frame, { hashKey, settings }: Vxlan): number {
  const [low, high] = settings.sourcePorts[1] === 0 ? DEFAULT_PORTS : settings.sourcePorts;
  let hash = hashKey;
  const add = (a: number, b: number): void => {
    hash = mix(mix(hash, Math.min(a, b)), Math.max(a, b));
  };
  if (network?.kind !== "ipv4" && network?.kind !== "ipv6")
    add(link.source % 0x1_0000_0000, link.destination % 0x1_0000_0000);
  else {
    add(foldAddress(network.source), foldAddress(network.destination));
    hash = mix(hash, network.protocol);
    if (transport?.kind === "tcp" || transport?.kind === "udp")
      add(transport.sourcePort, transport.destinationPort);
  }
  return low + Math.floor((hash * (high - low)) / 0x1_0000_0000);
}

function mix(hash: number, value: number): number {
  let z = Math.imul(hash ^ value, 0x9e37_79b1);
  z = Math.imul(z ^ (z >>> 15), 0x85eb_ca6b);
  return (z ^ (z >>> 13)) >>> 0;
}
