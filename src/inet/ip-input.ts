import type { NetDevice } from "../core/device.js";
import { drop } from "../core/drop.js";
import type { SendResult } from "../core/errno.js";
import { type HookState, nfHook } from "../core/hooks.js";
import type { SkBuff } from "../core/skbuff.js";
import { told } from "../core/trace.js";
import { ICMP_DEST_UNREACH, ICMP_PARAMETERPROB, ICMP_PROT_UNREACH } from "../wire/icmp.js";
import { IPPROTO_TCP, type Ipv4Header, isFragment } from "../wire/ipv4.js";
import { confAnd, confOr } from "./devconf.js";
import { icmpSend } from "./icmp.js";
import { ipDefrag } from "./ip-defrag.js";
import { compileOptions, echoOptions } from "./ip-options.js";
import { ipProtocols } from "./protocols.js";
import { dropMartian } from "./route-entry.js";
import { routeInput } from "./route-input.js";
import { followSourceRoute } from "./source-route-input.js";

/** Receives a packet from a device. Mirrors net/ipv4/ip_input.c:ip_rcv() with ip_rcv_core(). */
export function ipRcv(skb: SkBuff): void {
  const { network } = skb.frame;
  if (skb.packetType === "OTHERHOST") return drop(skb, "OTHERHOST", "ip_rcv_core");
  if (network?.kind !== "ipv4") return drop(skb, "IP_INHDR", "ip_rcv_core");
  if (network.checksumError !== undefined) return drop(skb, "IP_CSUM", "ip_rcv_core");
  skb.notLoopedBack = false;
  skb.fragmentMaxSize = 0;
  skb.fragmentsHadDf = false;
  if (skb.route === undefined) skb.ignoreDf = false;
  const state: HookState = {
    hook: "PREROUTING",
    family: "ipv4",
    ns: skb.ns,
    in: skb.dev,
    out: undefined,
  };
  nfHook(skb, state, ipRcvFinish);
}

/** Mirrors ip_rcv_finish(). A packet from `lo` still has the route it was sent by. */
function ipRcvFinish(skb: SkBuff): SendResult {
  routeAndPassOn(skb);
  return undefined;
}

function routeAndPassOn(skb: SkBuff): void {
  const inside = skb.dev?.l3Receive?.(skb);
  if (inside !== undefined) routeInside(skb, inside);
  if (skb.route === undefined) {
    const reason = routeInput(skb);
    if (reason !== undefined) return dropMartian(skb, reason);
  }
  const { network } = skb.frame;
  if (network?.kind === "ipv4" && network.options.length > 0 && !acceptOptions(skb, network))
    return;
  const { route, dev } = skb;
  if (network?.kind !== "ipv4" || route === undefined || dev === undefined)
    return drop(skb, "NOT_SPECIFIED", "ip_rcv_finish_core");
  const inGroupFrame = skb.packetType === "BROADCAST" || skb.packetType === "MULTICAST";
  const unicast = route.type !== "broadcast" && route.type !== "multicast";
  if (inGroupFrame && unicast && confOr(dev, "drop_unicast_in_l2_multicast")) {
    return drop(skb, "UNICAST_IN_L2_MULTICAST", "ip_rcv_finish_core");
  }
  route.input(skb);
}

/** Routes as another namespace would, if it can; the packet stays where it is. Mirrors drivers/net/ipvlan/ipvlan_l3s.c:ipvlan_l3_rcv(). */
function routeInside(skb: SkBuff, inside: NetDevice): void {
  const { dev, ns } = skb;
  skb.dev = inside;
  skb.ns = inside.ns;
  routeInput(skb);
  skb.dev = dev;
  skb.ns = ns;
}

/** Mirrors ip_rcv_options(). False when the packet was dropped. */
function acceptOptions(skb: SkBuff, network: Ipv4Header): boolean {
  const checked = compileOptions(skb, network);
  if (checked.kind === "bad") {
    icmpSend(skb, ICMP_PARAMETERPROB, 0, checked.pointer * 0x100_0000);
    drop(skb, "IP_INHDR", "ip_rcv_finish_core");
    return false;
  }
  const { sourceRoute } = checked;
  if (sourceRoute === undefined) return true;
  const accepted = skb.dev !== undefined && confAnd(skb.dev, "accept_source_route");
  if (accepted && followSourceRoute(skb, sourceRoute)) return true;
  drop(skb, "NOT_SPECIFIED", "ip_rcv_finish_core");
  return false;
}

/** A packet for this host. Mirrors ip_local_deliver(). */
export function ipLocalDeliver(skb: SkBuff): void {
  const { network } = skb.frame;
  const whole = network?.kind === "ipv4" && isFragment(network) ? ipDefrag(skb, "local") : skb;
  if (whole === undefined) return;
  nfHook(
    whole,
    { hook: "INPUT", family: "ipv4", ns: whole.ns, in: whole.dev, out: undefined },
    ipLocalDeliverFinish,
  );
}

/** Mirrors ip_protocol_deliver_rcu(). */
function ipLocalDeliverFinish(skb: SkBuff): SendResult {
  toProtocol(skb);
  return undefined;
}

function toProtocol(skb: SkBuff): void {
  const { network } = skb.frame;
  const handler = network?.kind === "ipv4" ? ipProtocols(skb.ns).get(network.protocol) : undefined;
  if (network?.kind === "ipv4" && network.protocol === IPPROTO_TCP) tellLostOptions(skb, network);
  if (handler !== undefined) return handler.receive(skb);
  icmpSend(skb, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH);
  drop(skb, "IP_NOPROTO", "ip_protocol_deliver_rcu");
}

/** TCP's answers carry the options of what they answer in the kernel (tcp_v4_save_options()), and none here. */
function tellLostOptions(skb: SkBuff, { options, destination }: Ipv4Header): void {
  if (options.length === 0 || echoOptions(skb, destination).length === 0) return;
  skb.ns.sim.trace?.(
    told(skb, {
      kind: "unknown",
      what: "TCP does not answer with the IP options that a segment came with",
      place: undefined,
    }),
  );
}
